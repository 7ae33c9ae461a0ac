//! Outside programs: how they are found, started without a shell, limited, and ended.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::contract::{Context, FetchError, FetchErrorKind};

/// The most that is kept of what a program writes to its stderr; the rest is read and dropped.
const MAX_STDERR: usize = 64 << 10;
/// How long a killed program may take to go. The kernel needs longer only where a disk or a network
/// file system hangs, and then nothing is gained by waiting.
const BURIAL: Duration = Duration::from_secs(1);

/// A program that is there and can be executed.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Finds a program: a name with a slash is a path (relative to `dsops.yaml`), any other is looked
    /// for in the directories of `PATH`. Relative directories there are passed over, since what they
    /// hold depends on where dsops happens to run.
    ///
    /// # Errors
    ///
    /// `ToolMissing` where it is not there or cannot be executed, with the places searched.
    pub fn find(name: &str, cx: &Context) -> Result<Self, FetchError> {
        if name.contains('/') {
            return Self::at(name, cx);
        }
        let Some(path) = cx.env().get_os("PATH").filter(|path| !path.is_empty()) else {
            return Err(missing(format!("`{name}` cannot be looked for, since `PATH` is not set"))
                .help(format!("set `PATH`, or write the whole path of `{name}`")));
        };
        let found = std::env::split_paths(path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|candidate| is_executable(candidate));
        found.map(Self).ok_or_else(|| {
            missing(format!("no program `{name}` in `PATH`, which is `{}`", path.display()))
                .help(advice_for(name))
        })
    }

    fn at(name: &str, cx: &Context) -> Result<Self, FetchError> {
        let unusable = |why: &str, path: &Path| missing(format!("the program `{}` {why}", path.display()));
        // Made absolute, since the program is started in a directory of its own.
        let path = std::path::absolute(cx.resolve_path(name))
            .map_err(|error| unusable("cannot be located", Path::new(name)).caused_by(error))?;
        if !path.is_file() {
            return Err(unusable("is not there", &path).help(advice_for(name)));
        }
        if !is_executable(&path) {
            return Err(
                unusable("may not be executed", &path).help(format!("run `chmod +x {}`", path.display()))
            );
        }
        Ok(Self(path))
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

fn missing(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::ToolMissing, message)
}

fn advice_for(name: &str) -> String {
    match name.split_once(' ') {
        Some((program, _)) => {
            format!("write the arguments as a list, `[{program}, …]`: there is no shell to split them")
        }
        None => format!("install `{name}`, or correct its name"),
    }
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}

/// One run of a program.
pub struct Invocation<'a> {
    /// The program.
    pub program: &'a Program,
    /// Its arguments. Every user of the machine can read them: no secrets here.
    pub args: Vec<OsString>,
    /// Its whole environment; nothing is inherited. Only the program and its user can read it, and the
    /// system's copy cannot be overwritten: prefer stdin for secrets where the program has the choice.
    pub env: Vec<(OsString, OsString)>,
    /// What it reads from stdin, which is closed after it.
    pub stdin: Zeroizing<Vec<u8>>,
    /// How many bytes it may write to stdout.
    pub max_output: usize,
    /// How long it may write nothing, to stdout or to stderr; none where only the store's time limits it.
    pub silence: Option<Duration>,
}

/// What a program left.
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its stdout.
    pub stdout: Zeroizing<Vec<u8>>,
    /// The beginning of its stderr. It may hold a value: read it, never show it.
    pub stderr: Zeroizing<Vec<u8>>,
}

