//! `dsops validate`: every mistake at once, and what works but should be known.

use crate::support::Dsops;

fn validate(config: &str) -> Dsops {
    Dsops::new().config(config).args(["validate"])
}

const OLD: &str = "version: 0\nproviders: {s: {type: literal, values: {K: v}}}\nservices: {db: {type: postgres}}\n\
                   notifications: {slack: {}}\nmetrics: {}\ntemplates: {}\nenvs:\n  dev:\n    \
                   A: {from: {provider: s, key: K}, service: db, rotation: {days: 30}, metadata: {owner: me}}\n";

#[test]
fn a_right_file_is_told_in_one_line() {
    let config =
        "secretStores: {s: {type: env}}\nenvs: {dev: {A: {from: s/K}}, production: {extends: dev}}\n";
    let _ = validate(config)
        .run()
        .code(0)
        .stdout_has("dsops.yaml: 1 store, 2 environments, no mistakes\n")
        .stderr_empty();
}

#[test]
fn sections_without_effect_are_remarks_and_no_mistakes() {
    let output = validate(OLD).run().code(0).stdout_has("7 remarks");
    let mut output = output.stderr_has("[dsops.yaml:3:1]").stderr_has("[dsops.yaml:9:38]");
    for name in ["services", "notifications", "metrics", "templates", "service", "rotation", "metadata"] {
        output = output.stderr_has(&format!("`{name}` has no effect yet"));
    }
    let _ =
        Dsops::new().config(OLD).args(["get", "--env", "dev", "A"]).run().code(0).stdout("v").stderr_empty();
}

#[test]
fn strict_fails_on_remarks() {
    let _ = Dsops::new().config(OLD).args(["validate", "--strict"]).run().code(1);
    let _ = Dsops::new().config("envs: {dev: {}}").args(["validate", "--strict"]).run().code(0);
}

#[test]
fn a_credential_in_the_file_is_remarked_on_and_not_shown() {
    let config =
        "secretStores: {s: {type: exec, command: ./x, env: {T: hunter2}}}\nenvs: {dev: {A: {from: s/K}}}\n";
    let _ = validate(config).run().code(0).stderr_has("name a variable instead").never_shows("hunter2");
}

#[test]
fn remarks_are_objects_too() {
    let output = validate(OLD).args(["--error-format", "json"]).run().code(0);
    let remarks = output.stderr_json();
    assert_eq!(remarks.len(), 7, "{output}");
    assert!(
        remarks.iter().all(|remark| remark["severity"] == "warning" && remark["line"].is_u64()),
        "{output}"
    );
}

#[test]
fn nobody_is_asked() {
    let run = validate("secretStores: {s: {type: exec, command: ./store}}\nenvs: {dev: {A: {from: s/K}}}\n");
    let output = run.program("store", "#!/bin/sh\ntouch asked\n").run().code(0);
    assert!(!output.path("asked").exists());
}

#[test]
fn a_file_of_ten_thousand_variables_is_checked() {
    let variables: String =
        (0..10_000).map(|index| format!("    A{index}: {{from: s/folder/K{index}}}\n")).collect();
    let config = format!("secretStores: {{s: {{type: env}}}}\nenvs:\n  dev:\n{variables}");
    let _ = validate(&config).run().code(0).stdout_has("no mistakes");
}
