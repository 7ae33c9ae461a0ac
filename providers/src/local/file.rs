//! Writes a file so that a crash at any point leaves the old content or the new.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::contract::{FetchError, FetchErrorKind};

/// A store is read whole into memory; nothing that a person keeps by hand is larger.
const MOST_BYTES: u64 = 64 << 20;

/// The names of staged files: `.secrets.age.Ab12Cd.dsops-tmp`.
const RANDOM: usize = 6;
const STAGED: &str = ".dsops-tmp";

/// Reads a store. Readers take no lock: a rename shows them the old file or the new one.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        _ => unavailable(path, "cannot be read", error),
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FetchError::new(
            FetchErrorKind::Damaged,
            format!("`{}` is larger than 64 MiB", path.display()),
        )
        .help("name the store's file"));
    }
    Ok(bytes)
}

/// Refuses a path at which something is: a broken link is something too.
pub(super) fn check_free(path: &Path) -> Result<(), FetchError> {
    if fs::symlink_metadata(path).is_ok() { Err(already_there(path)) } else { Ok(()) }
}

/// Says that there is no store. That is not the absence of a secret, which `optional` is for.
fn missing(path: &Path) -> FetchError {
    FetchError::new(FetchErrorKind::Unavailable, format!("there is no file `{}`", path.display()))
        .temporary(false)
        .help("run `dsops local init`, or correct the store's `path`")
}

fn unavailable(path: &Path, what: &str, error: io::Error) -> FetchError {
    FetchError::new(FetchErrorKind::Unavailable, format!("`{}` {what}", path.display()))
        .temporary(false)
        .caused_by(error)
}

/// The one writer of a file, until it is dropped.
///
/// Holds an advisory lock on a file beside it: the file itself is replaced by each write, and a
/// lock on it would go with the old one. The lock file is removed at the end, and one that a crash
/// left behind is locked by nobody.
pub(super) struct Writer {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

/// What the write expects to replace.
#[derive(Clone, Copy)]
pub(super) enum Old<'a> {
    Nothing,
    Content(&'a [u8]),
}

impl Writer {
    /// Waits for other writers, and then keeps them out.
    pub(super) fn lock(path: &Path) -> Result<Self, FetchError> {
        let path = real(path)?;
        let lock_path = beside(&path, ".lock");
        let lock = acquire(&lock_path).map_err(|error| unavailable(&lock_path, "cannot be locked", error))?;
        let writer = Self { path, lock_path, _lock: lock };
        writer.sweep();
        Ok(writer)
    }

    /// Reads what is there now.
    pub(super) fn read(&self) -> Result<Vec<u8>, FetchError> {
        read(&self.path)
    }

