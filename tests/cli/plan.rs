//! `dsops plan`: what would be asked, of whom and in how many requests; and every spelling of a reference.

use serde_json::{Value, json};

use super::lab::{BOTH, CLIENT_ID, CLIENT_SECRET, Exec, PROJECT, against, file, options};
use crate::support::Dsops;
use crate::support::infisical::{Identity, Infisical};

const STORE: &str = "secretStores:\n  s:\n    type: literal\n    values:\n      KEY: one\n      folder/KEY: two\n      a/b/KEY: three\n      \
                     vault/item: four\n      with space: five\n      'v@vx': six\n      '100%': seven\n      'q?r': eight\n      \
                     'käse/ß': nine\n      'a:b': ten\n";

fn plan(config: impl AsRef<[u8]>) -> Dsops {
    Dsops::new().config(config).args(["plan", "--env", "dev"])
}

fn plan_json(config: impl AsRef<[u8]>) -> Value {
    plan_json_with(config, &[])
}

fn plan_json_with(config: impl AsRef<[u8]>, args: &[&str]) -> Value {
    plan(config).args(["--json"]).args(args).run().code(0).stderr_empty().json()
}

#[test]
fn every_spelling_of_a_reference_means_the_same_place() {
    for (from, reference, value) in [
        // In one line.
        ("s/KEY", "s/KEY", "one"),
        ("\"s:KEY\"", "s/KEY", "one"),
        ("store://s/KEY", "s/KEY", "one"),
        ("s/folder/KEY", "s/folder/KEY", "two"),
        ("\"s:folder/KEY\"", "s/folder/KEY", "two"),
        ("store://s/a/b/KEY", "s/a/b/KEY", "three"),
        // As a mapping.
        ("{provider: s, key: KEY}", "s/KEY", "one"),
        ("{store: s, key: KEY}", "s/KEY", "one"),
        ("{store: s, name: KEY}", "s/KEY", "one"),
        ("{store: s, path: folder/KEY}", "s/folder/KEY", "two"),
        ("{store: s/KEY}", "s/KEY", "one"),
        ("{store: s/a/b/KEY}", "s/a/b/KEY", "three"),
        ("{store: \"s:KEY\"}", "s/KEY", "one"),
        ("{store: store://s/folder/KEY}", "s/folder/KEY", "two"),
        ("{store: s, vault: vault, item: item}", "s/vault/item", "four"),
        // With signs that mean something elsewhere.
        ("s/with space", "s/with space", "five"),
        ("store://s/with%20space", "s/with space", "five"),
        ("s/v@vx", "s/v@vx", "six"),
        ("s/100%", "s/100%", "seven"),
        ("store://s/100%25", "s/100%", "seven"),
        ("s/q?r", "s/q?r", "eight"),
        ("store://s/q%3Fr", "s/q?r", "eight"),
        ("s/käse/ß", "s/käse/ß", "nine"),
        ("store://s/k%C3%A4se/%C3%9F", "s/käse/ß", "nine"),
        ("s/a:b", "s/a:b", "ten"),
        // With a variable of the environment in it.
        ("\"s/${FOLDER}/KEY\"", "s/folder/KEY", "two"),
        ("{store: s, key: \"${NONE:-KEY}\"}", "s/KEY", "one"),
    ] {
        let config = format!("{STORE}envs: {{dev: {{A: {{from: {from}}}}}}}\n");
        let run = |args: &[&str]| Dsops::new().config(&config).env("FOLDER", "folder").args(args).run();
        let output = run(&["plan", "--env", "dev", "--json"]).code(0).stderr_empty();
        assert_eq!(output.json()["variables"][0]["reference"], reference, "{from}");
        assert_eq!(output.json()["variables"][0]["store"], "s", "{from}");
        let _ = run(&["get", "--env", "dev", "A"]).code(0).stdout(value).stderr_empty();
    }
}

#[test]
fn fields_and_versions_are_read_in_every_spelling() {
    let head = "secretStores:\n  i:\n    type: infisical\n    project_id: 64f7e4d2-1234-5678-abcd-1234567890ab\n    \
                environment: dev\n    auth: {method: service_token, token: \"${TOKEN}\"}\n";
    for from in [
        "i/folder/KEY@v2",
        "\"i:folder/KEY@v2\"",
        "store://i/folder/KEY?version=2",
        "{store: i/folder/KEY@v2}",
        "{store: i, key: folder/KEY, version: 2}",
        "{store: i, path: folder/KEY, version: \"2\"}",
        "{provider: i, key: folder/KEY, version: 2}",
        "{store: \"store://i/folder/KEY?version=2\"}",
    ] {
        let plan = plan_json(format!("{head}envs: {{dev: {{A: {{from: {from}}}}}}}\n"));
        assert_eq!(plan["variables"][0]["reference"], "i/folder/KEY@v2", "{from}");
    }
    // This store has no fields, which is told with the field that was read.
    for from in [
        "\"i/KEY#user\"",
        "\"i/KEY@v2#user\"",
        "\"store://i/KEY#user?version=2\"",
        "\"store://i/KEY?version=2#user\"",
        "{store: i, key: KEY, field: user}",
        "{store: i, path: KEY, key: user}",
        "{store: i, vault: v, item: KEY, field: user}",
    ] {
        let run = plan(format!("{head}envs: {{dev: {{A: {{from: {from}}}}}}}\n"));
        let _ = run.run().code(3).stdout_empty().stderr_has("field_unsupported").stderr_has("`user`");
    }
}

