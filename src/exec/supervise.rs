//! Stays beside the command, and ends as it ended.
//!
//! With a controlling terminal the command is in the process group of dsops, so that it can use the terminal
//! and a shell's job control reaches both; what the terminal sends, both get, and dsops
//! passes nothing on twice. Without one the command leads a group of its own, so that
//! what it started ends with it.
//!
//! Known limit: with a terminal the time's end reaches the command and not what it started, as with
//! `timeout --foreground`, since the group may hold the rest of a pipeline.

use std::cell::{Cell, RefCell};
use std::process;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::LocalBoxStream;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getpid;
use tokio::time::{Instant, sleep_until};

use super::launch::Launch;
use super::signals::{Received, Sender, Signals};
use super::spawn::Beside;
use super::streams::Streams;
use super::target::{Group, Target};
use super::witness::Witness;
use super::{Command, ExecError, ExecErrorKind, Files, Hardened};
use crate::environment::ChildEnvironment;
use crate::exit;
use crate::mask::Mask;

/// The time between asking a command to end and ending it, where nothing else is said.
pub const KILL_AFTER: Duration = Duration::from_secs(5);

/// What dsops stays beside a command for.
pub struct Supervision<'a> {
    /// The time after which the command, with all its restarts, gets `SIGTERM`.
    pub timeout: Option<Duration>,
    /// The time from a `SIGTERM` of dsops's own until `SIGKILL`.
    pub kill_after: Duration,
    /// What is taken out of the output of the command. Where there is none, it writes to dsops's own.
    pub mask: Option<Mask>,
    /// Hears what the command cannot be told.
    pub tell: &'a dyn Fn(&str),
    /// What the command is to hear of while it runs.
    pub changes: Option<Changes<'a>>,
}

impl Default for Supervision<'_> {
    fn default() -> Self {
        Self { timeout: None, kill_after: KILL_AFTER, mask: None, tell: &|_| {}, changes: None }
    }
}

/// What changes while a command runs.
pub struct Changes<'a> {
    /// The changes, one by one. They are waited for in the supervisor's own runtime.
    pub stream: LocalBoxStream<'a, Change<'a>>,
    /// Whether a fetch is under way, whose programs are not the supervisor's to wait for.
    pub fetching: Rc<Cell<bool>>,
}

/// Something that happened while a command runs.
pub enum Change<'a> {
    /// The command is to be ended, and started again like this.
    Restart {
        /// The command with its new environment.
        command: Command,
        /// What is taken out of its output from then on: the values that it starts with.
        mask: Option<Mask>,
        /// Hears why it cannot be started, where it cannot; the one before goes on then.
        refused: Box<dyn FnOnce(&ExecError) + 'a>,
    },
    /// The command is to be sent this signal, when its files hold the values of this environment.
    Signal {
        /// The signal.
        signal: Signal,
        /// What a command would get that started now.
        environment: ChildEnvironment,
        /// Hears why the files cannot be written, where they cannot; no signal is sent then.
        refused: Box<dyn FnOnce(&ExecError) + 'a>,
    },
    /// A fetch is over, and the command need not hear of it.
    Nothing,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Code(i32),
    /// The signal of this number ended it.
    Signal(i32),
    /// Its time was up.
    TimedOut,
}

impl Ended {
    /// Ends this process in the same way.
    pub fn end_alike(self) -> ! {
        match self {
            Self::Code(code) => process::exit(code),
            Self::TimedOut => process::exit(exit::TIMEOUT.into()),
            Self::Signal(signal) => {
                let _ = dsops_os::reset(signal);
                let _ = only(signal).thread_unblock();
                let _ = dsops_os::send(getpid().as_raw(), signal);
                // Only where the signal does not end this process: this is PID 1.
                process::exit(exit::for_signal(signal).into())
            }
        }
    }
}

/// Returns the set of one signal; of all the real-time ones where it is one, since they cannot be told apart.
fn only(signal: i32) -> SigSet {
    if let Ok(signal) = Signal::try_from(signal) {
        return SigSet::from(signal);
    }
    let mut set = SigSet::all();
    Signal::iterator().for_each(|named| set.remove(named));
    set
}

/// Starts the command, passes signals on to it, and says how it ended.
///
/// The values are wiped as soon as it has started. Call it after the runtime that fetched them is
/// gone: it brings its own, and another thread would take the signals.
///
/// # Errors
///
/// All kinds; once the command runs, `Failed` where the system refuses to let dsops wait for it.
pub fn supervise(
    command: Command,
    hardened: &Hardened,
    supervision: Supervision<'_>,
) -> Result<Ended, ExecError> {
    let place = command.files.clone();
    let mut launch = Launch::prepare(command)?;
    // They go when this function is left, which is when the command has ended.
    let files = RefCell::new(Files::in_directory(launch.environment_mut(), place)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("no runtime could be started").caused_by(error))?;
    runtime.block_on(async {
        let signals =
            Signals::collect().map_err(|error| failed("signals cannot be received").caused_by(error))?;
        let group = Group::of_command();
        let supervisor = Supervisor {
            hardened,
            signals: &signals,
            group,
            files: &files,
            kill_after: supervision.kill_after,
            tell: supervision.tell,
            witness: RefCell::default(),
            deadline: supervision.timeout.and_then(|time| Instant::now().checked_add(time)),
        };
        let mut changes = supervision.changes.unwrap_or_else(Changes::none);
        supervisor.run(launch, supervision.mask, &mut changes).await
    })
}

