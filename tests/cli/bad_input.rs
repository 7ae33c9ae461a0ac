//! What bad input gets: the exit code, the code of the error, its place, nothing on stdout, and no child.

use serde_json::Value;

use crate::support::{Dsops, Output};

/// Stands in a file of a test where an error is expected. It is taken out before the file is written.
const MARK: char = '§';

/// Returns the text without its marks, and the line and column of each.
fn unmarked(marked: &str) -> (String, Vec<(usize, usize)>) {
    let mut places = Vec::new();
    let mut text = String::new();
    for part in marked.split_inclusive(MARK) {
        text.push_str(part.trim_end_matches(MARK));
        if part.ends_with(MARK) {
            let line = text.split('\n').count();
            let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            places.push((line, column));
        }
    }
    (text, places)
}

/// Prepares `exec` with a command that leaves a trace when it is started.
fn exec(config: impl AsRef<[u8]>) -> Dsops {
    exec_with(&[], config)
}

fn exec_with(options: &[&str], config: impl AsRef<[u8]>) -> Dsops {
    let run = Dsops::new().config(config).args(["exec", "--env", "dev"]).args(options);
    run.args(["--", "touch", "started"])
}

#[track_caller]
fn not_started(output: Output, code: i32) -> Output {
    let output = output.code(code).stdout_empty();
    assert!(!output.path("started").exists(), "the child was started\n{output}");
    output
}

fn found(errors: &[Value]) -> Vec<(&str, (usize, usize))> {
    let number = |error: &Value, name: &str| error[name].as_u64().unwrap_or_default() as usize;
    let one = |error| (number(error, "line"), number(error, "column"));
    errors.iter().map(|error| (error["code"].as_str().unwrap_or_default(), one(error))).collect()
}

/// Checks that `exec` stops with these codes, at the marks, in this order, both for people and for programs.
#[track_caller]
fn stops(marked: &str, codes: &[&str]) -> Output {
    let (text, places) = unmarked(marked);
    let expected: Vec<_> = codes.iter().copied().zip(places.iter().copied()).collect();
    assert_eq!(codes.len(), places.len(), "one mark for each code");
    let json = not_started(exec_with(&["--error-format", "json"], &text).run(), 125);
    assert_eq!(found(&json.stderr_json()), expected, "{json}");
    assert!(json.stderr_json().iter().all(|error| error["file"] == "dsops.yaml"), "{json}");
    let mut human = not_started(exec(&text).run(), 125);
    for (code, (line, column)) in expected {
        human = human.stderr_has(code).stderr_has(&format!("[dsops.yaml:{line}:{column}]"));
    }
    human
}

/// Checks the same of a mistake that can be seen in the file alone: every command finds it.
#[track_caller]
fn is_refused(marked: &str, codes: &[&str]) -> Output {
    let (text, places) = unmarked(marked);
    let expected: Vec<_> = codes.iter().copied().zip(places).collect();
    for command in [
        &["validate"][..],
        &["plan", "--env", "dev"],
        &["get", "--env", "dev", "A"],
        &["render", "--env", "dev"],
    ] {
        let run = Dsops::new().config(&text).args(command).args(["--error-format", "json"]);
        let output = run.run().code(3).stdout_empty();
        assert_eq!(found(&output.stderr_json()), expected, "{output}");
    }
    stops(marked, codes)
}

#[test]
fn a_missing_file_is_told_with_the_directory() {
    let run = Dsops::new().args(["exec", "--env", "dev", "--", "touch", "started"]);
    let directory = run.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let output = not_started(run.run(), 125).stderr_has("dsops::config::not_found");
    let text = String::from_utf8_lossy(output.stderr_bytes()).replace("\n  │ ", " ");
    assert!(text.contains(&directory) && text.contains("dsops init"), "{output}");
}

#[test]
fn a_missing_file_that_was_named_is_told_by_its_name() {
    let by_option = exec_with(&["--config", "other.yaml"], "envs: {dev: {}}");
    let by_variable = exec("envs: {dev: {}}").env("DSOPS_CONFIG", "other.yaml");
    for run in [by_option, by_variable] {
        let _ = not_started(run.run(), 125)
            .stderr_has("dsops::config::not_found")
            .stderr_has("there is no `other.yaml`");
    }
    let _ = Dsops::new().args(["plan", "--env", "dev", "-c", "other.yaml"]).run().code(3).stdout_empty();
}