impl Invocation<'_> {
    /// Runs the program in the directory of `dsops.yaml` until it ends or the store's time is up.
    ///
    /// It gets a process group of its own, and what it leaves running there ends with it, so that
    /// nothing is left behind that holds a value. Not reading all of stdin is its right.
    ///
    /// # Errors
    ///
    /// `TimedOut` at the deadline or after a silence, `Malformed` where it writes more than it may, `ToolMissing` where
    /// the system cannot execute it. How it ended is for the caller to judge.
    pub async fn run(self, cx: &Context) -> Result<Output, FetchError> {
        let left = cx.time_left()?;
        let mut child = self.spawn(cx)?;
        cx.meter().process();
        let mut group = Group::of(&child);
        let converse = self.converse(&mut child, &mut group);
        let outcome = match left {
            Some(left) => {
                tokio::time::timeout(left, converse).await.unwrap_or_else(|_| Err(self.overdue(left)))
            }
            None => converse.await,
        };
        if outcome.is_err() {
            group.kill();
            let _ = child.start_kill();
            // Waited for here: once dsops becomes the command, nobody else would.
            let _ = tokio::time::timeout(BURIAL, child.wait()).await;
        }
        outcome
    }

    fn spawn(&self, cx: &Context) -> Result<Child, FetchError> {
        let mut command = Command::new(self.program.path());
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(cx.resolve_path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map_err(|error| self.not_started(error))
    }

    fn not_started(&self, error: io::Error) -> FetchError {
        let path = self.program.path().display();
        match error.kind() {
            // The file is there: it was looked at a moment ago.
            io::ErrorKind::NotFound => {
                missing(format!("the interpreter that `{path}` names in its first line is not there"))
                    .help("install the interpreter, or correct the line that starts with `#!`")
            }
            io::ErrorKind::PermissionDenied => missing(format!("`{path}` may not be executed"))
                .help("check its permissions, and that its file system is not mounted `noexec`"),
            _ => missing(format!("`{path}` cannot be executed"))
                .help("name a program for this machine, or a script that starts with `#!`"),
        }
        .caused_by(error)
    }

    async fn converse(&self, child: &mut Child, group: &mut Group) -> Result<Output, FetchError> {
        let heard = Notify::new();
        let talk = self.talk(child, group, &heard);
        let Some(silence) = self.silence else { return talk.await };
        let hush = async { while tokio::time::timeout(silence, heard.notified()).await.is_ok() {} };
        tokio::select! {
            // What has been written counts, even where it is read late.
            biased;
            output = talk => output,
            () = hush => Err(self.silent(silence)),
        }
    }

    /// Feeds the program and reads what it writes, to its end, and gives notice of every piece.
    async fn talk(&self, child: &mut Child, group: &mut Group, heard: &Notify) -> Result<Output, FetchError> {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async {
            if let Some(mut stdin) = stdin {
                // An error means that the program reads no further, which its output will explain.
                let _ = stdin.write_all(&self.stdin).await;
            }
            Ok(())
        };
        let end = async {
            let status = child.wait().await.map_err(|error| self.broken(error));
            group.kill();
            status
        };
        let (status, (), stdout, stderr) = tokio::try_join!(
            end,
            feed,
            self.collect(stdout, self.max_output, Excess::Refused, heard),
            self.collect(stderr, MAX_STDERR, Excess::Dropped, heard),
        )?;
        Ok(Output { status, stdout, stderr })
    }

    /// Reads a pipe to its end, a chunk at a time, through memory that is overwritten.
    async fn collect(
        &self,
        pipe: Option<impl AsyncRead + Unpin>,
        most: usize,
        excess: Excess,
        heard: &Notify,
    ) -> Result<Zeroizing<Vec<u8>>, FetchError> {
        let mut kept = Kept::default();
        let Some(mut pipe) = pipe else { return Ok(kept.0) };
        let mut chunk = Zeroizing::new(vec![0; 16 << 10]);
        loop {
            let read = pipe.read(&mut chunk).await.map_err(|error| self.broken(error))?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(kept.0);
            }
            heard.notify_one();
            let fitting = bytes.get(..most - kept.len()).unwrap_or(bytes);
            if fitting.len() < bytes.len() && excess == Excess::Refused {
                return Err(self.too_much());
            }
            kept.add(fitting);
        }
    }

    fn name(&self) -> String {
        self.program.path().display().to_string()
    }

    fn overdue(&self, left: Duration) -> FetchError {
        FetchError::new(
            FetchErrorKind::TimedOut,
            format!("`{}` was not done after {} s and was ended", self.name(), left.as_secs_f32().ceil()),
        )
        .help("raise `timeout` on the store, or run the program by hand to see what it waits for")
    }

    fn silent(&self, silence: Duration) -> FetchError {
        FetchError::new(
            FetchErrorKind::TimedOut,
            format!("`{}` wrote nothing for {} s and was ended", self.name(), silence.as_secs_f32()),
        )
        .help("raise `silence` on the store, or make the program write a line feed while it works")
    }

    fn too_much(&self) -> FetchError {
        FetchError::new(
            FetchErrorKind::Malformed,
            format!("`{}` wrote more than {} bytes and was ended", self.name(), self.max_output),
        )
        .help("make the program write no more than it is asked for")
    }

    fn broken(&self, error: io::Error) -> FetchError {
        FetchError::new(FetchErrorKind::Unavailable, format!("the connection to `{}` broke", self.name()))
            .temporary(false)
            .caused_by(error)
    }
}

