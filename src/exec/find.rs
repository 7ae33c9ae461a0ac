//! Which file a command means, as execvp(3) finds it, and whether the kernel can execute it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::{ExecError, ExecErrorKind};

/// Where programs are looked for without a `PATH`: glibc's `_CS_PATH`.
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// How much of a file the kernel looks at for its interpreter: `BINPRM_BUF_SIZE`.
const INTERPRETER_LINE: usize = 256;

/// Returns the path to give to execve(2), relative to the child's working directory where it is relative.
///
/// A program without a slash is looked for in the child's `PATH`, whose empty parts mean the working
/// directory. A file that may not be executed is passed over, and reported where no other is found.
///
/// # Errors
///
/// `NotFound`, and `NotExecutable` for a directory, a missing permission or a missing interpreter.
pub fn find(program: &OsStr, path: Option<&OsStr>, working_dir: &Path) -> Result<PathBuf, ExecError> {
    let name = program.to_string_lossy();
    if program.is_empty() {
        return Err(ExecError::new(ExecErrorKind::NotFound, "the name of the command is empty"));
    }
    if program.as_bytes().contains(&b'/') {
        let found = PathBuf::from(program);
        return match look_at(&working_dir.join(&found)) {
            Sight::Executable => check_interpreter(&found, working_dir).map(|()| found),
            Sight::Missing => {
                Err(ExecError::new(ExecErrorKind::NotFound, format!("`{name}` does not exist")))
            }
            Sight::Refused(why) => Err(refused(&found, why)),
        };
    }

    let mut passed_over = None;
    for part in path.map_or(DEFAULT_PATH, OsStr::as_bytes).split(|byte| *byte == b':') {
        let found = Path::new(OsStr::from_bytes(if part.is_empty() { b"." } else { part })).join(program);
        match look_at(&working_dir.join(&found)) {
            Sight::Executable => return check_interpreter(&found, working_dir).map(|()| found),
            Sight::Missing => {}
            Sight::Refused(why) => passed_over = passed_over.or(Some(refused(&found, why))),
        }
    }
    Err(passed_over.unwrap_or_else(|| {
        let error = ExecError::new(
            ExecErrorKind::NotFound,
            format!("`{name}` is in no directory of the command's `PATH`"),
        );
        match look_at(&working_dir.join(program)) {
            Sight::Executable => error.help(format!("write `./{name}` for the one in this directory")),
            Sight::Missing | Sight::Refused(_) => error.help("check the spelling, or give its path"),
        }
    }))
}

/// What a path turns out to be.
enum Sight {
    Executable,
    Missing,
    Refused(&'static str),
}

fn look_at(path: &Path) -> Sight {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Sight::Refused("it is a directory"),
        Ok(metadata) if !metadata.is_file() => Sight::Refused("it is not a regular file"),
        // The kernel decides with the effective identity, and knows of file systems without execution.
        Ok(_) => match faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
            Ok(()) => Sight::Executable,
            Err(_) => Sight::Refused("it has no permission to be executed"),
        },
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Sight::Refused("a directory on its path may not be searched")
        }
        Err(_) => Sight::Missing,
    }
}

fn refused(path: &Path, why: &str) -> ExecError {
    let error = ExecError::new(
        ExecErrorKind::NotExecutable,
        format!("`{}` cannot be executed: {why}", path.display()),
    );
    if why.ends_with("be executed") {
        error.help(format!("make it executable: `chmod +x {}`", path.display()))
    } else {
        error
    }
}

/// Says so where a script names an interpreter that is not there.
///
/// The kernel answers "no such file" for it, as if the script itself were missing.
fn check_interpreter(script: &Path, working_dir: &Path) -> Result<(), ExecError> {
    let start = start_of(&working_dir.join(script));
    let Some(interpreter) = interpreter_of(&start) else { return Ok(()) };
    let why = match look_at(&working_dir.join(interpreter)) {
        Sight::Executable => return Ok(()),
        Sight::Missing => "does not exist",
        Sight::Refused(_) => "cannot be executed",
    };
    let error = ExecError::new(
        ExecErrorKind::NotExecutable,
        format!(
            "`{}` cannot be executed: its interpreter `{}` {why}",
            script.display(),
            interpreter.to_string_lossy().escape_debug()
        ),
    );
    Err(if interpreter.as_bytes().ends_with(b"\r") {
        error.help("save the script with Unix line endings")
    } else {
        error.help("correct its first line, or install the interpreter")
    })
}

