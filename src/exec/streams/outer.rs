//! The terminal that dsops was started on: raw while the command has a terminal of its own.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::getpgrp;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

/// The terminal on standard input.
pub(super) struct Outer(Mutex<State>);

struct State {
    /// The modes from before, while the terminal is raw.
    before: Option<Termios>,
    /// Whether it was given back for a stop or for good.
    away: bool,
}

impl Outer {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { before: None, away: false }))
    }

    /// Makes the terminal raw, where dsops is in its foreground. Each key then goes to the command's own
    /// terminal, which makes of it what this one would have.
    pub(super) fn take(&self) {
        let mut state = self.state();
        state.away = false;
        state.take();
    }

    /// Says whether keys are for the command by now, and takes the terminal where dsops has come to its foreground.
    pub(super) fn is_taken(&self) -> bool {
        let mut state = self.state();
        if !state.away {
            state.take();
        }
        state.before.is_some() && is_ours()
    }

    /// Gives the terminal its modes back.
    ///
    /// From the background nothing is done: whoever has the foreground has set modes of its own.
    pub(super) fn give_back(&self) {
        let mut state = self.state();
        state.away = true;
        if let Some(modes) = state.before.take()
            && is_ours()
        {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &modes);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) {
        if self.before.is_some() || !is_ours() {
            return;
        }
        let Ok(modes) = tcgetattr(io::stdin()) else { return };
        let mut raw = modes.clone();
        raw.make_raw();
        if tcsetattr(io::stdin(), OptionalActions::Now, &raw).is_ok() {
            self.before = Some(modes);
        }
    }
}

/// Says whether dsops is in the foreground of the terminal.
fn is_ours() -> bool {
    tcgetpgrp(io::stdin()).is_ok_and(|group| group.as_raw_pid() == getpgrp().as_raw())
}
