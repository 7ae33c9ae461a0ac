//! The text of a `dsops.yaml` for a project that was found: it works as it is written.

use std::collections::BTreeMap;

use dsops_providers::contract::SecretName;

use super::discover::{Found, FoundEnvironment};
use super::template::{HEAD, quoted};

/// Returns the file. One store stands for each environment, since each can have an identity of its own.
pub(super) fn text(name: &str, found: &Found) -> String {
    let mut lines: Vec<String> = HEAD.iter().map(|line| (*line).to_owned()).collect();
    lines.extend(["version: 1".to_owned(), String::new(), "secretStores:".to_owned()]);
    let several = found.environments.len() > 1;
    for (index, environment) in found.environments.iter().enumerate() {
        let store = store(name, found, environment);
        if index > 0 {
            lines.push(format!("  {}:", quoted(&store)));
            lines.push("    <<: *infisical".to_owned());
            lines.push(format!("    environment: {}", quoted(&environment.slug)));
            continue;
        }
        if several {
            lines.push("  # All with one identity. One for each environment is safer: give it `auth` of its own there.".to_owned());
        }
        lines.push(format!("  {}:{}", quoted(&store), if several { " &infisical" } else { "" }));
        lines.push("    type: infisical".to_owned());
        lines.extend(
            found.host.iter().map(|host| format!("    host: {}", quoted(&host.replace("${", "$${")))),
        );
        lines.push(format!(
            "    project_id: {} # {}",
            quoted(&found.project.id),
            comment(&found.project.name)
        ));
        lines.push(format!("    environment: {}", quoted(&environment.slug)));
        lines.push("    auth:".to_owned());
        lines.push("      method: machine_identity".to_owned());
        lines.push(format!("      client_id: ${{{}}}", found.credentials.id));
        lines.push(format!("      client_secret: ${{{}}}", found.credentials.secret));
    }
    lines.extend([String::new(), "envs:".to_owned()]);
    for environment in &found.environments {
        lines.push(format!("  {}:", quoted(&environment.name)));
        let (variables, left_out) = variables(&environment.secrets);
        let store = store(name, found, environment);
        if variables.is_empty() {
            lines.push("    # No secret here that the identity may know of. What is no secret can stand in the file.".to_owned());
            lines.push("    LOG_LEVEL: {literal: info}".to_owned());
        }
        for (variable, secret) in variables {
            let folder = secret.folder.trim_end_matches('/');
            let reference = format!("{store}{folder}/{}", secret.name);
            lines.push(format!("    {}: {{from: {{store: {}}}}}", quoted(&variable), quoted(&reference)));
        }
        for secret in left_out {
            let place = format!("{}/{}", secret.folder.trim_end_matches('/'), secret.name);
            lines.push(format!("    # Not a variable's name: {}", comment(&place)));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn store(name: &str, found: &Found, environment: &FoundEnvironment) -> String {
    match found.environments.len() {
        1 => name.to_owned(),
        _ => format!("{name}-{}", environment.slug),
    }
}

/// Gives each secret a variable: its own name, and with its folder before it where the name stands twice.
/// Returns those that cannot have one, too.
fn variables(secrets: &[SecretName]) -> (BTreeMap<String, &SecretName>, Vec<&SecretName>) {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for secret in secrets {
        *count.entry(secret.name.as_str()).or_default() += 1;
    }
    let mut variables = BTreeMap::new();
    let mut left_out = Vec::new();
    // Those of the root come first, by the order of the folders.
    for secret in secrets {
        let is_root = secret.folder == "/";
        let is_alone = count.get(secret.name.as_str()) == Some(&1);
        let variable = match is_root || is_alone {
            true => secret.name.clone(),
            false => {
                let folder = secret.folder.trim_matches('/').replace('-', "_").to_uppercase();
                format!("{folder}_{}", secret.name)
            }
        };
        if is_variable(&variable) && is_plain(&secret.folder) && !variables.contains_key(&variable) {
            variables.insert(variable, secret);
        } else {
            left_out.push(secret);
        }
    }
    (variables, left_out)
}

/// Says whether every shell takes a name, and an environment of the file does not mean something else by it.
fn is_variable(name: &str) -> bool {
    let starts = name.chars().next().is_some_and(|char| char.is_ascii_alphabetic() || char == '_');
    starts
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !matches!(name, "extends" | "import")
}

/// Says whether a folder can stand in a reference as it is.
fn is_plain(folder: &str) -> bool {
    folder.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '/' | '-' | '_'))
}

/// A text that others gave, as a comment takes it.
fn comment(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}
