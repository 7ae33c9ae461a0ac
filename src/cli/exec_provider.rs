//! `dsops exec-provider`: answers a program that fetches its secrets by running dsops.

use std::io::{self, Read as _, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use dsops::agent::{self, MOST_BYTES, Refusal, Request, Said, Selection};
use dsops::config::{Agent, Config, Environment, parse_duration};
use dsops::openclaw::{MAX_OUTPUT, PROFILE};
use dsops::resolve::OpenStores;
use dsops::{exec, exit};

use super::output::MOST_STDERR;
use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// What line feeds may take of what the program that asks reads of stdout and stderr together.
const MOST_LINE_FEEDS: usize = 4096;
/// How often a line feed says that there is life: programs that ask give up on silence after 2 s and longer.
const LIFE: Duration = Duration::from_secs(1);
/// How long before the answer is due the stores have to be done. They get a quarter of a second of grace, and what
/// they gave is to be put together and written.
const MARGIN: Duration = Duration::from_millis(400);

/// Answer a program that fetches secrets by running a helper, such as OpenClaw
///
/// Reads one request on stdin, `{"protocolVersion":1,"provider":"…","ids":[…]}`, and writes one answer to stdout,
/// `{"protocolVersion":1,"values":{…},"errors":{…}}`. An id is a variable of the environment, or an alias of the profile.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  echo '{\"protocolVersion\":1,\"provider\":\"dsops\",\"ids\":[\"OPENAI_API_KEY\"]}' |\n    \
                  dsops exec-provider --config /etc/dsops.yaml --env production"
)]
pub(crate) struct ExecProvider {
    /// The environment whose variables may be asked for; that of the profile where absent
    #[arg(long, short, value_name = "NAME")]
    env: Option<String>,
    /// The entry of `agents` in the file: `openclaw` where absent, if the file has it
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The time that the program gives dsops; the answer is written after four fifths of it at the latest
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = limit)]
    timeout: Duration,
}

/// Reads the caller's limit: long enough to read a request, short enough to reckon with.
fn limit(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(3600);
    let time = parse_duration(text).filter(|time| range.contains(time));
    time.ok_or_else(|| "write a time from `100ms` to `1h`".to_owned())
}

impl ExecProvider {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let started = Instant::now();
        let _ = exec::harden();
        // Until the file has said when, all of the time.
        let latest = started + self.share(None);
        let watch = Watch::start(latest);
        let request = read_request()?;
        watch.answer_by(latest, &request.ids);
        let config = session.load()?;
        let agent = self.agent(&config)?;
        let environment = match self.env.as_ref().or(agent.env.as_ref()) {
            Some(name) => Some(session.environment(&config, name)?),
            None => None,
        };
        let due = started + self.share(agent.deadline);
        watch.answer_by(due, &request.ids);
        let said = answers(session, &config, &agent, environment, request.ids, due)?;
        watch.finish(&said)?;
        Ok(exit::OK)
    }

    /// Returns the time until the answer is due.
    fn share(&self, deadline: Option<Duration>) -> Duration {
        let share = self.timeout.mul_f64(0.8);
        deadline.map_or(share, |deadline| deadline.min(share))
    }

    /// Returns what may be asked for.
    fn agent<'a>(&self, config: &'a Config) -> Result<std::borrow::Cow<'a, Agent>, Stop> {
        use std::borrow::Cow;
        let name = self.profile.as_deref().unwrap_or(PROFILE);
        match (config.agents.get(name), &self.profile, &self.env) {
            (Some(agent), _, _) => Ok(Cow::Borrowed(agent)),
            (None, None, Some(_)) => Ok(Cow::Owned(Agent::default())),
            (None, None, None) => {
                let message = "neither `--env` says what may be asked for, nor `agents.openclaw` in the file";
                let report = Diagnostic::new("dsops::config::unknown_profile", exit::CONFIGURATION, message);
                Err(report.help("add `--env NAME`, the environment whose variables may be asked for").into())
            }
            (None, Some(name), _) => {
                let known = || config.agents.keys().map(String::as_str);
                let help = dsops::suggest::did_you_mean(name, known()).unwrap_or_else(|| {
                    match config.agents.is_empty() {
                        true => "add it under `agents`".to_owned(),
                        false => format!("the file has {}", dsops::suggest::and_ticked(known())),
                    }
                });
                let message = format!("`agents` has no profile `{name}`");
                let report = Diagnostic::new("dsops::config::unknown_profile", exit::CONFIGURATION, message);
                Err(report.help(help).into())
            }
        }
    }
}

