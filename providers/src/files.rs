//! Small files that somebody names: read whole, within a limit, and without ever waiting for what is no file.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::path::Path;

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

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB")
}
