//! A shell with the real binary on its `PATH`, in a directory and a home of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// One directory and one home; what a command leaves there the next one finds.
pub(crate) struct Session {
    root: TempDir,
    env: Vec<(&'static str, String)>,
}

impl Session {
    /// Makes an empty one.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("dsops-docs-").tempdir().expect("a temporary directory");
        for directory in ["work", "home"] {
            fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        Self { root, env: Vec::new() }
    }

    /// Sets a variable for all commands.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Returns a path below the working directory.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(path)
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, text).expect("a writable file");
    }

    /// Copies what lies in a directory of the project.
    pub(crate) fn copy(&self, directory: &Path) {
        copy(&super::project::root().join(directory), &self.path(""));
    }

    /// Runs a script with `sh -eu`. Standard input is at its end.
    pub(crate) fn sh(&self, script: &str) -> Output {
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", script]);
        self.run(&mut command)
    }

    /// Runs dsops.
    pub(crate) fn dsops(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsops"));
        command.args(args);
        self.run(&mut command)
    }

    fn run(&self, command: &mut Command) -> Output {
        let binary = Path::new(env!("CARGO_BIN_EXE_dsops"));
        let mut path = OsString::from(binary.parent().expect("a directory"));
        path.push(":");
        #[expect(
            clippy::disallowed_methods,
            reason = "the programs that blocks run are found where the user's are"
        )]
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.path("")).env_clear().stdin(Stdio::null());
        command.env("PATH", path).env("HOME", self.root.path().join("home")).env("COLUMNS", "100");
        command.env("DSOPS", binary).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.output().expect("the program starts")
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a readable directory") {
        let entry = entry.expect("a readable directory");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a directory");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a readable file");
        }
    }
}

/// Returns both streams as text, for messages.
pub(crate) fn shown(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("ended with {}\n--- stdout\n{stdout}--- stderr\n{stderr}", output.status)
}
