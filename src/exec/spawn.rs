//! Starts a command beside dsops.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getpid, pipe2};

use super::inner;
use super::launch::{Launch, cannot_enter};
use super::start::{Failure, Steps, Told};
use super::{ExecError, ExecErrorKind, Hardened};

/// What a command gets in place of dsops's own standard descriptors.
#[derive(Debug, Default)]
pub struct ChildSide {
    /// Its standard input, where it is not that of dsops.
    pub stdin: Option<OwnedFd>,
    /// Its standard output, where it is not that of dsops.
    pub stdout: Option<OwnedFd>,
    /// Its standard error, where it is not that of dsops.
    pub stderr: Option<OwnedFd>,
    /// Whether its standard output is a terminal that is to be its controlling terminal.
    pub terminal: bool,
}

/// A command that has been started beside dsops.
#[derive(Clone, Copy)]
pub(super) struct Started {
    /// The process that dsops waits for. It stops and ends as the command does.
    pub(super) child: Pid,
    /// The process of the command.
    pub(super) command: Pid,
}

/// How a command is started beside dsops.
pub(super) struct Beside<'a> {
    /// The descriptors that are its own.
    pub(super) side: ChildSide,
    /// Whether it leads a process group of its own.
    pub(super) leads_group: bool,
    /// The signals that it finds blocked.
    pub(super) mask: &'a SigSet,
}

impl Beside<'_> {
    /// Starts the command and returns its process once the kernel executes it: nothing of dsops is in the process any more.
    pub(super) fn spawn(self, launch: &Launch, hardened: &Hardened) -> Result<Started, ExecError> {
        let (report, told) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| launch.explain(errno))?;
        let given = dsops_os::started_with();
        let steps = Steps {
            parent: getpid().as_raw(),
            report: told.as_raw_fd(),
            terminal: self.side.terminal,
            foreground: false,
            sigchld_ignored: given.sigchld_ignored,
        };
        let words = steps.arguments(launch.working_dir(), launch.path()).unwrap_or_default();
        let words: Vec<&CStr> = words.iter().map(CString::as_c_str).chain(launch.argv()).collect();
        let spawned = self.descriptors(&told).and_then(|actions| {
            let attributes = self.attributes()?;
            hardened.lift();
            let spawned = posix_spawn(&myself()?, &actions, &attributes, &words, &launch.entries());
            hardened.renew();
            spawned
        });
        drop((told, self.side));
        let child = spawned.map_err(|errno| match errno {
            Errno::ENOENT => ExecError::new(ExecErrorKind::Failed, "dsops cannot find its own program")
                .help("see that `/proc` is mounted, or let the command take the place of dsops"),
            Errno::ENOTSUP => {
                ExecError::new(ExecErrorKind::Failed, "this program does not know the tasks of dsops")
                    .help("call `dsops::exec::inner` first of all, or let the command take the place of it")
            }
            errno => launch.explain(errno),
        })?;
        let told = Told::wait(File::from(report));
        let Some(failure) = told.failure else {
            return Ok(Started { child, command: told.command.unwrap_or(child) });
        };
        // It has ended right after it told why.
        let _ = nix::sys::wait::waitpid(child, None);
        Err(match failure {
            Failure::Program(errno) => launch.explain(errno),
            Failure::Directory(errno) => {
                cannot_enter(launch.working_dir().unwrap_or(".".as_ref())).caused_by(errno)
            }
            Failure::Session(errno) => {
                ExecError::new(ExecErrorKind::Failed, "the command could not get a terminal of its own")
                    .caused_by(errno)
            }
        })
    }

    fn descriptors(&self, told: &OwnedFd) -> nix::Result<PosixSpawnFileActions> {
        let mut actions = PosixSpawnFileActions::init()?;
        // Onto itself: that is how posix_spawn(3) lets one descriptor be inherited.
        actions.add_dup2(told.as_raw_fd(), told.as_raw_fd())?;
        let side = [&self.side.stdin, &self.side.stdout, &self.side.stderr];
        let closed = dsops_os::started_with().closed;
        for ((own, closed), standard) in side.into_iter().zip(closed).zip(0..) {
            match own {
                Some(own) => actions.add_dup2(own.as_raw_fd(), standard)?,
                None if closed => actions.add_close(standard)?,
                None => {}
            }
        }
        Ok(actions)
    }

    fn attributes(&self) -> nix::Result<PosixSpawnAttr> {
        let mut attributes = PosixSpawnAttr::init()?;
        let mut flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK;
        attributes.set_sigmask(self.mask)?;
        if !dsops_os::started_with().sigpipe_ignored {
            flags |= PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
            attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
        }
        // A session of its own is a group of its own too, and who leads a group cannot make a session.
        if self.leads_group && !self.side.terminal {
            flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
            attributes.set_pgroup(Pid::from_raw(0))?;
        }
        attributes.set_flags(flags)?;
        Ok(attributes)
    }
}

/// Returns the path of this very program, or what posix_spawn(3) and execve(2) would fail with where there is none.
pub(super) fn myself() -> nix::Result<PathBuf> {
    inner::program().map_err(|error| match error.kind() {
        ErrorKind::Unsupported => Errno::ENOTSUP,
        _ => Errno::ENOENT,
    })
}
