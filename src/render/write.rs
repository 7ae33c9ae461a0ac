//! Puts a file with values in its place: whole or not at all, and never for others to read.
//!
//! Where the file system has it (open(2), `O_TMPFILE`), the content is written to a file without a name, which the
//! kernel removes however this process ends. It gets its name when it is complete and has its permissions. Only where it
//! takes the place of another file does it have a name of its own for a moment, since linkat(2) replaces nothing:
//! [`LEFTOVER`], the target's name and random letters. A process that is killed in that moment, or
//! while it writes where `O_TMPFILE` is missing, leaves that file, private to its owner. A [`Keeper`] that was started
//! before removes it, and so does the next write of the same target: whoever still writes holds a lock on theirs.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, Flock, FlockArg, OFlag};
use nix::unistd::linkat;
use zeroize::Zeroizing;

use crate::exec::Keeper;

/// What tells a file from every other that there is at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The device that it lies on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl Identity {
    /// Returns that of an open file.
    pub(crate) fn of(file: impl AsFd) -> io::Result<Self> {
        let metadata = File::from(file.as_fd().try_clone_to_owned()?).metadata()?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// What the name of a file starts with that has no place yet.
pub const LEFTOVER: &str = ".dsops-";

/// How many random names are tried before the system's answer is believed.
const ATTEMPTS: usize = 16;

/// Writes a file in the place of the one that may be there, with these permissions whatever that one's were.
///
/// A reader sees the old content or the new one. A link is replaced, and not what it leads to. The content is on the
/// disk when this returns.
///
/// # Errors
///
/// What the system answers. The old file, if there was one, is then as it was.
pub fn replace(target: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    replace_announced(target, content, mode, &mut |_| Ok(()))
}

/// As [`replace`], and says which file it will be before it is in place. Where it says so twice, the last one counts.
///
/// # Errors
///
/// As [`replace`], and what `announce` returns.
pub fn replace_announced(
    target: &Path,
    content: &[u8],
    mode: u32,
    announce: &mut dyn FnMut(Identity) -> io::Result<()>,
) -> io::Result<()> {
    let directory =
        target.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    remove_leftovers(directory, target);
    match nameless(directory) {
        Ok(file) => {
            let file = fill(file, content, mode)?;
            announce(Identity::of(&*file)?)?;
            match link(&file, target) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let _keeper = Keeper::of_file(target);
                    let name = with_a_free_name(directory, target, |name| link(&file, name))?.1;
                    move_to(&name, target)?;
                }
                // Without /proc nothing without a name can be given one.
                Err(_) => return replace_by_name(directory, target, content, mode, announce),
            }
        }
        // Older file systems, and those of other machines, have no files without a name.
        Err(_) => return replace_by_name(directory, target, content, mode, announce),
    }
    sync_directory(directory);
    Ok(())
}

/// Writes at the end of a file, in one piece, on a line of its own where the file does not end with a newline.
///
/// The file is one that somebody else made and reads. Where it is not there, `create` says whether it is made, private to
/// its owner.
///
/// # Errors
///
/// What the system answers.
pub fn append(target: &Path, content: &[u8], create: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(create).mode(0o600).open(target)?;
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last == *b"\n" {
        file.write_all(content)
    } else {
        let mut text = Zeroizing::new(Vec::with_capacity(content.len() + 1));
        text.push(b'\n');
        text.extend_from_slice(content);
        file.write_all(&text)
    }
}

fn replace_by_name(
    directory: &Path,
    target: &Path,
    content: &[u8],
    mode: u32,
    announce: &mut dyn FnMut(Identity) -> io::Result<()>,
) -> io::Result<()> {
    let _keeper = Keeper::of_file(target);
    let open = |name: &Path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(name);
    let (file, name) = with_a_free_name(directory, target, open)?;
    let written = fill(file, content, mode).and_then(|lock| {
        announce(Identity::of(&*lock)?)?;
        move_to(&name, target)
    });
    if written.is_err() {
        let _ = fs::remove_file(&name);
    }
    sync_directory(directory);
    written
}

/// Opens a file that has no name in any directory.
fn nameless(directory: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).mode(0o600).custom_flags(OFlag::O_TMPFILE.bits()).open(directory)
}

/// Writes all of it, and returns the file locked: one that is locked is being written.
fn fill(file: File, content: &[u8], mode: u32) -> io::Result<Flock<File>> {
    let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    Ok(file)
}

fn link(file: &File, name: &Path) -> io::Result<()> {
    // Linking by the descriptor alone would need a capability; see open(2).
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(AT_FDCWD, path.as_str(), AT_FDCWD, name, AtFlags::AT_SYMLINK_FOLLOW)?)
}