/// Reads what is asked, to the end of stdin.
fn read_request() -> Result<Request, Stop> {
    let refuse = |message: String| {
        let report = Diagnostic::new("dsops::provider::request", exit::USAGE, message);
        report.help("write one request to stdin and close it; `dsops exec-provider --help` shows its form")
    };
    let mut bytes = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let read = io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| refuse(format!("the request cannot be read: {error}")))?;
    Request::read(&bytes).map_err(|error| refuse(error.to_string()).into())
}

/// Fetches what the ids mean. What is missing when the answer is due is an error, and stops nothing else.
fn answers(
    session: &Session,
    config: &Config,
    agent: &Agent,
    environment: Option<&Environment>,
    ids: Vec<String>,
    due: Instant,
) -> Result<Vec<(String, Said)>, Stop> {
    let selection = Selection::new(config, agent, environment, ids, &session.env);
    let left = due.saturating_duration_since(Instant::now());
    let cx = session.context_until(config, due - MARGIN.min(left.mul_f64(0.3)));
    let resolution = session.fetch(config, &selection.plan, &cx, &OpenStores::default())?;
    for mistake in &selection.mistakes {
        session.output.diagnostic(&Diagnostic::config(mistake, Some(&config.source)));
    }
    for failure in selection.told(&resolution) {
        session.output.diagnostic(&Diagnostic::failure(&failure, &config.source));
    }
    Ok(selection.answers(config, &resolution))
}

/// Keeps the time beside what may block: says that there is life, and answers when the answer is due.
struct Watch(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What is under way.
struct State {
    due: Instant,
    /// The ids, once the request has been read; taken by whoever answers.
    ids: Option<Vec<String>>,
    next_life: Instant,
    /// Whether somebody has answered.
    done: bool,
}

impl Watch {
    fn start(due: Instant) -> Self {
        let state = State { due, ids: None, next_life: due, done: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let watching = Arc::clone(&shared);
        // Signals are for the thread that fetches, which has programs to end.
        let signals = nix::sys::signal::SigSet::all();
        let before = signals.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
        // Without a thread the answer is as late as the stores are, and no worse.
        let _ = std::thread::Builder::new().name("watch".to_owned()).spawn(move || watching.watch());
        if let Ok(before) = before {
            let _ = before.thread_set_mask();
        }
        Self(shared)
    }

    /// Says when the answer to these ids is due.
    fn answer_by(&self, due: Instant, ids: &[String]) {
        let mut state = self.0.lock();
        state.due = due;
        state.ids = Some(ids.to_vec());
        state.next_life = Instant::now() + LIFE;
        drop(state);
        self.0.changed.notify_one();
    }

    /// Writes the answer, where it has not been given.
    fn finish(&self, said: &[(String, Said)]) -> io::Result<()> {
        let mut state = self.0.lock();
        if std::mem::replace(&mut state.done, true) {
            return Ok(());
        }
        // Under the lock, so that no line feed gets into it.
        write(&agent::answer(said, MAX_OUTPUT - MOST_STDERR - MOST_LINE_FEEDS))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.done {
                return;
            }
            if now >= state.due {
                give_up(state.ids.take());
            }
            if state.ids.is_some() && now >= state.next_life {
                state.next_life = now + LIFE;
                if write(b"\n").is_err() {
                    // Whoever asked is gone.
                    end(exit::OK);
                }
            }
            let until = if state.ids.is_some() { state.next_life.min(state.due) } else { state.due };
            let pause = until.saturating_duration_since(now);
            state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Ends dsops when the answer is due and something hangs that cannot be given up.
fn give_up(ids: Option<Vec<String>>) -> ! {
    let Some(ids) = ids else {
        let _ = io::stderr()
            .write_all(b"dsops: stdin did not end in time: write one request to it and close it\n");
        end(exit::USAGE);
    };
    let said: Vec<(String, Said)> = ids.into_iter().map(|id| (id, Err(Refusal::TimedOut))).collect();
    let _ = write(&agent::answer(&said, MAX_OUTPUT));
    end(exit::OK);
}

/// Ends dsops from beside what it waits for, with the programs that it waits for.
fn end(code: u8) -> ! {
    dsops_providers::process::end_all();
    std::process::exit(i32::from(code));
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
