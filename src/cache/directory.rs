//! The directory of what is kept: the user's own, closed to everybody else, or none.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dsops_providers::contract::EnvSnapshot;
use nix::unistd::Uid;

/// The largest file that is read: a token and a few words about it.
const MOST_BYTES: u64 = 64 * 1024;
/// What other users may do with what is kept: nothing.
const OTHERS: u32 = 0o077;

/// Returns where tokens are kept, by the rules of the XDG base directories. `None` where the environment
/// names neither a cache directory nor a home.
#[must_use]
pub fn directory(env: &EnvSnapshot) -> Option<PathBuf> {
    let absolute = |name: &str| env.get_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| {
        let below = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        absolute("HOME").map(|home| home.join(below))
    });
    base.map(|base| base.join("dsops").join("tokens"))
}

/// A directory that passed the checks.
pub struct Directory(PathBuf);

impl Directory {
    /// Opens the directory where it is there, and is this user's and closed to others.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        let own = found.is_dir() && found.uid() == Uid::effective().as_raw() && found.mode() & OTHERS == 0;
        if !own {
            tracing::debug!(directory = %path.display(), "not used: open to others, or not this user's");
        }
        own.then(|| Self(path.to_owned()))
    }

    /// As [`Directory::open`], and makes the directory where there is none.
    #[must_use]
    pub fn create(path: &Path) -> Option<Self> {
        if fs::symlink_metadata(path).is_err() {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            if let Err(error) = made {
                tracing::debug!(directory = %path.display(), %error, "not made");
                return None;
            }
        }
        Self::open(path)
    }

    /// Returns the path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Reads a file of this user's that others cannot read. Everything else is no file.
    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        let no_follow = nix::fcntl::OFlag::O_NOFOLLOW.bits();
        let file = OpenOptions::new().read(true).custom_flags(no_follow).open(self.file(name)).ok()?;
        let found = file.metadata().ok()?;
        let own = found.is_file() && found.uid() == Uid::effective().as_raw() && found.mode() & OTHERS == 0;
        if !own || found.len() > MOST_BYTES {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Replaces a file in one step, so that readers see the old content or the new.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut staged = tempfile::NamedTempFile::new_in(&self.0)?;
        staged.write_all(bytes)?;
        staged.persist(self.file(name))?;
        Ok(())
    }

    /// Writes a file that only the caller writes now, and leaves nothing but the file, whenever the process is killed: it
    /// has no name before it is whole (open(2), `O_TMPFILE`). Since linkat(2) replaces nothing, a reader may find none for
    /// a moment. Where the system has no such files it is [`Directory::write`].
    pub(super) fn write_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.link_whole(name, bytes).is_ok() {
            return Ok(());
        }
        self.write(name, bytes)
    }

    #[cfg(target_os = "linux")]
    fn link_whole(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        use std::os::fd::AsRawFd as _;

        use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};

        let flags = OFlag::O_TMPFILE.bits();
        let mut file = OpenOptions::new().write(true).mode(0o600).custom_flags(flags).open(&self.0)?;
        file.write_all(bytes)?;
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Linking by the descriptor alone would need a capability; see open(2).
        let open = format!("/proc/self/fd/{}", file.as_raw_fd());
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        Ok(nix::unistd::linkat(AT_FDCWD, open.as_str(), AT_FDCWD, &self.file(name), follow)?)
    }

    /// Opens a file to lock, which stays when it is unlocked: another may be waiting for it.
    pub(super) fn lock_file(&self, name: &str) -> io::Result<File> {
        let no_follow = nix::fcntl::OFlag::O_NOFOLLOW.bits();
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(self.file(name))
    }

    /// Returns the names of the files in it, with the time since their last change.
    #[must_use]
    pub fn files(&self) -> Vec<(String, Duration)> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let changed = entry.metadata().and_then(|found| found.modified()).ok()?;
                let age = SystemTime::now().duration_since(changed).unwrap_or_default();
                Some((entry.file_name().into_string().ok()?, age))
            })
            .collect()
    }

    /// Removes the files that nobody has changed for this long.
    pub(super) fn forget(&self, after: Duration) {
        for (name, _) in self.files().into_iter().filter(|(_, age)| *age > after) {
            let _ = self.remove(&name);
        }
    }

    /// Removes a file. One that another process has just removed is no error, and one that another process
    /// holds locked stays: who comes next would lock a new one beside it.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        if let Ok(file) = File::open(self.file(name))
            && matches!(file.try_lock(), Err(TryLockError::WouldBlock))
        {
            return Ok(());
        }
        match fs::remove_file(self.file(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
