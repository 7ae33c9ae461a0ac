//! The program as its own servant: what dsops starts itself again for, before it reads a command line.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{keeper, session, start, witness};

/// The first argument of a process that keeps files. No user types it, and no command has such a name.
pub(super) const KEEPER: &str = "__keep";

/// The program that runs now, also where its file has been replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";

/// Whether this program has asked what it was started for. One that never does must not be started again.
static ASKED: AtomicBool = AtomicBool::new(false);

/// Does what this process was started for, where dsops has started it; `args` are all its arguments. Returns the exit
/// code, or none for a process that a user started.
///
/// A program that uses this library calls it first of all, or does without what needs a process of its own.
#[must_use]
pub fn inner(args: &[OsString]) -> Option<u8> {
    ASKED.store(true, Ordering::Relaxed);
    match args {
        [_, task, args @ ..] if task == KEEPER => Some(keeper::keep(args)),
        [_, task] if task == witness::WORD => Some(witness::witness()),
        [_, task, args @ ..] if task == session::WORD => Some(session::keep(args)),
        [_, task, args @ ..] if task == start::WORD => Some(start::start(args)),
        _ => None,
    }
}

/// Prepares a start of this program for a task of its own.
///
/// # Errors
///
/// `Unsupported` in a program that would not know the task.
pub(super) fn ourselves(task: &str) -> std::io::Result<Command> {
    let mut command = Command::new(program()?);
    command.arg0("dsops").arg(task);
    Ok(command)
}

/// Returns the path of this very program.
///
/// # Errors
///
/// `Unsupported` in a program that would not know a task.
pub(super) fn program() -> std::io::Result<PathBuf> {
    if !ASKED.load(Ordering::Relaxed) {
        return Err(std::io::ErrorKind::Unsupported.into());
    }
    match cfg!(any(target_os = "linux", target_os = "android")) {
        true => Ok(PathBuf::from(OURSELVES)),
        false => std::env::current_exe(),
    }
}
