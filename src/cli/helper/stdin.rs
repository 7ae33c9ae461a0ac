//! Stdin of a helper: what the program that asks writes, for as long as there is patience with it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a request may take. The programs write theirs at once; one that keeps its end open without a word would
/// otherwise be waited for without end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A descriptor that is read until a time.
pub(super) struct Timed {
    file: File,
    until: Instant,
}

/// Returns stdin.
///
/// Not `io::stdin`, whose buffer nobody overwrites: a `store` brings a password.
pub(super) fn stdin() -> io::Result<Timed> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(Timed { file, until: Instant::now() + PATIENCE })
}

impl Timed {
    /// Waits until there is something to read, or the end.
    fn wait(&self) -> io::Result<()> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            // A descriptor that is ready is read, however late it is.
            let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
            let mut ready = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut ready, Some(&timeout)) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it has no end within 10 s")),
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.wait()?;
            match self.file.read(buffer) {
                // Another process that shares it may have been faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn pipe(patience: Duration) -> (Timed, io::PipeWriter) {
        let (reader, writer) = io::pipe().expect("a pipe");
        let file = File::from(std::os::fd::OwnedFd::from(reader));
        (Timed { file, until: Instant::now() + patience }, writer)
    }

    #[test]
    fn what_comes_in_time_is_read_to_the_end() {
        let (mut timed, mut writer) = pipe(Duration::from_secs(60));
        let writing =
            std::thread::spawn(move || ["a", "b"].map(|text| writer.write_all(text.as_bytes()).is_ok()));
        let mut text = String::new();
        timed.read_to_string(&mut text).expect("a text");
        assert_eq!((text.as_str(), writing.join().expect("a writer")), ("ab", [true, true]));
    }

    #[test]
    fn one_that_stays_open_ends_with_an_error() {
        let (mut timed, mut writer) = pipe(Duration::from_millis(20));
        writer.write_all(b"a").expect("written");
        let error = timed.read_to_end(&mut Vec::new()).expect_err("no end");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn what_is_there_already_is_read_though_the_time_is_over() {
        let (mut timed, mut writer) = pipe(Duration::ZERO);
        writer.write_all(b"a").expect("written");
        drop(writer);
        assert_eq!(timed.read_to_end(&mut Vec::new()).expect("a text"), 1);
    }
}
