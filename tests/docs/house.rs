//! The house rules that a compiler does not know.

use std::collections::BTreeSet;

use crate::project::{files, read};

/// All of the project's Rust.
const RUST: &[&str] = &["src", "os", "providers", "tests", "benches", "fuzz", "examples"];

/// No file is longer than this: a reader keeps no more in mind.
const LONGEST: usize = 800;

/// The files that may look at a value's bytes. Whoever adds one says on the line below what for.
const EXPOSE: &[&str] = &[
    // Options and credentials on their way from the file to a backend.
    "providers/src/contract/decode.rs",
    "providers/src/contract/secret.rs",
    "src/config/environments.rs",
    "src/config/expand.rs",
    // The token and the credential that it is sealed under.
    "src/cache/tokens.rs",
    // A copy for each variable, and the check for emptiness.
    "src/resolve/mod.rs",
    // Requests and their headers; what a value is checked against.
    "providers/src/http.rs",
    "providers/src/infisical/auth.rs",
    "providers/src/infisical/auth/gcp.rs",
    "providers/src/infisical/auth/kept.rs",
    "providers/src/infisical/auth/login.rs",
    "providers/src/infisical/auth/oidc.rs",
    "providers/src/infisical/config/login.rs",
    "providers/src/infisical/mod.rs",
    "providers/src/infisical/answers.rs",
    "providers/src/infisical/expand.rs",
    "providers/src/infisical/read.rs",
    "providers/src/infisical/references.rs",
    // Stores that hold values themselves, or hand them to a program.
    "providers/src/dotenv/file.rs",
    "providers/src/exec/mod.rs",
    "providers/src/literal/mod.rs",
    "providers/src/local/identity.rs",
    "providers/src/local/json.rs",
    "providers/src/local/keys.rs",
    "providers/src/local/mod.rs",
    // Transforms.
    "src/transform/base64.rs",
    "src/transform/jinja.rs",
    "src/transform/join.rs",
    "src/transform/json.rs",
    "src/transform/pattern.rs",
    "src/transform/template.rs",
    "src/transform/text.rs",
    "src/transform/yaml.rs",
    // The doors: the command's environment, a rendered file, `get`, and the encrypted file.
    "src/cli/get.rs",
    // A typed client secret, on its way to the login.
    "src/cli/init/discover.rs",
    "src/cli/local/mod.rs",
    "src/cli/output.rs",
    "src/environment/mod.rs",
    // What git and ssh read.
    "src/helper/askpass.rs",
    "src/helper/git.rs",
    // What docker, the programs of AWS and the clients of Kubernetes read.
    "src/helper/credential.rs",
    "src/helper/docker.rs",
    // What is to be taken out of output.
    "src/mask/mod.rs",
    "src/exec/files/directory.rs",
    "src/exec/files/memory.rs",
    "src/render/gitlab.rs",
    "src/render/k8s.rs",
    "src/render/mod.rs",
    "src/render/shell.rs",
    "src/render/systemd_creds.rs",
    "src/render/template.rs",
    // The answer to a program that asks, and whether a value can be in it.
    "src/agent/protocol.rs",
    "src/agent/selection.rs",
    // Statements for a shell to evaluate.
    "src/statements.rs",
    // Digests of values, to see that one has changed.
    "src/watch/fingerprint.rs",
    // What a runner is told to mask.
    "src/ci/mask.rs",
];

#[test]
fn no_file_is_longer_than_a_reader_can_keep_in_mind() {
    for file in files(RUST, ".rs") {
        let lines = read(&file).lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines", file.display());
    }
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for file in files(RUST, ".rs") {
        let text = read(&file);
        let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        assert!(first.starts_with("//! "), "{} starts with {first:?}", file.display());
    }
}

#[test]
fn only_known_files_look_at_the_bytes_of_a_value() {
    let mut found = BTreeSet::new();
    for file in files(&["src", "providers/src"], ".rs") {
        let name = file.to_string_lossy().into_owned();
        if name.contains("/tests/") || name.ends_with("tests.rs") || name.contains("conformance") {
            continue;
        }
        let text = read(&file);
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if product.contains(".expose(") || product.contains(".expose_str(") {
            found.insert(name);
        }
    }
    let known: BTreeSet<String> = EXPOSE.iter().map(|name| (*name).to_owned()).collect();
    let unknown: Vec<_> = found.difference(&known).collect();
    let idle: Vec<_> = known.difference(&found).collect();
    assert!(unknown.is_empty(), "not in the list of tests/docs/house.rs: {unknown:#?}");
    assert!(idle.is_empty(), "in the list of tests/docs/house.rs without need: {idle:#?}");
}

#[test]
fn a_lint_is_only_set_aside_with_a_reason() {
    for file in files(RUST, ".rs") {
        for (index, line) in read(&file).lines().enumerate() {
            let set_aside = ["#[allow(", "#![allow(", "#[expect(", "#![expect("]
                .iter()
                .any(|start| line.trim_start().starts_with(start));
            let reasoned = line.contains("reason =") || !line.contains(']');
            assert!(!set_aside || reasoned, "{}:{}", file.display(), index + 1);
        }
    }
}
