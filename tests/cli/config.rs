//! `dsops.yaml`: where it is found and what it means.

use crate::support::Dsops;

/// Checks what a variable comes to.
#[track_caller]
fn comes_to(config: &str, variable: &str, value: &str) {
    let run = Dsops::new().config(config).args(["get", "--env", "dev", variable]);
    let _ = run.run().code(0).stdout(value).stderr_empty();
}

const NAMED: &str = "envs: {dev: {A: {literal: ";

fn named(name: &str) -> String {
    format!("{NAMED}{name}}}}}}}\n")
}

fn get(run: Dsops) -> Dsops {
    run.args(["get", "--env", "dev", "A"])
}

#[test]
fn the_nearest_file_is_read() {
    let run = Dsops::new().config(named("above")).directory("a/b/c");
    let _ = get(run).run().code(0).stdout("above");
    let run = Dsops::new().config(named("above")).file("a/dsops.yaml", named("near")).directory("a/b/c");
    let _ = get(run).run().code(0).stdout("near");
}

#[test]
fn the_search_ends_at_a_repository() {
    let run = || Dsops::new().config(named("above")).directory("project/below");
    let _ = get(run().file("project/.git/HEAD", "")).run().code(3).stderr_has("dsops::config::not_found");
    // A submodule and a linked checkout have a file there.
    let _ =
        get(run().file("project/.git", "gitdir: …\n")).run().code(3).stderr_has("dsops::config::not_found");
    let own = run().file("project/.git/HEAD", "").file("project/dsops.yaml", named("own"));
    let _ = get(own).run().code(0).stdout("own");
}

#[test]
fn the_search_ends_at_the_home_directory() {
    let run = Dsops::new().config(named("above")).directory("user/below");
    let home = run.path("user");
    let _ = get(run.env("HOME", &home)).run().code(3).stderr_has("dsops::config::not_found");
    let run =
        Dsops::new().config(named("above")).file("user/dsops.yaml", named("home")).directory("user/below");
    let home = run.path("user");
    let _ = get(run.env("HOME", &home)).run().code(0).stdout("home");
    let _ = get(Dsops::new().config(named("above")).directory("a").without_env("HOME"))
        .run()
        .code(0)
        .stdout("above");
}

#[test]
fn another_file_can_be_named_and_the_option_wins() {
    let run =
        || Dsops::new().config(named("found")).file("one.yaml", named("one")).file("two.yaml", named("two"));
    let _ = get(run()).run().code(0).stdout("found");
    let _ = get(run().env("DSOPS_CONFIG", "one.yaml")).run().code(0).stdout("one");
    let _ =
        get(run().env("DSOPS_CONFIG", "one.yaml").args(["--config", "two.yaml"])).run().code(0).stdout("two");
    let _ = get(run()).args(["--config", "two.yaml"]).run().code(0).stdout("two");
}

#[test]
fn a_file_can_come_through_a_pipe() {
    let run = get(Dsops::new().stdin(named("piped"))).args(["--config", "/dev/stdin"]);
    let _ = run.run().code(0).stdout("piped");
}

#[test]
fn paths_in_the_file_start_at_the_file() {
    let config = "secretStores: {f: {type: dotenv, path: values.env}}\nenvs: {dev: {A: {from: f/KEY}}}\n";
    let run = Dsops::new().config(config).file("values.env", "KEY=value\n").directory("a/b");
    let _ = get(run).run().code(0).stdout("value");
}

#[test]
fn every_version_of_the_format_is_read() {
    for version in ["version: 1\n", "version: 0\n", "version: \"1\"\n", ""] {
        comes_to(&format!("{version}{}", named("x")), "A", "x");
    }
}

#[test]
fn both_sections_of_stores_are_one() {
    let config = "secretStores: {s: {type: literal, values: {K: new}}}\nproviders: {p: {type: literal, config: {values: {K: old}}}}\n\
                  envs: {dev: {A: {from: s/K}, B: {from: p/K}}}\n";
    comes_to(config, "A", "new");
    comes_to(config, "B", "old");
}

#[test]
fn an_environment_starts_from_those_it_extends_and_later_ones_win() {
    let config = "envs:\n  base: {A: {literal: base}, B: {literal: base}, C: {literal: base}, D: {literal: base}}\n  \
                  more: {extends: base, B: {literal: more}, C: {literal: more}}\n  other: {C: {literal: other}, E: {literal: other}}\n  \
                  dev: {extends: [more, other], D: {literal: dev}}\n  last: {extends: [other, more]}\n";
    for (name, value) in [("A", "base"), ("B", "more"), ("C", "other"), ("D", "dev"), ("E", "other")] {
        comes_to(config, name, value);
    }
    let _ = Dsops::new().config(config).args(["get", "-e", "last", "C"]).run().code(0).stdout("more");
}

#[test]
fn a_variable_that_overrides_replaces_the_whole_of_the_other() {
    let config = "secretStores: {s: {type: literal, values: {K: v}}}\nenvs:\n  base: {A: {from: s/K, transform: upper}}\n  \
                  dev: {extends: base, A: {from: s/K}}\n";
    comes_to(config, "A", "v");
}

