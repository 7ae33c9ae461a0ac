//! A command made ready for the kernel: found, its arguments in place, its directory entered.

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
    environment: ChildEnvironment,
}

impl Launch {
    /// Finds the program and enters the working directory.
    ///
    /// dsops itself enters it: it reads no file any more, and a relative path then means to the
    /// kernel what it means to the child.
    pub(super) fn prepare(command: Command) -> Result<Self, ExecError> {
        let Command { program, args, working_dir, environment } = command;
        let directory = working_dir.as_deref().unwrap_or(Path::new("."));
        match fs::metadata(directory) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(cannot_enter(directory).caused_by(Errno::ENOTDIR)),
            Err(error) => return Err(cannot_enter(directory).caused_by(error)),
        }
        let file = find(&program, environment.path(), directory)?;
        let argv = std::iter::once(&program).chain(&args).map(to_c).collect::<Result<_, _>>()?;
        let path = to_c(&file)?;
        if let Some(directory) = working_dir {
            env::set_current_dir(&directory).map_err(|error| cannot_enter(&directory).caused_by(error))?;
        }
        Ok(Self { file, path, argv, environment })
    }

    /// Starts it in the way given, which gets path, arguments and environment.
    ///
    /// A text file without `#!` is run by `/bin/sh`, as execvp(3) does and as it would be from a
    /// shell or with env(1). This is the user's own command; nothing of a store's is ever run so.
    pub(super) fn start<T>(
        &self,
        start: impl Fn(&CStr, &[&CStr], &[&CStr]) -> nix::Result<T>,
    ) -> Result<T, ExecError> {
        let environment = self.environment.entries();
        let argv: Vec<&CStr> = self.argv.iter().map(CString::as_c_str).collect();
        match start(&self.path, &argv, &environment) {
            Ok(started) => Ok(started),
            Err(Errno::ENOEXEC) if self.is_text() => {
                let argv: Vec<&CStr> =
                    [SHELL, self.path.as_c_str()].into_iter().chain(argv.into_iter().skip(1)).collect();
                start(SHELL, &argv, &environment).map_err(|errno| self.explain(errno))
            }
            Err(errno) => Err(self.explain(errno)),
        }
    }

    /// Says whether a shell can read the file: a program for another machine has NUL bytes.
    fn is_text(&self) -> bool {
        !start_of(&self.file).contains(&0)
    }

    fn explain(&self, errno: Errno) -> ExecError {
        let name = self.file.display();
        match errno {
            Errno::E2BIG => ExecError::new(
                ExecErrorKind::TooLarge,
                "environment and arguments are over what the kernel takes",
            )
            .help("inherit less with `--clean`, or pass large values as files: `dsops get … > FILE`"),
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

fn cannot_execute(message: String) -> ExecError {
    ExecError::new(ExecErrorKind::NotExecutable, message)
}

fn cannot_enter(directory: &Path) -> ExecError {
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