#[test]
fn a_bare_1password_reference_means_the_one_store_of_that_type() {
    let config = "envs: {dev: {A: {from: \"op://vault/item/field\"}}}\n";
    let _ =
        plan(config).run().code(3).stderr_has("dsops::reference::unknown_store").stderr_has("`onepassword`");
}

#[test]
fn the_plan_tells_places_fallbacks_transforms_and_what_absence_means() {
    let config = format!(
        "{STORE}  t: {{type: env}}\nenvs:\n  dev:\n    import: [{{store: s/folder, prefix: P_, optional: true}}]\n    \
         A: {{literal: x}}\n    B: {{from: s/KEY, fallback: [t/KEY, {{store: s/folder/KEY}}], transform: [trim, upper]}}\n    \
         C: {{from: t/KEY, optional: true}}\n    D: {{from: t/KEY, default: x}}\n"
    );
    let plan_of = plan_json(&config);
    assert_eq!(plan_of["environment"], "dev");
    let variables = json!([
        {"name": "A", "source": "literal", "optional": false, "has_default": false},
        {"name": "B", "source": "store", "store": "s", "reference": "s/KEY", "fallback": ["t/KEY", "s/folder/KEY"],
         "transform": ["trim", "upper"], "optional": false, "has_default": false},
        {"name": "C", "source": "store", "store": "t", "reference": "t/KEY", "optional": true, "has_default": false},
        {"name": "D", "source": "store", "store": "t", "reference": "t/KEY", "optional": false, "has_default": true},
    ]);
    assert_eq!(plan_of["variables"], variables);
    assert_eq!(
        plan_of["imports"],
        json!([{"store": "s", "folder": "folder", "prefix": "P_", "recursive": false, "optional": true}])
    );
    // A place that two variables name is asked for once.
    assert_eq!(plan_of["stores"][1]["secrets"], 1);
    let _ = plan(&config)
        .run()
        .code(0)
        .stdout_has("P_*       s/folder                                           left out\n")
        .stdout_has("s/KEY, then t/KEY, then s/folder/KEY")
        .stdout_has("the default")
        .stdout_has("4 variables and what the imports hold, 0 requests");
}

#[test]
fn the_plan_counts_requests_and_processes() {
    let head = "secretStores:\n  i:\n    type: infisical\n    project_id: 64f7e4d2-1234-5678-abcd-1234567890ab\n    \
                environment: dev\n    auth: {method: machine_identity, client_id: \"${ID}\", client_secret: \"${SECRET}\"}\n  \
                x: {type: exec, command: ./x}\n";
    let config = format!(
        "{head}envs:\n  dev:\n    A: {{from: i/a/K}}\n    B: {{from: i/a/L}}\n    C: {{from: i/b/K}}\n    D: {{from: x/K}}\n    E: {{from: x/L}}\n"
    );
    let cost = &plan_json(&config)["cost"];
    assert_eq!(*cost, json!({"requests": 3, "logins": 1, "processes": 1}));
    let _ = plan(&config).run().code(0).stdout_has("5 variables, 3 requests, 1 of them a login, 1 process");
}

#[test]
fn nobody_is_asked_and_no_credential_is_needed() {
    let run = plan(
        "secretStores: {s: {type: exec, command: ./store, env: {T: \"${TOKEN}\"}}}\nenvs: {dev: {A: {from: s/K}}}\n",
    );
    let output = run.program("store", "#!/bin/sh\ntouch asked\n").run().code(0).stderr_empty();
    assert!(!output.path("asked").exists());
}

#[test]
fn ten_thousand_variables_are_planned() {
    let variables: String =
        (0..10_000).map(|index| format!("    A{index}: {{from: s/K{index}}}\n")).collect();
    let plan = plan_json(format!("secretStores: {{s: {{type: env}}}}\nenvs:\n  dev:\n{variables}"));
    assert_eq!(plan["variables"].as_array().map(Vec::len), Some(10_000));
}

const POLICY: &str = "secretStores:
  infisical:
    type: infisical
    project_id: 64f7e4d2-1234-5678-abcd-1234567890ab
    environment: ${SLUG:-prod}
    path: /team
    auth: {method: machine_identity, client_id: '${ID}', client_secret: '${SECRET}'}
  keys: {type: env}
  notes: {type: literal, values: {a/B: c}}
envs:
  dev:
    import: [{store: infisical/payments, prefix: PAY_}]
    ONE: {from: infisical/db/ONE}
    TWO: {from: infisical/db/TWO@v3, fallback: infisical/old/TWO}
    ROOT: {from: infisical/ROOT, fallback: keys/ROOT}
    PAID: {from: infisical/payments/PAID}
    NOTE: {from: notes/a/B}
