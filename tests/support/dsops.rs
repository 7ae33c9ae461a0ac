//! Runs the real binary the way a user does, in a directory and with an environment of its own.
//!
//! ```ignore
//! Dsops::new()
//!     .config("version: 1\nenvs: {dev: {A: {literal: one}}}")
//!     .args(["exec", "--env", "dev", "--", "printenv", "A"])
//!     .run()
//!     .code(0)
//!     .stdout("one\n");
//! ```
//!
//! Nothing of the developer's machine gets in: the environment holds `PATH`, `HOME` and `COLUMNS` alone, `HOME` is
//! an empty directory, the working directory is another one, and standard input is closed.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::output::{Output, contains, lossy};

/// A run that takes longer than this is killed and fails its test.
const LIMIT: Duration = Duration::from_secs(20);

/// A run of the program that is being prepared.
#[must_use = "nothing runs before `run` or `start`"]
pub(crate) struct Dsops {
    binary: PathBuf,
    root: TempDir,
    args: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    stdin: Option<Vec<u8>>,
    directory: PathBuf,
}

impl Dsops {
    /// Prepares a run in a fresh directory with `work/` to run in and `home/` as the home directory.
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("dsops-test-").tempdir().expect("a temporary directory");
        let directory = root.path().join("work");
        fs::create_dir(&directory).expect("the working directory");
        fs::create_dir(root.path().join("home")).expect("the home directory");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_dsops"));
        Self { binary, root, args: Vec::new(), env: Vec::new(), stdin: None, directory }
    }

    /// Runs another program in place of dsops: how this builder itself is tested.
    pub(crate) fn instead(mut self, binary: impl Into<PathBuf>) -> Self {
        self.binary = binary.into();
        self
    }

    /// Writes `work/dsops.yaml`.
    pub(crate) fn config(self, yaml: impl AsRef<[u8]>) -> Self {
        self.file("dsops.yaml", yaml)
    }

    /// Writes a file, by its path from `work/`; directories on the way are made, `../home/…` is allowed.
    pub(crate) fn file(self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        let path = self.root.path().join("work").join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("directories for the file");
        }
        fs::write(path, content).expect("a writable file");
        self
    }

    /// Writes an executable file, by its path from `work/`.
    pub(crate) fn program(self, path: impl AsRef<Path>, script: impl AsRef<[u8]>) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let full = self.path(path.as_ref());
        let this = self.file(path, script);
        fs::set_permissions(full, fs::Permissions::from_mode(0o755)).expect("permission to set permissions");
        this
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().into(), Some(value.as_ref().into())));
        self
    }

    /// Takes an environment variable away, also one of the three that are always there.
    pub(crate) fn without_env(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().into(), None));
        self
    }

    /// Appends arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().into()));
        self
    }

    /// Gives standard input; without it the program reads end of file at once.
    pub(crate) fn stdin(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(content.into());
        self
    }

    /// Runs in a directory below `work/`, which is made.
    pub(crate) fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = self.path(path);
        fs::create_dir_all(&self.directory).expect("the working directory");
        self
    }

    /// Returns a path below `work/`, for arguments and for files that the run will write.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.path().join("work").join(path)
    }

    /// Runs the program to its end.
    pub(crate) fn run(self) -> Output {
        self.start().wait()
    }

    /// Returns the program with its arguments, directory and environment; streams are the caller's to set.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(&self.args).current_dir(&self.directory).env_clear();
        #[expect(
            clippy::disallowed_methods,
            reason = "the programs that tests run are found where the user's are"
        )]
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.root.path().join("home")).env("COLUMNS", "100");
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Returns what failures call this run.
    pub(super) fn shown(&self) -> String {
        let name = self.binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let words = self.args.iter().map(|word| word.to_string_lossy().into_owned());
        std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Gives the directory away, which lives as long as what it is given to.
    pub(super) fn into_root(self) -> TempDir {
        self.root
    }

    /// Starts the program, for tests that send it signals or look at it while it runs.
    pub(crate) fn start(self) -> Running {
        let mut command = self.command();
        let shown = self.shown();
        // A group of its own lets a timeout end whatever the program started, too.
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().expect("the program starts");
        if let (Some(content), Some(mut stdin)) = (self.stdin, child.stdin.take()) {
            std::thread::spawn(move || {
                // A program that ends without reading everything is no failure of the test.
                let _ = stdin.write_all(&content);
            });
        }
        let stdout = Captured::of(child.stdout.take().expect("a pipe"));
        let stderr = Captured::of(child.stderr.take().expect("a pipe"));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
        Running {
            root: Some(self.root),
            shown,
            pid,
            ended: wait_for(child),
            stdout,
            stderr,
            deadline: Instant::now() + LIMIT,
        }
    }
}

