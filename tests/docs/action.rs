//! `action.yml`: its scripts are run as the runner of GitHub Actions would, with the real binary.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_yaml::Value;

use crate::project::{read, root};
use crate::runner::Job;

const CONFIG: &str =
    "envs: {prod: {TOKEN: {literal: s3cret-token}, KEY: {literal: \"line one\\nline two\\n\"}}}";

fn action() -> Value {
    serde_yaml::from_str(&read("action.yml")).expect("YAML")
}

/// A job in a repository with a `dsops.yaml`, and the action's inputs.
fn job(inputs: &[(&str, &str)]) -> Job {
    let mut job = Job::new();
    fs::write(job.workspace("dsops.yaml"), CONFIG).expect("a file");
    job.contexts.insert("github.action_path".to_owned(), root().display().to_string());
    for (name, input) in action()["inputs"].as_mapping().expect("inputs") {
        let default = input["default"].as_str().expect("a default");
        job.contexts.insert(format!("inputs.{}", name.as_str().expect("a name")), default.to_owned());
    }
    for (name, value) in inputs {
        let known = job.contexts.insert(format!("inputs.{name}"), (*value).to_owned());
        assert!(known.is_some(), "the action has no input {name}");
    }
    job
}

/// Runs all steps up to the first that fails, and says whether none did. A cache never has anything.
fn run(job: &mut Job) -> bool {
    for step in action()["runs"]["steps"].as_sequence().expect("steps") {
        if let Some(uses) = step["uses"].as_str() {
            assert!(uses.starts_with("actions/cache@"), "{uses}");
            continue;
        }
        assert_eq!(step["shell"].as_str(), Some("bash"), "a composite step names its shell");
        if job.step(step).is_some_and(|output| !output.status.success()) {
            return false;
        }
    }
    true
}

const BINARY: &str = env!("CARGO_BIN_EXE_dsops");

#[test]
fn no_input_stands_in_the_text_of_a_script() {
    let action = action();
    let steps = action["runs"]["steps"].as_sequence().expect("steps");
    assert!(steps.len() >= 4);
    for step in steps {
        let script = step["run"].as_str().unwrap_or_default();
        assert!(!script.contains("${{"), "{script}");
    }
    let known = ["inputs.", "steps.", "github.action_path", "runner.os", "runner.arch"];
    for expression in read("action.yml").split("${{").skip(1) {
        let name = expression.split("}}").next().unwrap_or_default().trim();
        assert!(known.iter().any(|start| name.starts_with(start)), "{name}");
    }
}

#[test]
fn later_steps_have_the_variables_and_the_program_and_the_log_has_no_value() {
    let mut job = job(&[("environment", "prod"), ("binary", BINARY)]);
    assert!(run(&mut job), "{}", job.log);
    assert_eq!(job.env["TOKEN"], "s3cret-token");
    assert_eq!(job.env["KEY"], "line one\nline two\n");
    let step = serde_yaml::from_str("run: dsops version; echo \"$TOKEN\"; echo \"$KEY\"").expect("YAML");
    assert!(job.step(&step).is_some_and(|output| output.status.success()), "{}", job.log);
    assert!(job.log.ends_with("***\n***\n***\n\n"), "{}", job.log);
    assert!(!job.log.contains("s3cret"), "{}", job.log);
}

#[test]
fn an_input_that_is_shell_text_is_a_name_and_nothing_more() {
    let evil = "$(touch pwned); `touch pwned`; prod";
    for input in ["environment", "config", "export"] {
        let mut inputs = vec![("environment", "prod"), ("binary", BINARY)];
        inputs.push((input, evil));
        let mut job = job(&inputs);
        assert!(!run(&mut job), "{input}: {}", job.log);
        assert!(!job.workspace("pwned").exists(), "{input} was run");
    }
    assert!(!run(&mut job(&[("binary", evil)])));
}

#[test]
fn it_can_install_only_and_read_another_file_elsewhere() {
    let mut only = job(&[("environment", "prod"), ("export", "none"), ("binary", BINARY)]);
    assert!(run(&mut only), "{}", only.log);
    assert!(!only.env.contains_key("TOKEN") && only.path.len() == 1);
    let mut none = job(&[("binary", BINARY)]);
    assert!(run(&mut none), "{}", none.log);
    assert!(!none.env.contains_key("TOKEN"));

    let inputs =
        [("environment", "prod"), ("binary", BINARY), ("working-directory", "sub"), ("config", "other.yaml")];
    let mut job = job(&inputs);
    fs::create_dir(job.workspace("sub")).expect("a directory");
    fs::write(job.workspace("sub/other.yaml"), "envs: {prod: {OTHER: {literal: here}}}").expect("a file");
    assert!(run(&mut job), "{}", job.log);
    assert_eq!(job.env["OTHER"], "here");
}

#[test]
fn without_a_program_it_builds_one_from_its_own_source_for_the_toolchain_that_it_needs() {
    let mut job = job(&[("environment", "prod")]);
    let bin = job.workspace("bin");
    fs::create_dir(&bin).expect("a directory");
    // In the place of a build of minutes: what it is asked for, and a program where the build would put it.
    let cargo = format!(
        "#!/bin/bash\nset -eu\necho \"$RUSTUP_TOOLCHAIN $*\" > \"$GITHUB_WORKSPACE/built\"\ntest -f Cargo.toml\n\
        while (($#)); do [[ $1 == --target-dir ]] && target=$2; shift; done\nmkdir -p \"$target/release\"\ncp '{BINARY}' \"$target/release/dsops\"\n"
    );
    for (name, text) in
        [("cargo", cargo.as_str()), ("rustup", "#!/bin/sh\necho \"$*\" > \"$GITHUB_WORKSPACE/rustup\"\n")]
    {
        fs::write(bin.join(name), text).expect("a program");
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    job.path.push(bin.display().to_string());
    assert!(run(&mut job), "{}", job.log);
    assert_eq!(job.env["TOKEN"], "s3cret-token");
    let version =
        read("Cargo.toml").lines().find_map(|line| line.strip_prefix("rust-version = ").map(str::to_owned));
    let version = version.expect("a version").trim_matches('"').to_owned();
    let built = fs::read_to_string(job.workspace("built")).expect("the call");
    assert!(built.starts_with(&format!("{version} build --release --locked")), "{built}");
    let rustup = fs::read_to_string(job.workspace("rustup")).expect("the call");
    assert!(rustup.starts_with(&format!("toolchain install {version} ")), "{rustup}");
    assert_eq!(job.contexts["steps.find.outputs.key"].len(), 32);
}
