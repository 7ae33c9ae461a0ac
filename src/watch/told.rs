//! Being told that a file has changed, by the system.
//!
//! The directories are watched and not the files: what writes a file well puts a new one in its place, and
//! Kubernetes changes a link beside it. Where the system cannot tell (another system than Linux, some network file
//! systems) the files are looked at with everything else, after each interval.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dsops_providers::files::Stamp;

/// The files, as they were when they were last looked at.
pub struct Told {
    files: Vec<(PathBuf, Option<Stamp>)>,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    events: Option<linux::Events>,
}

impl Told {
    /// Starts to listen for changes of files that were last read after `since`. What has changed meanwhile is told at
    /// once.
    #[must_use]
    pub fn about(files: impl IntoIterator<Item = PathBuf>, since: SystemTime) -> Self {
        let files: Vec<_> = files
            .into_iter()
            .map(|path| {
                let stamp = Stamp::of(&path);
                (path, Some(stamp).filter(|stamp| !stamp.may_be_younger_than(since)))
            })
            .collect();
        Self {
            #[cfg(any(target_os = "linux", target_os = "android"))]
            events: linux::Events::of(files.iter().filter_map(|(path, _)| directory(path))),
            files,
        }
    }

    /// Says whether the files are these.
    #[must_use]
    pub fn is_about(&self, files: &[PathBuf]) -> bool {
        self.files.iter().map(|(path, _)| path).eq(files)
    }

    /// Waits until one of the files is another than it was. It never ends where the system cannot tell.
    pub async fn wait(&mut self) {
        loop {
            if self.look() {
                return;
            }
            #[cfg(any(target_os = "linux", target_os = "android"))]
            if let Some(events) = &mut self.events
                && events.next().await.is_ok()
            {
                continue;
            }
            std::future::pending::<()>().await;
        }
    }

    fn look(&mut self) -> bool {
        let mut changed = false;
        for (path, stamp) in &mut self.files {
            let now = Some(Stamp::of(path));
            changed |= now != *stamp;
            *stamp = now;
        }
        changed
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn directory(path: &Path) -> Option<&Path> {
    path.parent().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::path::Path;

    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    use tokio::io::unix::AsyncFd;

    /// inotify(7) on directories. What happened there is not read: the files themselves are looked at.
    pub(super) enum Events {
        /// Made, and not waited for yet: there may be no runtime so early.
        New(OwnedFd),
        Waited(AsyncFd<OwnedFd>),
        Broken,
    }

    impl Events {
        pub(super) fn of<'a>(directories: impl Iterator<Item = &'a Path>) -> Option<Self> {
            let fd = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            let flags = WatchFlags::CLOSE_WRITE
                | WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::ATTRIB;
            for directory in directories {
                // A directory that is not there, or one too many, is looked at after each interval.
                let _ = add_watch(&fd, directory, flags);
            }
            Some(Self::New(fd))
        }

        #[expect(
            deprecated,
            reason = "what replaces `AsyncFd::new` is `unsafe`; an `OwnedFd` owns its descriptor"
        )]
        fn waited(&mut self) -> io::Result<&AsyncFd<OwnedFd>> {
            if let Self::New(_) = self
                && let Self::New(fd) = std::mem::replace(self, Self::Broken)
            {
                *self = Self::Waited(AsyncFd::new(fd)?);
            }
            match self {
                Self::Waited(fd) => Ok(fd),
                Self::New(_) | Self::Broken => Err(io::ErrorKind::Unsupported.into()),
            }
        }

        pub(super) async fn next(&mut self) -> io::Result<()> {
            let mut ready = self.waited()?.readable().await?;
            let mut events = [0; 4096];
            loop {
                match rustix::io::read(ready.get_inner(), &mut events) {
                    Ok(_) => {}
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(errno) => return Err(errno.into()),
                }
            }
            ready.clear_ready();
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_takes_the_place_of_another_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("values");
        std::fs::write(&path, "one").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let later = SystemTime::now() + std::time::Duration::from_secs(60);
            let mut told = Told::about([path.clone()], later);
            // Something else in the directory is not the file.
            std::fs::write(dir.path().join("other"), "x").unwrap();
            tokio::select! {
                biased;
                () = told.wait() => panic!("told of a file that has not changed"),
                () = tokio::task::yield_now() => {}
            }
            let new = dir.path().join("new");
            std::fs::write(&new, "two").unwrap();
            std::fs::rename(&new, &path).unwrap();
            tokio::time::timeout(std::time::Duration::from_secs(10), told.wait()).await.unwrap();
        });
    }
    #[test]
    fn what_changed_before_anybody_listened_is_told_at_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let before = SystemTime::now();
        std::fs::write(file.path(), "changed").unwrap();
        let mut told = Told::about([file.path().to_owned()], before);
        futures::executor::block_on(told.wait());
    }
}
