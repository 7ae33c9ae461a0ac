//! What stands between the output of the command and that of dsops: masked pipes, or a masked terminal.
//!
//! Where standard output is a terminal the command gets one of its own, so that colours, sizes, prompts and
//! full-screen programs work as without dsops; where it is not, a pipe. Each output has a thread that reads,
//! masks and writes, one after the other: where nobody takes dsops's output, nothing is read, and the command has to
//! wait. Descriptors that dsops shares with others are never made non-blocking.
//!
//! Signals must be blocked before the streams are opened: the threads would take them.

mod keyboard;
mod outer;
mod terminal;

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::spawn::ChildSide;
use crate::mask::{self, FilterError, Mask, Progress};
use keyboard::Keyboard;
use outer::Outer;
use terminal::Inner;

/// How long outputs that somebody keeps open after the end of the command have to be silent.
const SILENCE_AT_END: Duration = Duration::from_millis(50);
/// How long they are listened to where they are not.
const LONGEST_END: Duration = Duration::from_millis(250);
/// How long an output may take to come through before dsops stops with the command.
const LONGEST_STOP: Duration = Duration::from_millis(250);
/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(10);

/// The outputs of a command on their way. Dropping it gives the terminal of dsops its modes back.
pub(super) struct Streams {
    outputs: Vec<Copied>,
    /// Brings nothing, and ends when the last output has.
    ended: UnboundedReceiver<()>,
    terminal: Option<Terminal>,
}

/// One output on its way.
struct Copied {
    /// The thread's alone to keep open: where it ends, the command is to find its output closed.
    from: Weak<OwnedFd>,
    progress: Arc<Progress>,
    /// Why it could not be written.
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Copied {
    /// Says whether nothing is on its way.
    fn rests(&self) -> bool {
        let Some(from) = self.from.upgrade() else { return true };
        let mut unread = [PollFd::new(&*from, PollFlags::IN)];
        let is_empty = poll(&mut unread, Some(&Timespec::default())) == Ok(0);
        is_empty && self.progress.is_reading()
    }
}

impl Copied {
    /// Says whether everything up to `end` has been written. The end is set when the output first rests: what is in it then
    /// and later may be of others.
    fn has_come_to(&self, end: &mut Option<u64>) -> bool {
        let Some(from) = self.from.upgrade() else { return true };
        if !self.progress.is_reading() {
            return false;
        }
        let unread = || rustix::io::ioctl_fionread(&*from).unwrap_or_default();
        let end = *end.get_or_insert_with(|| self.progress.read() + unread());
        self.progress.read() >= end
    }
}

struct Terminal {
    inner: Arc<Inner>,
    /// The terminal of dsops, where its input is for the command.
    outer: Option<Arc<Outer>>,
    /// Carries what is typed; dropping it ends that.
    keyboard: Option<Keyboard>,
}

/// One of the two outputs of dsops.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Standard,
    Error,
}

impl Output {
    fn with<T>(self, used: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
        match self {
            Self::Standard => used(io::stdout().as_fd()),
            Self::Error => used(io::stderr().as_fd()),
        }
    }

    fn is_terminal(self) -> bool {
        match self {
            Self::Standard => io::stdout().is_terminal(),
            Self::Error => io::stderr().is_terminal(),
        }
    }
}

/// Says whether the same file is behind both outputs, as where one was duplicated from the other.
fn share_a_file() -> bool {
    let stat = |output: Output| output.with(|fd| rustix::fs::fstat(fd).ok());
    let stats = stat(Output::Standard).zip(stat(Output::Error));
    stats.is_some_and(|(one, other)| one.st_dev == other.st_dev && one.st_ino == other.st_ino)
}

impl Streams {
    /// Opens what the command writes to, and returns the command's side of it.
    pub(super) fn open(mask: &Mask) -> io::Result<(Self, ChildSide)> {
        let (sender, ended) = unbounded_channel();
        let mut streams = Self { outputs: Vec::new(), ended, terminal: None };
        let mut side = ChildSide::default();
        let closed = dsops_os::started_with().closed;
        let [_, no_stdout, no_stderr] = closed;
        if !no_stdout && Output::Standard.is_terminal() {
            streams.open_terminal(mask, &sender, &mut side)?;
        } else if !no_stdout {
            side.stdout = Some(streams.open_pipe(mask, Output::Standard, &sender)?);
        }
        side.stderr = match &side.stdout {
            _ if no_stderr => None,
            Some(stdout) if side.terminal && Output::Error.is_terminal() => Some(stdout.try_clone()?),
            // One pipe for both, so that the order is kept.
            Some(stdout) if !side.terminal && share_a_file() => Some(stdout.try_clone()?),
            _ => Some(streams.open_pipe(mask, Output::Error, &sender)?),
        };
        Ok((streams, side))
    }

