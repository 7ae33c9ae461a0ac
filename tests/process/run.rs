//! One run of a command: alone or under dsops, on a terminal or on pipes.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;

use nix::unistd::Pid;

use crate::support::compiled::compiled;
use crate::support::terminal::{Terminal, eventually, state};
use crate::support::{Dsops, Output, Running};

/// Every way in which the table runs a command, in the order of its columns.
pub(crate) const MODES: &[Mode] = &[Mode::Alone, Mode::Replace, Mode::Supervise, Mode::Mask];

/// The ways in which dsops stays beside the command.
pub(crate) const BESIDE: &[Mode] = &[Mode::Supervise, Mode::Mask];

/// Who starts the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// Nobody but the test: what the other ways are measured by.
    Alone,
    /// dsops, which the command then takes the place of.
    Replace,
    /// dsops, which stays beside it.
    Supervise,
    /// dsops, which stays beside it and masks its output.
    Mask,
}

impl Mode {
    /// Returns the heading of its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Alone => "without dsops",
            Self::Replace => "replace",
            Self::Supervise => "supervise",
            Self::Mask => "masked",
        }
    }

    /// Says whether dsops stays beside the command.
    pub(crate) fn stays(self) -> bool {
        BESIDE.contains(&self)
    }

    /// Returns the options of `dsops exec`.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Alone | Self::Replace => &[],
            Self::Supervise => &["--supervise"],
            Self::Mask => &["--mask"],
        }
    }
}

/// Where the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// On pipes, without a controlling terminal: as in CI, in a container, under cron(8).
    Apart,
    /// On a terminal, whose session it leads.
    Terminal,
}

/// A run that is being prepared.
pub(crate) struct Run {
    pub(crate) mode: Mode,
    pub(crate) place: Place,
    dsops: Dsops,
    launch: Vec<String>,
    options: Vec<String>,
}

impl Run {
    pub(crate) fn new(mode: Mode, place: Place) -> Self {
        let dsops = Dsops::new().config("version: 1\nenvs: {dev: {A: {literal: planned}}}");
        Self { mode, place, dsops, launch: Vec::new(), options: Vec::new() }
    }

    /// Changes what is inherited, with options of `probe launch`.
    pub(crate) fn launch(mut self, options: &[&str]) -> Self {
        self.launch.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Adds options of `dsops exec`.
    pub(crate) fn options(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&option| option.to_owned()));
        self
    }

    /// Changes the run otherwise.
    pub(crate) fn with(mut self, change: impl FnOnce(Dsops) -> Dsops) -> Self {
        self.dsops = change(self.dsops);
        self
    }

    /// Returns the words that run a command in this mode, for shells and other programs that start it.
    ///
    /// A command named `probe` is the probe.
    pub(crate) fn words(&self, command: &[&str]) -> Vec<String> {
        let probe = probe().to_str().expect("a path of letters");
        let command: Vec<&str> =
            command.iter().map(|&word| if word == "probe" { probe } else { word }).collect();
        let command = &command[..];
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        if self.mode == Mode::Alone {
            return own(command);
        }
        let mut words = own(&[env!("CARGO_BIN_EXE_dsops"), "exec", "--env", "dev"]);
        words.extend(own(self.mode.options()));
        words.extend(self.options.clone());
        words.push("--".to_owned());
        words.extend(own(command));
        words
    }

    /// Starts a command.
    pub(crate) fn start(self, command: &[&str]) -> Started {
        let words = self.words(command);
        self.start_words(&words)
    }

    /// Starts a command by way of a program that is given its words.
    pub(crate) fn start_by(self, program: &[&str], command: &[&str]) -> Started {
        let program: Vec<String> = program.iter().map(|&word| word.to_owned()).collect();
        let words = self.words(command);
        self.start_words(&[program, words].concat())
    }

    /// Starts a shell's script that runs `$CMD`: the command in the mode of this run.
    pub(crate) fn start_script(self, shell: &[&str], script: &str, command: &[&str]) -> Started {
        let words: Vec<String> = shell.iter().map(|&word| word.to_owned()).collect();
        let script = script.replace("$CMD", &quote(&self.words(command)));
        self.start_words(&[words, vec![script]].concat())
    }

    /// Starts a shell on the terminal, and returns what to type to it to run a command in the mode of this run.
    pub(crate) fn start_shell(self, shell: &[&str], command: &[&str]) -> (Started, String) {
        let typed = quote(&self.words(command));
        let shell: Vec<String> = shell.iter().map(|&word| word.to_owned()).collect();
        (self.start_words(&shell), typed)
    }

    fn start_words(self, words: &[String]) -> Started {
        let apart = if self.place == Place::Apart { &["-T"][..] } else { &[] };
        let dsops = self.dsops.instead(probe()).args(["launch"]).args(apart).args(&self.launch);
        let dsops = dsops.args(["--"]).args(words);
        match self.place {
            Place::Apart => Started::Apart(dsops.start()),
            Place::Terminal => Started::Terminal(Terminal::start_silent(dsops)),
        }
    }
}

