//! Removes what dsops leaves when it is killed: a process beside it that knows names and no values.
//!
//! Nothing that dsops does itself outlives `SIGKILL`. The keeper is this program once more, started before there is
//! anything to remove. It has a session of its own, an empty environment, no descriptor of the caller's and no value. It
//! reads from a socket whose other end dsops alone holds: the end of that is the end of dsops, however it came.

mod work;

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{self, Child, Stdio};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::inner;
use crate::render::write::Identity;
pub(super) use work::{keep, remove_directory};

/// How a directory is opened: itself, not what a link leads to.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How long dsops waits for its keeper to start before it does without.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits for the keeper's end.
const PATIENCE_AT_END: Duration = Duration::from_secs(2);

/// What a keeper says when it is there, and when it has understood.
const READY: u8 = b'r';

/// What a keeper is told when the target is in place, and it is to stay.
const LEAVE: &str = "leave";

/// What a keeper is told when there is nothing left to do for it. One that hears nothing more knows that dsops was killed.
const END: &str = "end";

/// The tasks of a keeper, as its first argument.
const DIRECTORY_TASK: &str = "directory";
const FILE_TASK: &str = "file";

/// A keeper, as dsops sees it. Dropped, it has done its work and is gone.
#[derive(Debug)]
pub struct Keeper {
    line: UnixStream,
    process: Child,
    is_left_behind: bool,
}

impl Keeper {
    /// Starts a keeper that removes a directory and all in it. The directory need not be there yet; its name has to be
    /// one that nobody else uses.
    ///
    /// # Errors
    ///
    /// Where no process can be started.
    pub(super) fn of_directory(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<Self> {
        Self::start(parent, DIRECTORY_TASK, name)
    }

    /// Starts a keeper that removes what [`write::replace`](crate::render::write::replace) has not finished for this
    /// target.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be opened or no process can be started.
    pub fn of_file(target: &Path) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = target.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent =
            openat(CWD, parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Self::start(parent.as_fd(), FILE_TASK, name)
    }

    fn start(parent: BorrowedFd<'_>, task: &str, name: &OsStr) -> io::Result<Self> {
        let (line, theirs) = UnixStream::pair()?;
        line.set_read_timeout(Some(PATIENCE))?;
        let process = inner::ourselves(inner::KEEPER)?
            .arg(task)
            .arg(process::id().to_string())
            .arg(name)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(parent.try_clone_to_owned()?)
            .stderr(Stdio::null())
            .spawn()?;
        let mut this = Self { line, process, is_left_behind: false };
        this.hear()?;
        Ok(this)
    }

    /// Says to the keeper of a file which one the target is about to be, and that it is to go after a time. From here on
    /// it goes even where dsops is killed.
    ///
    /// # Errors
    ///
    /// Where the keeper is not there any more.
    pub fn announce(&mut self, file: Identity, time: Duration) -> io::Result<()> {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        writeln!(self.line, "{} {} {time}", file.device, file.inode)?;
        self.hear()
    }

    /// Leaves the keeper behind, which deletes the target when the announced time is over, or earlier where the system
    /// ends, if it is still the announced file then.
    ///
    /// # Errors
    ///
    /// Where it is not that file now, or the keeper is not there any more.
    pub fn leave(mut self) -> io::Result<()> {
        writeln!(self.line, "{LEAVE}")?;
        self.hear()?;
        self.is_left_behind = true;
        Ok(())
    }

    fn hear(&mut self) -> io::Result<()> {
        let mut answer = [0];
        self.line.read_exact(&mut answer)?;
        match answer {
            [READY] => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if self.is_left_behind {
            return;
        }
        // The end for the keeper, and then the keeper's own, so that no zombie of it stays with whoever takes over the
        // children of dsops. One that does not end is left to itself.
        let _ = dsops_os::send(i32::try_from(self.process.id()).unwrap_or_default(), nix::libc::SIGCONT);
        let _ = self.line.set_read_timeout(Some(PATIENCE_AT_END));
        let _ = writeln!(self.line, "{END}").and_then(|()| self.line.shutdown(Shutdown::Write));
        // Its end is also a signal to this process, which interrupts a read that has a limit.
        let end = loop {
            match self.line.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        if matches!(end, Ok(0)) {
            let _ = self.process.wait();
        }
    }
}