#[test]
fn an_overridden_variable_needs_nothing_of_its_store() {
    let config = "secretStores: {broken: {type: exec, command: ./no-such-program}}\nenvs:\n  base: {A: {from: broken/K}}\n  \
                  dev: {extends: base, A: {literal: x}, B: {literal: y}}\n";
    let run = Dsops::new().config(config).args(["exec", "-e", "dev", "--", "printenv", "A"]);
    let _ = run.run().code(0).stdout("x\n").stderr_empty();
}

#[test]
fn absence_leads_to_the_fallback_then_to_the_default_and_then_to_nothing() {
    let config = "secretStores: {s: {type: literal, values: {K: found, EMPTY: ''}}}\nenvs:\n  dev:\n    \
                  FIRST: {from: s/K, fallback: s/EMPTY, default: x}\n    SECOND: {from: s/NONE, fallback: s/K}\n    \
                  THIRD: {from: s/NONE, fallback: [s/NONE2, {store: s, key: NONE3}, s/K]}\n    \
                  DEFAULT: {from: s/NONE, fallback: [s/NONE2], default: given}\n    EMPTY: {from: s/EMPTY, fallback: s/K, default: x}\n    \
                  TRANSFORMED: {from: s/NONE, default: given, transform: upper}\n    NOTHING: {from: s/NONE, fallback: s/NONE2, optional: true}\n    \
                  EMPTY_DEFAULT: {from: s/NONE, default: ''}\n";
    for (name, value) in [
        ("FIRST", "found"),
        ("SECOND", "found"),
        ("THIRD", "found"),
        ("DEFAULT", "given"),
        ("EMPTY", ""),
        ("TRANSFORMED", "GIVEN"),
        ("EMPTY_DEFAULT", ""),
    ] {
        comes_to(config, name, value);
    }
    let run =
        Dsops::new().config(config).args(["exec", "-e", "dev", "--", "sh", "-c", "echo ${NOTHING-unset}"]);
    let _ = run.run().code(0).stdout("unset\n").stderr_empty();
}

#[test]
fn a_failure_is_no_absence() {
    for rest in ["fallback: s/K", "default: x", "optional: true"] {
        let config = format!(
            "secretStores: {{s: {{type: literal, values: {{K: v}}}}, broken: {{type: exec, command: ./no-such-program}}}}\n\
             envs: {{dev: {{A: {{from: broken/K, {rest}}}}}}}\n"
        );
        let _ = get(Dsops::new().config(config)).run().code(6).stdout_empty().stderr_has("tool_missing");
    }
}

#[test]
fn numbers_and_truth_values_are_the_text_in_the_file() {
    for text in [
        "08080",
        "1.10",
        "1e3",
        "0x1F",
        "12345678901234567890123",
        "-0",
        "1_000",
        "true",
        "no",
        "Yes",
        ".5",
        "2024-01-01",
    ] {
        comes_to(&named(text), "A", text);
        comes_to(
            &format!(
                "secretStores: {{s: {{type: literal, values: {{K: {text}}}}}}}\nenvs: {{dev: {{A: {{from: s/K}}}}}}\n"
            ),
            "A",
            text,
        );
        comes_to(
            &format!(
                "secretStores: {{s: {{type: env}}}}\nenvs: {{dev: {{A: {{from: s/NONE, default: {text}}}}}}}\n"
            ),
            "A",
            text,
        );
    }
}

#[test]
fn text_is_what_yaml_says_it_is() {
    for (written, value) in [
        ("'it''s'", "it's"),
        ("\"a\\tb\\u00e9\"", "a\tb\u{e9}"),
        ("\"null\"", "null"),
        ("''", ""),
        ("\"\"", ""),
        ("' a '", " a "),
    ] {
        comes_to(&named(written), "A", value);
    }
    comes_to("envs:\n  dev:\n    A:\n      literal: |\n        one\n        two\n", "A", "one\ntwo\n");
    comes_to("envs:\n  dev:\n    A:\n      literal: >-\n        one\n        two\n", "A", "one two");
    comes_to("envs:\r\n  dev:\r\n    A: {literal: x}\r\n", "A", "x");
    comes_to("\u{feff}envs: {dev: {A: {literal: x}}}\n", "A", "x");
    comes_to(
        "base: &b {A: {literal: x}}\nenvs: {dev: {<<: *b}}\n".replace("base: &b", "templates: &b").as_str(),
        "A",
        "x",
    );
}

