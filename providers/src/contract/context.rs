//! All that a backend gets from outside: HTTP, processes, the environment, prompts, a deadline.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{FetchError, FetchErrorKind, NoTokens, SecretValue, TokenCache};
use crate::http::Http;

/// The environment as it was when dsops started.
///
/// A snapshot, so that nothing that happens later can change what a file means, and so that tests
/// need not touch their own process.
#[derive(Clone, Default)]
pub struct EnvSnapshot(Arc<HashMap<OsString, OsString>>);

impl EnvSnapshot {
    /// Returns the value of a variable, where it is text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(OsStr::new(name)).and_then(|value| value.to_str())
    }

    /// Returns the value of a variable, whatever its bytes.
    #[must_use]
    pub fn get_os(&self, name: impl AsRef<OsStr>) -> Option<&OsStr> {
        self.0.get(name.as_ref()).map(OsString::as_os_str)
    }

    /// Returns all variables, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for EnvSnapshot {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }
}

impl std::fmt::Debug for EnvSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EnvSnapshot({} variables)", self.0.len())
    }
}

/// Asks a person for a secret, where there is one to ask.
pub trait Prompt: Send + Sync {
    /// Shows the label on the terminal and reads a line without echo.
    ///
    /// Returns `None` where nobody can be asked.
    fn secret(&self, label: &str) -> Option<SecretValue>;
}

/// Never asks: for CI, servers and tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPrompt;

impl Prompt for NoPrompt {
    fn secret(&self, _: &str) -> Option<SecretValue> {
        None
    }
}

/// Counts what a run costs.
#[derive(Debug, Default)]
pub struct Meter {
    requests: AtomicUsize,
    logins: AtomicUsize,
    processes: AtomicUsize,
}

impl Meter {
    /// Counts a request, logins included.
    pub fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a login, beside its request.
    pub fn login(&self) {
        self.logins.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an outside program.
    pub fn process(&self) {
        self.processes.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of requests, logins included.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns the number of logins.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// Returns the number of outside programs.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.processes.load(Ordering::Relaxed)
    }
}

/// What a backend works with. Cheap to clone; the clones share everything but the deadline.
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
    store: Arc<str>,
    deadline: Option<Instant>,
    tokens: Arc<dyn TokenCache>,
}

struct Shared {
    env: EnvSnapshot,
    base_dir: PathBuf,
    http: Http,
    prompt: Box<dyn Prompt>,
    meter: Meter,
    notices: Notices,
    /// When the run ends, whatever the stores allow.
    deadline: Option<Instant>,
}

/// What a person has to be told although nothing failed, each text once.
struct Notices {
    told: Mutex<HashSet<String>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// Builds a [`Context`].
pub struct ContextBuilder {
    shared: Shared,
    tokens: Arc<dyn TokenCache>,
}

impl Context {
    /// Starts one that has an empty environment and never asks.
    #[must_use]
    pub fn builder() -> ContextBuilder {
        let shared = Shared {
            env: EnvSnapshot::default(),
            base_dir: PathBuf::from("."),
            http: Http::default(),
            prompt: Box::new(NoPrompt),
            meter: Meter::default(),
            notices: Notices { told: Mutex::default(), tell: Box::new(|_| {}) },
            deadline: None,
        };
        ContextBuilder { shared, tokens: Arc::new(NoTokens) }
    }

    /// Returns the same context for one store: its time ends after the timeout, and no later than that of the run.
    #[must_use]
    pub fn for_store(&self, name: &str, timeout: Option<Duration>) -> Self {
        let own = timeout.map(|timeout| Instant::now() + timeout);
        let deadline = own.into_iter().chain(self.shared.deadline).min().or(self.deadline);
        Self { store: Arc::from(name), deadline, ..self.clone() }
    }

    /// Returns the same context with other kept tokens.
    #[must_use]
    pub fn with_tokens(self, tokens: impl TokenCache + 'static) -> Self {
        Self { tokens: Arc::new(tokens), ..self }
    }

    /// Returns the configured name of the store, for messages.
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// Returns the environment that dsops was started with.
    #[must_use]
    pub fn env(&self) -> &EnvSnapshot {
        &self.shared.env
    }

    /// Returns the HTTP clients.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.shared.http
    }

    /// Returns the tokens that are kept between runs.
    #[must_use]
    pub fn tokens(&self) -> &dyn TokenCache {
        self.tokens.as_ref()
    }

    /// Returns the way to ask a person.
    #[must_use]
    pub fn prompt(&self) -> &dyn Prompt {
        self.shared.prompt.as_ref()
    }

    /// Returns the counters of this run.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    /// Tells a person something that is dangerous although it works: one sentence without values. It is
    /// told once in a run, however often it is said.
    pub fn notice(&self, text: &str) {
        let mut told = self.shared.notices.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(text.to_owned()) {
            (self.shared.notices.tell)(text);
        }
    }

    /// Returns a path of the file's as seen from here: `~/` is the home directory, and a relative
    /// path starts at the directory of `dsops.yaml`, not where the command happens to run.
    #[must_use]
    pub fn resolve_path(&self, path: &str) -> PathBuf {
        if let Some(rest) = path.strip_prefix("~/")
            && let Some(home) = self.env().get_os("HOME")
        {
            return Path::new(home).join(rest);
        }
        self.shared.base_dir.join(path)
    }

    /// Returns the time left, or `None` where nothing limits it.
    ///
    /// # Errors
    ///
    /// `TimedOut` where it has passed.
    pub fn time_left(&self) -> Result<Option<Duration>, FetchError> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        match deadline.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(Some(left)),
            _ => Err(FetchError::new(FetchErrorKind::TimedOut, "the store's time is up")
                .help("raise `timeout` on the store, or see `dsops doctor` for its latency")),
        }
    }
}

impl ContextBuilder {
    /// Sets the environment.
    #[must_use]
    pub fn env(mut self, env: EnvSnapshot) -> Self {
        self.shared.env = env;
        self
    }

    /// Sets the directory that relative paths in the file start at.
    #[must_use]
    pub fn base_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.shared.base_dir = dir.into();
        self
    }

    /// Sets the way to ask a person.
    #[must_use]
    pub fn prompt(mut self, prompt: impl Prompt + 'static) -> Self {
        self.shared.prompt = Box::new(prompt);
        self
    }

    /// Sets the tokens that are kept between runs. The default keeps none.
    #[must_use]
    pub fn tokens(mut self, tokens: impl TokenCache + 'static) -> Self {
        self.tokens = Arc::new(tokens);
        self
    }

    /// Sets what tells a person what [`Context::notice`] is given. Without it nobody is told.
    #[must_use]
    pub fn on_notice(mut self, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.shared.notices.tell = Box::new(tell);
        self
    }

    /// Sets when the time of every store ends at the latest.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.shared.deadline = Some(deadline);
        self
    }

    /// Returns the context.
    #[must_use]
    pub fn build(self) -> Context {
        let deadline = self.shared.deadline;
        Context { shared: Arc::new(self.shared), store: Arc::from(""), deadline, tokens: self.tokens }
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("store", &self.store).finish_non_exhaustive()
    }
}
