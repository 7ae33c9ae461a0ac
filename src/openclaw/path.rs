//! The rules for the path of a program: OpenClaw's, in its order and with its verdicts, and those that make sense of them.
//!
//! OpenClaw looks at the file alone. A directory on the way that somebody else may write to lets them put another program
//! in its place, so that [`check_directories`] refuses it here. `dsops.yaml` names programs too, which [`check_file`] is for.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, Gid, Group, Uid, User, access};

use crate::statements::{Shell, quoted};

/// What others than the owner may not have.
const OTHERS_WRITE: u32 = 0o022;
const GROUP_WRITES: u32 = 0o020;
const ALL_WRITE: u32 = 0o002;
/// In a directory with it nobody removes what is another's: `/tmp`.
const STICKY: u32 = 0o1000;
/// How many symbolic links one path may lead over, as on Linux (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// Who has which group as the first one (passwd(5)).
const USERS: &str = "/etc/passwd";

/// A rule that a path breaks.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule, by the path that breaks it.
    pub message: String,
    /// Whether OpenClaw refuses it too, and not only dsops.
    pub is_openclaws: bool,
    /// What makes it right, where it is not about the program itself.
    pub remedy: Option<String>,
}

impl Breach {
    fn of_openclaw(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_openclaws: true, remedy: None }
    }

    fn of_dsops(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_openclaws: false, remedy: None }
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
        guarded(path, &found)?;
    }
    Ok(())
}

/// Checks that nobody else can change a file or put another in its place: the file, every directory and every symbolic
/// link on the way to it belong to root or to this user, and others may not write to them.
///
/// # Errors
///
/// The first on the way that breaks this, with its remedy.
pub fn check_file(path: &Path) -> Result<(), Breach> {
    let whole = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    let mut place = PathBuf::from("/");
    let mut parts = parts_of(&whole);
    let mut links = 0;
    guarded(&place, &fs::metadata(&place).map_err(|error| unreadable(&place, &error))?)?;
    while let Some(part) = parts.pop_front() {
        if part == ".." {
            place.pop();
            continue;
        }
        let next = place.join(part);
        let found = fs::symlink_metadata(&next).map_err(|error| unreadable(&next, &error))?;
        guarded(&next, &found)?;
        if !found.is_symlink() {
            place = next;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Err(Breach::of_dsops(format!("{} leads over too many symbolic links", path.display())));
        }
        let target = fs::read_link(&next).map_err(|error| unreadable(&next, &error))?;
        if target.is_absolute() {
            place = PathBuf::from("/");
        }
        let mut way = parts_of(&target);
        way.append(&mut parts);
        parts = way;
    }
    Ok(())
}

/// Returns the steps of a path, without the root.
fn parts_of(path: &Path) -> VecDeque<OsString> {
    let steps = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    steps.map(|part| part.as_os_str().to_owned()).collect()
}

/// Checks that something on a way is root's or this user's, and that others may not write to it. A directory with the
/// sticky bit passes: what lies in it has an owner of its own.
fn guarded(path: &Path, found: &Metadata) -> Result<(), Breach> {
    let shown = path.display();
    let what = if found.is_dir() { "the directory " } else { "" };
    if found.uid() != 0 && found.uid() != Uid::current().as_raw() {
        let remedy = "keep the file where all that leads to it is yours or root's".to_owned();
        let message = format!("{what}{shown} belongs to {}", name_of(found.uid()));
        return Err(Breach { remedy: Some(remedy), ..Breach::of_dsops(message) });
    }
    // The mode of a symbolic link says nothing.
    let is_exempt = found.is_symlink() || found.is_dir() && found.mode() & STICKY != 0;
    if is_open(found) && !is_exempt {
        let mode = found.mode() & 0o7777;
        let remedy = format!("run `chmod go-w {}`", quoted(Shell::Posix, &path.to_string_lossy()));
        let message = format!("others may write to {what}{shown} (its mode is {mode:04o})");
        return Err(Breach { remedy: Some(remedy), ..Breach::of_dsops(message) });
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
            let is_own = gid == user.gid.as_raw() && group.name == user.name && is_members_only;
            // A group does not list those whose first group it is.
            is_own && fs::read_to_string(USERS).is_ok_and(|users| !is_shared(&users, gid, &user.name))
        }
        _ => false,
    }
}

/// Says whether a group is the first one of another user, in the form of passwd(5).
fn is_shared(users: &str, gid: u32, name: &str) -> bool {
    users.lines().any(|line| {
        let mut fields = line.split(':');
        let is_other = fields.next().is_some_and(|other| other != name);
        is_other && fields.nth(2).and_then(|first| first.parse().ok()) == Some(gid)
    })
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

    #[test]
    fn the_way_to_a_file_counts_over_its_links() {
        let place = tempfile::tempdir().unwrap();
        let place = fs::canonicalize(place.path()).unwrap();
        let (near, far) = (place.join("near"), place.join("far"));
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for directory in [&near, &far] {
            fs::create_dir(directory).unwrap();
            mode(directory, 0o700);
        }
        let file = far.join("it's.yaml");
        fs::write(&file, "").unwrap();
        mode(&file, 0o644);
        symlink("../far/it's.yaml", near.join("link")).unwrap();
        symlink(&near, place.join("way")).unwrap();
        symlink("loop", near.join("loop")).unwrap();
        let link = place.join("way/link");
        let told = |path: &Path| check_file(path).unwrap_err();
        assert_eq!(check_file(&link), Ok(()));
        assert!(told(&near.join("loop")).message.contains("too many"));
        assert!(told(&near.join("none")).message.contains("is not there"));
        mode(&file, 0o646);
        let found = told(&link);
        assert!(found.message.contains("others may write to /") && found.message.contains("0646"), "{found}");
        assert!(found.remedy.unwrap().ends_with("s.yaml'`"));
        mode(&file, 0o600);
        for directory in [&near, &far] {
            mode(directory, 0o777);
            assert!(told(&link).message.contains(&format!("the directory {}", directory.display())));
            mode(directory, 0o700);
        }
    }

    #[test]
    fn the_first_group_of_another_user_is_shared() {
        let users =
            "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nyou:x:1001:1001::/:/bin/sh\n";
        assert!(!is_shared(users, 1000, "me"));
        assert!(is_shared(&format!("{users}guest:x:1002:1000::/:/bin/sh"), 1000, "me"));
    }
}