fn with_a_free_name<T>(
    directory: &Path,
    target: &Path,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(T, PathBuf)> {
    let mut attempts = 0;
    loop {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let letters: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut name = prefix_of(target);
        name.push(letters);
        let path = directory.join(name);
        attempts += 1;
        match make(&path) {
            Ok(made) => return Ok((made, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempts < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
}

fn move_to(name: &Path, target: &Path) -> io::Result<()> {
    fs::rename(name, target).inspect_err(|_| {
        let _ = fs::remove_file(name);
    })
}

/// Says to the disk that the name is there. Where a directory cannot be synced, its file system needs no such word.
fn sync_directory(directory: &Path) {
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
}

fn prefix_of(target: &Path) -> std::ffi::OsString {
    let mut prefix = std::ffi::OsString::from(LEFTOVER);
    prefix.push(target.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

/// Removes what killed processes left of earlier writes of the same target.
pub(crate) fn remove_leftovers(directory: &Path, target: &Path) {
    let prefix = prefix_of(target);
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(letters) = name.as_bytes().strip_prefix(prefix.as_bytes()) else { continue };
        if letters.len() != 16 || !letters.iter().all(u8::is_ascii_hexdigit) {
            continue;
        }
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(entry.path()) else { continue };
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1);
        if is_file && Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Both ways of writing, so that the second is tested where the first works.
    const WAYS: [fn(&Path, &[u8], u32) -> io::Result<()>; 2] = [replace, |target, content, mode| {
        replace_by_name(target.parent().unwrap(), target, content, mode, &mut |_| Ok(()))
    }];

    #[test]
    fn a_new_file_and_one_over_another_have_the_content_and_the_permissions() {
        for write in WAYS {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("out");
            write(&target, b"one", 0o600).unwrap();
            assert_eq!((fs::read(&target).unwrap(), mode_of(&target)), (b"one".to_vec(), 0o600));
            fs::set_permissions(&target, Permissions::from_mode(0o644)).unwrap();
            write(&target, b"two", 0o600).unwrap();
            assert_eq!((fs::read(&target).unwrap(), mode_of(&target)), (b"two".to_vec(), 0o600));
            write(&target, b"", 0o640).unwrap();
            assert_eq!((fs::read(&target).unwrap(), mode_of(&target)), (Vec::new(), 0o640));
            assert_eq!(names(place.path()), ["out"]);
        }
    }

    #[test]
    fn whoever_has_the_old_file_open_keeps_it() {
        for write in WAYS {
            let place = tempfile::tempdir().unwrap();
            let target = place.path().join("out");
            fs::write(&target, "old").unwrap();
            let old = File::open(&target).unwrap();
            write(&target, b"new", 0o600).unwrap();
            assert_eq!(io::read_to_string(old).unwrap(), "old");
            assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        }
    }

    #[test]
    fn a_link_is_replaced_and_not_what_it_leads_to() {
        for write in WAYS {
            let place = tempfile::tempdir().unwrap();
            let (other, target) = (place.path().join("other"), place.path().join("out"));
            fs::write(&other, "other").unwrap();
            std::os::unix::fs::symlink(&other, &target).unwrap();
            write(&target, b"new", 0o600).unwrap();
            assert_eq!(fs::read_to_string(&other).unwrap(), "other");
            assert!(fs::symlink_metadata(&target).unwrap().is_file());
        }
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing() {
        for write in WAYS {
            let place = tempfile::tempdir().unwrap();
            fs::create_dir(place.path().join("out")).unwrap();
            assert!(write(&place.path().join("out"), b"x", 0o600).is_err());
            assert_eq!(names(place.path()), ["out"]);
            assert!(write(&place.path().join("none/out"), b"x", 0o600).is_err());
        }
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_another_writes_is_not() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str| place.path().join(name);
        let (left, written) = (".dsops-out.0123456789abcdef", ".dsops-out.fedcba9876543210");
        let others = [".dsops-other.0123456789abcdef", ".dsops-out.mine"];
        for name in [left, written].iter().chain(&others) {
            fs::write(file(name), "x").unwrap();
        }
        let held = Flock::lock(File::open(file(written)).unwrap(), FlockArg::LockExclusive).unwrap();
        replace(&file("out"), b"new", 0o600).unwrap();
        assert_eq!(names(place.path()), [others[0], written, others[1], "out"]);
        drop(held);
    }

    #[test]
    fn what_is_appended_starts_on_a_line_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        assert!(append(&target, b"a\n", false).is_err());
        append(&target, b"a\n", true).unwrap();
        assert_eq!(mode_of(&target), 0o600);
        append(&target, b"b", false).unwrap();
        append(&target, b"c\n", false).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "a\nb\nc\n");
    }

    #[test]
    fn many_writers_of_one_file_leave_one_whole_file() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let target = &target;
                scope.spawn(move || {
                    for _ in 0..25 {
                        replace(target, &vec![writer; 10_000], 0o600).unwrap();
                    }
                });
            }
        });
        let content = fs::read(&target).unwrap();
        assert!(content.len() == 10_000 && content.iter().all(|byte| *byte == content[0]));
        assert_eq!(names(place.path()), ["out"]);
    }
}
