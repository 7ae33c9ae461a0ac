//! The rules for the path of a program: OpenClaw's, in its order and with its verdicts, and those that make sense of them.
//!
//! OpenClaw looks at the file alone. A directory on the way that somebody else may write to lets them put another program
//! in its place, so that [`check_directories`] refuses it here.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, Gid, Group, Uid, User, access};

/// What others than the owner may not have.
const OTHERS_WRITE: u32 = 0o022;
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;
/// In a directory with it nobody removes what is another's: `/tmp`.
const STICKY: u32 = 0o1000;

/// A rule that a path breaks.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule, by the path that breaks it.
    pub message: String,
    /// Whether OpenClaw refuses it too, and not only dsops.
    pub is_openclaws: bool,
}

impl Breach {
    fn of_openclaw(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_openclaws: true }
    }

    fn of_dsops(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_openclaws: false }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Checks the program of a provider. The user is the one that this process runs as, who has to be the gateway's.
///
/// # Errors
///
/// The first rule that is broken.
pub fn check_command(command: &Path, trusted_dirs: &[PathBuf]) -> Result<(), Breach> {
    let shown = command.display();
    if !command.is_absolute() {
        return Err(Breach::of_openclaw(format!("{shown} is not an absolute path")));
    }
    // The schema of OpenClaw's settings, which is read before any file is looked at.
    if command
        .to_str()
        .is_none_or(|text| text.contains([';', '&', '|', '`', '$', '<', '>', '\r', '\n', '"', '\'']))
    {
        return Err(Breach::of_openclaw(
            "the path has a quote or a sign of shells in it, which OpenClaw refuses",
        ));
    }
    let found = fs::symlink_metadata(command).map_err(|error| unreadable(command, &error))?;
    if found.is_dir() {
        return Err(Breach::of_openclaw(format!("{shown} is a directory")));
    }
    if found.is_symlink() {
        return Err(Breach::of_openclaw(format!("{shown} is a symbolic link")));
    }
    if !trusted_dirs.is_empty() && !trusted_dirs.iter().any(|dir| is_inside(dir, command)) {
        return Err(Breach::of_openclaw(format!("{shown} lies outside `trustedDirs`")));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        let mode = found.mode() & 0o7777;
        return Err(Breach::of_openclaw(format!(
            "{shown} may be written by others (its mode is {mode:04o})"
        )));
    }
    let uid = Uid::current();
    if found.uid() != uid.as_raw() {
        let owner = name_of(found.uid());
        return Err(Breach::of_openclaw(format!(
            "{shown} belongs to {owner}, and not to {}",
            name_of(uid.as_raw())
        )));
    }
    // What OpenClaw finds out only when it starts the program.
    if !found.is_file() {
        return Err(Breach::of_dsops(format!("{shown} is no regular file")));
    }
    if found.mode() & 0o100 == 0 || access(command, AccessFlags::X_OK).is_err() {
        return Err(Breach::of_dsops(format!("{shown} may not be executed")));
    }
    let real = fs::canonicalize(command).map_err(|error| unreadable(command, &error))?;
    if real != command {
        return Err(Breach::of_dsops(format!("{shown} leads over a symbolic link to {}", real.display())));
    }
    command.parent().map_or(Ok(()), check_directories)
}

/// Checks that nobody else can put another file in the place of one in this directory: it and all above it belong to
/// root or to this user, and others may not write to them, except where the sticky bit keeps them from what is not
/// theirs.
///
/// # Errors
///
/// The first that breaks this, from the top.
pub fn check_directories(directory: &Path) -> Result<(), Breach> {
    let mut above: Vec<&Path> = directory.ancestors().collect();
    above.reverse();
    for path in above {
        let found = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        let shown = path.display();
        if found.uid() != 0 && found.uid() != Uid::current().as_raw() {
            let owner = name_of(found.uid());
            return Err(Breach::of_dsops(format!("the directory {shown} belongs to {owner}")));
        }
        if is_open(&found) && found.mode() & STICKY == 0 {
            let mode = found.mode() & 0o7777;
            let message = format!("others may write to the directory {shown} (its mode is {mode:04o})");
            return Err(Breach::of_dsops(message));
        }
    }
    Ok(())
}

