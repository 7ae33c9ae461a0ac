//! Stays beside the command for the time it may take, and ends as it ended.
//!
//! With a controlling terminal the command is in the process group of dsops, so that it can use the terminal
//! and a shell's job control reaches both; what the terminal sends, both get, and dsops
//! passes nothing on twice. Without one the command leads a group of its own, so that
//! what it started ends with it.
//!
//! Known limits: with a terminal the time's end reaches the command and not what it started, as with
//! `timeout --foreground`, since the group may hold the rest of a pipeline. `SIGKILL` to dsops leaves the command running (the parent-death signal has to be
//! set between fork and exec), and real-time signals are not passed on, since `nix` cannot name them.

use std::fs::File;
use std::process;
use std::time::Duration;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal, kill, killpg, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid, getpgrp, getppid, getsid};
use tokio::time::{Instant, sleep_until};

use super::launch::Launch;
use super::replace::default_sigpipe;
use super::signals::{Received, Sender, Signals, is_from_terminal};
use super::{Command, ExecError, ExecErrorKind, Hardened};
use crate::exit;

/// How long a command may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// The time after which it gets `SIGTERM`.
    pub after: Duration,
    /// The time after that until `SIGKILL`.
    pub kill_after: Duration,
}

impl Timeout {
    /// Returns a timeout that gives the command five seconds to end.
    #[must_use]
    pub fn new(after: Duration) -> Self {
        Self { after, kill_after: Duration::from_secs(5) }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(Signal),
    /// Its time was up.
    TimedOut,
}

impl Ended {
    /// Ends this process in the same way.
    pub fn end_alike(self) -> ! {
        match self {
            Self::Code(code) => process::exit(code),
            Self::TimedOut => process::exit(exit::TIMEOUT.into()),
            Self::Signal(signal) => {
                if signal == Signal::SIGPIPE {
                    default_sigpipe();
                }
                let _ = SigSet::from(signal).thread_unblock();
                let _ = raise(signal);
                // Only where the signal does not end this process: it is ignored, or this is PID 1.
                process::exit(exit::for_signal(signal as i32).into())
            }
        }
    }
}

/// Starts the command, passes signals on to it, ends it when its time is up, and says how it ended.
///
/// The values are wiped as soon as it has started. Call it after the runtime that fetched them is
/// gone: it brings its own, and another thread would take the signals.
///
/// # Errors
///
/// All kinds; once the command runs, `Failed` where the system refuses to let dsops wait for it.
pub fn supervise(command: Command, hardened: &Hardened, timeout: Timeout) -> Result<Ended, ExecError> {
    let launch = Launch::prepare(command)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("no runtime could be started").caused_by(error))?;
    runtime.block_on(async {
        let signals =
            Signals::collect().map_err(|error| failed("signals cannot be received").caused_by(error))?;
        let target = Target::spawn(launch, &signals, hardened)?;
        target.watch(&signals, timeout).await
    })
}

fn failed(message: &str) -> ExecError {
    ExecError::new(ExecErrorKind::Failed, message)
}

/// What signals are sent to.
#[derive(Clone, Copy)]
struct Target {
    child: Pid,
    group: Group,
}

/// The process group of the command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// That of dsops, which shares a terminal with it.
    Shared,
    /// Its own.
    Own,
}

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Terminating,
    Killed,
}

impl Target {
    fn spawn(launch: Launch, signals: &Signals, hardened: &Hardened) -> Result<Self, ExecError> {
        let group = if File::open("/dev/tty").is_ok() { Group::Shared } else { Group::Own };
        let (actions, attributes) = attributes(group, signals)
            .map_err(|errno| failed("the command could not be started").caused_by(errno))?;
        if group == Group::Own {
            adopt_orphans();
        }
        hardened.lift();
        let child = launch.start(|path, argv, env| posix_spawn(path, &actions, &attributes, argv, env));
        hardened.renew();
        child.map(|child| Self { child, group })
    }