#[test]
fn dollars_stay_in_literals_and_double_ones_are_plain_elsewhere() {
    for text in ["'${HOME}'", "'$$'", "'$'", "'p@$word'"] {
        comes_to(&named(text), "A", text.trim_matches('\''));
    }
    let config = "secretStores: {s: {type: literal, values: {K: '$$ ${HOME}', '$K': dollar, '${K}': braces}}}\nenvs:\n  dev:\n    \
                  A: {from: s/K}\n    B: {from: \"s/$$K\"}\n    C: {from: \"s/$${K}\"}\n    D: {from: \"s/$K\"}\n    E: {from: s/NONE, default: '${HOME}'}\n";
    for (name, value) in
        [("A", "$$ ${HOME}"), ("B", "dollar"), ("C", "braces"), ("D", "dollar"), ("E", "${HOME}")]
    {
        comes_to(config, name, value);
    }
}

#[test]
fn names_expand_in_options() {
    let config = "secretStores: {f: {type: dotenv, path: \"${WHERE:-none}/${NAME}.env\"}}\nenvs: {dev: {A: {from: f/KEY}}}\n";
    let run = Dsops::new().config(config).file("below/values.env", "KEY=value\n");
    let _ = get(run.env("WHERE", "below").env("NAME", "values")).run().code(0).stdout("value");
}

#[test]
fn a_named_chain_of_transforms_can_be_used_and_extended() {
    let config = "secretStores: {s: {type: literal, values: {K: '{\"a\":{\"n\":[1.10,2]}}'}}}\ntransforms:\n  \
                  number: [\"json_extract:.a.n[0]\", trim]\n  longer: [number, \"replace:\\\".\\\":\\\",\\\"\"]\nenvs:\n  dev:\n    \
                  A: {from: s/K, transform: number}\n    B: {from: s/K, transform: [longer]}\n    C: {from: s/K, transform: \"number | base64_encode\"}\n";
    comes_to(config, "A", "1.10");
    comes_to(config, "B", "1,10");
    comes_to(config, "C", "MS4xMA==");
}

#[test]
fn a_broken_store_breaks_nothing_that_does_not_use_it() {
    let config = "secretStores:\n  gone: {type: exec, command: ./no-such-program}\n  unset: {type: exec, command: \"${UNSET}\"}\n  \
                  file: {type: dotenv, path: no-such-file.env}\n  vault: {type: local, path: no-such-vault.age}\n  \
                  s: {type: literal, values: {K: v}}\nenvs:\n  dev: {A: {from: s/K}}\n  bad: {A: {from: gone/K}}\n";
    let run = |args: &[&str]| Dsops::new().config(config).args(args).run();
    let _ = run(&["exec", "-e", "dev", "--", "printenv", "A"]).code(0).stdout("v\n").stderr_empty();
    let _ = run(&["get", "-e", "dev", "A"]).code(0).stdout("v").stderr_empty();
    let _ = run(&["get", "s/K"]).code(0).stdout("v").stderr_empty();
    let _ = run(&["plan", "-e", "bad"]).code(0).stderr_empty();
    let _ = run(&["validate"]).code(0).stderr_empty();
    let _ = run(&["stores"]).code(0).stderr_empty();
    let _ = run(&["render", "-e", "dev"]).code(0).stdout("A=v\n").stderr_empty();
}

#[test]
fn a_fallback_is_asked_only_where_it_is_needed() {
    let config = "secretStores: {s: {type: literal, values: {K: v}}, x: {type: exec, command: ./store}}\n\
                  envs: {dev: {A: {from: s/K, fallback: x/K}}}\n";
    let output = get(Dsops::new().config(config).program("store", "#!/bin/sh\ntouch asked\n")).run();
    let output = output.code(0).stdout("v").stderr_empty();
    assert!(!output.path("asked").exists());
}

#[test]
fn a_folder_becomes_variables_and_own_ones_win() {
    let config = "secretStores: {s: {type: literal, values: {pay/ONE: 1, pay/TWO: 2, pay/below/THREE: 3, FOUR: 4}}}\nenvs:\n  dev:\n    \
                  import: [{store: s/pay, prefix: P_}, {store: s/none, optional: true}]\n    P_TWO: {literal: own}\n";
    let run = Dsops::new().config(config).args(["render", "-e", "dev", "--format", "json"]);
    let output = run.run().code(0).stderr_empty();
    assert_eq!(output.json(), serde_json::json!({"P_ONE": "1", "P_TWO": "own"}));
    let required = config.replace(", optional: true", "");
    let output = Dsops::new().config(required).args(["render", "-e", "dev"]).run().code(5).stdout_empty();
    let _ = output.stderr_has("`values` has no key below `none/`").stderr_has("for import of `s/none`");
}

#[test]
fn a_store_can_get_its_credential_from_another() {
    let config = "secretStores:\n  s: {type: literal, values: {TOKEN: t0k3n}}\n  x: {type: exec, command: ./store, env: {TOKEN: {from: s/TOKEN}}}\n\
                  envs: {dev: {A: {from: x/K}}}\n";
    let program = "#!/bin/sh\ncat >/dev/null\nprintf '{\"protocolVersion\":1,\"values\":{\"K\":\"with %s\"}}' \"$TOKEN\"\n";
    let _ = get(Dsops::new().config(config).program("store", program)).run().code(0).stdout("with t0k3n");
}
