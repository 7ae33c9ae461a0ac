//! Carries what is typed to the command's terminal, while dsops is in the foreground of its own.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
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
    pub(super) fn start(outer: Arc<Outer>, inner: Arc<Inner>) -> io::Result<Self> {
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC)?;
        thread::Builder::new().name("keyboard".into()).spawn(move || carry(&outer, &inner, &stopped))?;
        Ok(Self { _stop: stop })
    }
}

fn carry(outer: &Outer, inner: &Inner, stopped: &OwnedFd) {
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
        match waits(stopped, Some(()), None) {
            Some(true) if outer.is_taken() => {}
            Some(true) | None => continue,
            Some(false) => return,
        }
        let count = match rustix::io::read(io::stdin(), keys.as_mut_slice()) {
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
        if write_all(inner, typed).is_err() {
            return;
        }
    }
}

/// Waits for the end, and for a key where `keys` says so: `Some(false)` for the end, `Some(true)` for a key, and
/// nothing where the time is up.
fn waits(stopped: &OwnedFd, keys: Option<()>, limit: Option<Duration>) -> Option<bool> {
    let stdin = io::stdin();
    let mut fds = vec![PollFd::new(stopped, PollFlags::IN)];
    if keys.is_some() {
        fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
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
