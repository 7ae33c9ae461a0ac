//! Carries what is typed to the command's terminal, while dsops is in the foreground of its own.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::unistd::{Pid, getpgrp, getpid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{LocalModes, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

use super::outer::Outer;
use super::terminal::Inner;

/// How often dsops looks whether it has come to the foreground: nobody tells it.
const LOOK: Duration = Duration::from_millis(100);

/// The thread that reads the terminal. Dropping it ends the thread.
pub(super) struct Keyboard {
    _stop: OwnedFd,
}

impl Keyboard {
    pub(super) fn start(outer: Arc<Outer>, inner: Arc<Inner>, command: Pid) -> io::Result<Self> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        thread::Builder::new()
            .name("keyboard".into())
            .spawn(move || carry(&outer, &inner, command, &stopped))?;
        Ok(Self { _stop: stop })
    }
}

fn carry(outer: &Outer, inner: &Inner, command: Pid, stopped: &OwnedFd) {
    let mut keys_of_signals = KeysOfSignals::default();
    // Passwords are typed, too.
    let mut keys = Zeroizing::new([0; 4096]);
    loop {
        // What is typed while another job has the terminal is not for the command.
        if !outer.is_taken() {
            if waits(stopped, None, Some(LOOK)) == Some(false) {
                return;
            }
            continue;
        }
        match waits(stopped, Some(outer.terminal()), None) {
            Some(true) if outer.is_taken() => {}
            Some(true) | None => continue,
            Some(false) => return,
        }
        let count = match rustix::io::read(outer.terminal(), keys.as_mut_slice()) {
            Ok(0) => return,
            Ok(count) => count,
            // The foreground was lost just now, or the terminal is gone; the next look tells.
            Err(Errno::INTR | Errno::AGAIN | Errno::IO) => {
                if waits(stopped, None, Some(LOOK)) == Some(false) {
                    return;
                }
                continue;
            }
            Err(_) => return,
        };
        let typed = keys.get(..count).unwrap_or_default();
        // Whoever asks for the size after this key has to find the one that the user sees.
        inner.resize();
        // Before the command has them and may end: a script goes on unless it has heard of it by then.
        let mut signals = Vec::new();
        if inner.foreground() == Some(command)
            && let Ok(modes) = inner.modes()
        {
            signals = keys_of_signals.find(typed, &modes);
        }
        // Whoever leads the group may end by the signal, and the shell behind it then has the terminal at once.
        let lends = !signals.is_empty() && getpgrp() != getpid();
        if lends {
            outer.lend();
        }
        for signal in signals {
            let _ = dsops_os::send(0, signal);
        }
        if write_all(inner, typed).is_err() || lends && waits(stopped, None, Some(LOOK)) == Some(false) {
            return;
        }
    }
}

/// Finds the keys that end a job: on the terminal of dsops they would have reached all that is in its group, a script
/// that started it and the rest of a pipeline. The key that stops a job has its turn when the command has stopped.
#[derive(Default)]
struct KeysOfSignals {
    /// Whether the next key is to be taken as it is: termios(3), `VLNEXT`.
    is_quoted: bool,
}

impl KeysOfSignals {
    fn find(&mut self, typed: &[u8], modes: &Termios) -> Vec<i32> {
        let local = modes.local_modes;
        let quotes = local.contains(LocalModes::ICANON | LocalModes::IEXTEN);
        // Zero stands for no key.
        let is = |key: u8, index| key != 0 && modes.special_codes[index] == key;
        let signals = typed.iter().filter_map(|&key| {
            if std::mem::take(&mut self.is_quoted) {
                return None;
            }
            self.is_quoted = quotes && is(key, SpecialCodeIndex::VLNEXT);
            match local.contains(LocalModes::ISIG) {
                true if is(key, SpecialCodeIndex::VINTR) => Some(libc::SIGINT),
                true if is(key, SpecialCodeIndex::VQUIT) => Some(libc::SIGQUIT),
                _ => None,
            }
        });
        signals.collect()
    }
}

/// Waits for the end, and for a key where `keys` says so: `Some(false)` for the end, `Some(true)` for a key, and
/// nothing where the time is up.
fn waits(stopped: &OwnedFd, keys: Option<BorrowedFd<'_>>, limit: Option<Duration>) -> Option<bool> {
    let mut fds = vec![PollFd::new(stopped, PollFlags::IN)];
    if let Some(keys) = keys {
        fds.push(PollFd::from_borrowed_fd(keys, PollFlags::IN));
    }
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    poll(&mut fds, limit.as_ref()).ok()?;
    match fds.as_slice() {
        [end, ..] if !end.revents().is_empty() => Some(false),
        [_, key] if !key.revents().is_empty() => Some(true),
        _ => None,
    }
}

fn write_all(inner: &Inner, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(inner.master(), bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
