//! How a run of the program ended, with the checks that tests make of it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use tempfile::TempDir;

/// How a run ended. The checks return it, so that they chain.
#[must_use = "check how the run ended"]
pub(crate) struct Output {
    pub(super) root: TempDir,
    pub(super) shown: String,
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

impl Output {
    /// Checks the exit code; an end by a signal counts as `128 + signal`, as a shell shows it.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        let actual = self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal));
        assert_eq!(actual, Some(code), "exit code of {self}");
        self
    }

    /// Returns the exit code; none where a signal ended the process.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Returns how the process ended.
    pub(crate) fn status(&self) -> ExitStatus {
        self.status
    }

    /// Checks that the process ended by this signal, and not merely with the code that a shell would show for it.
    #[track_caller]
    pub(crate) fn killed_by(self, signal: Signal) -> Self {
        assert_eq!(self.status.signal(), Some(signal as i32), "end of {self}");
        self
    }

    /// Checks standard output to the byte.
    #[track_caller]
    pub(crate) fn stdout(self, expected: impl AsRef<[u8]>) -> Self {
        let expected = expected.as_ref();
        assert!(self.stdout == expected, "expected on stdout: {:?}\n{self}", lossy(expected));
        self
    }

    /// Checks that nothing was written to standard output.
    #[track_caller]
    pub(crate) fn stdout_empty(self) -> Self {
        self.stdout("")
    }

    /// Checks standard error, as text.
    #[track_caller]
    pub(crate) fn stderr(self, expected: &str) -> Self {
        assert_eq!(lossy(&self.stderr), expected, "{self}");
        self
    }

    /// Checks that nothing was written to standard error.
    #[track_caller]
    pub(crate) fn stderr_empty(self) -> Self {
        assert!(self.stderr.is_empty(), "expected nothing on stderr\n{self}");
        self
    }

    /// Checks that standard output holds `text`.
    #[track_caller]
    pub(crate) fn stdout_has(self, text: &str) -> Self {
        assert!(contains(&self.stdout, text.as_bytes()), "expected on stdout: {text:?}\n{self}");
        self
    }

    /// Checks that standard error holds `text`.
    #[track_caller]
    pub(crate) fn stderr_has(self, text: &str) -> Self {
        assert!(contains(&self.stderr, text.as_bytes()), "expected on stderr: {text:?}\n{self}");
        self
    }

    /// Checks that standard error does not hold `text`.
    #[track_caller]
    pub(crate) fn stderr_lacks(self, text: &str) -> Self {
        assert!(!contains(&self.stderr, text.as_bytes()), "not expected on stderr: {text:?}\n{self}");
        self
    }

    /// Checks that neither stream holds `value`.
    #[track_caller]
    pub(crate) fn never_shows(self, value: &str) -> Self {
        let shown = contains(&self.stdout, value.as_bytes()) || contains(&self.stderr, value.as_bytes());
        assert!(!shown, "{value:?} was shown\n{self}");
        self
    }

    /// Returns standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON: {error}\n{self}"))
    }

    /// Returns each line of standard error as JSON.
    #[track_caller]
    pub(crate) fn stderr_json(&self) -> Vec<serde_json::Value> {
        let parse =
            |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}\n{self}"));
        lossy(&self.stderr).lines().map(parse).collect()
    }

    /// Returns the bytes of standard output.
    pub(crate) fn stdout_bytes(&self) -> &[u8] {
        &self.stdout
    }

    /// Returns the bytes of standard error.
    pub(crate) fn stderr_bytes(&self) -> &[u8] {
        &self.stderr
    }

    /// Returns a path below `work/`.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(path)
    }

    /// Returns the directory that holds `work/` and `home/`: everything that the run could have written to.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Reads a file that the run wrote, by its path from `work/`.
    #[track_caller]
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let full = self.path(path);
        fs::read(&full).unwrap_or_else(|error| panic!("{}: {error}\n{self}", full.display()))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}` ended with {}", self.shown, self.status)?;
        write!(f, "--- stdout\n{}\n--- stderr\n{}", lossy(&self.stdout), lossy(&self.stderr))
    }
}

pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
