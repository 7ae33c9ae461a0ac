//! Masks everything from one descriptor to another, in a single thread and without a runtime.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Mask;

/// How long a stream is silent before what is held back of it is let through, where that is allowed.
///
/// A user who types does not notice it. What is let through is less than four bytes, however short this is.
pub const SILENCE: Duration = Duration::from_millis(5);

/// What a pipe is made to hold, in bytes: `/proc/sys/fs/pipe-max-size` of an unprivileged process.
#[cfg(target_os = "linux")]
const PIPE_SIZE: usize = 1024 * 1024;

/// Why a stream ended before its end.
#[derive(Debug)]
pub enum FilterError {
    /// The input cannot be read.
    Input(io::Error),
    /// The output cannot be written to.
    Output(io::Error),
}

/// How far a stream has come, for those who wait for its end.
#[derive(Debug, Default)]
pub struct Progress {
    read: AtomicU64,
    reading: AtomicBool,
}

impl Progress {
    /// Returns how many bytes have been read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Says whether more is being waited for, and everything before it has been written.
    ///
    /// Nothing was on its way at the time at which the input was seen to be empty, if this is asked afterwards.
    pub fn is_reading(&self) -> bool {
        self.reading.load(Ordering::SeqCst)
    }
}

/// Copies until the end of the input, and masks on the way. Each read is written before the next.
///
/// A terminal without anybody at its other end is at its end.
///
/// # Errors
///
/// Where reading or writing fails. All that was masked until then has been written.
pub fn filter(
    mask: &Mask,
    input: BorrowedFd<'_>,
    output: BorrowedFd<'_>,
    progress: &Progress,
) -> Result<(), FilterError> {
    let mut masker = mask.masker();
    let mut out = Vec::new();
    loop {
        progress.reading.store(true, Ordering::SeqCst);
        if masker.is_waiting() && !ready(input, PollFlags::IN, Some(SILENCE)) {
            masker.release(&mut out);
            write_all(output, &mut out)?;
        }
        // Waited for here, so that bytes are either still in the input or `reading` is unset.
        ready(input, PollFlags::IN, None);
        progress.reading.store(false, Ordering::SeqCst);
        match rustix::io::read(input, masker.space()) {
            // EIO: what pty(7) answers once the other end is closed.
            Ok(0) | Err(Errno::IO) => break,
            Ok(count) => {
                progress.read.fetch_add(count as u64, Ordering::Relaxed);
                masker.commit(count, &mut out);
            }
            Err(Errno::INTR) => {}
            // Whoever shares the descriptor has made it so.
            Err(Errno::AGAIN) => {
                ready(input, PollFlags::IN, None);
            }
            Err(errno) => return Err(FilterError::Input(errno.into())),
        }
        write_all(output, &mut out)?;
    }
    masker.finish(&mut out);
    write_all(output, &mut out)
}

fn write_all(output: BorrowedFd<'_>, out: &mut Vec<u8>) -> Result<(), FilterError> {
    let mut rest = out.as_slice();
    while !rest.is_empty() {
        match rustix::io::write(output, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                ready(output, PollFlags::OUT, None);
            }
            Err(errno) => return Err(FilterError::Output(errno.into())),
        }
    }
    out.clear();
    Ok(())
}

/// Waits until a descriptor is ready, and says whether it is.
fn ready(fd: BorrowedFd<'_>, what: PollFlags, limit: Option<Duration>) -> bool {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    poll(&mut [PollFd::from_borrowed_fd(fd, what)], limit.as_ref()) != Ok(0)
}

/// Lets a pipe hold more, so that writer and reader wait for each other less often. Nothing is lost where it cannot.
pub fn enlarge(fd: BorrowedFd<'_>) {
    #[cfg(target_os = "linux")]
    if rustix::pipe::fcntl_getpipe_size(fd).is_ok_and(|size| size < PIPE_SIZE) {
        let _ = rustix::pipe::fcntl_setpipe_size(fd, PIPE_SIZE);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = fd;
}
