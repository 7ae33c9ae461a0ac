//! `dsops get`: one value, exact to the byte.

use crate::support::Dsops;

const CONFIG: &str = "secretStores:\n  s:\n    type: literal\n    values: {KEY: value, EMPTY: '', LINES: \"a\\nb\\n\", BYTES: /wAK, folder/KEY: below}\n\
                      envs:\n  dev:\n    A: {from: s/KEY}\n    EMPTY: {from: s/EMPTY}\n    LINES: {from: s/LINES}\n    \
                      BYTES: {from: s/BYTES, transform: base64_decode}\n    OPTIONAL: {from: s/NONE, optional: true}\n    \
                      DEFAULT: {from: s/NONE, default: fallen}\n    NON_EMPTY: {from: s/EMPTY, non_empty: true}\n    \
                      BROKEN: {from: gone/KEY}\n  imported: {import: {store: s/folder, prefix: P_}}\n";

fn get(args: &[&str]) -> Dsops {
    let config = format!("{CONFIG}providers: {{gone: {{type: exec, command: ./no-such-program}}}}\n");
    Dsops::new().config(config).args(["get"]).args(args)
}

#[test]
fn a_value_is_printed_to_the_byte_and_no_newline_is_added() {
    for (name, value) in [
        ("A", &b"value"[..]),
        ("EMPTY", b""),
        ("LINES", b"a\nb\n"),
        ("BYTES", b"\xff\x00\n"),
        ("DEFAULT", b"fallen"),
    ] {
        let _ = get(&["--env", "dev", name]).run().code(0).stdout(value).stderr_empty();
    }
}

#[test]
fn the_old_ways_of_naming_a_value_work() {
    for args in [
        &["--env", "dev", "--var", "A"][..],
        &["-e", "dev", "A"],
        &["s/KEY"],
        &["s:KEY"],
        &["store://s/KEY"],
        &["--key", "s/KEY"],
        &["--env", "dev", "--key", "s/KEY"],
    ] {
        let _ = get(args).run().code(0).stdout("value").stderr_empty();
    }
    let _ = get(&["A"]).env("DSOPS_ENV", "dev").run().code(0).stdout("value");
}

#[test]
fn a_reference_in_the_place_of_a_variable_is_recognised() {
    let _ = get(&["s/KEY"]).env("DSOPS_ENV", "dev").run().code(3).stdout_empty().stderr_has("--key s/KEY");
}

#[test]
fn json_names_the_value_and_its_source() {
    let output = get(&["--env", "dev", "LINES", "--json"]).run().code(0).stderr_empty();
    let expected =
        serde_json::json!({"name": "LINES", "value": "a\nb\n", "source": "s/LINES", "environment": "dev"});
    assert_eq!(output.json(), expected);
    let _ =
        get(&["--env", "dev", "BYTES", "--json"]).run().code(7).stdout_empty().stderr_has("base64_encode");
}

#[test]
fn only_what_the_variable_needs_is_asked() {
    // `BROKEN` would fail.
    let _ = get(&["--env", "dev", "A"]).run().code(0).stdout("value");
    let _ = get(&["--env", "dev", "BROKEN"])
        .run()
        .code(6)
        .stdout_empty()
        .stderr_has("dsops::fetch::tool_missing");
}

#[test]
fn a_variable_of_an_imported_folder_can_be_named() {
    let _ = get(&["--env", "imported", "P_KEY"]).run().code(0).stdout("below");
    let _ = get(&["--env", "imported", "P_NONE"]).run().code(5).stdout_empty().stderr_has("P_NONE");
}

#[test]
fn each_reason_for_no_value_has_its_exit_code() {
    for (args, exit, code) in [
        (&["--env", "dev", "AA"][..], 3, "dsops::config::unknown_variable"),
        (&["--env", "dev", "OPTIONAL"], 5, "dsops::fetch::not_found"),
        (&["--env", "dev", "NON_EMPTY"], 8, "dsops::fetch::empty"),
        (&["s/NONE"], 5, "dsops::fetch::not_found"),
        (&["t/KEY"], 3, "dsops::reference::unknown_store"),
        (&["KEY"], 3, "dsops::reference::syntax"),
        (&["--env", "none", "A"], 3, "dsops::config::unknown_environment"),
    ] {
        let _ = get(args).run().code(exit).stdout_empty().stderr_has(code).stderr_has("help: ");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    // More than a pipe holds, so that the write is cut short.
    let config = format!("secretStores: {{s: {{type: literal, values: {{K: {}}}}}}}\n", "x".repeat(100_000));
    let script = "{ \"$0\" get s/K; echo \"ended with $?\" >&2; } | true";
    let run =
        Dsops::new().config(config).instead("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_dsops")]);
    let output = run.run().code(0).stdout_empty();
    assert_eq!(output.stderr_bytes(), b"ended with 0\n");
}