impl Changes<'_> {
    fn none() -> Self {
        Self { stream: Box::pin(futures::stream::pending()), fetching: Rc::default() }
    }
}

fn failed(message: &str) -> ExecError {
    ExecError::new(ExecErrorKind::Failed, message)
}

struct Supervisor<'a> {
    hardened: &'a Hardened,
    signals: &'a Signals,
    group: Group,
    files: &'a RefCell<Files>,
    kill_after: Duration,
    tell: &'a dyn Fn(&str),
    /// Tells which signals were for all of the group, where the command shares that of dsops.
    witness: RefCell<Option<Witness>>,
    deadline: Option<Instant>,
}

/// How one run of the command came to its end.
enum Outcome {
    /// dsops ends as well.
    End(Ended),
    /// It is started again.
    Start(Box<Following>),
}

/// What is started after a run.
struct Following {
    launch: Launch,
    mask: Option<Mask>,
}

/// How far the end of a run has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been asked for.
    Running,
    /// dsops has asked it to end.
    Ending,
    /// dsops has ended it.
    Killed,
}

/// One run of the command.
struct Run {
    target: Target,
    /// Its output on the way, where it is masked.
    streams: Option<Streams>,
    stage: Stage,
    /// When the next stage begins.
    due: Option<Instant>,
    /// How it ended; what it has started may still be there.
    ended: Option<Ended>,
    /// What is started after it.
    following: Option<Box<Following>>,
    timed_out: bool,
    /// Whether somebody has sent a signal that ends a program.
    was_told_to_end: bool,
}

