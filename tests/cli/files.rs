//! What a good file means: spellings, environments, transforms, discovery, lazy stores.

use std::fs;

use crate::support::Dsops;

fn plan(config: &str, environment: &str) -> serde_json::Value {
    Dsops::new().config(config).args(["plan", "--env", environment, "--json"]).run().code(0).json()
}

#[test]
fn every_spelling_of_a_reference_finds_the_same_value() {
    let store = "secretStores: {lit: {type: literal, values: {app/KEY: found}}}\n";
    for (index, from) in [
        "lit/app/KEY",
        "'lit:app/KEY'",
        "store://lit/app/KEY",
        "{store: lit/app/KEY}",
        "{store: 'store://lit/app/KEY'}",
        "{store: lit, key: app/KEY}",
        "{store: lit, name: app/KEY}",
        "{store: lit, path: app/KEY}",
        "{provider: lit, key: app/KEY}",
        "{store: lit, vault: app, item: KEY}",
        "'store://lit/app%2FKEY'",
        "'${STORE:-lit}/app/KEY'",
        "{store: lit, key: '${FOLDER:-app}/KEY'}",
    ]
    .into_iter()
    .enumerate()
    {
        let config = format!("{store}envs: {{dev: {{A: {{from: {from}}}}}}}\n");
        let _ = Dsops::new().config(&config).args(["get", "--env", "dev", "A"]).run().code(0).stdout("found");
        assert_eq!(
            plan(&config, "dev")["variables"][0]["reference"],
            "lit/app/KEY",
            "spelling {index}: {from}"
        );
    }
}

#[test]
fn versions_and_fields_are_read_from_every_spelling() {
    // The store has no fields, so the plan is the place where the error tells what was read.
    let store = "secretStores: {l: {type: local}}\n";
    for from in [
        "l/a/KEY@v3",
        "'store://l/a/KEY?version=3'",
        "{store: l, key: a/KEY, version: 3}",
        "{store: l/a/KEY@v3}",
    ] {
        let config = format!("{store}envs: {{dev: {{A: {{from: {from}}}}}}}\n");
        assert_eq!(plan(&config, "dev")["variables"][0]["reference"], "l/a/KEY@v3", "{from}");
    }
    for from in [
        "l/a/KEY#f",
        "'store://l/a/KEY#f'",
        "{store: l, path: a/KEY, field: f}",
        "{store: l, path: a/KEY, key: f}",
    ] {
        let config = format!("{store}envs: {{dev: {{A: {{from: {from}}}}}}}\n");
        let output = Dsops::new().config(&config).args(["plan", "--env", "dev"]).run().code(3);
        let _ = output.stderr_has("dsops::reference::field_unsupported").stderr_has("`f`");
    }
}

#[test]
fn older_files_are_read() {
    for version in ["version: 1\n", "version: 0\n", ""] {
        let config = format!(
            "{version}providers: {{lit: {{type: literal, config: {{values: {{K: v}}}}}}}}\nservices: {{pg: {{type: postgresql}}}}\n\
             notifications: {{slack: {{}}}}\ntemplates: [{{name: x}}]\n\
             envs: {{dev: {{A: {{from: {{provider: lit, key: K}}, metadata: {{a: b}}}}}}}}\n"
        );
        let _ = Dsops::new().config(&config).args(["get", "--env", "dev", "A"]).run().code(0).stdout("v");
        let _ = Dsops::new().config(&config).args(["validate"]).run().code(0).stderr_has("has no effect yet");
        let _ = Dsops::new().config(&config).args(["validate", "--strict"]).run().code(1);
    }
}

#[test]
fn literals_are_the_text_in_the_file() {
    let config = "envs:\n  dev:\n    PORT: {literal: 08080}\n    BIG: {literal: 12345678901234567890.10}\n    \
                  YES: {literal: yes}\n    ON: {literal: true}\n    EMPTY: {literal: ''}\n    DOLLAR: {literal: '${HOME} $$ $x'}\n    \
                  LINES: {literal: \"a\\nb \"}\n";
    for (name, value) in [
        ("PORT", "08080"),
        ("BIG", "12345678901234567890.10"),
        ("YES", "yes"),
        ("ON", "true"),
        ("EMPTY", ""),
        ("DOLLAR", "${HOME} $$ $x"),
        ("LINES", "a\nb "),
    ] {
        let _ = Dsops::new().config(config).args(["get", "--env", "dev", name]).run().code(0).stdout(value);
    }
}

