//! Becomes the command: the same process, from then on as if dsops had never been there.
//!
//! The child keeps what dsops was given: pid, parent, process group, umask, limits, the mask of blocked signals, ignored
//! signals (as under nohup(1)), open and closed descriptors; all that dsops opens closes on exec, but for the files of
//! `type: file`.

use std::convert::Infallible;

use nix::unistd::execve;

use super::given::give_on;
use super::launch::Launch;
use super::{Command, ExecError, Files, Hardened};

/// Replaces this process by the command. Returns only where that failed.
///
/// # Errors
///
/// All kinds. The working directory and the handling of `SIGPIPE` may have changed.
pub fn replace(command: Command, hardened: &Hardened) -> Result<Infallible, ExecError> {
    let mut launch = Launch::prepare(command)?;
    let files = Files::in_memory(launch.environment_mut())?;
    launch.enter()?;
    give_on();
    files.hand_over()?;
    hardened.lift();
    let started = launch.start(|path, argv, environment| execve(path, argv, environment));
    hardened.renew();
    started
}