impl Supervisor<'_> {
    /// Runs the command, again and again where changes ask for it.
    async fn run(
        self,
        mut launch: Launch,
        mut mask: Option<Mask>,
        changes: &mut Changes<'_>,
    ) -> Result<Ended, ExecError> {
        // Signals that came between two runs.
        let mut early: Vec<Received> = Vec::new();
        loop {
            let (mut streams, side) = match mask.as_ref().map(Streams::open).transpose() {
                Ok(opened) => opened.unzip(),
                Err(error) => return Err(failed("the output cannot be masked").caused_by(error)),
            };
            let side = side.unwrap_or_default();
            let group = if side.terminal { Group::Session } else { self.group };
            if group == Group::Shared {
                self.call_witness();
            }
            let beside = Beside { side, leads_group: group == Group::Own, mask: self.signals.mask_before() };
            let started = beside.spawn(&launch, self.hardened)?;
            // With it go the values.
            drop(launch);
            if let Some(streams) = &mut streams {
                streams
                    .begin(started.command)
                    .map_err(|error| failed("what is typed cannot be read").caused_by(error))?;
            }
            let mut run = Run {
                target: Target::new(started, group),
                streams,
                stage: Stage::Running,
                due: self.deadline,
                ended: None,
                following: None,
                timed_out: false,
                was_told_to_end: false,
            };
            for received in std::mem::take(&mut early) {
                self.pass_on(&mut run, received);
            }
            let mut outcome = self.watch(&mut run, changes).await?;
            if let Some(streams) = &mut run.streams {
                // What was told to end is not waited for as long as somebody leaves its output untaken.
                let was_told = run.stage != Stage::Running || run.was_told_to_end;
                let limit = was_told.then_some(self.kill_after);
                early = self.drain(streams, limit).await;
                if let Some(error) = streams.failure() {
                    (self.tell)(&format!("the output of the command could not be written: {error}"));
                }
                if let Some(Received { signal, .. }) = early.iter().find(|received| ends(received.signal))
                    && matches!(outcome, Outcome::Start(_))
                {
                    outcome = Outcome::End(Ended::Signal(*signal));
                }
            }
            if matches!(outcome, Outcome::Start(_)) && self.deadline.is_some_and(|due| due <= Instant::now())
            {
                outcome = Outcome::End(Ended::TimedOut);
            }
            match outcome {
                Outcome::End(ended) => return Ok(ended),
                Outcome::Start(following) => Following { launch, mask } = *following,
            }
        }
    }

    /// Sees to it that there is a witness. Without one, what is sent to all of the group reaches the command twice.
    fn call_witness(&self) {
        let mut witness = self.witness.borrow_mut();
        if witness.is_none() {
            *witness = Witness::call().ok();
        }
    }

    /// Watches over one run of the command.
    async fn watch(&self, run: &mut Run, changes: &mut Changes<'_>) -> Result<Outcome, ExecError> {
        loop {
            tokio::select! {
                received = self.signals.next() => {
                    let received =
                        received.map_err(|error| failed("signals cannot be received").caused_by(error))?;
                    // One that a process sent may stand for one of the kernel's: only one can wait.
                    if received.signal == libc::SIGCHLD {
                        run.collect(changes);
                    }
                    self.pass_on(run, received);
                }
                () = until(run.due) => self.advance(run),
                Some(change) = changes.stream.next() => {
                    self.take_up(run, change);
                    run.collect(changes);
                }
            }
            if let Some(outcome) = run.outcome() {
                return Ok(outcome);
            }
        }
    }

    /// Waits for the last output of a run that has ended, and returns the signals that came meanwhile: the next run's,
    /// if there is one. One that would end dsops ends the waiting, since nobody may ever take the output.
    async fn drain(&self, streams: &mut Streams, limit: Option<Duration>) -> Vec<Received> {
        let mut drained = std::pin::pin!(streams.drain());
        let limit = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut early = Vec::new();
        loop {
            tokio::select! {
                () = &mut drained => return early,
                () = until(limit) => return early,
                received = self.signals.next() => match received {
                    Ok(received) => {
                        early.push(received);
                        if ends(received.signal) {
                            return early;
                        }
                    }
                    Err(_) => return early,
                },
            }
        }
    }

    /// Passes a signal on, where the command has not had it with the rest of the group.
    fn pass_on(&self, run: &mut Run, received: Received) {
        // Whoever ends dsops means the command, and not the one that would follow it.
        if ends(received.signal) {
            run.following = None;
            run.was_told_to_end = true;
        }
        let mut witness = self.witness.borrow_mut();
        let witness = witness.as_mut().filter(|_| run.target.shares_group());
        if !witness.is_some_and(|witness| witness.has_seen(received.signal)) {
            run.pass_on(received);
        }
    }

    /// Ends the run when its time is up, first with a request.
    fn advance(&self, run: &mut Run) {
        match run.stage {
            Stage::Running => {
                run.timed_out = true;
                self.ask_to_end(run);
            }
            Stage::Ending | Stage::Killed => {
                run.target.send(libc::SIGKILL);
                run.stage = Stage::Killed;
                // The time may be up while a restart is on its way.
                run.due = None;
            }
        }
    }

    fn take_up(&self, run: &mut Run, change: Change<'_>) {
        match change {
            Change::Nothing => {}
            Change::Signal { signal, mut environment, refused } => {
                match self.files.borrow_mut().rewrite(&mut environment) {
                    Ok(()) => run.target.send(signal as i32),
                    Err(error) => refused(&error),
                }
            }
            Change::Restart { command, mask, refused } => match self.prepare(command) {
                Err(error) => refused(&error),
                // What ends because its time is up, or because it was told to, does not start again.
                Ok(_) if run.timed_out || run.ended.is_some() => {}
                Ok(launch) => {
                    run.following = Some(Box::new(Following { launch, mask }));
                    if run.stage == Stage::Running {
                        self.ask_to_end(run);
                    }
                }
            },
        }
    }

    /// Makes a command ready, with its files in the place of those before.
    fn prepare(&self, command: Command) -> Result<Launch, ExecError> {
        let mut launch = Launch::prepare(command)?;
        self.files.borrow_mut().rewrite(launch.environment_mut())?;
        Ok(launch)
    }

    fn ask_to_end(&self, run: &mut Run) {
        run.target.send(libc::SIGTERM);
        // A stopped process gets to its `SIGTERM` only when it goes on.
        run.target.send(libc::SIGCONT);
        run.stage = Stage::Ending;
        run.due = Instant::now().checked_add(self.kill_after);
    }
}

impl Run {
    fn collect(&mut self, changes: &Changes<'_>) {
        let news = self.target.collect(changes.fetching.get());
        self.ended = news.ended.or(self.ended);
        if news.stopped {
            self.target.stop_with_it(self.streams.as_ref());
        }
    }

    fn pass_on(&mut self, received: Received) {
        let foreground = self.streams.as_ref().and_then(Streams::foreground);
        if received.signal == libc::SIGWINCH
            && foreground.is_some()
            && let Some(streams) = &self.streams
        {
            streams.resize();
            // The kernel tells the foreground of the command's terminal when its size has changed.
            if received.sender == Sender::Kernel {
                return;
            }
        }
        self.target.pass_on(received, foreground);
    }

    fn outcome(&mut self) -> Option<Outcome> {
        let ended = self.ended?;
        // What the command had started may still be on its way out.
        if self.stage == Stage::Ending && self.target.is_inhabited() {
            return None;
        }
        if self.timed_out {
            return Some(Outcome::End(Ended::TimedOut));
        }
        Some(self.following.take().map_or(Outcome::End(ended), Outcome::Start))
    }
}

fn ends(signal: i32) -> bool {
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM].contains(&signal)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