#[test]
fn environments_build_on_others() {
    let config = "envs:\n  base: {A: {literal: a}, B: {literal: b}}\n  more: {extends: base, B: {literal: more}, C: {literal: c}}\n  \
                  both: {extends: [base, more], A: {literal: own}}\n";
    let output =
        Dsops::new().config(config).args(["render", "--env", "both", "--format", "json"]).run().code(0);
    assert_eq!(output.json(), serde_json::json!({ "A": "own", "B": "more", "C": "c" }));
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let config = "secretStores: {l: {type: literal, values: {k: v}}}\nenvs:\n  dev:\n    A: &a {from: l/k, transform: upper}\n    \
                  B: *a\n    C: {<<: *a, transform: lower}\n";
    let output =
        Dsops::new().config(config).args(["render", "--env", "dev", "--format", "json"]).run().code(0);
    assert_eq!(output.json(), serde_json::json!({ "A": "V", "B": "V", "C": "v" }));
}

#[test]
fn chains_have_names_and_can_be_written_in_every_form() {
    let config = "secretStores: {l: {type: literal, values: {j: '{\"a\":[1.50,\" x \"]}', list: '[\"p\",\"q\"]'}}}\n\
                  transforms: {second: ['json_extract:.a[1]', trim], loud: 'second, upper'}\nenvs:\n  dev:\n    \
                  A: {from: l/j, transform: second}\n    B: {from: l/j, transform: loud}\n    \
                  C: {from: l/j, transform: 'json_extract:.a[0]'}\n    D: {from: l/list, transform: 'join:,'}\n    \
                  E: {from: l/list, transform: [{type: join, separator: '|'}, upper]}\n    F: {from: l/j, transform: 'second|upper'}\n";
    let output =
        Dsops::new().config(config).args(["render", "--env", "dev", "--format", "json"]).run().code(0);
    let expected = serde_json::json!({ "A": "x", "B": "X", "C": "1.50", "D": "p,q", "E": "P|Q", "F": "X" });
    assert_eq!(output.json(), expected);
}

#[test]
fn a_store_that_is_not_used_cannot_break_anything() {
    let config = "secretStores:\n  broken: {type: infisical, project_id: x, environment: dev, auth: {client_id: '${NOT_SET}', client_secret: '${NOT_SET}'}}\n  \
                  gone: {type: dotenv, path: nowhere.env}\n  lit: {type: literal, values: {k: v}}\n\
                  envs: {dev: {A: {from: lit/k}}, other: {A: {from: broken/k}}}\n";
    let _ = Dsops::new().config(config).args(["get", "--env", "dev", "A"]).run().code(0).stdout("v");
    let _ =
        Dsops::new().config(config).args(["get", "--env", "other", "A"]).run().code(3).stderr_has("NOT_SET");
}

#[test]
fn the_file_is_found_in_parents_but_not_beyond_a_repository() {
    let config = "envs: {dev: {A: {literal: found}}}";
    let _ = Dsops::new()
        .config(config)
        .directory("a/b")
        .args(["get", "--env", "dev", "A"])
        .run()
        .code(0)
        .stdout("found");
    let run = Dsops::new()
        .config(config)
        .file("a/.git/HEAD", "")
        .directory("a/b")
        .args(["get", "--env", "dev", "A"]);
    let _ = run.run().code(3).stderr_has("dsops::config::not_found");
    let run = Dsops::new().config(config).directory("a/b");
    let home = run.path("a");
    let _ = run.env("HOME", home).args(["get", "--env", "dev", "A"]).run().code(3).stderr_has("not_found");
}

