//! Tells what was sent to the whole process group from what was sent to dsops alone.
//!
//! On a terminal the command is in the group of dsops. What a shell's `kill %1` sends, both get; what somebody sends to dsops,
//! only dsops does, and has to pass on. Nothing in a signal says which of the two it was. So the group has a third
//! member, which does nothing but let signals wait: what it has had as well was for all. The kernel
//! gives a signal to all of a group at once, so that the witness has it when dsops reads its own.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::inner;
use crate::exit;

/// The word that stands for it on the command line. It is no command for people.
pub(super) const WORD: &str = "__witness";

/// How long dsops waits for an answer: a witness that somebody has stopped gives none.
const PATIENCE: Duration = Duration::from_millis(200);

/// The third member of the group. It ends when this is dropped.
pub(super) struct Witness {
    line: UnixStream,
    process: Child,
    /// The signals that it has told of and dsops has not read yet.
    seen: Vec<u8>,
}

impl Witness {
    /// Calls one into the group of dsops. It is there a moment later.
    pub(super) fn call() -> io::Result<Self> {
        let (line, theirs) = UnixStream::pair()?;
        line.set_read_timeout(Some(PATIENCE))?;
        line.set_write_timeout(Some(PATIENCE))?;
        let process = inner::ourselves(WORD)?
            .env_clear()
            .current_dir(OsStr::new("/"))
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { line, process, seen: Vec::new() })
    }

    /// Says whether the whole group has had a signal that dsops has just read.
    pub(super) fn has_seen(&mut self, signal: i32) -> bool {
        let Ok(signal) = u8::try_from(signal) else { return false };
        if !self.take(signal) {
            self.ask();
            return self.take(signal);
        }
        true
    }

    fn take(&mut self, signal: u8) -> bool {
        let place = self.seen.iter().position(|seen| *seen == signal);
        place.map(|place| self.seen.swap_remove(place)).is_some()
    }

    /// Asks for the signals that it has had since it was last asked.
    fn ask(&mut self) {
        let mut count = [0];
        let answered = self.line.write_all(&[0]).and_then(|()| self.line.read_exact(&mut count));
        let [count] = count;
        let mut told = vec![0; usize::from(count)];
        // Without an answer every signal is taken for one to dsops alone, as if there were no witness.
        if answered.and_then(|()| self.line.read_exact(&mut told)).is_ok() {
            self.seen.extend(told);
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // It has nothing to lose; whoever waits for orphans may have collected it already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Is the witness: answers each byte on standard input, and ends with it.
#[must_use]
pub(super) fn witness() -> u8 {
    let (all, flags) = (SigSet::all(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
    let (Ok(()), Ok(signals)) = (all.thread_block(), SignalFd::with_flags(&all, flags)) else {
        return exit::NOT_STARTED;
    };
    // The line is a socket, which the other end's answers go back on.
    let Ok(line) = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned() else {
        return exit::NOT_STARTED;
    };
    let mut line = UnixStream::from(line);
    while matches!(line.read(&mut [0]), Ok(1)) {
        let mut answer = vec![0];
        while answer.len() < usize::from(u8::MAX)
            && let Ok(Some(info)) = signals.read_signal()
        {
            answer.push(u8::try_from(info.ssi_signo).unwrap_or_default());
        }
        let count = u8::try_from(answer.len() - 1).unwrap_or_default();
        if let Some(first) = answer.first_mut() {
            *first = count;
        }
        if line.write_all(&answer).is_err() {
            break;
        }
    }
    exit::OK
}
