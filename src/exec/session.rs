//! Keeps the session of a command that has a terminal of its own.
//!
//! A session needs a process beside the command: the kernel lets no program be suspended that has no parent in its
//! session, since nobody there could make it go on. This one waits, stops when the command stops, so that dsops
//! hears of it, and ends as it ends. It holds no values: it is executed without an environment, and it
//! hands on nothing. Signals reach the command from dsops directly.

use std::convert::Infallible;
use std::ffi::{CString, OsString};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::unistd::{Pid, execve, getpid};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::spawn::myself;
use crate::exit;

/// The word that stands for it on the command line. It is no command for people.
pub(super) const WORD: &str = "__session";

/// Executes dsops as the keeper of the session that the command is in.
pub(super) fn become_keeper(command: Pid) -> u8 {
    // Nothing ends it but the command's end; the mask outlives execve(2).
    let _ = SigSet::all().thread_block();
    let word = |text: String| CString::new(text).unwrap_or_default();
    let words = [word("dsops".to_owned()), word(WORD.to_owned()), word(command.to_string())];
    let executed = || -> nix::Result<Infallible> {
        let path = CString::new(myself()?.into_os_string().into_encoded_bytes()).unwrap_or_default();
        execve(&path, &words, &[] as &[CString; 0])
    };
    match executed() {
        Ok(never) => match never {},
        // The command runs by now; with the environment it is kept as well.
        Err(_) => keep(&[command.to_string().into()]),
    }
}

/// Waits for the command, and ends as it does.
#[must_use]
pub(super) fn keep(words: &[OsString]) -> u8 {
    let pid = words.first().and_then(|word| word.to_str()?.parse().ok());
    let Some(command) = pid.and_then(rustix::process::Pid::from_raw) else { return exit::USAGE };
    loop {
        // It is left to be collected by dsops, which inherits it: until then its number is not another's.
        let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(command), options) {
            // It is seen again where it is still stopped when this process goes on: a signal that dsops sent at the
            // same time may have come before dsops could hear of the stop.
            Ok(Some(status)) if status.stopped() => {
                let _ = raise(Signal::SIGSTOP);
            }
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => std::process::exit(code),
                (None, Some(signal)) => return end_by(signal),
                (None, None) => return exit::BUG,
            },
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => return exit::BUG,
        }
    }
}

/// Ends this process by a signal, without a core of its own.
fn end_by(signal: i32) -> u8 {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_CORE) {
        let _ = setrlimit(Resource::RLIMIT_CORE, 0, hard);
    }
    let _ = dsops_os::reset(signal);
    // No other signal that waits may come before it; real-time signals have no name to choose one by.
    let only = Signal::try_from(signal).map_or(SigSet::all(), SigSet::from);
    let _ = dsops_os::send(getpid().as_raw(), signal);
    let _ = only.thread_unblock();
    exit::for_signal(signal)
}
