//! What a person whose secrets do not come wants to know: which step of which store fails, and what to do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dsops_providers::contract::{Context, EnvSnapshot, FetchError, FetchErrorKind, Finding, Span, Status};

use crate::config::{Config, ConfigError, Store};
use crate::plan::Plan;
use crate::resolve::{self, Cause, Failure, OpenStores, fetch_code};

/// The step of opening a store: options, credentials, what lies on this machine.
const OPEN: &str = "open";
/// What to do about a store whose time was up.
const SILENT: &str = "raise `timeout` on the store, or see what keeps it from answering";

/// One step of checking a store.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was found.
    pub finding: Finding,
    /// The public code of what failed.
    pub code: Option<&'static str>,
}

impl From<Finding> for Step {
    fn from(mut finding: Finding) -> Self {
        // Elsewhere the advice is to ask doctor, which is what the reader has just done.
        if finding.kind == Some(FetchErrorKind::TimedOut) {
            finding.help = Some(SILENT.to_owned());
        }
        Self { code: finding.kind.map(fetch_code), finding }
    }
}

/// What was found about one store.
#[derive(Debug)]
pub struct StoreReport {
    /// Its name in the file.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

impl StoreReport {
    fn new(store: &Store, steps: Vec<Step>) -> Self {
        Self { name: store.name.clone(), kind: store.descriptor.kind, steps }
    }

    /// Says whether a step failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.steps.iter().any(|step| step.finding.status == Status::Failed)
    }
}

/// What reading an environment came to. No values, only names.
#[derive(Debug)]
pub struct ReadReport {
    /// How many variables have their value.
    pub present: usize,
    /// What was not read, since the store it is in failed its checks.
    pub skipped: Vec<String>,
    /// The optional variables that are absent.
    pub absent: Vec<String>,
    /// What stopped the others.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl ReadReport {
    /// Returns the variables that were asked for and have no value.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let names = self.failures.iter().flat_map(|failure| &failure.variables);
        names.map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Returns how many values there would be if nothing had failed; an import that failed counts as one.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.present + self.missing().count() + self.skipped.len()
    }

    /// Returns how it went.
    #[must_use]
    pub fn status(&self) -> Status {
        match (self.failures.is_empty(), self.skipped.is_empty()) {
            (false, _) => Status::Failed,
            (true, false) => Status::Skipped,
            (true, true) => Status::Ok,
        }
    }
}

/// What checking stores came to.
pub struct Checked {
    /// One report a store, in the order of the file.
    pub reports: Vec<StoreReport>,
    stores: OpenStores,
}

/// Makes the plan that checks every store of the file, beside the reports of those that no plan can be made for.
///
/// # Errors
///
/// As [`Plan::new`].
pub fn plan_all(config: &Config, env: &EnvSnapshot) -> Result<(Plan, Vec<StoreReport>), Vec<ConfigError>> {
    let mut sound = Vec::new();
    let mut reports = Vec::new();
    for store in config.stores.values() {
        match Plan::for_stores(config, [store], env) {
            Ok(_) => sound.push(store),
            Err(errors) => {
                let steps = errors.into_iter().map(|error| not_opened(store, &Cause::Config(error)));
                reports.push(StoreReport::new(store, steps.collect()));
            }
        }
    }
    Ok((Plan::for_stores(config, sound, env)?, reports))
}

/// Checks the stores of a plan, all at once, and puts them among the reports that there are already.
pub async fn check(config: &Config, plan: &Plan, mut reports: Vec<StoreReport>, cx: &Context) -> Checked {
    let resolve::Checked { findings, mut stores } = resolve::check(config, plan, cx).await;
    let planned = plan.stores.iter().filter_map(|planned| config.stores.get(&planned.name));
    reports.extend(planned.zip(findings).map(|(store, found)| {
        let steps = match found {
            Ok(findings) => findings.into_iter().map(Step::from).collect(),
            Err(cause) => vec![not_opened(store, &cause)],
        };
        StoreReport::new(store, steps)
    }));
    reports.sort_by_key(|report| config.stores.get_index_of(&report.name));
    for report in reports.iter().filter(|report| report.failed()) {
        stores.refuse(&report.name, has_failed(&report.name));
    }
    Checked { reports, stores }
}

/// Reads what a plan names from the stores that passed their checks. The others are not asked again.
pub async fn read(config: &Config, plan: &Plan, checked: &Checked, cx: &Context) -> ReadReport {
    let started = Instant::now();
    let resolution = resolve::resolve_with(config, plan, cx, &checked.stores).await;
    let failed = checked.reports.iter().filter(|report| report.failed());
    let failed: BTreeSet<&str> = failed.map(|report| report.name.as_str()).collect();
    let is_known = |failure: &Failure| match &failure.cause {
        Cause::Fetch { store, .. } => failed.contains(store.as_str()),
        _ => false,
    };
    let (known, failures): (Vec<Failure>, Vec<Failure>) = resolution.failures.into_iter().partition(is_known);
    // In the order of the file, since one failure gathers what stands far apart.
    let mut skipped: Vec<(Span, String)> =
        known.into_iter().flat_map(|failure| failure.spans.into_iter().zip(failure.variables)).collect();
    skipped.sort();
    ReadReport {
        present: resolution.values.len(),
        skipped: skipped.into_iter().map(|(_, name)| name).collect(),
        absent: resolution.absent,
        failures,
        took: started.elapsed(),
    }
}

/// Why a store is not asked for values. Its own report says more, and nobody sees this.
fn has_failed(store: &str) -> Cause {
    let error = FetchError::new(FetchErrorKind::Unavailable, "the store failed its checks");
    Cause::Fetch { store: store.to_owned(), reference: None, error }
}

fn not_opened(store: &Store, cause: &Cause) -> Step {
    let (message, help) = match cause {
        Cause::Fetch { store: other, error, .. } => {
            let message = if *other == store.name {
                error.message().to_owned()
            } else {
                format!("its credential is in `{other}`: {}", error.message())
            };
            (message, error.advice().map(str::to_owned))
        }
        Cause::Config(error) => (error.message.clone(), error.help.clone()),
        Cause::Transform(error) => (error.to_string(), error.help.clone()),
        Cause::Empty => ("its credential is empty".to_owned(), None),
        // Only an import brings such a name, and no credential comes from one.
        Cause::Steers => ("an import brings a name that steers programs".to_owned(), None),
    };
    let finding = Finding { status: Status::Failed, help, ..Finding::ok(OPEN, message) };
    Step { finding, code: Some(cause.code()) }
}
