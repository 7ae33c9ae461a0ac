//! Files in a private directory, which goes with dsops however dsops ends.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, chmodat, fchmod, fstat, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::{Place, failed};
use crate::config::UNFINISHED;
use crate::environment::{ChildEnvironment, PendingFile};
use crate::exec::ExecError;
use crate::exec::keeper::{self, Keeper};

/// Where memory can be written to as files by everybody, on Linux.
const SHARED_MEMORY: &str = "/dev/shm";

/// A private directory and the files in it.
#[derive(Debug)]
pub(super) struct Directory {
    parent: OwnedFd,
    name: OsString,
    path: PathBuf,
    descriptor: OwnedFd,
    written: BTreeSet<String>,
    /// Removes the directory where this process is killed. Dropped last, when there is nothing left to do for it.
    _keeper: Option<Keeper>,
}

impl Directory {
    /// Makes the directory and writes the files.
    pub(super) fn make(environment: &mut ChildEnvironment, place: &Place) -> Result<Self, ExecError> {
        let (parent, path) = match &place.named {
            Some(named) => open_named(named)?,
            None => open_in_memory(place).ok_or_else(|| {
                failed("there is no directory in memory for the files of `type: file`")
                    .help("name a directory for them: `--files-dir DIR`; dsops does not choose one on disk")
            })?,
        };
        let name =
            random("dsops-").map_err(|error| failed("there are no random numbers").caused_by(error))?;
        // Before the directory is there, so that there is no moment in which nobody would remove it.
        let keeper = Keeper::of_directory(parent.as_fd(), &name).map_err(|error| {
            failed("the process that removes the files cannot be started").caused_by(error)
        })?;
        Self::make_in(parent, &path, name, Some(keeper), environment)
    }

    fn make_in(
        parent: OwnedFd,
        path: &Path,
        name: OsString,
        keeper: Option<Keeper>,
        environment: &mut ChildEnvironment,
    ) -> Result<Self, ExecError> {
        let descriptor = make_private(parent.as_fd(), &name).map_err(|error| {
            failed(format!("no directory can be made in `{}`", path.display())).caused_by(error)
        })?;
        let path = path.join(&name);
        let mut this = Self { parent, name, path, descriptor, written: BTreeSet::new(), _keeper: keeper };
        this.write(environment)?;
        Ok(this)
    }

    /// Writes all files, each in the place of the one of its name, and removes those that are not wanted any more.
    pub(super) fn write(&mut self, environment: &mut ChildEnvironment) -> Result<(), ExecError> {
        let mut written = BTreeSet::new();
        environment.place_files(|name, file| {
            self.write_one(file).map_err(|error| {
                let (name, path) = (name.display(), self.path.display());
                failed(format!("the file of `{name}` cannot be written in `{path}`")).caused_by(error)
            })?;
            written.insert(file.options.name.clone());
            Ok(self.path.join(&file.options.name))
        })?;
        for gone in self.written.difference(&written) {
            let _ = unlinkat(&self.descriptor, gone, AtFlags::empty());
        }
        self.written = written;
        Ok(())
    }

    fn write_one(&self, file: &PendingFile) -> io::Result<()> {
        let unfinished = random(UNFINISHED)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut made = File::from(openat(&self.descriptor, &unfinished, flags, Mode::RUSR | Mode::WUSR)?);
        made.write_all(file.content.expose())?;
        // Not by way of openat(2), which the umask has a say in.
        fchmod(&made, Mode::from_raw_mode(raw(file.options.mode)))?;
        drop(made);
        Ok(renameat(&self.descriptor, &unfinished, &self.descriptor, &file.options.name)?)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What fails here is tried again by the keeper, which then learns that dsops is done.
        let _ = keeper::remove_directory(self.parent.as_fd(), &self.name);
    }
}

fn raw(mode: u32) -> rustix::fs::RawMode {
    rustix::fs::RawMode::try_from(mode).unwrap_or(0o400)
}

/// Returns a name that nobody can guess: 128 bits behind a prefix.
fn random(prefix: &str) -> io::Result<OsString> {
    let part = || getrandom::u64().map_err(io::Error::other);
    Ok(format!("{prefix}{:016x}{:016x}", part()?, part()?).into())
}

