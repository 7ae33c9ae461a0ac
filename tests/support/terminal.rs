//! Runs a program on a terminal of its own, as a user at a keyboard does.
//!
//! ```ignore
//! let terminal = Terminal::start(Dsops::new().args(["exec", "--env", "dev", "--", "sh"]));
//! terminal.until("$ ");
//! terminal.type_("sleep 60\r").key(Ctrl::C);
//! terminal.type_("exit\r").wait().code(130);
//! ```
//!
//! The program leads a session whose controlling terminal is the new one, with 24 lines of 80 columns, and is its
//! foreground group; standard input, output and error are the terminal. For job control, run a shell
//! with [`Dsops::instead`] and type to it. What is typed is echoed, as on every terminal, so a mark
//! to wait for must not be what was typed: `echo do''ne` shows `done`.
//!
//! No test has to have a terminal for this. Every wait has a limit; when the value is dropped, every
//! process of the session is killed.

use std::cell::Cell;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, Winsize, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use tempfile::TempDir;

use super::dsops::Dsops;
use super::output::{Output, contains, lossy};

/// No single wait takes longer.
const LIMIT: Duration = Duration::from_secs(20);

/// A key that is pressed together with Ctrl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ctrl {
    /// Interrupts: `SIGINT`.
    C,
    /// Ends the input.
    D,
    /// Suspends: `SIGTSTP`.
    Z,
    /// Quits: `SIGQUIT`.
    Backslash,
}

impl Ctrl {
    fn byte(self) -> u8 {
        match self {
            Self::C => 0x03,
            Self::D => 0x04,
            Self::Z => 0x1a,
            Self::Backslash => 0x1c,
        }
    }
}

/// A program that runs on a terminal. Dropping it kills its session.
pub(crate) struct Terminal {
    root: Option<TempDir>,
    shown: String,
    child: Child,
    ended: Receiver<i32>,
    keyboard: Option<Keyboard>,
    screen: Screen,
    /// How much of what was shown has been waited for already.
    read: Cell<usize>,
}

/// The end of the terminal at which a user sits.
struct Keyboard {
    master: Arc<OwnedFd>,
    /// Dropping it ends the reader, which holds the terminal, too.
    stop: OwnedFd,
    reader: JoinHandle<()>,
}

impl Terminal {
    /// Starts the program.
    pub(crate) fn start(dsops: Dsops) -> Self {
        Self::start_with(dsops, |_| {})
    }

    /// Starts the program on a terminal that does not show what is typed.
    pub(crate) fn start_silent(dsops: Dsops) -> Self {
        Self::start_with(dsops, |slave| {
            let mut modes = tcgetattr(slave).expect("modes");
            modes.local_modes.remove(LocalModes::ECHO);
            tcsetattr(slave, OptionalActions::Now, &modes).expect("a terminal that takes modes");
        })
    }

    fn start_with(dsops: Dsops, prepare: impl Fn(&OwnedFd)) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a terminal");
        grantpt(&master).expect("a terminal");
        unlockpt(&master).expect("a terminal");
        let slave = ioctl_tiocgptpeer(&master, flags).expect("the terminal's other end");
        tcsetwinsize(&master, size(24, 80)).expect("a terminal that takes a size");
        prepare(&slave);

        let program = dsops.command();
        // setsid(1) makes the session and takes the terminal before it becomes the program: that is
        // work between fork and exec, which cannot be had without `unsafe`. It keeps its process id, since
        // it leads no group when it starts.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program.get_program()).args(program.get_args()).env_clear();
        command.env("TERM", "xterm");
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(program.get_current_dir().expect("a directory"));
        let stream = || Stdio::from(slave.try_clone().expect("a descriptor"));
        command.stdin(stream()).stdout(stream()).stderr(stream());
        let child = command.spawn().expect("setsid(1) starts");
        // The terminal must be closed when the last process of the session closes it.
        drop(command);
        drop(slave);