#[test]
fn names_come_from_the_environment_too() {
    let run = Dsops::new().file("other.yaml", "envs: {dev: {A: {literal: other}}}");
    let _ = run
        .env("DSOPS_CONFIG", "other.yaml")
        .env("DSOPS_ENV", "dev")
        .args(["get", "A"])
        .run()
        .code(0)
        .stdout("other");
}

#[test]
fn a_relative_path_starts_at_the_file() {
    let run = Dsops::new()
        .config("secretStores: {f: {type: dotenv, path: conf/app.env}}\nenvs: {dev: {A: {from: f/K}}}");
    let run = run.file("conf/app.env", "K=v\n").directory("elsewhere").args(["get", "--env", "dev", "A"]);
    let _ = run.run().code(0).stdout("v");
}

#[test]
fn folders_of_local_files_are_imported() {
    let config = "secretStores: {f: {type: dotenv, path: app.env}, l: {type: literal, values: {x/A: 1, x/B: 2, C: 3}}}\n\
                  envs: {dev: {import: [{store: f, prefix: F_}, {store: l/x}], B: {literal: own}}}";
    let run = Dsops::new()
        .config(config)
        .file("app.env", "K=v\nL=w\n")
        .args(["render", "--env", "dev", "--format", "json"]);
    assert_eq!(run.run().code(0).json(), serde_json::json!({ "F_K": "v", "F_L": "w", "A": "1", "B": "own" }));
}

#[test]
fn ten_thousand_variables_are_planned() {
    let mut config = String::from("secretStores: {l: {type: literal, values: {k: v}}}\nenvs:\n  dev:\n");
    for index in 0..10_000 {
        config.push_str(&format!("    V{index}: {{from: {{store: l/k}}}}\n"));
    }
    assert_eq!(plan(&config, "dev")["variables"].as_array().map(Vec::len), Some(10_000));
}

#[test]
fn get_takes_a_variable_or_a_reference_in_every_form() {
    let config = "secretStores: {l: {type: literal, values: {k: \"v\\n\"}}}\nenvs: {dev: {A: {from: l/k}}}";
    for args in [
        &["get", "--env", "dev", "A"][..],
        &["get", "-e", "dev", "--var", "A"],
        &["get", "l/k"],
        &["get", "--key", "l/k"],
        &["get", "--key", "store://l/k"],
    ] {
        let _ = Dsops::new().config(config).args(args).run().code(0).stdout("v\n");
    }
    let json = Dsops::new().config(config).args(["get", "--env", "dev", "A", "--json"]).run().code(0).json();
    assert_eq!((json["value"].as_str(), json["source"].as_str()), (Some("v\n"), Some("l/k")));
    let _ = Dsops::new().config(config).args(["get", "--env", "dev", "B"]).run().code(3).stderr_has("`A`");
    let _ = Dsops::new().config(config).args(["get"]).run().code(2);
}

#[test]
fn a_rendered_file_is_whole_private_and_in_the_place_of_the_old_one() {
    let config = "envs: {dev: {A: {literal: \"it's\"}}}";
    let run =
        Dsops::new().config(config).file(".env", "OLD=1").args(["render", "--env", "dev", "--out", ".env"]);
    let output = run.run().code(0).stdout_empty().stderr_has("1 variable");
    let path = output.path(".env");
    assert!(fs::read_to_string(&path).expect("the file").starts_with("A="));
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).expect("the file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let denied =
        "policies: {output_restrictions: {allowed_paths: ['/run/.*']}}\nenvs: {dev: {A: {literal: x}}}";
    let output = Dsops::new().config(denied).args(["render", "--env", "dev", "--out", "x/../.env"]).run();
    let _ = output.stdout_empty().stderr_lacks("wrote");
    let _ = Dsops::new().config(denied).args(["render", "--env", "dev", "--out", ".env"]).run().code(10);
    let _ = Dsops::new().config(config).args(["render", "--env", "dev", "--format", "nope"]).run().code(2);
    let _ = Dsops::new().config(config).args(["render", "--env", "dev", "--out", "no/dir/x"]).run().code(6);
}