fn make_private(parent: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let private = Mode::RWXU;
    mkdirat(&parent, name, private)?;
    // The umask may have taken something away.
    chmodat(&parent, name, private, AtFlags::empty())?;
    let descriptor = openat(&parent, name, keeper::DIRECTORY, Mode::empty())?;
    let stat = fstat(&descriptor)?;
    match stat.st_uid == geteuid().as_raw() {
        true => Ok(descriptor),
        false => Err(io::Error::other("somebody else has put another directory there")),
    }
}

fn open_named(named: &Path) -> Result<(OwnedFd, PathBuf), ExecError> {
    let shown = named.display();
    let open = || -> io::Result<_> {
        // The command may start elsewhere, and a link on the way may come to lead elsewhere.
        let path = named.canonicalize()?;
        Ok((openat(CWD, &path, keeper::DIRECTORY, Mode::empty())?, path))
    };
    let (parent, path) = open().map_err(|error| {
        failed(format!("the directory `{shown}` of `--files-dir` cannot be used"))
            .caused_by(error)
            .help("make it first, for the user that runs dsops and nobody else: `mkdir -m 700 DIR`")
    })?;
    // Whoever can rename a directory on the way can put another in its place, and the command gets a path.
    for above in path.ancestors() {
        match openat(CWD, above, keeper::DIRECTORY, Mode::empty()).and_then(owner) {
            Ok(Owner::Trusted { .. }) => {}
            Ok(Owner::Others) => {
                let above = above.display();
                return Err(failed(format!(
                    "others can exchange what lies in `{above}`, on the way to the directory of `--files-dir`"
                ))
                .help("name one that you own and nobody else can write to: `mkdir -m 700 DIR`"));
            }
            Err(errno) => {
                return Err(failed(format!("the directory `{shown}` of `--files-dir` cannot be used"))
                    .caused_by(errno));
            }
        }
    }
    Ok((parent, path))
}

/// Finds a directory whose files are in memory.
fn open_in_memory(place: &Place) -> Option<(OwnedFd, PathBuf)> {
    let own = place.runtime_dir.iter().filter(|path| path.is_absolute()).map(|path| (path.as_path(), true));
    own.chain([(Path::new(SHARED_MEMORY), false)]).find_map(|(path, alone)| {
        let path = path.canonicalize().ok()?;
        let parent = openat(CWD, &path, keeper::DIRECTORY, Mode::empty()).ok()?;
        let Owner::Trusted { only_me } = owner(parent.as_fd()).ok()? else { return None };
        let fits = is_in_memory(parent.as_fd()) && (only_me || !alone) && is_writable(&path);
        fits.then_some((parent, path))
    })
}

/// Who can change what a directory holds.
enum Owner {
    /// Nobody but root and the caller, other than what is their own.
    Trusted {
        /// It is the caller's, and nobody else can write to it.
        only_me: bool,
    },
    Others,
}

fn owner(directory: impl AsFd) -> Result<Owner, Errno> {
    let stat = fstat(directory)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    let me = geteuid().as_raw();
    let shared = mode.intersects(Mode::WGRP | Mode::WOTH);
    let trusted = (stat.st_uid == me || stat.st_uid == 0) && (!shared || mode.contains(Mode::SVTX));
    match trusted {
        true => Ok(Owner::Trusted { only_me: stat.st_uid == me && !shared }),
        false => Ok(Owner::Others),
    }
}