#[test]
fn an_empty_file_is_told_apart_from_a_wrong_one() {
    for text in ["", "\n\n", "# only a remark\n", "---\n"] {
        let _ = not_started(exec(text).run(), 125).stderr_has("dsops::config::empty").stderr_has("help: ");
        let _ = Dsops::new().config(text).args(["validate"]).run().code(3).stdout_empty();
    }
}

#[test]
fn a_directory_is_no_file() {
    let run = exec_with(&["--config", "."], "envs: {dev: {}}");
    let _ = not_started(run.run(), 125)
        .stderr_has("dsops::config::unreadable")
        .stderr_has("`.` is a directory")
        .stderr_has("./dsops.yaml");
}

#[test]
fn a_file_without_end_is_read_up_to_the_limit_only() {
    let run = exec_with(&["--config", "/dev/zero"], "envs: {dev: {}}");
    let _ = not_started(run.run(), 125).stderr_has("dsops::config::too_large");
}

#[test]
fn text_that_is_not_utf_8_is_placed() {
    let run = exec(b"envs:\n  dev: {A: {literal: \"\xffx\"}}\n");
    let _ = not_started(run.run(), 125)
        .stderr_has("dsops::config::syntax")
        .stderr_has("[dsops.yaml:2:23]")
        .stderr_has("UTF-8");
}

#[test]
fn tabs_for_indentation_are_placed() {
    let _ = is_refused("envs:\n\t§dev:\n\t\tA: {literal: x}\n", &["dsops::config::syntax"])
        .stderr_has("indent with spaces");
}

#[test]
fn slips_in_the_syntax_are_placed_and_say_what_to_do() {
    for (text, help) in [
        ("envs:\n  dev: {A: {literal: §\"x}}\n", "quotes"),
        ("envs: {dev: §{A: {literal: x}\n", "brackets"),
        ("envs:\n  dev:\n    A: {literal: x}\n §b: c\n", "indentation"),
        ("envs:\n  dev:\n    A:\n      literal: a§: b\n", "in quotes"),
        ("envs: {dev: {A: {literal: §@x}}}\n", "in quotes"),
        ("envs: {dev: {A: {literal: §*x}}}\n", "in quotes"),
        ("envs: {dev: {A: {literal: !x §y}}}\n", "in quotes"),
        ("envs: {dev: {}}\n§---\nb: 1\n", "one document"),
    ] {
        let _ = is_refused(text, &["dsops::config::syntax"]).stderr_has(help);
    }
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let run = exec("[".repeat(5_000_000));
    let _ = not_started(run.run(), 125).stderr_has("dsops::config::too_large").stderr_has("4194304 bytes");
}

#[test]
fn brackets_below_the_limit_do_not_exhaust_the_stack() {
    for text in ["[".repeat(3_000_000), "{a: ".repeat(900_000), "- ".repeat(1_500_000)] {
        let output = not_started(exec_with(&["--error-format", "json"], &text).run(), 125);
        let errors = output.stderr_json();
        let [(code, (line, column))] = found(&errors)[..] else { panic!("one error: {output}") };
        assert_eq!((code, line), ("dsops::config::syntax", 1), "{output}");
        assert!(column <= 1024, "{output}");
    }
}

#[test]
fn an_alias_bomb_does_not_go_off() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let references = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{references}]\n"));
    }
    let output = not_started(exec_with(&["--error-format", "json"], &text).run(), 125);
    let errors = output.stderr_json();
    let [(code, (line, _))] = found(&errors)[..] else { panic!("one error: {output}") };
    assert_eq!(code, "dsops::config::syntax");
    assert!((4..12).contains(&line), "{output}");
}

#[test]
fn a_repeated_key_is_shown_with_the_first() {
    let _ = is_refused(
        "envs:\n  dev:\n    A: {literal: one}\n    B: {literal: two}\n    §A: {literal: three}\n",
        &["dsops::config::duplicate_key"],
    )
    .stderr_has("the first")
    .stderr_has("3 │     A:");
}

