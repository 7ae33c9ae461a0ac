//! The terminal of the command: a pair whose one end dsops reads and masks.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use nix::unistd::Pid;
use rustix::fs::{self, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
    tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::outer::Outer;

/// The end of the pair that is not the command's.
pub(super) struct Inner {
    master: OwnedFd,
    /// Held while the size is carried over: an older one must not come after a newer one.
    resizing: Mutex<()>,
}

impl Inner {
    /// Opens a terminal that is like the one on standard output, and returns the command's end too.
    ///
    /// Where nobody types, the other one is left as it is, and ends its lines itself.
    pub(super) fn open(outer: Option<&Outer>) -> io::Result<(Self, OwnedFd)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, fs::Mode::empty())?;
        let mut modes = tcgetattr(io::stdout())?;
        match outer {
            None => modes.output_modes.remove(OutputModes::OPOST),
            // In the background, the modes are those that the shell edits its lines with.
            Some(outer) if !outer.is_ours() => make_sane(&mut modes),
            Some(_) => {}
        }
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
        let inner = Self { master, resizing: Mutex::default() };
        inner.resize();
        Ok((inner, slave))
    }

    pub(super) fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Gives it the size of the one on standard output. The kernel tells the foreground group if that is another.
    pub(super) fn resize(&self) {
        let _one = self.resizing.lock();
        if let Ok(size) = tcgetwinsize(io::stdout()) {
            let _ = tcsetwinsize(&self.master, size);
        }
    }

    /// Returns the modes that the command has set.
    pub(super) fn modes(&self) -> io::Result<Termios> {
        Ok(tcgetattr(&self.master)?)
    }

    pub(super) fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(&self.master).ok().map(|group| Pid::from_raw(group.as_raw_pid()))
    }
}

/// Sets what stty(1) calls sane, of the modes that line editors change.
fn make_sane(modes: &mut Termios) {
    modes.input_modes.insert(InputModes::BRKINT | InputModes::ICRNL | InputModes::IXON);
    modes.input_modes.remove(InputModes::INLCR | InputModes::IGNCR);
    modes.output_modes.insert(OutputModes::OPOST | OutputModes::ONLCR);
    modes.local_modes.insert(
        LocalModes::ISIG
            | LocalModes::ICANON
            | LocalModes::IEXTEN
            | LocalModes::ECHO
            | LocalModes::ECHOE
            | LocalModes::ECHOK,
    );
    // How many bytes a read waits for; the terminal's ends of file and line share their places on some systems.
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
}
