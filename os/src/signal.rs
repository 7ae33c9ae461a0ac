//! Signals by number.

use std::io;

/// Lets this process, and what it executes, ignore a signal.
///
/// # Errors
///
/// Where the system has no such signal, or does not let it be ignored.
pub fn ignore(signal: i32) -> io::Result<()> {
    set(signal, libc::SIG_IGN)
}

/// Gives a signal back its default, for this process and what it executes.
///
/// # Errors
///
/// Where the system has no such signal.
pub fn reset(signal: i32) -> io::Result<()> {
    set(signal, libc::SIG_DFL)
}

fn set(signal: i32, disposition: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: neither disposition is a function of ours, so no code is run that could break anything.
    let before = unsafe { libc::signal(signal, disposition) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Sends a signal as kill(2) does: to a process, or with a negative number to a process group. Signal 0 only asks
/// whether there is one.
///
/// # Errors
///
/// Those of kill(2): nobody is there, not permitted, no such signal.
pub fn send(to: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two numbers and touches no memory of this process.
    if unsafe { libc::kill(to, signal) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
