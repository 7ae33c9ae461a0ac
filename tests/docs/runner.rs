//! A small runner for the steps of GitHub Actions: expressions, files of commands, and bash as the real one starts it.
//!
//! By "Workflow syntax for GitHub Actions", "Metadata syntax reference" and "Workflow commands for GitHub Actions"; the readers of the files are
//! those of `FileCommandManager.cs` in actions/runner.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_yaml::Value;
use tempfile::TempDir;

/// A job: what its steps have set so far.
pub(crate) struct Job {
    root: TempDir,
    /// What every step gets, `GITHUB_ENV` of earlier ones included.
    pub(crate) env: BTreeMap<String, String>,
    /// What earlier steps put in front of `PATH`.
    pub(crate) path: Vec<String>,
    /// What expressions may name: `inputs.…`, `steps.…`.
    pub(crate) contexts: BTreeMap<String, String>,
    /// All that was logged, with what was masked by then replaced.
    pub(crate) log: String,
    masks: Vec<String>,
    count: usize,
}

impl Job {
    /// Starts a job in an empty workspace.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("dsops-job-").tempdir().expect("a directory");
        for directory in ["workspace", "temp", "home"] {
            fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        #[expect(clippy::disallowed_methods, reason = "the programs of a job are found where the user's are")]
        let path = std::env::var("PATH").unwrap_or_default();
        let at = |name: &str| root.path().join(name).display().to_string();
        let env = [
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_WORKSPACE", at("workspace")),
            ("RUNNER_TEMP", at("temp")),
            ("HOME", at("home")),
            ("PATH", path),
        ];
        Self {
            env: env.map(|(name, value)| (name.to_owned(), value)).into(),
            path: Vec::new(),
            contexts: BTreeMap::from([
                ("runner.os".to_owned(), "Linux".to_owned()),
                ("runner.arch".to_owned(), "X64".to_owned()),
            ]),
            log: String::new(),
            masks: Vec::new(),
            count: 0,
            root,
        }
    }

    /// Returns a path in the workspace.
    pub(crate) fn workspace(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("workspace").join(path)
    }

    /// Puts values in the places of `${{ … }}`.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${{") {
            let (name, after) = after.split_once("}}").expect("the end of an expression");
            expanded.push_str(before);
            expanded.push_str(self.contexts.get(name.trim()).map_or("", String::as_str));
            rest = after;
        }
        expanded + rest
    }

    /// Says whether the condition of a step holds: comparisons, joined by `&&`.
    fn holds(&self, condition: &str) -> bool {
        condition.split("&&").all(|part| {
            let (name, word, equal) = match (part.split_once("=="), part.split_once("!=")) {
                (Some((name, word)), _) => (name, word, true),
                (None, Some((name, word))) => (name, word, false),
                (None, None) => panic!("a condition that this runner does not know: {part}"),
            };
            let value = self.contexts.get(name.trim()).map_or("", String::as_str);
            (value == word.trim().trim_matches('\'')) == equal
        })
    }

    /// Runs a step with a script; returns nothing where its condition does not hold.
    pub(crate) fn step(&mut self, step: &Value) -> Option<Output> {
        if step["if"].as_str().is_some_and(|condition| !self.holds(condition)) {
            return None;
        }
        let script = step["run"].as_str().expect("a script");
        assert!(!script.contains("${{"), "an expression in a script is run: {script}");
        self.count += 1;
        let file = |kind: &str| self.root.path().join("temp").join(format!("{kind}_{}", self.count));
        let files = ["env", "path", "output", "step_summary", "state"].map(|kind| (kind, file(kind)));
        for (_, path) in &files {
            fs::write(path, "").expect("a file of commands");
        }
        let path = file("script.sh");
        fs::write(&path, script).expect("the script");
        let directory = step["working-directory"].as_str().map_or(String::new(), |text| self.expand(text));

        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(&path).env_clear();
        command.envs(&self.env).current_dir(self.workspace(directory)).stdin(Stdio::null());
        let mut places = self.path.clone();
        places.extend(self.env.get("PATH").cloned());
        command.env("PATH", places.join(":"));
        for (kind, path) in &files {
            command.env(format!("GITHUB_{}", kind.to_uppercase()), path);
        }
        for (name, value) in step["env"].as_mapping().into_iter().flatten() {
            let value = value.as_str().expect("a string");
            command.env(name.as_str().expect("a name"), self.expand(value));
        }
        let output = command.output().expect("bash");
        self.read_log(&output);
        let read = |kind: &str| {
            let (_, path) = files.iter().find(|(known, _)| *known == kind).expect("a file of that kind");
            fs::read_to_string(path).expect("text")
        };
        self.env.extend(read_variables(&read("env")));
        // The last one comes first.
        self.path.splice(0..0, read("path").lines().rev().map(str::to_owned));
        let id = step["id"].as_str().unwrap_or_default();
        let outputs = read_variables(&read("output"));
        self.contexts
            .extend(outputs.into_iter().map(|(name, value)| (format!("steps.{id}.outputs.{name}"), value)));
        Some(output)
    }

    /// Takes commands out of both streams, and masks the rest.
    fn read_log(&mut self, output: &Output) {
        for stream in [&output.stderr, &output.stdout] {
            for line in String::from_utf8_lossy(stream).lines() {
                match line.strip_prefix("::add-mask::") {
                    Some(mask) => {
                        let mask = mask.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%");
                        self.masks.push(mask);
                    }
                    None => {
                        let masked =
                            self.masks.iter().fold(line.to_owned(), |line, mask| line.replace(mask, "***"));
                        self.log.push_str(&masked);
                        self.log.push('\n');
                    }
                }
            }
        }
    }
}

/// Reads a file of `NAME=value` and `NAME<<DELIMITER`.
fn read_variables(text: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let mut lines = text.split_inclusive('\n').map(|line| line.strip_suffix('\n').unwrap_or(line));
    while let Some(line) = lines.next() {
        match (line.find('='), line.find("<<")) {
            _ if line.is_empty() => {}
            (Some(equals), heredoc) if heredoc.is_none_or(|heredoc| equals < heredoc) => {
                values.insert(line[..equals].to_owned(), line[equals + 1..].to_owned());
            }
            (_, Some(heredoc)) => {
                let delimiter = &line[heredoc + 2..];
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != delimiter).collect();
                values.insert(line[..heredoc].to_owned(), value.join("\n"));
            }
            _ => panic!("the runner would refuse {line:?}"),
        }
    }
    values
}
