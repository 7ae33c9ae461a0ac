//! A copy of this program in a directory of the user's own.
//!
//! A program that a package manager installed belongs to root, and is often reached over a symbolic link: OpenClaw takes
//! neither.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use dsops_providers::contract::EnvSnapshot;
use nix::unistd::{Uid, User};

use crate::render::write::replace;

/// What only the owner may do: everything.
const OWN: u32 = 0o700;
/// How much of two files is compared at a time.
const CHUNK: usize = 64 << 10;

/// What became of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installed {
    /// There was none.
    New,
    /// Another version was there.
    Replaced,
    /// It was there as it is to be.
    UpToDate,
}

/// Returns the directory for the copy, by the rules of the XDG base directories; the home of the user database where the
/// environment names none.
#[must_use]
pub fn directory(env: &EnvSnapshot) -> Option<PathBuf> {
    let absolute = |name: &str| env.get_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").or_else(|| Some(User::from_uid(Uid::effective()).ok()??.dir));
    let base = absolute("XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share")))?;
    Some(base.join("dsops").join("openclaw"))
}

/// Makes a directory for the user alone where it is not there, and returns its path without symbolic links.
///
/// # Errors
///
/// What the system answers.
pub fn private_directory(path: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(OWN).create(path)?;
    fs::canonicalize(path)
}

/// Puts a copy of a program in its place: whole or not at all, for the user alone.
///
/// # Errors
///
/// What the system answers. The copy that was there, if any, is then as it was.
pub fn install(program: &Path, copy: &Path) -> io::Result<Installed> {
    let found = fs::symlink_metadata(copy).ok();
    // Whoever opened it for writing while its mode let them, or has another name for it, could change it later: only a
    // new file is surely the user's alone.
    let is_own = |found: &Metadata| {
        let is_alone = found.nlink() == 1 && found.mode() & 0o7777 == OWN;
        found.is_file() && found.uid() == Uid::current().as_raw() && is_alone
    };
    // The copy may be what is running.
    if found.as_ref().is_some_and(is_own) && is_copy(program, copy)? {
        return Ok(Installed::UpToDate);
    }
    replace(copy, &fs::read(program)?, OWN)?;
    Ok(if found.is_some() { Installed::Replaced } else { Installed::New })
}

/// Says whether two files have the same content.
///
/// # Errors
///
/// What the system answers.
pub fn is_copy(program: &Path, copy: &Path) -> io::Result<bool> {
    let (mut program, mut copy) = (File::open(program)?, File::open(copy)?);
    if program.metadata()?.len() != copy.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let read = fill(&mut program, &mut one)?;
        if fill(&mut copy, &mut other)? != read || one.get(..read) != other.get(..read) {
            return Ok(false);
        }
        if read == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_copy_is_made_kept_and_replaced() {
        let place = tempfile::tempdir().unwrap();
        let directory = private_directory(&place.path().join("a/b")).unwrap();
        let (program, copy) = (directory.join("program"), directory.join("copy"));
        fs::write(&program, vec![7; CHUNK + 1]).unwrap();
        assert_eq!(install(&program, &copy).unwrap(), Installed::New);
        assert_eq!(install(&program, &copy).unwrap(), Installed::UpToDate);
        fs::set_permissions(&copy, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(install(&program, &copy).unwrap(), Installed::Replaced);
        fs::write(&copy, vec![7; CHUNK + 2]).unwrap();
        assert!(!is_copy(&program, &copy).unwrap());
        assert_eq!(install(&program, &copy).unwrap(), Installed::Replaced);
        let mut bytes = vec![7; CHUNK + 1];
        bytes[CHUNK] = 8;
        fs::write(&copy, bytes).unwrap();
        assert!(!is_copy(&program, &copy).unwrap());
        fs::remove_file(&copy).unwrap();
        std::os::unix::fs::symlink(&program, &copy).unwrap();
        assert_eq!(install(&program, &copy).unwrap(), Installed::Replaced);
        let found = fs::symlink_metadata(&copy).unwrap();
        assert!(found.is_file() && found.permissions().mode() & 0o7777 == OWN);
        assert!(is_copy(&program, &copy).unwrap());
    }

    #[test]
    fn the_data_directory_comes_first() {
        let env: EnvSnapshot = [("HOME", "/h"), ("XDG_DATA_HOME", "/d")].into_iter().collect();
        assert_eq!(directory(&env).unwrap(), Path::new("/d/dsops/openclaw"));
        let env: EnvSnapshot = [("HOME", "/h"), ("XDG_DATA_HOME", "relative")].into_iter().collect();
        assert_eq!(directory(&env).unwrap(), Path::new("/h/.local/share/dsops/openclaw"));
    }
}