fn wait_for(mut child: Child) -> Receiver<ExitStatus> {
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            let _ = sender.send(status);
        }
    });
    ended
}

/// What a pipe has brought so far, and whether it is at its end.
#[derive(Clone)]
struct Captured(Arc<(Mutex<(Vec<u8>, bool)>, Condvar)>);

impl Captured {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let this = Self(Arc::default());
        let inner = this.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 8192];
            loop {
                let read = pipe.read(&mut chunk).unwrap_or(0);
                let (content, more) = &*inner.0;
                let mut content = content.lock().expect("no reader panics");
                content.0.extend_from_slice(&chunk[..read]);
                content.1 = read == 0;
                more.notify_all();
                if read == 0 {
                    return;
                }
            }
        });
        this
    }

    /// Waits until `done` holds for the bytes and the end-of-file mark; false when the deadline comes first.
    fn wait(&self, deadline: Instant, done: impl Fn(&[u8], bool) -> bool) -> bool {
        let (content, more) = &*self.0;
        let content = content.lock().expect("no reader panics");
        let left = deadline.saturating_duration_since(Instant::now());
        let (content, _) = more
            .wait_timeout_while(content, left, |(bytes, end)| !done(bytes, *end) && !*end)
            .expect("no panics");
        done(&content.0, content.1)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.0.lock().expect("no reader panics").0.clone()
    }
}

/// A run that has started. Dropping it kills it.
pub(crate) struct Running {
    root: Option<TempDir>,
    shown: String,
    pid: Pid,
    ended: Receiver<ExitStatus>,
    stdout: Captured,
    stderr: Captured,
    deadline: Instant,
}

impl Running {
    /// Returns the process id, which stays the same when the program becomes the command.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns a path below `work/`.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.as_ref().expect("a run that goes on").path().join("work").join(path)
    }

    /// Sends a signal to the process alone.
    pub(crate) fn signal(&self, signal: Signal) -> &Self {
        kill(self.pid, signal).expect("a running process");
        self
    }

    /// Waits until standard output holds `text`.
    pub(crate) fn until_stdout(&self, text: &str) -> &Self {
        let found = self.stdout.wait(self.deadline, |bytes, _| contains(bytes, text.as_bytes()));
        assert!(found, "`{}` never wrote {text:?}\n{}", self.shown, self.so_far());
        self
    }

    /// Waits until standard output holds `text`; false where it ends, or takes too long, without.
    pub(crate) fn shows(&self, text: &str) -> bool {
        self.stdout.wait(self.deadline, |bytes, _| contains(bytes, text.as_bytes()))
    }

    /// Returns what was written to standard output so far.
    pub(crate) fn seen(&self) -> String {
        lossy(&self.stdout.bytes())
    }

    /// Waits for the end of the process, whoever still has its output open. Call it once.
    #[track_caller]
    pub(crate) fn status(&self) -> ExitStatus {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.ended
            .recv_timeout(left)
            .unwrap_or_else(|_| panic!("`{}` did not end within {LIMIT:?}\n{}", self.shown, self.so_far()))
    }

    /// Waits until standard error holds `text`.
    pub(crate) fn until_stderr(&self, text: &str) -> &Self {
        let found = self.stderr.wait(self.deadline, |bytes, _| contains(bytes, text.as_bytes()));
        assert!(found, "`{}` never wrote {text:?} to stderr\n{}", self.shown, self.so_far());
        self
    }

    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Output {
        let status = self.status();
        // A process left behind keeps the pipes open; that is a leak, and the same deadline finds it.
        let closed =
            self.stdout.wait(self.deadline, |_, end| end) && self.stderr.wait(self.deadline, |_, end| end);
        assert!(
            closed,
            "`{}` ended but something it started still holds its output\n{}",
            self.shown,
            self.so_far()
        );
        let (stdout, stderr) = (self.stdout.bytes(), self.stderr.bytes());
        let root = self.root.take().expect("a run ends once");
        Output { root, shown: std::mem::take(&mut self.shown), status, stdout, stderr }
    }

    fn so_far(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", lossy(&self.stdout.bytes()), lossy(&self.stderr.bytes()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group is gone in the ordinary case, which is an error here and none for the test.
        let _ = killpg(self.pid, Signal::SIGKILL);
    }
}