fn is_writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_in_memory(directory: impl AsFd) -> bool {
    /// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
    const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
    rustix::fs::fstatfs(directory)
        .is_ok_and(|fs| u32::try_from(fs.f_type).is_ok_and(|kind| IN_MEMORY.contains(&kind)))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn is_in_memory(_: impl AsFd) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use dsops_providers::contract::{EnvSnapshot, SecretValue};

    use super::*;
    use crate::config::FileOptions;
    use crate::environment::Options;

    fn environment(files: &[(&str, &[u8], u32)]) -> ChildEnvironment {
        let values: Vec<_> =
            files.iter().map(|(name, value, _)| (*name, SecretValue::copy_of(value))).collect();
        let options: Vec<_> = files
            .iter()
            .map(|(name, _, mode)| (*name, FileOptions { mode: *mode, name: format!("{name}.pem") }))
            .collect();
        let options = Options {
            files: options.iter().map(|(name, options)| (*name, options)).collect(),
            ..Options::default()
        };
        let resolved = values.iter().map(|(name, value)| (*name, value));
        ChildEnvironment::build(&EnvSnapshot::default(), resolved, &options).unwrap()
    }

    fn make(place: &Path, environment: &mut ChildEnvironment) -> Directory {
        let parent = openat(CWD, place, keeper::DIRECTORY, Mode::empty()).unwrap();
        Directory::make_in(parent, place, "private".into(), None, environment).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn texts(environment: &ChildEnvironment) -> Vec<String> {
        environment.entries().iter().map(|entry| entry.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_rewrite_replaces_each_file_and_removes_what_is_not_wanted() {
        let place = tempfile::tempdir().unwrap();
        let mut first = environment(&[("A", b"one", 0o400), ("B", b"two", 0o440)]);
        let mut directory = make(place.path(), &mut first);
        let private = place.path().join("private");
        let (a, b, c) = (private.join("A.pem"), private.join("B.pem"), private.join("C.pem"));
        assert_eq!(texts(&first), [format!("A={}", a.display()), format!("B={}", b.display())]);
        assert_eq!((mode(&private), mode(&a), mode(&b)), (0o700, 0o400, 0o440));
        let mut open = fs::File::open(&a).unwrap();

        let mut second = environment(&[("A", b"three", 0o600), ("C", b"\0\xff", 0o400)]);
        directory.write(&mut second).unwrap();
        assert_eq!(texts(&second), [format!("A={}", a.display()), format!("C={}", c.display())]);
        assert_eq!((fs::read(&a).unwrap(), mode(&a)), (b"three".to_vec(), 0o600));
        assert_eq!(fs::read(&c).unwrap(), b"\0\xff");
        assert!(!b.exists());
        assert_eq!(fs::read_dir(&private).unwrap().count(), 2, "something unfinished is left");
        let mut old = String::new();
        io::Read::read_to_string(&mut open, &mut old).unwrap();
        assert_eq!(old, "one");

        drop(directory);
        assert!(!private.exists());
    }

    #[test]
    fn whatever_the_command_left_in_it_goes_and_what_links_lead_to_stays() {
        let place = tempfile::tempdir().unwrap();
        let directory = make(place.path(), &mut environment(&[("A", b"one", 0o400)]));
        let (private, other) = (place.path().join("private"), place.path().join("other"));
        fs::create_dir_all(private.join("deep/er")).unwrap();
        fs::write(private.join("deep/er/copy"), "x").unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(&other, private.join("link")).unwrap();
        std::os::unix::fs::symlink(&other, private.join("deep/link")).unwrap();
        fs::set_permissions(private.join("deep"), fs::Permissions::from_mode(0o500)).unwrap();
        fs::set_permissions(&private, fs::Permissions::from_mode(0o500)).unwrap();
        drop(directory);
        assert!(!private.exists());
        assert!(other.join("kept").exists());
    }

    #[test]
    fn a_directory_that_is_a_link_now_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let directory = make(place.path(), &mut environment(&[("A", b"one", 0o400)]));
        let (private, other) = (place.path().join("private"), place.path().join("other"));
        fs::create_dir(&other).unwrap();
        fs::write(other.join("kept"), "x").unwrap();
        fs::rename(&private, place.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(&other, &private).unwrap();
        drop(directory);
        assert!(other.join("kept").exists());
    }

    #[test]
    fn debug_shows_no_content() {
        let place = tempfile::tempdir().unwrap();
        let mut environment = environment(&[("A", b"canary", 0o400)]);
        assert!(!format!("{environment:?}").contains("canary"));
        let directory = make(place.path(), &mut environment);
        assert!(!format!("{directory:?} {environment:?}").contains("canary"));
    }

    #[test]
    fn a_directory_where_others_can_exchange_files_is_not_trusted() {
        let place = tempfile::tempdir().unwrap();
        let trusted = |mode: u32| {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).unwrap();
            let directory = openat(CWD, place.path(), keeper::DIRECTORY, Mode::empty()).unwrap();
            match owner(directory).unwrap() {
                Owner::Trusted { only_me } => Some(only_me),
                Owner::Others => None,
            }
        };
        let expected =
            [(0o700, Some(true)), (0o755, Some(true)), (0o1777, Some(false)), (0o777, None), (0o770, None)];
        for (mode, expected) in expected {
            assert_eq!(trusted(mode), expected, "{mode:o}");
        }
    }
}