    fn open_pipe(
        &mut self,
        mask: &Mask,
        output: Output,
        sender: &UnboundedSender<()>,
    ) -> io::Result<OwnedFd> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        mask::enlarge(read.as_fd());
        self.copy(mask, read, output, sender)?;
        Ok(write)
    }

    fn open_terminal(
        &mut self,
        mask: &Mask,
        sender: &UnboundedSender<()>,
        side: &mut ChildSide,
    ) -> io::Result<()> {
        let outer = Outer::find()?.map(Arc::new);
        let (inner, child) = Inner::open(outer.as_deref())?;
        let inner = Arc::new(inner);
        self.copy(mask, inner.master().try_clone_to_owned()?, Output::Standard, sender)?;
        if let Some(outer) = &outer {
            if outer.is_stdin() {
                side.stdin = Some(child.try_clone()?);
            }
            outer.take();
        }
        side.stdout = Some(child);
        side.terminal = true;
        self.terminal = Some(Terminal { inner, outer, keyboard: None });
        Ok(())
    }

    /// Starts the thread of one output.
    fn copy(
        &mut self,
        mask: &Mask,
        from: OwnedFd,
        output: Output,
        sender: &UnboundedSender<()>,
    ) -> io::Result<()> {
        let from = Arc::new(from);
        let progress = Arc::new(Progress::default());
        let failure = Arc::default();
        self.outputs.push(Copied {
            from: Arc::downgrade(&from),
            progress: Arc::clone(&progress),
            failure: Arc::clone(&failure),
        });
        let (mask, sender) = (mask.clone(), sender.clone());
        thread::Builder::new().name("output".into()).spawn(move || {
            // A duplicate, since the handles of the library are locked by whoever uses them.
            let copied = output.with(|fd| fd.try_clone_to_owned()).map(|to| {
                let copied = mask::filter(&mask, from.as_fd(), to.as_fd(), &progress);
                // Whoever closes a pipe has seen enough, and the command hears of it.
                if let Err(FilterError::Output(error)) = copied
                    && error.kind() != io::ErrorKind::BrokenPipe
                {
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            });
            drop((copied, from, sender));
        })?;
        Ok(())
    }

    /// Lets what is typed through, once the command is there to get it: before, a key would reach nobody.
    pub(super) fn begin(&mut self, command: Pid) -> io::Result<()> {
        if let Some(terminal) = &mut self.terminal
            && let Some(outer) = &terminal.outer
        {
            terminal.keyboard =
                Some(Keyboard::start(Arc::clone(outer), Arc::clone(&terminal.inner), command)?);
        }
        Ok(())
    }

    /// Waits, once the command has ended, for what is still on its way.
    ///
    /// What had been written by then comes through however long dsops's own output takes. What the command has
    /// started may keep the outputs open for ever, and go on writing: it is not waited for.
    pub(super) async fn drain(&mut self) {
        // Up to where each output may be the command's own.
        let mut ends: Vec<Option<u64>> = vec![None; self.outputs.len()];
        let outputs = &self.outputs;
        let came_through = async {
            let mut complete: Option<Instant> = None;
            let mut heard = (Instant::now(), 0);
            loop {
                tokio::time::sleep(LOOK).await;
                let all = outputs
                    .iter()
                    .zip(&mut ends)
                    .fold(true, |all, (output, end)| output.has_come_to(end) && all);
                let read: u64 = outputs.iter().map(|output| output.progress.read()).sum();
                if read != heard.1 {
                    heard = (Instant::now(), read);
                }
                let complete = *complete.get_or_insert_with(Instant::now);
                // The kernel passes on what is written to a terminal a moment later.
                if all && (heard.0.elapsed() >= SILENCE_AT_END || complete.elapsed() >= LONGEST_END) {
                    return;
                }
            }
        };
        tokio::select! {
            () = async { while self.ended.recv().await.is_some() {} } => {}
            () = came_through => {}
        }
    }

    /// Returns why an output could not be written, once.
    pub(super) fn failure(&self) -> Option<io::Error> {
        let failure = |output: &Copied| output.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.outputs.iter().find_map(failure)
    }

    /// Returns the terminal's foreground process group, where the command has a terminal of its own.
    pub(super) fn foreground(&self) -> Option<Pid> {
        self.terminal.as_ref()?.inner.foreground()
    }

    /// Gives the command's terminal the size of dsops's own. The kernel tells its foreground group.
    pub(super) fn resize(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.inner.resize();
        }
    }

    /// Gives the terminal of dsops its modes back, before dsops stops. What the command printed until it stopped
    /// itself, to restore the screen, comes first.
    pub(super) fn suspend(&self) {
        let began = Instant::now();
        while !self.outputs.iter().all(Copied::rests) && began.elapsed() < LONGEST_STOP {
            thread::park_timeout(Duration::from_millis(1));
        }
        self.give_back();
    }

    fn give_back(&self) {
        if let Some(outer) = self.terminal.as_ref().and_then(|terminal| terminal.outer.as_ref()) {
            outer.give_back();
        }
    }

    /// Takes the terminal again, once dsops goes on and where it is in the foreground.
    pub(super) fn resume(&self) {
        if let Some(terminal) = &self.terminal {
            if let Some(outer) = &terminal.outer {
                outer.take();
            }
            terminal.inner.resize();
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.give_back();
    }
}