        let pid = child.id();
        let master = Arc::new(master);
        let (stopped, stop) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
        let screen = Screen::default();
        let reader = thread::spawn({
            let (master, screen) = (Arc::clone(&master), screen.clone());
            move || screen.read(&master, &stopped)
        });
        Self {
            root: None,
            shown: dsops.shown(),
            child,
            ended: notice(pid),
            keyboard: Some(Keyboard { master, stop, reader }),
            screen,
            read: Cell::new(0),
        }
        .keep(dsops.into_root())
    }

    fn keep(mut self, root: TempDir) -> Self {
        self.root = Some(root);
        self
    }

    /// Returns the process id of the program, which is that of the session and of its group, too.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Returns a path below `work/`.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.as_ref().expect("a run that goes on").path().join("work").join(path)
    }

    /// Types; the enter key is `\r`.
    pub(crate) fn type_(&self, text: &str) -> &Self {
        self.send(text.as_bytes())
    }

    /// Presses a key together with Ctrl.
    pub(crate) fn key(&self, key: Ctrl) -> &Self {
        self.send(&[key.byte()])
    }

    fn send(&self, mut bytes: &[u8]) -> &Self {
        while !bytes.is_empty() {
            let written = rustix::io::write(self.master(), bytes).expect("a terminal that is there");
            bytes = &bytes[written..];
        }
        self
    }

    /// Waits until the terminal shows `text`, after what was waited for before; returns what it showed up to its end.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) -> String {
        let from = self.read.get();
        let found = self.screen.wait(|bytes, _| contains(&bytes[from..], text.as_bytes()));
        assert!(found, "`{}` never showed {text:?}\n{}", self.shown, self.so_far());
        let bytes = self.screen.bytes();
        let at = bytes[from..].windows(text.len()).position(|part| part == text.as_bytes()).unwrap_or(0);
        let to = from + at + text.len();
        self.read.set(to);
        lossy(&bytes[from..to])
    }

    /// Waits until the terminal has shown `text`, at any time; false where everybody closes it, or it takes too long, without.
    pub(crate) fn shows(&self, text: &str) -> bool {
        self.screen.wait(|bytes, _| contains(bytes, text.as_bytes()))
    }

    /// Returns everything that was shown so far.
    pub(crate) fn seen(&self) -> String {
        lossy(&self.screen.bytes())
    }

    /// Gives the terminal another size: the foreground group gets `SIGWINCH`.
    pub(crate) fn resize(&self, rows: u16, columns: u16) -> &Self {
        tcsetwinsize(self.master(), size(rows, columns)).expect("a terminal that takes a size");
        self
    }

    /// Returns lines and columns.
    pub(crate) fn size(&self) -> (u16, u16) {
        let size = tcgetwinsize(self.master()).expect("a terminal with a size");
        (size.ws_row, size.ws_col)
    }

    /// Returns how input and output are treated, to be compared before and after.
    pub(crate) fn modes(&self) -> Modes {
        let modes = tcgetattr(self.master()).expect("a terminal with modes");
        Modes {
            flags: [
                modes.input_modes.bits(),
                modes.output_modes.bits(),
                modes.control_modes.bits(),
                modes.local_modes.bits(),
            ],
            special: format!("{:?}", modes.special_codes),
        }
    }

    /// Returns the foreground process group, the one that gets the terminal's signals.
    pub(crate) fn foreground(&self) -> Pid {
        let group = tcgetpgrp(self.master()).expect("a terminal with a foreground group");
        Pid::from_raw(group.as_raw_pid())
    }

    /// Sends a signal to the program alone.
    pub(crate) fn signal(&self, signal: Signal) -> &Self {
        kill(self.pid(), signal).expect("a running process");
        self
    }

    /// Hangs up: closes the user's end, as a lost connection or a closed window does.
    pub(crate) fn hang_up(&mut self) -> &mut Self {
        if let Some(Keyboard { master, stop, reader }) = self.keyboard.take() {
            drop(stop);
            let _ = reader.join();
            drop(master);
        }
        self
    }

    /// Returns the processes of the session, without those that have ended.
    pub(crate) fn session(&self) -> Vec<Pid> {
        session(self.pid())
    }

    /// Waits for the end of the program and, where nobody hung up, until everybody has closed the terminal.
    ///
    /// The result's standard output is everything that was shown; lines end with `\r\n`. What else
    /// was in the session is killed. Output that somebody wrote within an instant of the end, while
    /// another process kept the terminal open, may be missing: the kernel drops it.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Output {
        let status = self.status();
        let closed = self.keyboard.is_none() || self.screen.wait(|_, end| end);
        assert!(closed, "`{}` ended but its terminal stayed open\n{}", self.shown, self.so_far());
        let stdout = self.screen.bytes();
        let root = self.root.take().expect("a run ends once");
        Output { root, shown: std::mem::take(&mut self.shown), status, stdout, stderr: Vec::new() }
    }

    /// Waits for the end of the program, and leaves the terminal and the rest of its session as they are.
    #[track_caller]
    pub(crate) fn wait_status(&self) -> ExitStatus {
        let status = self.ended.recv_timeout(LIMIT);
        let status = status
            .unwrap_or_else(|_| panic!("`{}` did not end within {LIMIT:?}\n{}", self.shown, self.so_far()));
        ExitStatus::from_raw(status)
    }

    #[track_caller]
    fn status(&mut self) -> ExitStatus {
        let _ = self.wait_status();
        // Before the end is collected: until then no other session can have this number.
        end_session(self.pid());
        self.child.wait().expect("a child of ours")
    }

    fn master(&self) -> &OwnedFd {
        &self.keyboard.as_ref().expect("nobody hung up").master
    }

    fn so_far(&self) -> String {
        format!("--- shown\n{}", self.seen())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.hang_up();
        // Does nothing where the end was collected.
        if let Ok(None) = self.child.try_wait() {
            end_session(self.pid());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a terminal treats input and output: termios(3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    flags: [u32; 4],
    special: String,
}

/// Waits until a condition holds, and fails the test where that takes too long.
#[track_caller]
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not come to pass within {LIMIT:?}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// Returns the state of a process as proc(5) has it, `T` for a stopped one; none where there is no such process.
pub(crate) fn state(pid: Pid) -> Option<char> {
    stat(pid)?.first()?.chars().next()
}

/// Returns the fields of `/proc/PID/stat` behind the name, which may hold anything.
fn stat(pid: Pid) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

fn session(leader: Pid) -> Vec<Pid> {
    let pids = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        let pid = Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?);
        let stat = stat(pid)?;
        (stat.get(3)? == &leader.to_string() && stat.first()? != "Z").then_some(pid)
    });
    pids.collect()
}

