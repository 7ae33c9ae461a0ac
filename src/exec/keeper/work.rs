//! The work of a keeper, in its own process.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{geteuid, getppid, setsid};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, unlinkat};
use rustix::io::Errno;

use super::{DIRECTORY, DIRECTORY_TASK, END, FILE_TASK, LEAVE, READY};
use crate::exit;
use crate::render::write::{self, Identity};

/// How often a directory is emptied that somebody goes on filling.
const ATTEMPTS: usize = 3;
/// How deep directories may lie in each other.
const DEEPEST: usize = 64;

/// Keeps what the arguments name until the line ends. Returns the exit code, which nobody sees.
pub(in crate::exec) fn keep(args: &[OsString]) -> u8 {
    match args {
        [task, _, name] if task == DIRECTORY_TASK => keep_directory(name),
        [task, parent, target] if task == FILE_TASK => keep_file(parent, target),
        _ => return exit::USAGE,
    }
    .map_or(exit::BUG, |()| exit::OK)
}

fn keep_directory(name: &OsStr) -> io::Result<()> {
    let mut line = begin()?;
    answer(&mut line);
    // It ends with dsops; nothing is ever said.
    let _ = line.read_line(&mut String::new());
    remove_directory(io::stdout(), name)
}

fn keep_file(parent: &OsStr, target: &OsStr) -> io::Result<()> {
    let mut line = begin()?;
    answer(&mut line);
    let mut order = None;
    let in_place = loop {
        let mut text = String::new();
        match line.read_line(&mut text) {
            Ok(0) | Err(_) => break false,
            Ok(_) if text.trim_end() == LEAVE => break true,
            Ok(_) if text.trim_end() == END => return Ok(()),
            Ok(_) => order = Some(read_order(&text)?),
        }
        answer(&mut line);
    };
    if !in_place {
        // With dsops goes the lock on what it was writing, and not before.
        wait_for_the_end_of(parent);
        nix::unistd::fchdir(io::stdout())?;
        write::remove_leftovers(Path::new("."), Path::new(target));
    }
    let Some((announced, time)) = order else { return Ok(()) };
    // While this is open, no other file gets the inode's number.
    let file = match find(target) {
        Ok(file) if Identity::of(&file)? == announced => file,
        Ok(_) | Err(Errno::NOENT | Errno::LOOP) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    if in_place {
        answer(&mut line);
    }
    drop(line);
    wait(time)?;
    match find(target) {
        Ok(now) if Identity::of(&now)? == Identity::of(&file)? => {
            Ok(unlinkat(io::stdout(), target, AtFlags::empty())?)
        }
        // Somebody has deleted it or put another in its place, which is not ours to delete.
        Ok(_) | Err(Errno::NOENT | Errno::LOOP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Answers dsops, which may be gone by now: that is what this process is here for.
fn answer(line: &mut BufReader<UnixStream>) {
    let _ = line.get_mut().write_all(&[READY]);
}

/// Waits until the process that has started this one is gone: the kernel closes its files one by one, and then gives its
/// children to another.
fn wait_for_the_end_of(parent: &OsStr) {
    let Some(parent) = parent.to_str().and_then(|text| text.parse::<i32>().ok()) else { return };
    let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    while getppid().as_raw() == parent {
        let _ = rustix::event::poll(&mut [], Some(&moment));
    }
}

fn read_order(text: &str) -> io::Result<(Identity, Duration)> {
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let mut number = || numbers.next().and_then(Result::ok).ok_or(io::ErrorKind::InvalidData);
    let identity = Identity { device: number()?, inode: number()? };
    Ok((identity, Duration::from_millis(number()?)))
}

fn find(name: &OsStr) -> rustix::io::Result<OwnedFd> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(io::stdout(), name, flags, Mode::empty())
}

/// Leaves terminal, session, signals and descriptors of whoever started dsops, and returns the line to it.
fn begin() -> io::Result<BufReader<UnixStream>> {
    // It fails only for the leader of a process group, which nobody makes of this process.
    let _ = setsid();
    // A terminal that closes, Ctrl-C, a program that ends all of a name: none of them is the end of the work.
    let ignored =
        [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGTSTP, Signal::SIGPIPE];
    ignored.into_iter().collect::<SigSet>().thread_block()?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = nix::sys::prctl::set_name(c"dsops-keeper");
    close_others();
    let line = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(BufReader::new(UnixStream::from(line)))
}

/// Closes what the caller of dsops had open, whose readers would wait for its end.
fn close_others() {
    let directory =
        if cfg!(any(target_os = "linux", target_os = "android")) { "/proc/self/fd" } else { "/dev/fd" };
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let numbers: Vec<i32> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The descriptor that the list was read from is closed already.
        let _ = nix::unistd::close(number);
    }
}

/// Waits for the time, or for `SIGTERM`, which the system sends when it ends. Time in which the machine sleeps counts.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn wait(time: Duration) -> io::Result<()> {
    use nix::sys::signalfd::{SfdFlags, SignalFd};
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };

    if time.is_zero() {
        return Ok(());
    }
    let end = SignalFd::with_flags(&SigSet::from(Signal::SIGTERM), SfdFlags::SFD_CLOEXEC)?;
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC)?;
    let it_value = Timespec::try_from(time).map_err(|_| io::ErrorKind::InvalidInput)?;
    let it_interval = Timespec::default();
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
    let mut waited_for = [PollFd::new(&timer, PollFlags::IN), PollFd::new(&end, PollFlags::IN)];
    loop {
        match poll(&mut waited_for, None) {
            Err(Errno::INTR) => {}
            other => return Ok(other.map(drop)?),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn wait(time: Duration) -> io::Result<()> {
    let time = rustix::event::Timespec::try_from(time).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok(rustix::event::poll(&mut [], Some(&time)).map(drop)?)
}

/// Removes a directory of ours and all in it, where it is there. No link is followed, and no other file system entered.
pub(in crate::exec) fn remove_directory(parent: impl AsFd, name: &OsStr) -> io::Result<()> {
    let directory = match openat(&parent, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    if fstat(&directory)?.st_uid != geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    for _ in 0..ATTEMPTS {
        empty(&directory, DEEPEST)?;
        match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // What the command left running puts new files there.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(io::ErrorKind::DirectoryNotEmpty.into())
}

fn empty(directory: &OwnedFd, deeper: usize) -> rustix::io::Result<()> {
    // The command may have taken its own permissions away.
    let _ = fchmod(directory, Mode::RWXU);
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let flags = match entry.file_type() {
            FileType::Directory if deeper > 0 => {
                if let Ok(below) = enter(directory, name) {
                    empty(&below, deeper - 1)?;
                }
                AtFlags::REMOVEDIR
            }
            _ => AtFlags::empty(),
        };
        // One file that cannot be removed keeps none of the others.
        let _ = unlinkat(directory, name, flags);
    }
    Ok(())
}

/// Opens a directory below, unless something is mounted there.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn enter(directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};

    let within = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    openat2(directory, name, DIRECTORY, Mode::empty(), within)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn enter(directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let below = openat(directory, name, DIRECTORY, Mode::empty())?;
    match fstat(directory)?.st_dev == fstat(&below)?.st_dev {
        true => Ok(below),
        false => Err(Errno::XDEV),
    }
}