    async fn watch(self, signals: &Signals, timeout: Timeout) -> Result<Ended, ExecError> {
        let mut stage = Stage::Running;
        let mut deadline = Instant::now().checked_add(timeout.after);
        let mut ended = None;
        loop {
            tokio::select! {
                received = signals.next() => {
                    let received = received
                        .map_err(|error| failed("signals cannot be received").caused_by(error))?;
                    if received.signal == Signal::SIGCHLD {
                        ended = self.collect().or(ended);
                    } else {
                        self.pass_on(received);
                    }
                }
                () = until(deadline) => {
                    (stage, deadline) = match stage {
                        Stage::Running => {
                            self.send(Signal::SIGTERM);
                            // A stopped process gets to its `SIGTERM` only when it goes on.
                            self.send(Signal::SIGCONT);
                            (Stage::Terminating, Instant::now().checked_add(timeout.kill_after))
                        }
                        Stage::Terminating | Stage::Killed => {
                            self.send(Signal::SIGKILL);
                            (Stage::Killed, None)
                        }
                    };
                }
            }
            match (ended, stage) {
                (Some(ended), Stage::Running) => return Ok(ended),
                // What the command had started may still be on its way out.
                (Some(_), Stage::Terminating) if self.is_inhabited() => {}
                (Some(_), Stage::Terminating | Stage::Killed) => return Ok(Ended::TimedOut),
                (None, _) => {}
            }
        }
    }

    /// Takes note of every child that changed, and returns how the command ended if it did.
    ///
    /// Others than the command are orphans of its: dsops inherits them as PID 1 and as subreaper.
    fn collect(self) -> Option<Ended> {
        let mut ended = None;
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED)) {
                Ok(WaitStatus::Exited(child, code)) if child == self.child => ended = Some(Ended::Code(code)),
                Ok(WaitStatus::Signaled(child, signal, _)) if child == self.child => {
                    ended = Some(Ended::Signal(signal));
                }
                Ok(WaitStatus::Stopped(child, _)) if child == self.child => self.stop_with_it(),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return ended,
                Ok(_) | Err(Errno::EINTR) => {}
                // A real-time signal, which `nix` cannot name, ended a child.
                Err(_) if kill(self.child, None) == Err(Errno::ESRCH) => {
                    ended = ended.or(Some(Ended::Code(u8::MAX.into())));
                }
                Err(_) => {}
            }
        }
    }

    /// Stops dsops with the command where a shell waits for both, so that the shell sees it.
    fn stop_with_it(self) {
        if self.group == Group::Shared && a_shell_waits() {
            let _ = raise(Signal::SIGSTOP);
        }
    }

    fn pass_on(self, Received { signal, sender }: Received) {
        match self.group {
            Group::Shared if sender == Sender::Kernel && is_from_terminal(signal) => {}
            // Those that end, stop or continue a job are for all of it, as from a terminal. The
            // others mean the program that knows them, and would end one that does not.
            Group::Own if is_for_a_job(signal) => self.send(signal),
            Group::Own | Group::Shared => {
                let _ = kill(self.child, signal);
            }
        }
    }

    /// Sends to the command and, where it leads a group, to all of it.
    fn send(self, signal: Signal) {
        // The only failure is that nobody is there any more.
        let _ = match self.group {
            Group::Own => killpg(self.child, signal),
            Group::Shared => kill(self.child, signal),
        };
    }

    fn is_inhabited(self) -> bool {
        self.group == Group::Own && killpg(self.child, None).is_ok()
    }
}

fn attributes(group: Group, signals: &Signals) -> nix::Result<(PosixSpawnFileActions, PosixSpawnAttr)> {
    let mut attributes = PosixSpawnAttr::init()?;
    let mut flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
    attributes.set_sigmask(signals.mask_before())?;
    // As when the process is replaced: the runtime's `SIGPIPE` is not the child's.
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    if group == Group::Own {
        flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
        attributes.set_pgroup(Pid::from_raw(0))?;
    }
    attributes.set_flags(flags)?;
    Ok((PosixSpawnFileActions::init()?, attributes))
}

/// Lets dsops hear of the end of what the command leaves behind.
fn adopt_orphans() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Says whether the parent is a shell with job control: in the same session and another group.
fn a_shell_waits() -> bool {
    let parent = getppid();
    getsid(Some(parent)).is_ok_and(|session| getsid(None) == Ok(session))
        && getpgid(Some(parent)).is_ok_and(|group| group != getpgrp())
}

fn is_for_a_job(signal: Signal) -> bool {
    matches!(
        signal,
        Signal::SIGHUP
            | Signal::SIGINT
            | Signal::SIGQUIT
            | Signal::SIGTERM
            | Signal::SIGTSTP
            | Signal::SIGTTIN
            | Signal::SIGTTOU
            | Signal::SIGCONT
    )
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