";

#[test]
fn the_least_access_is_told_in_the_words_of_the_store_and_asks_nobody() {
    let output = plan(POLICY).args(["--policy"]).run().code(0).stderr_empty();
    for line in [
        "infisical (infisical), in project `64f7e4d2-1234-5678-abcd-1234567890ab`, environment `prod`:",
        "FOLDER          SECRETS       RIGHTS",
        "/team           ROOT          Describe Secret, Read Value",
        "/team/db        ONE, TWO      Describe Secret, Read Value",
        "/team/old       TWO           Describe Secret, Read Value",
        "/team/payments  every secret  Describe Secret, Read Value",
        "- nothing else is needed: no right on Secret Folders",
        "notes (literal):",
    ] {
        assert!(String::from_utf8_lossy(output.stdout_bytes()).contains(line), "{line:?} is not in {output}");
    }
    assert!(!String::from_utf8_lossy(output.stdout_bytes()).contains("keys"), "{output}");
}

#[test]
fn the_rules_of_the_least_access_can_be_pasted() {
    let policy = plan(POLICY).args(["--policy", "--json"]).run().code(0).stderr_empty().json();
    assert_eq!(policy[0]["store"], "infisical");
    let place = json!({"project": "64f7e4d2-1234-5678-abcd-1234567890ab", "environment": "prod"});
    assert_eq!(policy[0]["place"], place);
    assert_eq!(policy[0]["grants"][3]["names"], Value::Null);
    assert_eq!(
        policy[0]["rules"]["document"][1],
        json!({
            "subject": "secrets",
            "action": ["describeSecret", "readValue"],
            "conditions": {
                "environment": {"$eq": "prod"},
                "secretPath": {"$eq": "/team/db"},
                "secretName": {"$in": ["ONE", "TWO"]},
            },
        })
    );
    assert_eq!(
        policy[0]["rules"]["document"][3]["conditions"],
        json!({"environment": {"$eq": "prod"}, "secretPath": {"$eq": "/team/payments"}})
    );
    assert_eq!(policy[1]["grants"], json!([{"folder": "a", "names": ["B"], "actions": ["read"]}]));
}

#[test]
fn a_service_token_is_granted_folders() {
    let auth = "{method: service_token, token: '${TOKEN}'}";
    let config =
        POLICY.replace("{method: machine_identity, client_id: '${ID}', client_secret: '${SECRET}'}", auth);
    let output = plan(config).args(["--policy"]).run().code(0).stdout_has("one scope for each folder");
    assert!(!String::from_utf8_lossy(output.stdout_bytes()).contains("describeSecret"), "{output}");
    let none = plan("envs: {dev: {A: {literal: one}}}").args(["--policy"]).run().code(0);
    let _ = none.stdout_has("no store of this environment");
}

#[test]
fn an_import_that_goes_deeper_is_granted_what_lies_below() {
    let (stores, _) = POLICY.split_once("envs:").expect("stores and environments");
    let config = format!("{stores}envs: {{dev: {{import: {{store: infisical/all, recursive: true}}}}}}");
    let policy = plan(config).args(["--policy", "--json"]).run().code(0).json();
    let paths: Vec<&Value> = policy[0]["rules"]["document"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|rule| &rule["conditions"]["secretPath"])
        .collect();
    assert_eq!(paths, [&json!({"$eq": "/team/all"}), &json!({"$glob": "/team/all/**"})], "{policy}");
}

#[test]
fn an_identity_with_exactly_the_least_access_runs_the_environment() {
    let variables = "A: {from: infisical/a/ONE}\nB: {from: infisical/a/TWO}\nC: {from: infisical/b/c/ONE@v1}
        D: {from: infisical/none/ONE, fallback: infisical/b/TWO}\nimport: {store: infisical/all, prefix: X_}";
    for generation in BOTH {
        let mut identity = Identity::new(CLIENT_ID, CLIENT_SECRET);
        let config = file(&options("https://infisical.example"), variables);
        let policy = plan_json_with(config, &["--policy"]);
        for grant in policy[0]["grants"].as_array().unwrap() {
            let folder = grant["folder"].as_str().unwrap();
            identity = identity.may_describe("dev", folder).may_read("dev", folder);
        }
        let server = Infisical::new(generation)
            .project(PROJECT, "payroll", &["dev", "prod"])
            .identity_with(identity)
            .folder("dev", "/none")
            .secret("dev", "/a", "ONE", "1")
            .secret("dev", "/a", "TWO", "2")
            .secret("dev", "/b/c", "ONE", "3")
            .secret("dev", "/b", "TWO", "4")
            .secret("dev", "/all", "FIVE", "5")
            .secret("dev", "/", "CLOSED", "closed")
            .start();
        let script = "echo $A $B $C $D $X_FIVE";
        let _ = against(&server, variables).exec(script).run().code(0).stdout("1 2 3 4 5\n");
        let _ = against(&server, "A: {from: infisical/CLOSED}").get("A").run().code(4);
    }
}