#[test]
fn unknown_keys_get_the_name_that_was_meant() {
    for (text, help) in [
        ("§env: {dev: {}}\n", "did you mean `envs`?"),
        ("§secretstores: {}\nenvs: {dev: {}}\n", "did you mean `secretStores`?"),
        ("envs: {dev: {A: {literal: x, §optinal: true}}}\n", "did you mean `optional`?"),
        ("envs: {dev: {A: {from: {store: s/K, §verison: 1}}}}\n", "did you mean `version`?"),
        ("envs: {dev: {import: {store: s, §prefx: P_}}}\n", "did you mean `prefix`?"),
        ("envs: {dev: {A: {literal: x, §wholly_else: true}}}\n", "known here: `from`, `literal`"),
        ("policies: {§allowed_provider: [env]}\nenvs: {dev: {}}\n", "did you mean `allowed_providers`?"),
    ] {
        let _ = is_refused(text, &["dsops::config::unknown_field"]).stderr_has(help);
    }
    let store = "secretStores: {s: {type: literal, §value: {}}}\nenvs: {dev: {A: {from: s/K}}}\n";
    let _ = is_refused(store, &["dsops::config::unknown_field"]).stderr_has("did you mean `values`?");
}

#[test]
fn a_missing_space_behind_a_colon_is_recognised_and_its_value_kept_back() {
    for text in ["envs: {dev: {A: {§literal:hunter2}}}\n", "envs: {dev: {A: {§hunter2}}}\n"] {
        let _ = is_refused(text, &["dsops::config::unknown_field"])
            .stderr_has("with a space behind the colon")
            .never_shows("hunter2");
    }
}

#[test]
fn null_is_no_value() {
    for text in [
        "envs: {dev: {A: {from: §null}}}\n",
        "envs: {dev: {A: {literal: §~}}}\n",
        "envs: {dev: {A: {from: s/K, default: §null}}}\nsecretStores: {s: {type: env}}\n",
        "secretStores: {s: §null}\nenvs: {dev: {A: {from: s/K}}}\n",
    ] {
        let _ = is_refused(text, &["dsops::config::null_value"]).stderr_has("help: ");
    }
    let _ = is_refused("envs:\n  dev:\n    A§:\n    B: {literal: x}\n", &["dsops::config::null_value"])
        .stderr_has("write `A: {from: …}`");
    let _ = is_refused("envs:\n  dev§:\n", &["dsops::config::null_value"]);
}

#[test]
fn a_value_of_the_wrong_type_says_what_is_needed() {
    for (text, message) in [
        ("§- a\n- b\n", "a list where a mapping is needed"),
        ("§just text\n", "a string where a mapping is needed"),
        ("envs: §5\n", "a number where a mapping is needed"),
        ("envs: {dev: §[A]}\n", "a list where an environment's variables is needed"),
        ("envs: {dev: {A: §text}}\n", "a string where `{from: …}` or `{literal: …}` is needed"),
        ("envs: {dev: {A: {literal: §[1]}}}\n", "a list where text is needed"),
        ("envs: {dev: {A: {from: §[s/K]}}}\n", "a list where a reference"),
        ("envs: {dev: {A: {literal: x, non_empty: §maybe}}}\n", "a string where"),
        (
            "secretStores: {s: {type: literal, values: §text}}\nenvs: {dev: {A: {from: s/K}}}\n",
            "a string where",
        ),
    ] {
        let _ = is_refused(text, &["dsops::config::wrong_type"]).stderr_has(message);
    }
}

#[test]
fn an_unknown_version_of_the_format_is_refused() {
    let _ = is_refused("version: §2\nenvs: {dev: {A: {literal: x}}}\n", &["dsops::config::version"])
        .stderr_has("write `version: 1`");
}