/// What becomes of output beyond the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excess {
    /// The run fails.
    Refused,
    /// It is read, so that the program can go on, and dropped.
    Dropped,
}

/// Bytes that grow without leaving a copy behind: a `Vec` that grows by itself frees what it
/// outgrew as it is.
struct Kept(Zeroizing<Vec<u8>>);

impl Default for Kept {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::new()))
    }
}

impl Kept {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn add(&mut self, bytes: &[u8]) {
        let needed = self.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(2 * self.0.capacity())));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }
}

/// The process group that a program leads, ended when it is dropped: also where the engine gives up
/// on a batch in the middle.
struct Group {
    #[cfg(unix)]
    leader: Option<nix::unistd::Pid>,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(nix::unistd::Pid::from_raw);
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).extend(leader);
        Self { leader }
    }

    /// Kills whatever is left of the group, once: a moment after its leader is gone its number may be
    /// another's. That there is nothing left is the usual case.
    fn kill(&mut self) {
        if let Some(leader) = self.leader.take() {
            let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = nix::sys::signal::killpg(leader, nix::sys::signal::Signal::SIGKILL);
            running.retain(|group| *group != leader);
        }
    }
}

/// The groups that have not been ended.
#[cfg(unix)]
static RUNNING: Mutex<Vec<nix::unistd::Pid>> = Mutex::new(Vec::new());

/// Ends every program that is running, for a process that ends without leaving the functions that wait for them.
pub fn end_all() {
    #[cfg(unix)]
    for leader in RUNNING.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _ = nix::sys::signal::killpg(leader, nix::sys::signal::Signal::SIGKILL);
    }
}

#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Self {}
    }

    /// Only the program itself is ended here, by `kill_on_drop`.
    fn kill(&mut self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns how a program ended, where that was not well: `exited with code 3`.
#[must_use]
pub fn bad_end(status: ExitStatus) -> Option<String> {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = nix::sys::signal::Signal::try_from(signal).map_or("", nix::sys::signal::Signal::as_str);
        return Some(format!("was ended by signal {signal} {name}").trim_end().to_owned());
    }
    match status.code() {
        Some(0) => None,
        Some(code) => Some(format!("exited with code {code}")),
        None => Some("ended in an unknown way".to_owned()),
    }
}

/// What programs are given of the environment where nothing else is said: where programs and files are
/// found, and how to speak to a person.
pub const PASSED_ENV: &[&str] = &["PATH", "HOME", "USER", "LANG", "LC_*", "TERM", "TMPDIR"];

/// Returns the variables of the environment that the patterns name: a whole name, or its beginning and `*`.
#[must_use]
pub fn passed(cx: &Context, patterns: &[impl AsRef<str>]) -> Vec<(OsString, OsString)> {
    let named = |name: &OsStr, pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => name.as_encoded_bytes().starts_with(start.as_bytes()),
        None => name == pattern,
    };
    cx.env()
        .iter()
        .filter(|(name, _)| patterns.iter().any(|pattern| named(name, pattern.as_ref())))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