/// Kills until nobody is left: a process may start another while its session is read.
fn end_session(leader: Pid) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let left = session(leader);
        if left.is_empty() || Instant::now() > deadline {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Tells how a child ended, as wait(2) encodes it, without collecting it.
fn notice(pid: u32) -> Receiver<i32> {
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
        loop {
            match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(Some(status)) => {
                    let code = status.exit_status().map(|code| code << 8);
                    return sender.send(code.or(status.terminating_signal()).unwrap_or_default());
                }
                Err(rustix::io::Errno::INTR) => {}
                // Collected by now: the terminal was dropped, and nobody listens.
                _ => return Ok(()),
            }
        }
    });
    ended
}

/// What the terminal has shown so far, and whether everybody has closed it.
#[derive(Clone, Default)]
struct Screen(Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>);

impl Screen {
    /// Collects until the terminal is closed by everybody or `stopped` is.
    fn read(&self, master: &impl AsFd, stopped: &impl AsFd) {
        let mut chunk = [0; 8192];
        loop {
            let mut fds = [PollFd::new(master, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
            if poll(&mut fds, None).is_err() {
                continue;
            }
            if !fds[1].revents().is_empty() {
                return;
            }
            // `EIO`: nobody has the terminal open any more.
            let read = rustix::io::read(master, &mut chunk[..]).unwrap_or(0);
            let (content, more) = &*self.0;
            let mut content = content.lock().expect("no reader panics");
            content.0.extend_from_slice(&chunk[..read]);
            content.1 = read == 0;
            more.notify_all();
            if read == 0 {
                return;
            }
        }
    }

    fn wait(&self, done: impl Fn(&[u8], bool) -> bool) -> bool {
        let (content, more) = &*self.0;
        let content = content.lock().expect("no reader panics");
        let (content, _) = more
            .wait_timeout_while(content, LIMIT, |(bytes, end)| !done(bytes, *end) && !*end)
            .expect("no panics");
        done(&content.0, content.1)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().expect("no reader panics").0.clone()
    }
}
