//! The examples: each is accepted by the schema and by the program, and does what it says.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::project::{files, read, root};
use crate::session::{Session, shown};

fn examples() -> Vec<PathBuf> {
    let found = files(&["examples"], "/dsops.yaml");
    assert!(found.len() >= 8, "{found:?}");
    found.iter().map(|file| file.parent().expect("a directory").to_owned()).collect()
}

/// Reads a file as an editor would: with another reader than dsops's own.
fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_schema_accepts_every_example() {
    let schema: Value = serde_json::from_str(&read("schema/dsops.schema.json")).expect("a JSON document");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for example in examples() {
        let document = yaml(&example.join("dsops.yaml"));
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", example.display());
    }
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let schema: Value = serde_json::from_str(&read("schema/dsops.schema.json")).expect("a JSON document");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for text in [
        "secretStores: {s: {type: nothing}}",
        "secretStores: {s: {type: literal, unknown: 1}}",
        "envs: {dev: {A: {form: s/A}}}",
        "unknown: 1",
        "envs: {dev: {A: text}}",
    ] {
        let document: Value = serde_yaml::from_str(text).expect("YAML");
        assert!(!validator.is_valid(&document), "the schema accepts {text}");
        let session = Session::new();
        session.write("dsops.yaml", text);
        assert_eq!(session.dsops(&["validate"]).status.code(), Some(3), "the program accepts {text}");
    }
}

#[test]
fn the_program_accepts_every_example_without_a_remark() {
    for example in examples() {
        let session = Session::new();
        session.copy(&example);
        let output = session.dsops(&["validate", "--strict"]);
        assert!(output.status.success(), "{} {}", example.display(), shown(&output));
    }
}

#[test]
fn every_example_writes_what_it_says() {
    for example in examples() {
        let session = Session::new();
        session.copy(&example);
        let output = session.sh("exec sh ./run.sh");
        assert!(output.status.success(), "{} {}", example.display(), shown(&output));
        let expected = read(example.join("expected.txt"));
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            expected,
            "{} {}",
            example.display(),
            shown(&output)
        );
    }
}

#[test]
fn every_example_is_listed_with_a_line() {
    let list = read("examples/README.md");
    let mut names: Vec<String> = fs::read_dir(root().join("examples"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let listed: Vec<&str> =
        list.lines().filter_map(|line| line.strip_prefix("| [`")?.split('`').next()).collect();
    assert_eq!(listed, names);
}
