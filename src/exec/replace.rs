//! Becomes the command: the same process, from then on as if dsops had never been there.
//!
//! The child keeps what dsops was given: pid, parent, process group, umask, limits, signal mask,
//! ignored signals (as under nohup(1)) and open descriptors; all that dsops opens closes on exec.
//! Two things differ. `SIGPIPE` is always at its default: the Rust runtime ignores it before `main`,
//! and nothing tells afterwards whether it was ignored before. A standard descriptor that was
//! closed is open on `/dev/null`, which the same runtime sees to.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process;

use nix::unistd::execve;

use super::launch::Launch;
use super::{Command, ExecError, Hardened};

/// Replaces this process by the command. Returns only where that failed.
///
/// # Errors
///
/// All kinds. The working directory and the handling of `SIGPIPE` may have changed.
pub fn replace(command: Command, hardened: &Hardened) -> Result<Infallible, ExecError> {
    let launch = Launch::prepare(command)?;
    default_sigpipe();
    hardened.lift();
    let started = launch.start(|path, argv, environment| execve(path, argv, environment));
    hardened.renew();
    started
}

/// Gives `SIGPIPE` back its default, which the child inherits.
///
/// sigaction(2) cannot be called without `unsafe`. `exec` of the standard library makes the call
/// before it tries to start a program, and its documentation says that signal handling may have changed
/// where it returns; the program here can never be started. The real start is not left to it,
/// since it keeps copies of the environment that nobody overwrites.
pub(super) fn default_sigpipe() {
    let _ = process::Command::new("/dev/null/none").exec();
}
