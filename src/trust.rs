//! Which files a person has looked at and lets the shell hook load, by path and content.
//!
//! A file names programs that run and servers that get credentials, and the hook reads it because somebody changed
//! to a directory. So it is not read before its owner said so once, and not after it changed. Whatever cannot be
//! read or is not as it should be means: not trusted.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use dsops_providers::contract::{EnvSnapshot, Node, NodeKind};
use nix::fcntl::OFlag;
use nix::unistd::Uid;
use sha2::{Digest as _, Sha256};

use crate::cache::Directory;
use crate::config::Config;

/// The largest file that is read: more than any real one.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// What everybody may do.
const EVERYBODY_WRITES: u32 = 0o002;
/// The first line of what is kept.
const VERSION: &str = "dsops trust 1";

/// Returns where it is kept what is trusted, by the rules of the XDG base directories. `None` where the environment
/// names neither a data directory nor a home.
#[must_use]
pub fn directory(env: &EnvSnapshot) -> Option<PathBuf> {
    let absolute = |name: &str| env.get_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_DATA_HOME").or_else(|| {
        let below = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
        absolute("HOME").map(|home| home.join(below))
    });
    base.map(|base| base.join("dsops").join("trust"))
}

/// A file as it was read: what was looked at is what is loaded.
#[derive(Debug)]
pub struct Subject {
    /// The path without links.
    pub path: PathBuf,
    /// The content.
    pub text: String,
}

/// Why a file cannot be trusted, whoever says so.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is no regular file, or larger than any real one.
    #[error("it is no file of text")]
    NoFile,
    /// It is another user's.
    #[error("it belongs to another user")]
    Owner,
    /// Everybody can change it.
    #[error("everybody can write to it")]
    Writable,
}

impl Subject {
    /// Reads a file, and refuses one that somebody else could change.
    ///
    /// # Errors
    ///
    /// See [`Unfit`].
    pub fn read(path: &Path) -> Result<Self, Unfit> {
        let path = fs::canonicalize(path)?;
        let bytes = read_own(&path)?;
        let text = String::from_utf8(bytes).map_err(|_| Unfit::NoFile)?;
        Ok(Self { path, text })
    }

    /// Returns the digest of the content, and of each program of the project that it makes dsops run.
    #[must_use]
    pub fn digest(&self, config: &Config) -> String {
        let mut sum = Sha256::new();
        let mut add = |bytes: &[u8]| {
            sum.update((bytes.len() as u64).to_le_bytes());
            sum.update(bytes);
        };
        add(VERSION.as_bytes());
        add(self.path.as_os_str().as_bytes());
        add(self.text.as_bytes());
        for (path, content) in self.programs(config) {
            add(path.as_os_str().as_bytes());
            // One that cannot be read has a digest of its own, which is never that of a content.
            match content {
                Ok(bytes) => add(&Sha256::digest(bytes)),
                Err(error) => add(error.to_string().as_bytes()),
            }
        }
        hex(&sum.finalize())
    }

    /// Returns the files below the directory of the file that the command or an argument of a store names: they
    /// are run, and come with the project.
    fn programs(&self, config: &Config) -> BTreeMap<PathBuf, Result<Vec<u8>, Unfit>> {
        let base = self.path.parent().unwrap_or(Path::new("/"));
        let words = config.stores.values().flat_map(|store| command_of(&store.options));
        let paths = words.filter_map(|word| fs::canonicalize(base.join(word)).ok());
        let inside = paths.filter(|path| path.starts_with(base) && path.is_file() && *path != self.path);
        inside.map(|path| (path.clone(), read_own(&path))).collect()
    }
}

fn read_own(path: &Path) -> Result<Vec<u8>, Unfit> {
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MOST_BYTES {
        return Err(Unfit::NoFile);
    }
    // Root can do as it likes in any case.
    if found.uid() != Uid::effective().as_raw() && found.uid() != 0 {
        return Err(Unfit::Owner);
    }
    if found.mode() & EVERYBODY_WRITES != 0 {
        return Err(Unfit::Writable);
    }
    let mut bytes = Vec::new();
    File::take(file, MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Returns the words of the command that a store's options name: of a type that runs a program of the project's.
pub fn command_of(options: &Node) -> Vec<&str> {
    match options.get("command").map(words) {
        Some(command) if !command.is_empty() => {
            let args = options.get("args").map(words).unwrap_or_default();
            command.into_iter().chain(args).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns one word, or a list of them, as the type `exec` reads its command.
fn words(node: &Node) -> Vec<&str> {
    match &node.kind {
        NodeKind::List(items) => items.iter().filter_map(Node::text).collect(),
        _ => node.text().into_iter().collect(),
    }
}

/// What a person has trusted.
pub struct Trusted(PathBuf);

/// One file that is trusted, or was before it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// The digest that was trusted.
    pub digest: String,
}

impl Trusted {
    /// Returns what is kept in the person's data directory. `None` where there is no such directory.
    #[must_use]
    pub fn of(env: &EnvSnapshot) -> Option<Self> {
        directory(env).map(Self)
    }

    /// Says whether the file was trusted with this digest.
    #[must_use]
    pub fn has(&self, path: &Path, digest: &str) -> bool {
        self.entry(&name_of(path)).is_some_and(|entry| entry.path == path && entry.digest == digest)
    }

    /// Returns what changes whenever trust in the file is given, renewed or taken away.
    #[must_use]
    pub fn stamp(&self, path: &Path) -> Option<(u64, i64, i64)> {
        let found = fs::symlink_metadata(self.0.join(name_of(path))).ok()?;
        Some((found.ino(), found.mtime(), found.mtime_nsec()))
    }

    /// Trusts a file, from now on and with this digest only.
    ///
    /// # Errors
    ///
    /// Where it cannot be kept: the directory cannot be made, or is open to others.
    pub fn add(&self, path: &Path, digest: &str) -> io::Result<()> {
        let directory = Directory::create(&self.0).ok_or_else(|| {
            io::Error::new(io::ErrorKind::PermissionDenied, "the directory is not this user's alone")
        })?;
        let mut text = format!("{VERSION}\n{digest}\n").into_bytes();
        text.extend_from_slice(path.as_os_str().as_bytes());
        directory.write(&name_of(path), &text)
    }

    /// Trusts a file no more. Says whether it was trusted.
    ///
    /// # Errors
    ///
    /// Where what is kept cannot be removed.
    pub fn remove(&self, path: &Path) -> io::Result<bool> {
        let Some(directory) = Directory::open(&self.0) else { return Ok(false) };
        let was = directory.read(&name_of(path)).is_some();
        directory.remove(&name_of(path)).map(|()| was)
    }

    /// Returns all that is trusted, by path.
    #[must_use]
    pub fn all(&self) -> Vec<Entry> {
        let Some(directory) = Directory::open(&self.0) else { return Vec::new() };
        let mut entries: Vec<Entry> =
            directory.files().iter().filter_map(|(name, _)| self.entry(name)).collect();
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        entries
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        let bytes = Directory::open(&self.0)?.read(name)?;
        let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
        let version = lines.next()?;
        let digest = std::str::from_utf8(lines.next()?).ok()?.to_owned();
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(lines.next()?));
        (version == VERSION.as_bytes() && name_of(&path) == name).then_some(Entry { path, digest })
    }
}

fn name_of(path: &Path) -> String {
    hex(&Sha256::digest(path.as_os_str().as_bytes()))
}

/// Returns bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
