//! The recipes of `docs/ci.md`: what they run is run, each command with the variables that its system sets, and each system's own
//! way of handing variables on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_yaml::Value;

use crate::fence::fences;
use crate::project::read;
use crate::runner::Job;
use crate::session::{Session, shown};

/// `web` is what every system can hold.
const CONFIG: &str = "envs: {production: {DATABASE_URL: {literal: \"postgres://u:p%40s3cret@h/db\"}, \
    DEPLOY_KEY: {literal: \"line s3cret\\n 'two'\\n\"}}, web: {DATABASE_URL: {literal: \"postgres://u:p%40s3cret@h/db\"}}}";

/// Keeps what it got, and shows it.
const DEPLOY: &str = "#!/bin/sh\nprintf '%s' \"$DATABASE_URL\" > deployed\nprintf '%s' \"${DEPLOY_KEY-}\" > key\n\
    echo \"$DATABASE_URL\"\necho \"${DEPLOY_KEY-}\"\n";

const URL: &str = "postgres://u:p%40s3cret@h/db";
const KEY: &str = "line s3cret\n 'two'\n";

fn recipes(system: &str) -> Vec<Value> {
    let page = read("docs/ci.md");
    let found = fences(&page).into_iter().filter(|fence| fence.option("recipe") == Some(system));
    let found: Vec<Value> = found.map(|fence| serde_yaml::from_str(&fence.text).expect("YAML")).collect();
    assert_eq!(found.len(), 2, "{system}: one recipe for exec and one for render");
    found
}

fn prepare(directory: &Path) {
    fs::write(directory.join("dsops.yaml"), CONFIG).expect("a file");
    fs::write(directory.join("deploy.sh"), DEPLOY).expect("a file");
    fs::set_permissions(directory.join("deploy.sh"), fs::Permissions::from_mode(0o755)).expect("permissions");
}

fn check(directory: &Path, key: &str) {
    let got = |name: &str| fs::read_to_string(directory.join(name)).expect("what was deployed");
    assert_eq!(got("deployed"), URL);
    assert_eq!(got("key"), key);
}

fn session(variable: &'static str) -> Session {
    let session = Session::new().env("CI", "true").env(variable, "true");
    prepare(&session.path(""));
    session
}

