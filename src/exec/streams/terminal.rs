//! The terminal of the command: a pair whose one end dsops reads and masks.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, OutputModes, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// The end of the pair that is not the command's.
pub(super) struct Inner {
    master: OwnedFd,
}

impl Inner {
    /// Opens a terminal that is like the one on standard output, and returns the command's end too.
    ///
    /// Where it takes no input, the other one is left as it is, and ends its lines itself.
    pub(super) fn open(takes_input: bool) -> io::Result<(Self, OwnedFd)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut modes = tcgetattr(io::stdout())?;
        if !takes_input {
            modes.output_modes.remove(OutputModes::OPOST);
        }
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
        let inner = Self { master };
        inner.resize();
        Ok((inner, slave))
    }

    pub(super) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    pub(super) fn resize(&self) {
        if let Ok(size) = tcgetwinsize(io::stdout()) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    pub(super) fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(&self.master).ok().map(|group| Pid::from_raw(group.as_raw_pid()))
    }
}