#[test]
fn an_unknown_store_gets_the_name_that_was_meant() {
    let stores = "secretStores: {vault: {type: env}, other: {type: env}}\n";
    for (reference, help) in [
        ("§valut/KEY", "did you mean `vault`?"),
        ("\"§valut:KEY\"", "did you mean `vault`?"),
        ("store://§valut/KEY", "did you mean `vault`?"),
        ("{store: valut, key: KEY}", "did you mean `vault`?"),
        ("§zzz/KEY", "the file has `vault` and `other`"),
    ] {
        let reference = reference.replace("{store: valut", "{store: §valut");
        let text = format!("{stores}envs:\n  dev:\n    A: {{from: {reference}}}\n");
        let _ = is_refused(&text, &["dsops::reference::unknown_store"]).stderr_has(help);
    }
    let _ = is_refused("envs: {dev: {A: {from: §s/K}}}\n", &["dsops::reference::unknown_store"])
        .stderr_has("add it under `secretStores`");
}

#[test]
fn an_unknown_type_gets_the_types_there_are() {
    let text =
        |kind: &str| format!("secretStores:\n  s: {{type: §{kind}}}\nenvs: {{dev: {{A: {{from: s/K}}}}}}\n");
    let _ =
        is_refused(&text("litteral"), &["dsops::config::unknown_type"]).stderr_has("did you mean `literal`?");
    let _ = is_refused(&text("zzz"), &["dsops::config::unknown_type"]).stderr_has("`infisical`");
    let missing = "secretStores:\n  §s: {values: {}}\nenvs: {dev: {A: {from: s/K}}}\n";
    let _ = is_refused(missing, &["dsops::config::missing_field"]).stderr_has("add `type:`");
}

#[test]
fn two_stores_of_one_name_are_refused() {
    let _ = is_refused(
        "secretStores: {s: {type: env}}\nproviders: {§s: {type: env}}\nenvs: {dev: {A: {from: s/K}}}\n",
        &["dsops::config::store_clash"],
    )
    .stderr_has("the first");
}

#[test]
fn an_unknown_environment_gets_the_list() {
    let config = "envs: {dev: {A: {literal: x}}, production: {}, staging: {}}\n";
    for (name, help) in [
        ("prod", "the file has `dev`, `production` and `staging`"),
        ("producton", "did you mean `production`? the file has `dev`, `production` and `staging`"),
    ] {
        let run = Dsops::new().config(config).args(["exec", "--env", name, "--", "touch", "started"]);
        let _ = not_started(run.run(), 125).stderr_has("dsops::config::unknown_environment").stderr_has(help);
        let _ = Dsops::new().config(config).args(["plan", "--env", name]).run().code(3).stdout_empty();
    }
    let _ = is_refused(
        "envs: {dev: {extends: §bse, A: {literal: x}}, base: {}}\n",
        &["dsops::config::unknown_environment"],
    )
    .stderr_has("did you mean `base`?");
}

#[test]
fn environments_that_extend_each_other_are_refused() {
    let _ = is_refused(
        "envs:\n  dev: {extends: §b, A: {literal: x}}\n  b: {extends: [§c]}\n  c: {extends: §dev}\n  d: {extends: §d}\n",
        &["dsops::config::extends_cycle"; 4],
    )
    .stderr_has("`dev` extends itself by way of `b`")
    .stderr_has("× `d` extends itself\n");
}

#[test]
fn names_that_are_not_set_are_told_all_at_once() {
    let config = "secretStores:\n  s:\n    type: exec\n    command: ./program\n    env:\n      A: §${ONE}\n      \
                  B: \"x-§${TWO}\"\n      C: ${THREE:-default}\n      D: ${SET}\nenvs:\n  dev: {A: {from: s/K}}\n";
    let config = config.replace("${SET}", "${HOME}");
    let codes = ["dsops::config::unset_variable"; 2];
    let _ = stops(&config, &codes).stderr_has("set `ONE` in the environment").stderr_has("`${TWO:-…}`");
}

#[test]
fn names_that_are_not_set_matter_only_where_the_store_is_used() {
    let config = "secretStores: {s: {type: exec, command: \"${UNSET}\"}}\n\
                  envs: {dev: {A: {literal: x}}, other: {A: {from: s/K}}}\n";
    let output = exec(config).run().code(0);
    assert!(output.path("started").exists());
    for command in [&["validate"][..], &["plan", "--env", "other"], &["stores"]] {
        let _ = Dsops::new().config(config).args(command).run().code(0).stderr_empty();
    }
    let _ = Dsops::new().config(config).args(["get", "s/K"]).run().code(3).stdout_empty();
}

