//! One process logs in, the others wait: a lock on a file, which ends with the process that holds it.

use std::fs::{File, TryLockError};
use std::time::{Duration, Instant};

/// How long to wait before looking again. Locks of files tell nobody that they are free.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits for the lock of a file, but not longer than this. `false` where it was not had in time or cannot
/// be had at all: some file systems have no locks.
pub(super) async fn take(file: &File, patience: Duration) -> bool {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::Error(_)) => return false,
            Err(TryLockError::WouldBlock) if started.elapsed() >= patience => return false,
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
        }
    }
}