/// A run that has started.
pub(crate) enum Started {
    Apart(Running),
    Terminal(Terminal),
}

impl Started {
    /// Returns the process id that the caller of dsops knows.
    pub(crate) fn pid(&self) -> Pid {
        match self {
            Self::Apart(running) => running.pid(),
            Self::Terminal(terminal) => terminal.pid(),
        }
    }

    /// Returns a path below the working directory.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        match self {
            Self::Apart(running) => running.path(path),
            Self::Terminal(terminal) => terminal.path(path),
        }
    }

    /// Returns the terminal.
    pub(crate) fn terminal(&mut self) -> &mut Terminal {
        match self {
            Self::Apart(_) => panic!("not on a terminal"),
            Self::Terminal(terminal) => terminal,
        }
    }

    /// Waits for a text; false where there will be none.
    pub(crate) fn shows(&self, text: &str) -> bool {
        match self {
            Self::Apart(running) => running.shows(text),
            Self::Terminal(terminal) => terminal.shows(text),
        }
    }

    /// Waits for a text that has to come.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) {
        assert!(self.shows(text), "no {text:?} in {:?}", self.seen());
    }

    /// Returns what was written so far.
    pub(crate) fn seen(&self) -> String {
        match self {
            Self::Apart(running) => running.seen(),
            Self::Terminal(terminal) => terminal.seen(),
        }
    }

    /// Waits for the number that follows a word. A shell's prompt may stand before it.
    #[track_caller]
    pub(crate) fn number(&self, word: &str) -> Pid {
        let find = || {
            let seen = self.seen();
            let (line, _) = seen.split_once(word)?.1.split_once('\n')?;
            line.trim().parse().ok().map(Pid::from_raw)
        };
        self.until(word);
        eventually(word, || find().is_some());
        find().expect("a number")
    }

    /// Waits until the probe is ready, and returns its process id.
    #[track_caller]
    pub(crate) fn ready(&self) -> Pid {
        self.number("ready ")
    }

    /// Waits until a line has been written a number of times.
    #[track_caller]
    pub(crate) fn until_count(&self, line: &str, count: usize) {
        eventually(line, || self.seen().lines().filter(|seen| seen.trim_end() == line).count() >= count);
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn wait(self) -> Output {
        match self {
            Self::Apart(running) => running.wait(),
            Self::Terminal(terminal) => terminal.wait(),
        }
    }

    /// Waits for the end of the process that the caller knows, whoever still has its output open; says what it was.
    ///
    /// The process is not collected before the run is dropped.
    #[track_caller]
    pub(crate) fn end_of_caller(&self) -> String {
        match self {
            Self::Apart(running) => end(running.status()),
            Self::Terminal(terminal) => end(terminal.wait_status()),
        }
    }

    /// Waits for the end and says what it was.
    #[track_caller]
    pub(crate) fn end(self) -> String {
        end(self.wait().status())
    }
}

/// Says how a process ended.
pub(crate) fn end(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("ends by {}", name(signal)),
        None => format!("exit {}", status.code().unwrap_or(-1)),
    }
}

/// Sends a signal, of any number; false where there is no such process.
pub(crate) fn send(pid: Pid, signal: i32) -> bool {
    Command::new(probe())
        .args(["send", &pid.to_string(), &signal.to_string()])
        .status()
        .expect("the probe")
        .success()
}

/// Returns the parent of a process.
#[track_caller]
pub(crate) fn parent(pid: Pid) -> Pid {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that is there");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Pid::from_raw(line.and_then(|line| line.trim().parse().ok()).expect("a process id"))
}

/// Waits until a process has stopped.
#[track_caller]
pub(crate) fn until_stopped(pid: Pid) {
    eventually("the stop", || state(pid) == Some('T'));
}

/// Says whether a process is there and has not ended.
pub(crate) fn lives(pid: Pid) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Returns a command's words as a shell reads them.
pub(crate) fn quote(words: &[String]) -> String {
    words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect::<Vec<_>>().join(" ")
}

/// Returns the name of a signal, from `kill -l`; real-time signals count from 34, the C library's first.
pub(crate) fn name(signal: i32) -> String {
    match nix::sys::signal::Signal::try_from(signal) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {signal}"),
    }
}

/// Compiles the probe, once, and returns its path.
pub(crate) fn probe() -> &'static Path {
    static PROBE: OnceLock<PathBuf> = OnceLock::new();
    PROBE.get_or_init(|| compiled("tests/process/probe.c"))
}
