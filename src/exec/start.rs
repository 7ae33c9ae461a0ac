//! The last step of a command that dsops stays beside: what has to be done in the command's own process.
//!
//! Between fork(2) and execve(2) only code that is `unsafe` could run. So dsops executes itself in the new process, as
//! `dsops __start …`, with the environment of the command. That makes a session and takes the terminal where
//! there is one for it, asks to be killed when dsops is, and becomes the command. The values
//! are in the environment that the kernel was given for the command, and nowhere else.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{execv, getppid, setsid};

use super::given::give_on;
use super::launch::start_or_run;
use crate::exit;

/// The word that stands for a command's last step. It is no command for people.
pub(super) const WORD: &str = "__start";

/// What is to be done before the command is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    /// The process that the command must not outlive by a `SIGKILL`.
    pub(super) parent: i32,
    /// The pipe that a failure is told on.
    pub(super) report: i32,
    /// Whether standard output is a terminal for the command to control.
    pub(super) terminal: bool,
    /// Whether the caller of dsops ignored `SIGCHLD`.
    pub(super) sigchld_ignored: bool,
}

/// What failed, with the system's number for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A session of its own, or the terminal, could not be had.
    Session(Errno),
    /// The working directory could not be entered.
    Directory(Errno),
    /// The program could not be executed.
    Program(Errno),
}

impl Steps {
    /// Returns the arguments that say all this to the new process.
    pub(super) fn arguments(self, directory: Option<&Path>, path: &CStr) -> Option<Vec<CString>> {
        let directory = directory.map_or(&[][..], |path| path.as_os_str().as_bytes());
        let flags = [(self.terminal, 't'), (self.sigchld_ignored, 'c')].into_iter().filter(|(set, _)| *set);
        let words = [
            b"dsops".to_vec(),
            WORD.into(),
            self.parent.to_string().into(),
            self.report.to_string().into(),
            flags.map(|(_, letter)| letter).collect::<String>().into(),
            directory.to_vec(),
            path.to_bytes().to_vec(),
        ];
        words.into_iter().map(|word| CString::new(word).ok()).collect()
    }

    fn read(words: &[OsString]) -> Option<(Self, &OsStr, &OsStr, &[OsString])> {
        let [parent, report, flags, directory, path, argv @ ..] = words else { return None };
        let has = |letter: u8| flags.as_bytes().contains(&letter);
        let steps = Self {
            parent: parent.to_str()?.parse().ok()?,
            report: report.to_str()?.parse().ok()?,
            terminal: has(b't'),
            sigchld_ignored: has(b'c'),
        };
        Some((steps, directory, path, argv))
    }
}

/// Becomes the command that the words after [`WORD`] describe. Returns an exit code only where that failed.
#[must_use]
pub(super) fn start(words: &[OsString]) -> u8 {
    let Some((steps, directory, path, argv)) = Steps::read(words) else { return exit::USAGE };
    // A descriptor of our own, which closes on exec, in place of the one that was inherited for it.
    let report = OpenOptions::new().write(true).open(format!("/dev/fd/{}", steps.report));
    let _ = nix::unistd::close(steps.report);
    let Ok(mut report) = report else { return exit::NOT_STARTED };
    let failure = steps.become_command(directory, path, argv);
    // Nobody is left to be told where this fails.
    let _ = report.write_all(failure.to_string().as_bytes());
    exit::NOT_STARTED
}

impl Steps {
    fn become_command(self, directory: &OsStr, path: &OsStr, argv: &[OsString]) -> Failure {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, set_parent_process_death_signal};

            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            // It may have been killed before that.
            if getppid().as_raw() != self.parent {
                return Failure::Program(Errno::ECHILD);
            }
        }
        if self.terminal
            && let Err(errno) = setsid().and_then(|_| take_terminal())
        {
            return Failure::Session(errno);
        }
        if !directory.is_empty()
            && let Err(error) = std::env::set_current_dir(directory)
        {
            return Failure::Directory(Errno::from_raw(error.raw_os_error().unwrap_or_default()));
        }
        let words: Result<Vec<CString>, _> = argv.iter().map(|word| CString::new(word.as_bytes())).collect();
        let (Ok(path), Ok(words)) = (CString::new(path.as_bytes()), words) else {
            return Failure::Program(Errno::EINVAL);
        };
        give_on();
        if self.sigchld_ignored {
            let _ = dsops_os::ignore(nix::libc::SIGCHLD);
        }
        let argv: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
        match start_or_run(&path, &argv, |path, argv| execv(path, argv)) {
            Ok(never) => match never {},
            Err(errno) => Failure::Program(errno),
        }
    }
}

/// Makes the terminal on standard output the one of this session.
fn take_terminal() -> nix::Result<()> {
    rustix::process::ioctl_tiocsctty(std::io::stdout()).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (letter, errno) = match self {
            Self::Session(errno) => ('s', errno),
            Self::Directory(errno) => ('d', errno),
            Self::Program(errno) => ('p', errno),
        };
        write!(f, "{letter}{}", *errno as i32)
    }
}

impl Failure {
    /// Waits for the new process to have become the command, or to say why it did not.
    pub(super) fn wait(mut report: impl std::io::Read) -> Option<Self> {
        let mut told = String::new();
        report.by_ref().take(16).read_to_string(&mut told).ok()?;
        let errno = |digits: &str| digits.parse().ok().map(Errno::from_raw);
        match told.split_at_checked(1)? {
            ("s", digits) => errno(digits).map(Self::Session),
            ("d", digits) => errno(digits).map(Self::Directory),
            ("p", digits) => errno(digits).map(Self::Program),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_the_new_process_is_what_it_hears() {
        let steps = Steps { parent: 7, report: 5, terminal: true, sigchld_ignored: false };
        let words = steps.arguments(Some(Path::new("/tmp")), c"/bin/sh").unwrap();
        let words: Vec<OsString> =
            words.iter().map(|word| OsStr::from_bytes(word.to_bytes()).to_owned()).collect();
        let (read, directory, path, argv) = Steps::read(&words[2..]).unwrap();
        assert_eq!((read, directory, path), (steps, OsStr::new("/tmp"), OsStr::new("/bin/sh")));
        assert!(argv.is_empty());
    }

    #[test]
    fn a_failure_is_told_and_understood() {
        for failure in [
            Failure::Session(Errno::EPERM),
            Failure::Directory(Errno::EACCES),
            Failure::Program(Errno::ENOENT),
        ] {
            assert_eq!(Failure::wait(failure.to_string().as_bytes()), Some(failure));
        }
        assert_eq!(Failure::wait(&b""[..]), None);
    }
}
