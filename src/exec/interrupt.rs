//! Fetching that can be interrupted: outside programs that stores run must not outlive dsops.
//!
//! They have process groups of their own, so a Ctrl-C on the terminal, or a signal to dsops alone,
//! does not reach them. Dropping the fetch ends them; then dsops ends by the signal.

use std::future::Future;

/// Runs a future to its end; where a signal to end comes first, drops it and ends by that signal.
///
/// To be called where no other thread is running. Other systems than Linux leave the programs to find
/// their pipes closed.
#[cfg(target_os = "linux")]
pub async fn interruptible<T>(future: impl Future<Output = T>) -> T {
    use super::signals::Signals;

    // Without signals that can be read, fetching goes on as it would have.
    let Ok(signals) = Signals::collect() else { return future.await };
    let signal = {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                done = &mut future => return done,
                received = signals.next() => match received {
                    Ok(received) if ends(received.signal) => break received.signal,
                    Ok(_) | Err(_) => {}
                },
            }
        }
    };
    drop(signals);
    // Dropped futures have told their programs' groups to end; now the signal does what it does.
    super::Ended::Signal(signal).end_alike()
}

/// Runs a future to its end.
#[cfg(not(target_os = "linux"))]
pub async fn interruptible<T>(future: impl Future<Output = T>) -> T {
    future.await
}

/// Says whether a signal asks dsops to end, and was not ignored when dsops was started.
#[cfg(target_os = "linux")]
fn ends(signal: i32) -> bool {
    use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

    // proc_pid_status(5): a bit mask in hexadecimal, the first signal in the lowest bit.
    let ignored = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    let is_ignored = ignored.unwrap_or(0) >> (signal - 1) & 1 == 1;
    [SIGHUP, SIGINT, SIGQUIT, SIGTERM].iter().any(|ending| *ending as i32 == signal) && !is_ignored
}
