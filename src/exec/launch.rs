//! A command made ready for the kernel: found, its arguments in place.

use std::env;
use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::find::{find, start_of};
use super::{Command, ExecError, ExecErrorKind};
use crate::environment::ChildEnvironment;

/// What runs a text file that names no interpreter: execvp(3) and POSIX say so.
const SHELL: &CStr = c"/bin/sh";

/// A command that only needs to be started.
pub(super) struct Launch {
    file: PathBuf,
    path: CString,
    argv: Vec<CString>,
    working_dir: Option<PathBuf>,
    environment: ChildEnvironment,
}

impl Launch {
    /// Finds the program, and sees that the working directory is one.
    ///
    /// The path of the program is relative to the working directory where it is relative.
    pub(super) fn prepare(command: Command) -> Result<Self, ExecError> {
        let Command { program, args, working_dir, environment, files: _ } = command;
        let directory = working_dir.as_deref().unwrap_or(Path::new("."));
        match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(cannot_enter(directory).caused_by(Errno::ENOTDIR)),
            Err(error) => return Err(cannot_enter(directory).caused_by(error)),
        }
        let file = find(&program, environment.path(), directory)?;
        let argv = std::iter::once(&program).chain(&args).map(to_c).collect::<Result<_, _>>()?;
        let path = to_c(&file)?;
        Ok(Self { file, path, argv, working_dir, environment })
    }

    /// Returns the environment, for the files in it to be made.
    pub(super) fn environment_mut(&mut self) -> &mut ChildEnvironment {
        &mut self.environment
    }

    /// Enters the working directory, where it is another one than this.
    pub(super) fn enter(&self) -> Result<(), ExecError> {
        let Some(directory) = &self.working_dir else { return Ok(()) };
        env::set_current_dir(directory).map_err(|error| cannot_enter(directory).caused_by(error))
    }

    /// Returns the path of the program as execve(2) takes it.
    pub(super) fn path(&self) -> &CStr {
        &self.path
    }

    /// Returns the arguments, the program's name first.
    pub(super) fn argv(&self) -> impl Iterator<Item = &CStr> {
        self.argv.iter().map(CString::as_c_str)
    }

    /// Returns the working directory, where it is another one than this.
    pub(super) fn working_dir(&self) -> Option<&Path> {
        self.working_dir.as_deref()
    }

    /// Returns the environment as execve(2) takes it.
    pub(super) fn entries(&self) -> Vec<&CStr> {
        self.environment.entries()
    }

    /// Starts it in the way given, which gets path, arguments and environment.
    pub(super) fn start<T>(
        &self,
        start: impl Fn(&CStr, &[&CStr], &[&CStr]) -> nix::Result<T>,
    ) -> Result<T, ExecError> {
        let environment = self.entries();
        let argv: Vec<&CStr> = self.argv().collect();
        start_or_run(&self.path, &argv, |path, argv| start(path, argv, &environment))
            .map_err(|errno| self.explain(errno))
    }

    /// Says why it could not be started.
    pub(super) fn explain(&self, errno: Errno) -> ExecError {
        let name = self.file.display();
        match errno {
            Errno::E2BIG => ExecError::new(
                ExecErrorKind::TooLarge,
                "environment and arguments are over what the kernel takes",
            )
            .help(
                "inherit less with `--clean`, or pass large values as files: `NAME: {from: …, type: file}`",
            ),
            Errno::ENOEXEC => {
                cannot_execute(format!("`{name}` cannot be executed: it is no program for this machine"))
            }
            // The file was found, so what is missing is what it needs in order to run.
            Errno::ENOENT => {
                cannot_execute(format!("`{name}` cannot be executed: its loader or interpreter is missing"))
            }
            Errno::ENOMEM | Errno::EAGAIN | Errno::EMFILE | Errno::ENFILE => {
                ExecError::new(ExecErrorKind::Failed, format!("`{name}` could not be started"))
            }
            _ => cannot_execute(format!("`{name}` cannot be executed")),
        }
        .caused_by(errno)
    }
}

/// Starts a program; a text file without `#!` is run by `/bin/sh`, as execvp(3) does and as it would be from a shell
/// or with env(1). This is the user's own command; nothing of a store's is ever run so.
pub(super) fn start_or_run<T>(
    path: &CStr,
    argv: &[&CStr],
    start: impl Fn(&CStr, &[&CStr]) -> nix::Result<T>,
) -> nix::Result<T> {
    match start(path, argv) {
        Err(Errno::ENOEXEC) if is_text(path) => {
            let argv: Vec<&CStr> = [SHELL, path].into_iter().chain(argv.iter().copied().skip(1)).collect();
            start(SHELL, &argv)
        }
        outcome => outcome,
    }
}

/// Says whether a shell can read the file: a program for another machine has NUL bytes.
fn is_text(path: &CStr) -> bool {
    !start_of(Path::new(OsStr::from_bytes(path.to_bytes()))).contains(&0)
}

fn cannot_execute(message: String) -> ExecError {
    ExecError::new(ExecErrorKind::NotExecutable, message)
}

pub(super) fn cannot_enter(directory: &Path) -> ExecError {
    let name = directory.display();
    ExecError::new(
        ExecErrorKind::WorkingDirectory,
        format!("the working directory `{name}` cannot be entered"),
    )
}

fn to_c(text: impl AsRef<OsStr>) -> Result<CString, ExecError> {
    CString::new(text.as_ref().as_bytes())
        .map_err(|_| ExecError::new(ExecErrorKind::Failed, "an argument of the command contains a NUL byte"))
}
