//! Why a command did not start.

use std::io;

use crate::exit;

/// What went wrong. The kind alone decides the exit code, which is that of env(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExecErrorKind {
    /// There is no such command.
    NotFound,
    /// The command is there and cannot be executed.
    NotExecutable,
    /// The child's working directory cannot be entered.
    WorkingDirectory,
    /// The kernel found environment and arguments too large after all.
    TooLarge,
    /// The files of `type: file` cannot be made.
    Files,
    /// The system refused something else that the start needs.
    Failed,
}

/// One reason for which a command did not start. Nothing of it was running.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExecError {
    kind: ExecErrorKind,
    message: String,
    help: Option<String>,
    source: Option<io::Error>,
}

impl ExecError {
    pub(super) fn new(kind: ExecErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, source: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn caused_by(mut self, source: impl Into<io::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> ExecErrorKind {
        self.kind
    }

    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            ExecErrorKind::NotFound => "dsops::exec::not_found",
            ExecErrorKind::NotExecutable => "dsops::exec::not_executable",
            ExecErrorKind::WorkingDirectory => "dsops::exec::working_directory",
            ExecErrorKind::TooLarge => "dsops::exec::too_large",
            ExecErrorKind::Files => "dsops::exec::files",
            ExecErrorKind::Failed => "dsops::exec::failed",
        }
    }

    /// Returns the code to exit with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            ExecErrorKind::NotFound => exit::COMMAND_NOT_FOUND,
            ExecErrorKind::NotExecutable => exit::NOT_EXECUTABLE,
            ExecErrorKind::WorkingDirectory
            | ExecErrorKind::TooLarge
            | ExecErrorKind::Files
            | ExecErrorKind::Failed => exit::NOT_STARTED,
        }
    }

    /// Returns the advice, if there is one.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}
