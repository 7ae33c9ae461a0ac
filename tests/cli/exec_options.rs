//! What the child of `exec` gets: precedence, inheritance, credentials, and what stands in for absent values.

use crate::support::Dsops;

fn prepared() -> Dsops {
    Dsops::new()
        .config(
            "secretStores:
  lit: {type: literal, values: {a: one, empty: ''}}
  net: {type: infisical, project_id: 64f7e4d2-1234-5678-abcd-1234567890ab, environment: dev, auth: {client_id: '${MY_ID}', client_secret: '${MY_SECRET:-none}'}}
envs:
  dev: {A: {from: lit/a}, E: {literal: ''}, O: {from: lit/nope, optional: true}, D: {from: lit/nope, default: 08080}}
  missing: {A: {from: lit/a}, M: {from: lit/nope}}
  empty: {A: {from: lit/empty, non_empty: true}}
  named: {MY_ID: {literal: given}}
  fallback: {A: {from: lit/nope, fallback: [lit/nada, {store: lit, key: a}], default: d}}
",
        )
        .env("MY_ID", "id-of-the-store")
        .env("MY_SECRET", "secret-of-the-store")
        .env("INFISICAL_TOKEN", "token-of-the-store")
        .env("A", "inherited")
        .env("OTHER", "kept")
}

fn exec(options: &[&str], environment: &str, script: &str) -> Dsops {
    let head = ["exec", "--env", environment];
    prepared().args(head).args(options).args(["--", "sh", "-c", script])
}

#[test]
fn resolved_values_win_unless_inherited_ones_are_to() {
    let _ = exec(&[], "dev", "echo $A").run().code(0).stdout("one\n");
    let _ = exec(&["--allow-override"], "dev", "echo $A").run().code(0).stdout("inherited\n");
}

#[test]
fn an_empty_value_is_set_and_an_optional_absent_one_is_not() {
    let _ = exec(&[], "dev", "echo ${E-unset} ${O-unset} $D")
        .run()
        .code(0)
        .stdout("unset 08080\n".trim_start())
        .stderr("dsops: in place of the inherited variable of another value: A\n");
}

#[test]
fn the_rest_is_inherited_unless_the_environment_is_to_be_clean() {
    let _ = exec(&[], "dev", "echo $OTHER").run().code(0).stdout("kept\n");
    let _ = exec(&["--clean"], "dev", "echo ${OTHER-gone} ${PATH:+path} ${HOME:+home} $A")
        .run()
        .code(0)
        .stdout("gone path home one\n");
}

#[test]
fn what_opens_the_stores_is_taken_out_of_the_child() {
    let script = "echo ${MY_ID-gone} ${MY_SECRET-gone} ${INFISICAL_TOKEN-gone}";
    let _ = exec(&[], "dev", script).run().code(0).stdout("gone gone gone\n");
    let _ = exec(&["--keep-credentials"], "dev", script)
        .run()
        .code(0)
        .stdout("id-of-the-store secret-of-the-store token-of-the-store\n");
    let _ = exec(&[], "named", script).run().code(0).stdout("given gone gone\n");
}

#[test]
fn what_is_absent_stops_the_child_unless_that_is_allowed() {
    let run = exec(&[], "missing", "touch started");
    let started = run.path("started");
    let _ = run.run().code(125).stdout_empty().stderr_has("dsops::fetch::not_found").stderr_has("lit/nope");
    assert!(!started.exists());
    let _ = exec(&["--allow-missing"], "missing", "echo $A ${M-unset}")
        .run()
        .code(0)
        .stdout("one unset\n")
        .stderr_has("M")
        .stderr_has("--allow-missing");
    let quiet = exec(&["--allow-missing", "--quiet"], "missing", "true").run().code(0);
    let _ = quiet.stderr_has("--allow-missing");
}

#[test]
fn an_empty_value_is_refused_where_the_file_says_so() {
    let _ = exec(&[], "empty", "true").run().code(125).stderr_has("dsops::fetch::empty");
    let _ = prepared().args(["get", "--env", "empty", "A"]).run().code(8).stdout_empty();
}

#[test]
fn fallbacks_are_taken_in_their_order() {
    let _ = exec(&[], "fallback", "echo $A").run().code(0).stdout("one\n");
}

#[test]
fn print_shows_names_and_sources_and_starts_nothing() {
    let run = prepared().args(["exec", "--env", "dev", "--print", "--", "touch", "started"]);
    let started = run.path("started");
    let output = run.run().code(0).stdout_has("lit/a").stdout_has("default").stdout_has("absent, optional");
    let output = output.stdout_has("MY_SECRET").stdout_has("replaces an inherited one");
    let stdout = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    for value in ["08080", "secret-of-the-store"] {
        assert!(!stdout.split_whitespace().any(|word| word == value), "{value} is shown\n{stdout}");
    }
    assert!(!started.exists());
}

#[test]
fn streams_and_working_directory_are_the_childs() {
    let run = prepared().file("sub/here", "").args(["exec", "--env", "dev", "--working-dir", "sub", "--"]);
    let _ = run
        .args(["sh", "-c", "cat; ls; echo err >&2; exit 42"])
        .stdin("in ")
        .run()
        .code(42)
        .stdout("in here\n")
        .stderr_has("err");
}

#[test]
fn the_exit_code_is_the_childs() {
    for code in [0, 1, 2, 3, 125, 126, 127, 128, 255] {
        let _ = exec(&[], "dev", &format!("exit {code}")).run().code(code);
    }
}

#[test]
fn stats_count_what_was_asked() {
    let _ = exec(&["--stats"], "dev", "true").run().code(0).stderr_has("0 requests");
}

#[test]
fn options_that_would_do_nothing_are_refused_or_named() {
    let config = "envs: {dev: {A: {literal: one}}}";
    let exec = |options: &[&str]| {
        Dsops::new().config(config).args(["exec", "--env", "dev"]).args(options).args(["--", "true"]).run()
    };
    let _ = exec(&["--kill-after", "1s"]).code(125).stderr_has("add `--timeout TIME` or `--watch`");
    let _ = exec(&["--files-dir", "."]).code(0).stderr_has("no variable of `dev` is of `type: file`");
}
