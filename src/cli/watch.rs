//! `--watch`: looks again and again whether the values of an environment have changed.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use clap::Args;
use dsops::config::{self, Config};
use dsops::plan::Plan;
use dsops::resolve::{self, OpenStores, Resolution};
use dsops::watch::{Fingerprint, Fingerprinter, Told};
use tokio::time::sleep;

use super::Stop;
use super::exec::duration;
use super::session::Session;
use crate::diagnostics::Diagnostic;

/// When to look.
#[derive(Args, Clone, Debug)]
pub(crate) struct Timing {
    /// How often the stores are asked; files are looked at when they change
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1m", requires = "watch")]
    interval: Duration,
    /// How long values must have stayed as they are
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s", requires = "watch")]
    debounce: Duration,
}

/// How often values that never stay as they are are looked at before they are taken.
const MOST_LOOKS: u32 = 10;

/// How many times an interval doubles while looking fails.
const MOST_DOUBLINGS: u32 = 4;

/// The values of an environment, looked at again and again.
pub(crate) struct Watch<'a> {
    session: &'a Session,
    environment: &'a str,
    prefix: &'a str,
    allow_missing: bool,
    timing: &'a Timing,
    /// What is said to go on when looking fails.
    goes_on: &'static str,
    path: PathBuf,
    config: Config,
    known: OpenStores,
    told: Told,
    prints: Fingerprinter,
    seen: Fingerprint,
    failure: Option<String>,
    failures: u32,
    fetching: Rc<Cell<bool>>,
}

/// What is watched, and for whom.
pub(crate) struct Watched<'a> {
    pub(crate) session: &'a Session,
    /// The name of the environment.
    pub(crate) environment: &'a str,
    /// What stands before every name that the command gets.
    pub(crate) prefix: &'a str,
    /// Whether absent values are left out.
    pub(crate) allow_missing: bool,
    pub(crate) timing: &'a Timing,
    /// What goes on when looking fails, as in “the command goes on with the values that it has”.
    pub(crate) goes_on: &'static str,
}

/// Values that have changed.
pub(crate) struct Fresh {
    pub(crate) plan: Plan,
    pub(crate) resolution: Resolution,
    /// The names of those that changed.
    pub(crate) changed: Vec<String>,
}

impl<'a> Watch<'a> {
    /// Starts from the values that are in use, which were fetched after `since`.
    pub(crate) fn new(
        watched: Watched<'a>,
        config: Config,
        mut known: OpenStores,
        resolution: &Resolution,
        since: SystemTime,
    ) -> Result<Self, Stop> {
        let prints = Fingerprinter::new()?;
        let files = known.files();
        known.leave_files();
        let path = config.source.path.clone();
        Ok(Self {
            session: watched.session,
            environment: watched.environment,
            prefix: watched.prefix,
            allow_missing: watched.allow_missing,
            timing: watched.timing,
            goes_on: watched.goes_on,
            seen: prints.of(resolution),
            told: Told::about(std::iter::once(path.clone()).chain(files), since),
            path,
            config,
            known,
            prints,
            failure: None,
            failures: 0,
            fetching: Rc::default(),
        })
    }

    /// Returns the file as it was when the values were last fetched.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Returns what says whether a fetch is under way.
    pub(crate) fn fetching(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.fetching)
    }

    /// Waits for its time, looks once, and returns the values where they have changed. What goes wrong is said once.
    pub(crate) async fn look(&mut self) -> Option<Fresh> {
        let is_settled = self.pause().await;
        self.fetching.set(true);
        let looked = self.fetch_settled(is_settled).await;
        self.fetching.set(false);
        match looked {
            Ok(fresh) => {
                if self.failure.take().is_some() {
                    self.session.output.warn("the values can be looked at again");
                }
                self.failures = 0;
                fresh
            }
            Err(stop) => {
                self.fail(stop);
                None
            }
        }
    }

    /// Waits for the next look. Says whether what is told of has stayed as it is for long enough.
    async fn pause(&mut self) -> bool {
        let doubled = self.timing.interval * 2_u32.pow(self.failures.min(MOST_DOUBLINGS));
        tokio::select! {
            () = sleep(doubled + jitter(self.timing.interval)) => return false,
            () = self.told.wait() => {}
        }
        loop {
            tokio::select! {
                () = sleep(self.timing.debounce) => return true,
                () = self.told.wait() => {}
            }
        }
    }

    async fn fetch_settled(&mut self, is_settled: bool) -> Result<Option<Fresh>, Stop> {
        let mut last = None;
        for look in 0..MOST_LOOKS {
            let (plan, resolution) = self.fetch().await?;
            let print = self.prints.of(&resolution);
            if print == self.seen {
                return Ok(None);
            }
            if is_settled || last.as_ref() == Some(&print) || look + 1 == MOST_LOOKS {
                let changed = self.seen.changed(&print).into_iter().map(str::to_owned).collect();
                self.seen = print;
                return Ok(Some(Fresh { plan, resolution, changed }));
            }
            last = Some(print);
            sleep(self.timing.debounce).await;
        }
        Ok(None)
    }

    async fn fetch(&mut self) -> Result<(Plan, Resolution), Stop> {
        let since = SystemTime::now();
        let config = config::load(&self.path).map_err(|report| Stop::Reports(Diagnostic::report(&report)))?;
        if config.source.text != self.config.source.text {
            self.config = config;
            self.known = OpenStores::default();
        }
        let environment = self.session.environment(&self.config, self.environment)?;
        let mut plan = self.session.plan(&self.config, environment)?;
        self.prefix.clone_into(&mut plan.prefix);
        self.session.all_set(&self.config, &plan)?;
        self.known.renew();
        let cx = self.session.context_beside(&self.config);
        let resolution = resolve::resolve_with(&self.config, &plan, &cx, &self.known).await;
        let files: Vec<PathBuf> = std::iter::once(self.path.clone()).chain(self.known.files()).collect();
        if !self.told.is_about(&files) {
            self.told = Told::about(files, since);
        }
        self.session.stop(&self.config, &resolution, self.allow_missing)?;
        Ok((plan, resolution))
    }

    /// Says what went wrong, once for as long as it stays the same.
    pub(crate) fn fail(&mut self, stop: Stop) {
        self.failures += 1;
        let text = match &stop {
            Stop::Reports(reports) => {
                let first = reports.first().map(Diagnostic::message).unwrap_or_default();
                match reports.len() {
                    0 | 1 => first.to_owned(),
                    more => format!("{first} (and {} more)", more - 1),
                }
            }
            Stop::Output(error) => error.to_string(),
        };
        if self.failure.as_ref() != Some(&text) {
            self.session.output.warn(&format!("the values cannot be looked at: {text}; {}", self.goes_on));
        }
        self.failure = Some(text);
    }
}

/// Returns up to a tenth of the interval, so that what starts together does not ask together for ever.
fn jitter(interval: Duration) -> Duration {
    let mut byte = [0];
    let _ = getrandom::fill(&mut byte);
    let [byte] = byte;
    interval / 10 * u32::from(byte) / 255
}