#[test]
fn names_in_references_are_placed_too() {
    let config = "secretStores: {s: {type: env}}\nenvs: {dev: {A: {from: \"s/§${UNSET}_KEY\"}}}\n";
    let _ = stops(config, &["dsops::config::unset_variable"]);
}

#[test]
fn a_part_that_the_store_would_ignore_is_refused() {
    let _ = is_refused(
        "secretStores: {s: {type: literal, values: {A: x}}}\nenvs:\n  dev:\n    A: {from: §s/A@v2}\n    \
         B: {from: §\"s/A#f\"}\n    C: {from: §{store: s, key: A, version: 3}}\n    D: {from: §store://s/A#f}\n    \
         E: {from: s/A, fallback: §s/A@v1}\n",
        &[
            "dsops::reference::version_unsupported",
            "dsops::reference::field_unsupported",
            "dsops::reference::version_unsupported",
            "dsops::reference::field_unsupported",
            "dsops::reference::version_unsupported",
        ],
    )
    .stderr_has("take the version out of the reference");
    for reference in ["s/A@v2", "s/A#f"] {
        let config = "secretStores: {s: {type: literal, values: {A: x}}}\nenvs: {dev: {}}\n";
        let _ = Dsops::new().config(config).args(["get", reference]).run().code(3).stdout_empty();
    }
    let import = "secretStores: {s: {type: env}}\nenvs: {dev: {import: {store: §s}}}\n";
    let _ = is_refused(import, &["dsops::reference::import_unsupported"]);
}

#[test]
fn texts_that_are_no_references_are_refused() {
    for reference in [
        "\"§\"",
        "§noslash",
        "s/§",
        "§store://s",
        "§svc://kind/name",
        "§https://host/x",
        "§{key: K}",
        "§{store: s, provider: s, key: K}",
        "§{store: s, key: K, name: K}",
        "§{service: \"svc://kind/name\"}",
        "{store: s, key: \"§\"}",
        "§op://vault",
    ] {
        let text =
            format!("secretStores: {{s: {{type: env}}}}\nenvs: {{dev: {{A: {{from: {reference}}}}}}}\n");
        let output = is_refused(&text, &["dsops::reference::syntax"]);
        let _ = output.stderr_has("help: ");
    }
}

#[test]
fn a_value_that_no_variable_can_hold_is_placed() {
    // `YQBi` is `a`, NUL, `b`.
    let nul = "secretStores: {s: {type: literal, values: {K: YQBi}}}\nenvs:\n  dev:\n    B: {literal: x}\n    \
               §A: {from: s/K, transform: base64_decode}\n";
    let _ = stops(nul, &["dsops::environment::nul"]).stderr_has("`A` contains a NUL byte");
    let large = format!("envs:\n  dev:\n    §A: {{literal: {}}}\n", "x".repeat(128 * 1024));
    let (text, places) = unmarked(&large);
    let output = not_started(exec_with(&["--error-format", "json"], &text).run(), 125);
    assert_eq!(found(&output.stderr_json()), [("dsops::environment::too_long", places[0])], "{output}");
}

#[test]
fn the_largest_value_that_fits_is_given_whole() {
    // Name, `=` and NUL count: 131072 - 3.
    let value = "x".repeat(128 * 1024 - 3);
    let run = Dsops::new().config(format!("envs: {{dev: {{A: {{literal: {value}}}}}}}\n")).args([
        "exec",
        "--env",
        "dev",
        "--",
        "sh",
        "-c",
        "printf %s \"$A\"",
    ]);
    let _ = run.run().code(0).stdout(value);
}

