//! The command that dsops stays beside, as what signals are sent to and waited for.

use std::fs::File;

use nix::libc;
use nix::sys::signal::{SigSet, Signal, raise};
use nix::unistd::{Pid, getpgid, getpgrp, getpid, getppid, getsid};
use rustix::process::{WaitOptions, wait, waitpid};

use super::signals::{Received, Sender, is_from_terminal};
use super::spawn::Started;
use super::streams::Streams;
use super::supervise::Ended;

/// What signals are sent to.
#[derive(Clone, Copy)]
pub(super) struct Target {
    child: Pid,
    /// The command, which is the child unless it has a session of its own.
    command: Pid,
    group: Group,
}

/// The process group of the command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// That of dsops, which shares a terminal with it.
    Shared,
    /// Its own.
    Own,
    /// Its own, in a session with a terminal of its own.
    Session,
}

impl Group {
    /// Returns the group that a command gets: its own where dsops has no terminal to share with it.
    pub(super) fn of_command() -> Self {
        if File::open("/dev/tty").is_ok() { Self::Shared } else { Self::Own }
    }
}

/// What happened to the command and to what it left behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// How the command ended, if it did.
    pub(super) ended: Option<Ended>,
    /// Whether it has stopped, as by Ctrl-Z.
    pub(super) stopped: bool,
}

impl Target {
    pub(super) fn new(Started { child, command }: Started, group: Group) -> Self {
        if group != Group::Shared {
            adopt_orphans();
        }
        Self { child, command, group }
    }

    /// Takes note of every child that changed.
    ///
    /// Others than the command are orphans of its: dsops inherits them as PID 1 and as subreaper. `only_command` leaves
    /// them for later, since a fetch that is under way has children of its own to wait for.
    pub(super) fn collect(self, only_command: bool) -> News {
        let mut news = News::default();
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        let command = rustix::process::Pid::from_raw(self.child.as_raw());
        loop {
            let changed = if only_command { waitpid(command, options) } else { wait(options) };
            match changed {
                Ok(Some((child, status))) if Some(child) == command => {
                    if let Some(code) = status.exit_status() {
                        news.ended = Some(Ended::Code(code));
                    } else if let Some(signal) = status.terminating_signal() {
                        news.ended = Some(Ended::Signal(signal));
                    } else if status.stopped() {
                        news.stopped = true;
                    }
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => return news,
            }
        }
    }

    /// Stops dsops with the command where a shell waits for both, so that the shell sees it.
    pub(super) fn stop_with_it(self, streams: Option<&Streams>) {
        match self.group {
            Group::Shared if a_shell_waits() => {
                let _ = raise(Signal::SIGSTOP);
            }
            Group::Session => {
                if let Some(streams) = streams {
                    streams.suspend();
                }
                stop_group();
                if let Some(streams) = streams {
                    streams.resume();
                }
                self.send(libc::SIGCONT);
            }
            Group::Own | Group::Shared => {}
        }
    }

    /// Passes a signal on that reached dsops, where the command has not had it already.
    ///
    /// `foreground` is the foreground group of the command's own terminal, which gets what a user does.
    pub(super) fn pass_on(self, Received { signal, sender }: Received, foreground: Option<Pid>) {
        match (self.group, sender) {
            (_, Sender::Itself) => {}
            (_, Sender::Kernel) if is_of_dsops(signal) => {}
            // dsops's own doing is not the command's, and its hang-up is that of the command's terminal.
            (Group::Session, Sender::Kernel) if [libc::SIGTTIN, libc::SIGTTOU].contains(&signal) => {}
            (Group::Session, Sender::Kernel) if is_from_terminal(signal) => self.press(signal, foreground),
            (Group::Shared, Sender::Kernel) if is_from_terminal(signal) || !leads_session() => {}
            // Those that end, stop or continue a job are for all of it, as from a terminal. The
            // others mean the program that knows them, and would end one that does not.
            (Group::Own | Group::Session, _) if is_for_a_job(signal) => self.send(signal),
            (Group::Own | Group::Session | Group::Shared, _) => {
                let _ = dsops_os::send(self.command.as_raw(), signal);
            }
        }
    }

    /// Says whether it is in the group of dsops.
    pub(super) fn shares_group(self) -> bool {
        self.group == Group::Shared
    }

    /// Sends to the command and, where it leads a group, to all of it.
    pub(super) fn send(self, signal: i32) {
        let command = self.command.as_raw();
        // The only failure is that nobody is there any more.
        let _ = dsops_os::send(if self.group == Group::Shared { command } else { -command }, signal);
        if self.group == Group::Session {
            // What keeps the session has stopped with the command, and has to hear of its end.
            let _ = dsops_os::send(self.child.as_raw(), libc::SIGCONT);
        }
    }

    /// Sends to the foreground of the command's terminal what a key of dsops's own gave rise to.
    fn press(self, signal: i32, foreground: Option<Pid>) {
        let _ = dsops_os::send(-foreground.unwrap_or(self.command).as_raw(), signal);
    }

    /// Says whether anybody is left in the command's own group.
    pub(super) fn is_inhabited(self) -> bool {
        self.group != Group::Shared && dsops_os::send(-self.command.as_raw(), 0).is_ok()
    }
}

/// Lets dsops hear of the end of what the command leaves behind.
fn adopt_orphans() {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Stops the group that dsops is in, as the key would have on the terminal of dsops: a script that started it, the
/// rest of a pipeline. Where no shell could make them go on, the kernel stops nobody.
fn stop_group() {
    let stop = SigSet::from(Signal::SIGTSTP);
    let _ = dsops_os::send(0, libc::SIGTSTP);
    // It takes effect here, and is not read as one that somebody sent.
    let _ = stop.thread_unblock();
    let _ = stop.thread_block();
}

/// Says whether the parent is a shell with job control: in the same session and another group.
fn a_shell_waits() -> bool {
    let parent = getppid();
    getsid(Some(parent)).is_ok_and(|session| getsid(None) == Ok(session))
        && getpgid(Some(parent)).is_ok_and(|group| group != getpgrp())
}

/// Says whether dsops leads the session. When its terminal hangs up, the kernel tells the leader alone; any other
/// process hears of it with its group, and so has the command.
fn leads_session() -> bool {
    getsid(None) == Ok(getpid())
}

/// Says whether the kernel sends this signal about what dsops itself has used, written or started. `SIGALRM` is not among
/// them: dsops sets no such timer, so the caller has, for the program that it starts.
fn is_of_dsops(signal: i32) -> bool {
    [libc::SIGCHLD, libc::SIGPIPE, libc::SIGPROF, libc::SIGVTALRM, libc::SIGXCPU, libc::SIGXFSZ]
        .contains(&signal)
}

fn is_for_a_job(signal: i32) -> bool {
    [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTERM,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGCONT,
    ]
    .contains(&signal)
}
