//! Small files that somebody names: read whole, within a limit, and without ever waiting for what is no file.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

/// The largest file that is read: certificates, keys and tokens are far smaller.
pub const MOST_BYTES: u64 = 1 << 20;

/// Reads a file, which is wiped from memory after use.
///
/// # Errors
///
/// Where it cannot be read, is larger than [`MOST_BYTES`], or is a pipe or a device: these can keep a reader
/// waiting, or never end.
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::fcntl::OFlag::O_NONBLOCK.bits());
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe or a device"));
    }
    if found.len() > MOST_BYTES {
        return Err(too_large());
    }
    // Room for all of it at once: a buffer that grows leaves copies behind that nothing wipes.
    let room = usize::try_from(found.len().max(4096)).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES { Err(too_large()) } else { Ok(bytes) }
}

/// What tells one state of a file from the next, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(Option<Seen>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and when the inode last changed: a file that takes the place of another has others.
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    /// Returns the state of a file, which may be that it is not there. Links are followed.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        Self(path.metadata().ok().map(|metadata| Seen {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: {
                use std::os::unix::fs::MetadataExt as _;
                (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
            },
        }))
    }

    /// Says whether the file may have changed since a time, by the clock of its file system, which runs in steps.
    #[must_use]
    pub fn may_be_younger_than(&self, time: SystemTime) -> bool {
        const STEP: Duration = Duration::from_millis(20);
        let Some(seen) = self.0 else { return false };
        let since = |changed: SystemTime| changed.checked_add(STEP).is_none_or(|changed| changed >= time);
        #[cfg(unix)]
        {
            let (_, _, seconds, nanoseconds) = seen.inode;
            let changed = u64::try_from(seconds).ok().zip(u32::try_from(nanoseconds).ok());
            if changed.is_some_and(|(seconds, nanos)| since(UNIX_EPOCH + Duration::new(seconds, nanos))) {
                return true;
            }
        }
        seen.modified.is_none_or(since)
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")
}
