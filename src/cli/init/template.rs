//! The text of a first `dsops.yaml`, and what to do with it.

use std::path::Path;

use dsops::config;
use dsops_providers::contract::EnvSnapshot;

use super::found;
use super::questions::Answers;

/// What every file begins with.
pub(super) const HEAD: [&str; 3] = [
    "# Which stores hold secrets, and which variables each environment needs.",
    "# `dsops validate` checks this file. Editors complete and check it, too, where its first line is",
    "# `# yaml-language-server: $schema=dsops.schema.json`, a file that `dsops schema` prints.",
];

/// Returns the file.
pub(super) fn text(answers: &Answers) -> String {
    if let Some(found) = &answers.found {
        return found::text(&answers.name, found);
    }
    let mut lines: Vec<String> = HEAD.iter().map(|line| (*line).to_owned()).collect();
    lines.extend([
        "version: 1".to_owned(),
        String::new(),
        "secretStores:".to_owned(),
        format!("  {}:", quoted(&answers.name)),
    ]);
    lines.extend(section(answers).into_iter().map(|line| format!("    {line}").trim_end().to_owned()));
    lines.extend([String::new(), "envs:".to_owned()]);
    let secret = example_secret(answers);
    for (index, environment) in answers.environments.iter().enumerate() {
        lines.push(format!("  {}:", quoted(environment)));
        if index == 0 {
            lines.push("    # A value that may be read by everybody stands here.".to_owned());
        }
        lines.push("    LOG_LEVEL: {literal: info}".to_owned());
        if index == 0 {
            lines.push(format!("    # The store keeps this one, under the name `{secret}`."));
        }
        lines.push(format!("    {secret}: {{from: {{store: {}/{secret}}}}}", answers.name));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Returns the lines below the store's name: the example of its type, with the options that were given.
fn section(answers: &Answers) -> Vec<String> {
    let mut lines: Vec<String> =
        answers.descriptor.about.example.trim_end().lines().map(str::to_owned).collect();
    for (option, value) in &answers.options {
        let line = format!("{option}: {}", quoted(value));
        match lines.iter_mut().find(|line| line.starts_with(&format!("{option}:"))) {
            Some(example) => *example = line,
            // Behind the type, before what is nested.
            None => lines.insert(1.min(lines.len()), line),
        }
    }
    lines
}

/// Returns the variable that shows how a secret is named. Values that stand in the file itself can
/// only be those of the example.
fn example_secret(answers: &Answers) -> &'static str {
    if answers.descriptor.kind == "literal" { "GREETING" } else { "DATABASE_URL" }
}

/// A text as YAML takes it: in quotes where it would be read as something else.
pub(super) fn quoted(text: &str) -> String {
    // As a key this would merge what stands below it into the mapping around it.
    if text == "<<" {
        return "'<<'".to_owned();
    }
    serde_yaml::to_string(text).map_or_else(|_| text.to_owned(), |yaml| yaml.trim_end().to_owned())
}

/// Returns what to do next. `named` is the file, where commands would not find it by themselves.
pub(super) fn next_steps(answers: &Answers, path: &Path, named: Option<&Path>, env: &EnvSnapshot) -> String {
    let secret = example_secret(answers);
    let environment = answers.environments.first().map_or("dev", String::as_str);
    let file = |path: &Path| word(&path.display().to_string());
    let dsops = named.map_or_else(|| "dsops".to_owned(), |path| format!("dsops --config {}", file(path)));
    let mut steps = match answers.descriptor.kind {
        "local" => vec![
            (format!("{dsops} local init"), "make the encrypted file, and an identity"),
            (format!("{dsops} local set {secret}"), "put the secret into it"),
        ],
        "env" => vec![(format!("export {secret}=…"), "")],
        "dotenv" => vec![(format!("echo '{secret}=…' >> .env"), "put the secret into the file")],
        "exec" => vec![("$EDITOR secrets.sh".to_owned(), "write the program that is asked")],
        _ => Vec::new(),
    };
    let is_given = |option| answers.options.iter().any(|(given, _)| *given == option);
    let is_found = answers.found.is_some();
    if answers.descriptor.about.example.contains("project_id:") && !is_given("project_id") && !is_found {
        steps.push((format!("$EDITOR {}", file(path)), "write your project's id into it"));
    }
    let variables = match &answers.found {
        Some(found) => {
            let names = [found.credentials.id, found.credentials.secret].into_iter();
            names.filter(|name| env.get(name).is_none()).collect()
        }
        None => config::variables_in(answers.descriptor.about.example),
    };
    steps.extend(variables.into_iter().map(|variable| (format!("export {variable}=…"), "")));
    steps.push((format!("{dsops} doctor"), "see that every value can be had"));
    steps.push((format!("{dsops} exec --env {} -- env", word(environment)), "run a command with them"));
    let width = steps.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
    let steps =
        steps.into_iter().map(|(command, what)| format!("  {command:<width$}  {what}").trim_end().to_owned());
    format!("\nnext:\n{}", steps.collect::<Vec<_>>().join("\n"))
}

/// A word as a shell takes it.
fn word(text: &str) -> String {
    let plain = |char: char| char.is_alphanumeric() || "_-./@:,+".contains(char);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
