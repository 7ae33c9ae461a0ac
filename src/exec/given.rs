//! What the caller gave to dsops, given on: signals that are ignored and descriptors that are closed.
//!
//! Everything else that execve(2) keeps is not touched in the first place: pid, parent, process group, session, umask,
//! limits, the mask of blocked signals, open descriptors.

use std::io;
use std::os::fd::AsFd;

use dsops_os::started_with;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;

/// Undoes what the Rust runtime and dsops have changed, right before a command takes the place of this process.
pub(super) fn give_on() {
    let given = started_with();
    // Neither call fails for a signal that exists and may be ignored.
    let _ = match given.sigpipe_ignored {
        true => dsops_os::ignore(libc::SIGPIPE),
        false => dsops_os::reset(libc::SIGPIPE),
    };
    if given.sigchld_ignored {
        let _ = dsops_os::ignore(libc::SIGCHLD);
    }
    let [stdin, stdout, stderr] = given.closed;
    if stdin {
        close_on_exec(io::stdin());
    }
    if stdout {
        close_on_exec(io::stdout());
    }
    if stderr {
        close_on_exec(io::stderr());
    }
}

/// Lets the command find a descriptor closed on which the runtime has opened `/dev/null`.
fn close_on_exec(descriptor: impl AsFd) {
    let _ = fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC));
}