/// Says whether others may write. A group of the user's own, as many systems give everybody, is nobody else.
fn is_open(found: &Metadata) -> bool {
    let group = found.mode() & GROUP_WRITES != 0 && !is_private_group(found.gid());
    found.mode() & ALL_WRITE != 0 || group
}

fn is_private_group(gid: u32) -> bool {
    let user = User::from_uid(Uid::current()).ok().flatten();
    let group = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    match (user, group) {
        (Some(user), Some(group)) => {
            let is_members_only = group.mem.iter().all(|member| *member == user.name);
            gid == user.gid.as_raw() && group.name == user.name && is_members_only
        }
        _ => false,
    }
}

/// OpenClaw compares the texts of the paths, once `.` and `..` are taken out of them.
fn is_inside(directory: &Path, path: &Path) -> bool {
    path.starts_with(plain(directory))
}

fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn unreadable(path: &Path, error: &io::Error) -> Breach {
    let shown = path.display();
    Breach::of_openclaw(match error.kind() {
        io::ErrorKind::NotFound => format!("{shown} is not there"),
        _ => format!("{shown} cannot be looked at: {error}"),
    })
}

fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)).ok().flatten() {
        Some(user) => format!("{} (uid {uid})", user.name),
        None => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn program(directory: &Path, mode: u32) -> PathBuf {
        let path = directory.join("program");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn breach(path: &Path, trusted: &[PathBuf]) -> Breach {
        check_command(path, trusted).unwrap_err()
    }

    #[test]
    fn each_rule_is_told() {
        let place = tempfile::tempdir().unwrap();
        let place = fs::canonicalize(place.path()).unwrap().join("own");
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
        let path = program(&place, 0o700);
        assert_eq!(check_command(&path, &[]), Ok(()));
        assert_eq!(check_command(&path, std::slice::from_ref(&place)), Ok(()));
        assert_eq!(check_command(&path, &[place.join("x/..")]), Ok(()));
        assert!(breach(&path, &[place.join("other")]).message.contains("outside `trustedDirs`"));
        assert!(breach(Path::new("program"), &[]).message.contains("not an absolute path"));
        assert!(breach(&place, &[]).message.contains("is a directory"));
        assert!(breach(&place.join("none"), &[]).message.contains("is not there"));
        assert!(breach(&place.join("a;b"), &[]).message.contains("sign of shells"));
        for (mode, told, is_openclaws) in [
            (0o720, "may be written by others (its mode is 0720)", true),
            (0o702, "may be written by others (its mode is 0702)", true),
            (0o600, "may not be executed", false),
        ] {
            let found = breach(&program(&place, mode), &[]);
            assert!(found.message.contains(told), "{found}");
            assert_eq!(found.is_openclaws, is_openclaws, "{found}");
        }
        let path = program(&place, 0o755);
        symlink(&path, place.join("link")).unwrap();
        assert!(breach(&place.join("link"), &[]).message.contains("is a symbolic link"));
        symlink(&place, place.with_file_name("way")).unwrap();
        assert!(breach(&place.with_file_name("way").join("program"), &[]).message.contains("leads over"));
    }

    #[test]
    fn a_directory_that_others_write_to_is_refused_unless_it_is_sticky() {
        let place = tempfile::tempdir().unwrap();
        let place = fs::canonicalize(place.path()).unwrap().join("open");
        fs::create_dir(&place).unwrap();
        for (mode, is_fit) in [(0o700, true), (0o755, true), (0o757, false), (0o1777, true)] {
            fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_directories(&place).is_ok(), is_fit, "{mode:o}");
        }
    }
}