    /// Writes the file, or leaves everything as it was.
    pub(super) fn write(&self, old: Old<'_>, new: &[u8]) -> Result<(), FetchError> {
        if new.len() as u64 > MOST_BYTES {
            // Written, it could not be read again, nor made smaller.
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                format!("`{}` would be larger than 64 MiB", self.path.display()),
            )
            .help("delete what is not needed any more, or keep large values elsewhere"));
        }
        let failed = |error| unavailable(&self.path, "cannot be written", error);
        let staged = self.stage(new).map_err(failed)?;
        match old {
            Old::Nothing => {
                staged.persist_noclobber(&self.path).map_err(|failure| match failure.error.kind() {
                    io::ErrorKind::AlreadyExists => already_there(&self.path),
                    _ => failed(failure.error),
                })?
            }
            Old::Content(old) => {
                // Only programs that do not take the lock get here: `git`, an editor, `age`.
                if self.read()? != old {
                    return Err(FetchError::new(
                        FetchErrorKind::Unavailable,
                        format!("`{}` was changed by another program meanwhile", self.path.display()),
                    )
                    .help("run the command again"));
                }
                staged.persist(&self.path).map_err(|failure| failed(failure.error))?;
            }
        }
        sync_directory(&self.path);
        Ok(())
    }

    /// Writes the new content to a file of its own in the same directory, down to the disk.
    fn stage(&self, new: &[u8]) -> io::Result<TempPath> {
        let mut staged = tempfile::Builder::new()
            .prefix(&self.staging_prefix())
            .rand_bytes(RANDOM)
            .suffix(STAGED)
            .tempfile_in(directory(&self.path))?;
        staged.write_all(new)?;
        if let Ok(old) = fs::metadata(&self.path) {
            take_after(staged.as_file(), &old)?;
        }
        staged.as_file().sync_all()?;
        Ok(staged.into_temp_path())
    }

    /// Removes what a crash between staging and renaming left. Nobody else stages under the lock.
    fn sweep(&self) {
        for entry in fs::read_dir(directory(&self.path)).into_iter().flatten().flatten() {
            if self.is_staged(&entry.file_name()) {
                // Ciphertext in a stray file is no harm, so a failure is none either.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Says whether a name is one that [`Self::stage`] gives. The length matters: those of a store
    /// `secrets.age.old` begin in the same way.
    fn is_staged(&self, name: &OsStr) -> bool {
        let prefix = self.staging_prefix();
        let middle = name
            .as_encoded_bytes()
            .strip_prefix(prefix.as_encoded_bytes())
            .and_then(|rest| rest.strip_suffix(STAGED.as_bytes()));
        middle.is_some_and(|random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric))
    }

    fn staging_prefix(&self) -> OsString {
        let mut prefix = OsString::from(".");
        prefix.push(self.path.file_name().unwrap_or_default());
        prefix.push(".");
        prefix
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // While the lock is held: who waits for it finds out in `acquire` and makes a new one.
        // Where an open file cannot be removed, it stays; it is empty.
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Locks the file that stands at the path, and not one that its last holder has removed.
fn acquire(path: &Path) -> io::Result<File> {
    loop {
        let file = private(OpenOptions::new().create(true).truncate(false).write(true)).open(path)?;
        file.lock()?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    // An open file cannot be removed here.
    Ok(true)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    // A link would be followed to a file that is never the one at the path.
    options.mode(0o600).custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Gives the new file the old one's mode and, where that is allowed, its owner.
#[cfg(unix)]
fn take_after(new: &File, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let ours = new.metadata()?;
    if (ours.uid(), ours.gid()) != (old.uid(), old.gid()) {
        // Matters to root, who may do it; others keep the file as their own.
        let _ = fchown(new, Some(old.uid()), Some(old.gid()));
    }
    new.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn take_after(_: &File, _: &fs::Metadata) -> io::Result<()> {
    Ok(())
}

/// Asks for the rename to be on the disk too.
///
/// The write has happened by now, and an error would say that it has not. Some file systems cannot
/// do this; a power cut then leaves the old file, which is whole.
fn sync_directory(path: &Path) {
    #[cfg(unix)]
    let _ = File::open(directory(path)).and_then(|directory| directory.sync_all());
    #[cfg(not(unix))]
    let _ = path;
}

/// Creates a file that only its owner can read, whole or not at all, and never over another.
///
/// Directories that are missing are made, for the owner alone.
pub(super) fn create_private(path: &Path, content: &[u8]) -> Result<(), FetchError> {
    let failed = |error| unavailable(path, "cannot be written", error);
    create_directories(directory(path)).map_err(failed)?;
    // `tempfile` creates with mode 0600.
    let mut staged = tempfile::Builder::new()
        .prefix(".new.")
        .suffix(".tmp")
        .tempfile_in(directory(path))
        .map_err(failed)?;
    staged.write_all(content).and_then(|()| staged.as_file().sync_all()).map_err(failed)?;
    staged.persist_noclobber(path).map_err(|failure| match failure.error.kind() {
        io::ErrorKind::AlreadyExists => already_there(path),
        _ => failed(failure.error),
    })?;
    sync_directory(path);
    Ok(())
}

fn create_directories(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)
}

fn already_there(path: &Path) -> FetchError {
    FetchError::new(FetchErrorKind::Unsupported, format!("`{}` is there already", path.display()))
        .help("choose another path, or use what is there")
}

/// Follows links, so that a write replaces the file and not the link to it.
fn real(path: &Path) -> Result<PathBuf, FetchError> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or_else(|| missing(path))?;
            let directory = directory(path);
            let directory = fs::canonicalize(directory)
                .map_err(|error| unavailable(directory, "is no directory that can be written to", error))?;
            Ok(directory.join(name))
        }
        Err(error) => Err(unavailable(path, "cannot be reached", error)),
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns the path of a hidden companion: `.secrets.age.lock` beside `secrets.age`.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}