/// Returns the first bytes of a file; none where it may be executed and not read.
pub(super) fn start_of(path: &Path) -> Vec<u8> {
    let mut start = Vec::with_capacity(INTERPRETER_LINE);
    if let Ok(file) = File::open(path) {
        // What cannot be read is left for the kernel to judge.
        let _ = file.take(INTERPRETER_LINE as u64).read_to_end(&mut start);
    }
    start
}

fn interpreter_of(start: &[u8]) -> Option<&OsStr> {
    let line = start.strip_prefix(b"#!")?.trim_ascii_start();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t' | b'\n' | 0)).unwrap_or(line.len());
    line.get(..end).filter(|name| !name.is_empty()).map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn file(self, name: &str, mode: u32, content: &str) -> Self {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            self
        }

        fn find(&self, program: &str, path: Option<&str>) -> Result<PathBuf, ExecError> {
            find(OsStr::new(program), path.map(OsStr::new), self.0.path())
        }
    }

    fn kind(result: Result<PathBuf, ExecError>) -> ExecErrorKind {
        result.unwrap_err().kind()
    }

    #[test]
    fn the_first_directory_that_has_it_wins() {
        let place = Place::new().file("b/tool", 0o755, "").file("c/tool", 0o755, "");
        assert_eq!(place.find("tool", Some("a:b:c")).unwrap(), Path::new("b/tool"));
    }

    #[test]
    fn a_file_that_may_not_be_executed_is_passed_over() {
        let place = Place::new().file("a/tool", 0o644, "").file("b/tool", 0o755, "");
        assert_eq!(place.find("tool", Some("a:b")).unwrap(), Path::new("b/tool"));
        assert_eq!(kind(place.find("tool", Some("a"))), ExecErrorKind::NotExecutable);
    }

    #[test]
    fn an_empty_part_of_path_is_the_working_directory() {
        let place = Place::new().file("tool", 0o755, "");
        assert_eq!(place.find("tool", Some("a:")).unwrap(), Path::new("./tool"));
        assert_eq!(place.find("tool", Some("")).unwrap(), Path::new("./tool"));
    }

    #[test]
    fn without_a_path_the_systems_own_is_used() {
        assert!(Place::new().find("sh", None).unwrap().ends_with("sh"));
    }

    #[test]
    fn a_slash_starts_at_the_working_directory_and_ignores_path() {
        let place = Place::new().file("bin/tool", 0o755, "");
        assert_eq!(place.find("bin/tool", Some("/nowhere")).unwrap(), Path::new("bin/tool"));
        assert_eq!(kind(place.find("./tool", Some("bin"))), ExecErrorKind::NotFound);
    }

    #[test]
    fn a_command_in_this_directory_is_suggested() {
        let place = Place::new().file("tool", 0o755, "");
        let error = place.find("tool", Some("/nowhere")).unwrap_err();
        assert_eq!(error.exit_code(), 127);
        assert_eq!(error.advice(), Some("write `./tool` for the one in this directory"));
    }

    #[test]
    fn a_directory_is_not_executable() {
        let place = Place::new().file("tool/inside", 0o644, "");
        assert_eq!(kind(place.find("./tool", None)), ExecErrorKind::NotExecutable);
        assert_eq!(kind(place.find("tool", Some(""))), ExecErrorKind::NotExecutable);
    }

    #[test]
    fn a_missing_interpreter_is_named() {
        let place = Place::new().file("tool", 0o755, "#! /nowhere/sh -e\n");
        let error = place.find("./tool", None).unwrap_err();
        assert_eq!(error.exit_code(), 126);
        assert!(error.to_string().contains("interpreter `/nowhere/sh` does not exist"), "{error}");
    }

    #[test]
    fn windows_line_endings_are_recognised() {
        let place = Place::new().file("tool", 0o755, "#!/bin/sh\r\n");
        let error = place.find("./tool", None).unwrap_err();
        assert_eq!(error.advice(), Some("save the script with Unix line endings"));
    }

    #[test]
    fn an_empty_name_is_not_found() {
        assert_eq!(kind(Place::new().find("", Some("/bin"))), ExecErrorKind::NotFound);
    }
}