#[test]
fn a_file_that_others_could_read_is_private_afterwards_and_nothing_lies_beside_it() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    let config = "envs: {dev: {A: {literal: x}}}";
    let run =
        Dsops::new().config(config).file("out/.env", "OLD=1").file("out/.dsops-.env.0123456789abcdef", "A=x");
    let path = run.path("out/.env");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
    let before = fs::metadata(&path).expect("the file").ino();
    let output = run.args(["render", "--env", "dev", "--out", "out/.env"]).run().code(0);
    let metadata = fs::metadata(output.path("out/.env")).expect("the file");
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_ne!(metadata.ino(), before, "whoever has the old file open could read on");
    // What a killed run left of this file is gone too.
    assert_eq!(fs::read_dir(output.path("out")).expect("the directory").count(), 1);
    let run =
        Dsops::new().config(config).args(["render", "--env", "dev", "--out", "a", "--permissions", "0640"]);
    let output = run.run().code(0);
    assert_eq!(fs::metadata(output.path("a")).expect("the file").permissions().mode() & 0o7777, 0o640);
}

#[test]
fn a_format_that_would_not_use_an_option_refuses_it() {
    let render = |args: &[&str]| {
        Dsops::new()
            .config("envs: {dev: {A: {literal: x}}}")
            .args(["render", "--env", "dev"])
            .args(args)
            .run()
    };
    let _ = render(&["--name", "app"]).code(2).stdout_empty().stderr_has("`--name`").stderr_has("`k8s`");
    let _ = render(&["--namespace", "x"]).code(2).stdout_empty().stderr_has("`--namespace`");
    let _ = render(&["--format", "k8s"]).code(2).stdout_empty().stderr_has("--name NAME");
    let _ = render(&["--format", "k8s", "--name", "App"]).code(2).stdout_empty().stderr_has("`App`");
    let output = render(&["--format", "k8s", "--name", "app", "--namespace", "prod"]).code(0);
    let _ = output.stdout_has("kind: Secret").stdout_has("namespace: \"prod\"").stdout_has("A: \"eA==\"");
    let _ = render(&["--format", "toml"]).code(0).stdout("A = \"x\"\n");
}

#[test]
fn a_template_is_filled_strictly() {
    let run = || {
        Dsops::new()
            .config("envs: {dev: {A: {literal: one}}}")
            .file("t.j2", "a = {{ A }}\n")
            .file("bad.j2", "{{ B }}")
    };
    let _ = run().args(["render", "--env", "dev", "--template", "t.j2"]).run().code(0).stdout("a = one\n");
    let _ = run()
        .args(["render", "--env", "dev", "--template", "bad.j2"])
        .run()
        .code(7)
        .stdout_empty()
        .stderr_has("B");
    let _ = run().args(["render", "--env", "dev", "--format", "template"]).run().code(2);
}

#[test]
fn the_lists_are_lists() {
    let _ =
        Dsops::new().args(["stores", "--types"]).run().code(0).stdout_has("infisical").stdout_has("local");
    let types = Dsops::new().args(["stores", "--types", "--json"]).run().code(0).json();
    assert!(types.as_array().is_some_and(|types| types.iter().any(|one| one["type"] == "infisical")));
    let config = "secretStores: {l: {type: literal, values: {}, timeout: 5s}}";
    let _ =
        Dsops::new().config(config).args(["stores"]).run().code(0).stdout_has("literal").stdout_has("5 s");
    let json = Dsops::new().config(config).args(["stores", "--json"]).run().code(0).json();
    assert_eq!(json[0]["timeout_ms"], 5000);
    let version = Dsops::new().args(["version", "--json"]).run().code(0).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_a_reference_is_filled_in_with_is_not_told() {
    // Somebody who wants the variable's own value writes this, and the value may be a secret.
    let config = "secretStores: {l: {type: literal, values: {}}}\nenvs: {dev: {A: {from: '${SECRET}'}}}";
    for value in ["hunter2-first/hunter2-second", "hunter2://x", "hunter2"] {
        let output =
            Dsops::new().config(config).env("SECRET", value).args(["get", "--env", "dev", "A"]).run().code(3);
        let _ = output.stdout_empty().stderr_lacks("hunter2").stderr_has("dsops.yaml:2:");
    }
}
