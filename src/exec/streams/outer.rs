//! The terminal that dsops was started on: raw while the command has a terminal of its own.

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::getpgrp;
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// The terminal that is typed on.
pub(super) struct Outer {
    terminal: OwnedFd,
    is_stdin: bool,
    state: Mutex<State>,
}

struct State {
    /// The modes from before, while the terminal is raw.
    before: Option<Termios>,
    /// Whether it was given back for a stop or for good.
    away: bool,
}

impl Outer {
    /// Returns the terminal on standard input; where something else is there, the one that dsops is controlled from,
    /// if standard output is it: a command may ask on `/dev/tty`. None where nobody can type.
    pub(super) fn find() -> io::Result<Option<Self>> {
        let is_stdin = !dsops_os::started_with().closed[0] && io::stdin().is_terminal();
        let terminal = if is_stdin {
            io::stdin().as_fd().try_clone_to_owned()?
        } else if tcgetpgrp(io::stdout()).is_ok()
            && let Ok(terminal) =
                open("/dev/tty", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
        {
            terminal
        } else {
            return Ok(None);
        };
        let state = Mutex::new(State { before: None, away: false });
        Ok(Some(Self { terminal, is_stdin, state }))
    }

    /// Returns what is read from.
    pub(super) fn terminal(&self) -> BorrowedFd<'_> {
        self.terminal.as_fd()
    }

    /// Says whether it is standard input, which the command then gets a terminal of its own for.
    pub(super) fn is_stdin(&self) -> bool {
        self.is_stdin
    }

    /// Says whether dsops is in the foreground.
    pub(super) fn is_ours(&self) -> bool {
        is_ours(self.terminal())
    }

    /// Makes the terminal raw, where dsops is in its foreground. Each key then goes to the command's own
    /// terminal, which makes of it what this one would have.
    pub(super) fn take(&self) {
        let mut state = self.state();
        state.away = false;
        state.take(self.terminal());
    }

    /// Says whether keys are for the command by now, and takes the terminal where dsops has come to its foreground.
    pub(super) fn is_taken(&self) -> bool {
        let mut state = self.state();
        if !state.away {
            state.take(self.terminal());
        }
        state.before.is_some() && self.is_ours()
    }

    /// Gives the terminal its modes back.
    ///
    /// From the background nothing is done: whoever has the foreground has set modes of its own.
    pub(super) fn give_back(&self) {
        let mut state = self.state();
        state.away = true;
        state.give_back(self.terminal());
    }

    /// Gives the terminal its modes back until it is asked for next.
    pub(super) fn lend(&self) {
        self.state().give_back(self.terminal());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, terminal: BorrowedFd<'_>) {
        if self.before.is_some() || !is_ours(terminal) {
            return;
        }
        let Ok(modes) = tcgetattr(terminal) else { return };
        let mut raw = modes.clone();
        raw.make_raw();
        if tcsetattr(terminal, OptionalActions::Now, &raw).is_ok() {
            self.before = Some(modes);
        }
    }

    fn give_back(&mut self, terminal: BorrowedFd<'_>) {
        if let Some(modes) = self.before.take()
            && is_ours(terminal)
        {
            let _ = tcsetattr(terminal, OptionalActions::Now, &modes);
        }
    }
}

/// Says whether dsops is in the foreground of a terminal.
fn is_ours(terminal: BorrowedFd<'_>) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group.as_raw_pid() == getpgrp().as_raw())
}
