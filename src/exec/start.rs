//! The last step of a command that dsops stays beside: what has to be done in the command's own process.
//!
//! Between fork(2) and execve(2) only code that is `unsafe` could run. So dsops executes itself in the new process, as
//! `dsops __start …`, with the environment of the command. That asks to be killed when dsops is, and becomes the command. The
//! values are in the environment that the kernel was given for the command, and nowhere else.
//!
//! Where there is a terminal for the command, the first such process makes a session, takes the terminal, and starts
//! a second one, which comes to the foreground and becomes the command. Then it executes itself once more, without
//! the environment, as what [keeps the session](super::keep).

use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, execv, getpid, getppid, setsid};

use super::given::give_on;
use super::launch::start_or_run;
use super::session;
use super::spawn::myself;
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
    /// Whether standard output is a terminal, and a session is to be made for it.
    pub(super) terminal: bool,
    /// Whether to come to the foreground of the terminal.
    pub(super) foreground: bool,
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
        let flags = [(self.terminal, 't'), (self.foreground, 'f'), (self.sigchld_ignored, 'c')];
        let flags = flags.into_iter().filter(|(set, _)| *set);
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
            foreground: has(b'f'),
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
    let failure = if steps.terminal {
        match steps.start_in_session(&report, directory, path, argv) {
            Ok(command) => {
                let _ = write!(report, "c{command};");
                drop(report);
                return session::become_keeper(command);
            }
            Err(failure) => failure,
        }
    } else {
        steps.become_command(directory, path, argv)
    };
    // Nobody is left to be told where this fails.
    let _ = report.write_all(failure.to_string().as_bytes());
    exit::NOT_STARTED
}

impl Steps {
    /// Makes the session, and starts the second process in it.
    fn start_in_session(
        self,
        report: &impl AsFd,
        directory: &OsStr,
        path: &OsStr,
        argv: &[OsString],
    ) -> Result<Pid, Failure> {
        self.die_with_parent()?;
        setsid().and_then(|_| take_terminal()).map_err(Failure::Session)?;
        let report = report.as_fd().as_raw_fd();
        let steps = Self { parent: getpid().as_raw(), report, terminal: false, foreground: true, ..self };
        let directory = Some(Path::new(directory)).filter(|path| !path.as_os_str().is_empty());
        let words = to_c(path)
            .and_then(|path| steps.arguments(directory, &path))
            .zip(argv.iter().map(|word| to_c(word)).collect::<Option<Vec<_>>>());
        let environment = env::vars_os().map(|(name, value)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).map_err(|_| Errno::EINVAL)
        });
        let spawn = || {
            let (words, argv) = words.ok_or(Errno::EINVAL)?;
            let environment = environment.collect::<Result<Vec<_>, _>>()?;
            let mut actions = PosixSpawnFileActions::init()?;
            // Onto itself, so that it is inherited.
            actions.add_dup2(report, report)?;
            let mut attributes = PosixSpawnAttr::init()?;
            attributes.set_pgroup(Pid::from_raw(0))?;
            attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETPGROUP)?;
            let words: Vec<&CStr> = words.iter().chain(&argv).map(CString::as_c_str).collect();
            give_on();
            posix_spawn(&myself()?, &actions, &attributes, &words, &environment)
        };
        spawn().map_err(Failure::Program)
    }

    fn become_command(self, directory: &OsStr, path: &OsStr, argv: &[OsString]) -> Failure {
        if let Err(failure) = self.die_with_parent() {
            return failure;
        }
        if self.foreground
            && let Err(errno) = come_to_foreground()
        {
            return Failure::Session(errno);
        }
        if !directory.is_empty()
            && let Err(error) = std::env::set_current_dir(directory)
        {
            return Failure::Directory(Errno::from_raw(error.raw_os_error().unwrap_or_default()));
        }
        let words: Option<Vec<CString>> = argv.iter().map(|word| to_c(word)).collect();
        let (Some(path), Some(words)) = (to_c(path), words) else {
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

impl Steps {
    /// Asks to be killed when the parent is.
    fn die_with_parent(self) -> Result<(), Failure> {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, set_parent_process_death_signal};

            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            // It may have been killed before that.
            if getppid().as_raw() != self.parent {
                return Err(Failure::Program(Errno::ECHILD));
            }
        }
        Ok(())
    }
}

fn to_c(word: &OsStr) -> Option<CString> {
    CString::new(word.as_bytes()).ok()
}

/// Makes the terminal on standard output the one of this session.
fn take_terminal() -> nix::Result<()> {
    rustix::process::ioctl_tiocsctty(std::io::stdout()).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

/// Makes the group of this process the foreground of the terminal on standard output.
fn come_to_foreground() -> nix::Result<()> {
    // From the background that stops a process, unless it blocks the signal: tcsetpgrp(3).
    let stops = SigSet::from(Signal::SIGTTOU);
    let before = SigSet::thread_get_mask()?;
    stops.thread_block()?;
    let done = nix::unistd::tcsetpgrp(std::io::stdout(), getpid());
    before.thread_set_mask()?;
    done
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (letter, errno) = match self {
            Self::Session(errno) => ('s', errno),
            Self::Directory(errno) => ('d', errno),
            Self::Program(errno) => ('p', errno),
        };
        write!(f, "{letter}{};", *errno as i32)
    }
}

/// What the new process has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The process of the command, where it is another one.
    pub(super) command: Option<Pid>,
    /// Why it did not become the command, where it did not.
    pub(super) failure: Option<Failure>,
}

impl Told {
    /// Waits for the new process to have become the command, or to say why it did not.
    pub(super) fn wait(mut report: impl std::io::Read) -> Self {
        let mut text = String::new();
        let _ = report.by_ref().take(64).read_to_string(&mut text);
        let mut told = Self::default();
        for word in text.split_terminator(';') {
            let Some((letter, digits)) = word.split_at_checked(1) else { continue };
            let Ok(number) = digits.parse() else { continue };
            match letter {
                "c" => told.command = Some(Pid::from_raw(number)),
                "s" => told.failure = Some(Failure::Session(Errno::from_raw(number))),
                "d" => told.failure = Some(Failure::Directory(Errno::from_raw(number))),
                "p" => told.failure = Some(Failure::Program(Errno::from_raw(number))),
                _ => {}
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_the_new_process_is_what_it_hears() {
        let steps = Steps { parent: 7, report: 5, terminal: true, foreground: false, sigchld_ignored: false };
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
            let told = Told::wait(failure.to_string().as_bytes());
            assert_eq!(told, Told { command: None, failure: Some(failure) });
            // The two processes may write in either order.
            for text in [format!("c7;{failure}"), format!("{failure}c7;")] {
                let told = Told::wait(text.as_bytes());
                assert_eq!(told, Told { command: Some(Pid::from_raw(7)), failure: Some(failure) });
            }
        }
        assert_eq!(Told::wait(&b""[..]), Told::default());
    }
}