/// Runs one command of a job, whose output is what the system logs.
fn run(session: &Session, script: &str) -> String {
    let output = session.sh(&format!("exec 2>&1; {script}"));
    assert!(output.status.success(), "{script} {}", shown(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_sequence().expect("a list").iter().map(|text| text.as_str().expect("text")).collect()
}

#[test]
fn github_actions() {
    for recipe in recipes("github") {
        let job_file = &recipe["jobs"]["deploy"];
        assert_eq!(job_file["permissions"]["id-token"].as_str(), Some("write"));
        let mut job = Job::new();
        prepare(&job.workspace(""));
        for step in job_file["steps"].as_sequence().expect("steps") {
            match step["uses"].as_str() {
                Some(uses) if uses.starts_with("systmms/dsops@") => install(&mut job, &step["with"]),
                Some(uses) => assert!(uses.starts_with("actions/checkout@")),
                None => {
                    let output = job.step(step).expect("a step without a condition");
                    assert!(output.status.success(), "{}", job.log);
                }
            }
        }
        check(&job.workspace(""), KEY);
        assert!(!job.log.contains("s3cret") && job.log.contains("***"), "{}", job.log);
    }
}

/// Runs the action with the inputs of a recipe, and the program that is there.
fn install(job: &mut Job, inputs: &Value) {
    let action: Value = serde_yaml::from_str(&read("action.yml")).expect("YAML");
    let mut set = |name: &str, value: &str| job.contexts.insert(format!("inputs.{name}"), value.to_owned());
    for (name, input) in action["inputs"].as_mapping().expect("inputs") {
        set(name.as_str().expect("a name"), input["default"].as_str().expect("a default"));
    }
    for (name, value) in inputs.as_mapping().into_iter().flatten() {
        let known = set(name.as_str().expect("a name"), value.as_str().expect("text"));
        assert!(known.is_some(), "the action has no input {name:?}");
    }
    set("binary", env!("CARGO_BIN_EXE_dsops"));
    for step in action["runs"]["steps"].as_sequence().expect("steps") {
        if step["run"].is_string() {
            let succeeded = job.step(step).is_none_or(|output| output.status.success());
            assert!(succeeded, "{}", job.log);
        }
    }
}

#[test]
fn gitlab() {
    for recipe in recipes("gitlab") {
        let mut session = session("GITLAB_CI");
        let mut key = KEY;
        if recipe["secrets"].is_mapping() {
            for line in texts(&recipe["secrets"]["script"]) {
                let _ = run(&session, line);
            }
            // A later job has the variables of the report, and not its file.
            let report = recipe["secrets"]["artifacts"]["reports"]["dotenv"].as_str().expect("a report");
            let text = fs::read_to_string(session.path(report)).expect("the report");
            session = self::session("GITLAB_CI");
            for line in text.lines() {
                let (name, value) = line.split_once('=').expect("a variable");
                assert_eq!(name, "DATABASE_URL");
                session = session.env("DATABASE_URL", value.trim());
            }
            key = "";
        }
        for line in texts(&recipe["deploy"]["script"]) {
            let _ = run(&session, line);
        }
        check(&session.path(""), key);
    }
}

#[test]
fn circleci() {
    for recipe in recipes("circleci") {
        let session = session("CIRCLECI");
        let bash_env = session.path("../bash-env").display().to_string();
        let session = session.env("BASH_ENV", bash_env);
        for step in recipe["jobs"]["deploy"]["steps"].as_sequence().expect("steps") {
            let Some(script) = step["run"].as_str() else { continue };
            // As CircleCI starts a step: a shell that reads the file of BASH_ENV.
            session.write("../step", script);
            let _ = run(&session, "bash -eo pipefail ../step");
        }
        check(&session.path(""), KEY);
    }
}

/// In the place of Buildkite's agent program: it keeps the variables, and what is to be masked.
const AGENT: &str = "#!/bin/sh\ncase \"$1 $2\" in\n'redactor add') cat >> \"$HOME/masks\" ;;\n'env set') cat >> \"$HOME/set\" ;;\n*) exit 1 ;;\nesac\n";

#[test]
fn buildkite() {
    for recipe in recipes("buildkite") {
        let session = session("BUILDKITE");
        session.write("bin/buildkite-agent", AGENT);
        let program = session.path("bin/buildkite-agent");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("permissions");
        let home = session.path("../home");
        let with_agent = |script: &str| format!("export PATH=\"$PWD/bin:$PATH\"; {script}");
        let step = &recipe["steps"][0];
        if let Some(hook) = step["hooks"]["pre-command"].as_str() {
            let _ = run(&session, &with_agent(hook));
        }
        let objects = fs::read_to_string(home.join("set")).unwrap_or_default();
        let variables: BTreeMap<String, String> = objects
            .lines()
            .flat_map(|line| serde_json::from_str::<BTreeMap<_, _>>(line).expect("JSON"))
            .collect();
        // The agent starts the command with what it was told to set.
        session.write("../set.json", &serde_json::to_string(&variables).expect("JSON"));
        let mut exports = String::new();
        for (name, value) in &variables {
            exports.push_str(&format!("export {name}='{}'; ", value.replace('\'', "'\\''")));
        }
        let script = format!("{exports}{}", step["command"].as_str().expect("a command"));
        let log = run(&session, &with_agent(&script));
        let masks: BTreeMap<String, String> =
            serde_json::from_str(&fs::read_to_string(home.join("masks")).expect("masks")).expect("JSON");
        let mut log = log;
        for mask in masks.values() {
            log = log.replace(mask, "[REDACTED]");
        }
        assert!(!log.contains("s3cret") && log.contains("[REDACTED]"), "{log}");
        check(&session.path(""), KEY);
    }
}

#[test]
fn azure() {
    for recipe in recipes("azure") {
        let session = session("TF_BUILD");
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        let mut masks = Vec::new();
        let mut key = KEY;
        for step in recipe["steps"].as_sequence().expect("steps") {
            let Some(script) = step["bash"].as_str() else { continue };
            let mut exports = String::new();
            for (name, value) in step["env"].as_mapping().into_iter().flatten() {
                let variable = value.as_str().and_then(|text| text.strip_prefix("$(")?.strip_suffix(')'));
                let value = variables.get(variable.expect("a variable")).expect("a variable that was set");
                exports.push_str(&format!("export {}='{value}'; ", name.as_str().expect("a name")));
                key = "";
            }
            for line in run(&session, &format!("{exports}{script}")).lines() {
                let unescape =
                    |data: &str| data.replace("%0D", "\r").replace("%0A", "\n").replace("%AZP25", "%");
                if let Some(data) = line.strip_prefix("##vso[task.setsecret]") {
                    masks.push(unescape(data));
                } else if let Some(rest) = line.strip_prefix("##vso[task.setvariable variable=") {
                    let (name, data) = rest.split_once(";issecret=true]").expect("a secret variable");
                    masks.push(unescape(data));
                    variables.insert(name.to_owned(), unescape(data));
                } else {
                    let masked = masks.iter().fold(line.to_owned(), |line, mask| line.replace(mask, "***"));
                    assert!(!masked.contains("s3cret"), "{masked}");
                }
            }
        }
        assert!(!masks.is_empty());
        check(&session.path(""), key);
    }
}