#[test]
fn more_than_the_kernel_takes_is_refused_before_it_is_tried() {
    let value = "x".repeat(100_000);
    let mut config = String::from("envs:\n  dev:\n    §LARGEST: {literal: ");
    config.push_str(&format!("{value}x}}\n"));
    // The kernel takes 6 MiB however large the stack may become; the file may have 4 MiB, so that aliases help.
    config.push_str(&format!("    A: {{literal: &v {value}}}\n"));
    (0..70).for_each(|index| config.push_str(&format!("    A{index}: {{literal: *v}}\n")));
    let (text, places) = unmarked(&config);
    let output = not_started(exec_with(&["--error-format", "json"], &text).run(), 125);
    assert_eq!(found(&output.stderr_json()), [("dsops::environment::too_much", places[0])], "{output}");
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_run_126() {
    let exec = |command: &str| {
        let run = Dsops::new().config("envs: {dev: {A: {literal: x}}}").file("plain", "touch started");
        run.args(["exec", "--env", "dev", "--", command])
    };
    for command in ["no-such-command", "./no-such-command", "/no/such/command"] {
        let _ =
            not_started(exec(command).run(), 127).stderr_has("dsops::exec::not_found").stderr_has(command);
    }
    for command in ["./plain", "."] {
        let _ = not_started(exec(command).run(), 126).stderr_has("dsops::exec::not_executable");
    }
    let _ = not_started(exec("./plain").run(), 126).stderr_has("chmod +x ./plain");
}

#[test]
fn the_command_is_looked_for_before_any_store_is_asked() {
    let run = Dsops::new()
        .config("secretStores: {s: {type: exec, command: ./store}}\nenvs: {dev: {A: {from: s/K}}}\n")
        .program("store", "#!/bin/sh\ntouch asked\n")
        .args(["exec", "--env", "dev", "--", "no-such-command"]);
    let output = run.run().code(127);
    assert!(!output.path("asked").exists(), "{output}");
}

#[test]
fn a_working_directory_that_is_not_there_is_125() {
    let run = exec_with(&["--working-dir", "nowhere"], "envs: {dev: {}}");
    let _ = not_started(run.run(), 125).stderr_has("dsops::exec::working_directory").stderr_has("nowhere");
}

#[test]
fn credentials_that_come_from_each_other_are_refused() {
    let store = |from: &str| format!("{{type: exec, command: ./x, env: {{T: §{{from: {from}/K}}}}}}");
    let two = format!(
        "secretStores:\n  a: {}\n  b: {}\nenvs: {{dev: {{A: {{from: a/K}}}}}}\n",
        store("b"),
        store("a")
    );
    // The circle is told once, where it closes.
    let two = two.replacen(MARK, "", 1);
    let _ = is_refused(&two, &["dsops::reference::cycle"]).stderr_has("`a` → `b` → `a`");
    let one = format!("secretStores:\n  a: {}\nenvs: {{dev: {{A: {{from: a/K}}}}}}\n", store("a"));
    let _ = is_refused(&one, &["dsops::reference::cycle"]).stderr_has("`a` → `a`");
}

#[test]
fn transforms_are_checked_before_anything_is_fetched() {
    let _ = is_refused(
        "transforms: {named: [§trimm]}\nenvs:\n  dev:\n    A: {literal: x, transform: §base64_decod}\n    \
         B: {literal: x, transform: [trim, §join]}\n    C: {literal: x, transform: \"trim, §replace:a\"}\n",
        &["dsops::config::transform"; 4],
    )
    .stderr_has("did you mean `trim`?")
    .stderr_has("did you mean `base64_decode`?");
}

#[test]
fn policies_that_nothing_enforces_are_refused() {
    let _ = is_refused(
        "policies:\n  §secret_complexity: {min: 3}\n  §require_encryption: true\n  environment_rules: {dev: {§require_approval: true}}\n  \
         output_restrictions: {§max_ttl: 1h}\nenvs: {dev: {A: {literal: x}}}\n",
        &["dsops::policy::unenforced"; 4],
    )
    .stderr_has("take it out, so that nobody relies on it");
}

#[test]
fn what_a_policy_denies_is_denied_by_every_command_under_every_name_of_the_type() {
    for rule in [
        "blocked_providers: [env]",
        "allowed_providers: [infisical]",
        "environment_rules: {dev: {blocked_providers: [ENV]}}",
    ] {
        let marked = format!(
            "secretStores: {{s: {{type: env}}}}\npolicies: {{{rule}}}\nenvs:\n  dev:\n    A: {{from: §s/HOME}}\n    \
             B: {{literal: x}}\n"
        );
        let _ = stops(&marked, &["dsops::policy::denied"]);
        let (text, _) = unmarked(&marked);
        for command in
            [&["plan", "--env", "dev"][..], &["get", "--env", "dev", "A"], &["render", "--env", "dev"]]
        {
            let _ = Dsops::new().config(&text).args(command).run().code(10).stdout_empty();
        }
        let _ = Dsops::new().config(&text).args(["get", "--env", "dev", "B"]).run().code(0).stdout("x");
    }
    let many = "policies: §{environment_rules: {dev: {max_secrets: 1}}}\nenvs: {dev: {A: {literal: x}, B: {literal: y}}}\n";
    let _ = stops(many, &["dsops::policy::denied"]).stderr_has("raise `max_secrets`");
}

#[test]
fn a_variable_has_one_origin() {
    let _ = is_refused(
        "secretStores: {s: {type: env}}\nenvs:\n  dev:\n    §A: {literal: x, from: s/K}\n    §B: {optional: true}\n    \
         C: {literal: x, §default: y}\n    §\"D=E\": {literal: x}\n    §\"\": {literal: x}\n",
        &[
            "dsops::config::origin",
            "dsops::config::origin",
            "dsops::config::origin",
            "dsops::config::invalid",
            "dsops::config::invalid",
        ],
    )
    .stderr_has("`A` has both `from` and `literal`")
    .stderr_has("`B` says neither");
}

#[test]
fn mistakes_of_every_kind_come_at_once_and_in_the_order_of_the_file() {
    let _ = is_refused(
        "version: §3\nsecretStores:\n  s: {type: literal, §valus: {}}\n  t: {type: §nosuch}\nenvs:\n  dev:\n    \
         A: {from: §u/K}\n    B: {literal: a, §form: b}\n    C: §5\n    D: {literal: x, transform: §nope}\n  e: {extends: §nope}\n",
        &[
            "dsops::config::version",
            "dsops::config::unknown_field",
            "dsops::config::unknown_type",
            "dsops::reference::unknown_store",
            "dsops::config::unknown_field",
            "dsops::config::wrong_type",
            "dsops::config::transform",
            "dsops::config::unknown_environment",
        ],
    );
}

#[test]
fn people_see_the_first_of_thousands_of_mistakes_and_programs_see_all() {
    let variables: String =
        (0..10_000).map(|index| format!("    A{index}: {{from: gone/K{index}}}\n")).collect();
    let config = format!("secretStores: {{}}\nenvs:\n  dev:\n{variables}");
    let output = not_started(exec(&config).run(), 125).stderr_has("dsops: 9950 more");
    assert_eq!(String::from_utf8_lossy(output.stderr_bytes()).matches("unknown_store").count(), 50);
    let output = not_started(exec_with(&["--error-format", "json"], &config).run(), 125);
    assert_eq!(output.stderr_json().len(), 10_000);
}

#[test]
fn a_wrong_command_line_is_125_for_exec_and_2_for_the_rest() {
    let exec: [&[&str]; 5] = [
        &["exec", "--env", "dev"],
        &["exec", "--", "touch", "started"],
        &["exec", "--env", "dev", "touch", "started"],
        &["exec", "--env", "dev", "--timeout", "soon", "--", "touch", "started"],
        &["--quiet", "exec", "--env", "dev", "--no-such-option", "--", "touch", "started"],
    ];
    for args in exec {
        let run = |format| Dsops::new().config("envs: {dev: {}}").args(["--error-format", format]).args(args);
        let _ = not_started(run("human").run(), 125).stderr_has("--help");
        let output = not_started(run("json").run(), 125);
        assert_eq!(output.stderr_json()[0]["code"], "dsops::usage", "{output}");
    }
    let others: [&[&str]; 6] =
        [&[], &["get"], &["no-such-command"], &["plan"], &["validate", "extra"], &["get", "--var", "A"]];
    for args in others {
        let _ = Dsops::new().config("envs: {dev: {}}").args(args).run().code(2).stdout_empty();
    }
}
