//! What a person whose secrets do not come wants to know: which step of which store fails, and what to do.

use dsops_providers::contract::{Context, FetchErrorKind, Finding, Status};

use crate::config::{Config, ConfigError, Environment, Import, Store, Variable};
use crate::plan::{Part, Plan};
use crate::resolve::{self, Cause, Failure};

/// The findings of one store.
#[derive(Debug)]
pub struct StoreReport {
    /// Its name in the file.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// One finding a step, in the order of the steps.
    pub findings: Vec<Finding>,
}

impl StoreReport {
    /// Says whether a step failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.findings.iter().any(|finding| finding.status == Status::Failed)
    }
}

/// What reading an environment came to. No values, only names.
#[derive(Debug)]
pub struct ReadReport {
    /// The environment.
    pub environment: String,
    /// How many variables have their value.
    pub present: usize,
    /// How many were not asked for, since their store failed.
    pub skipped: usize,
    /// The optional variables that are absent.
    pub absent: Vec<String>,
    /// What stopped the others.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: std::time::Duration,
}

/// Checks the stores of a plan, all at once.
pub async fn check(config: &Config, plan: &Plan, cx: &Context) -> Vec<StoreReport> {
    let checked = resolve::check(config, plan, cx).await;
    let stores = plan.stores.iter().filter_map(|planned| config.stores.get(&planned.name));
    stores
        .zip(checked)
        .map(|(store, findings)| {
            let findings = findings.unwrap_or_else(|cause| vec![not_opened(store, &cause)]);
            StoreReport { name: store.name.clone(), kind: store.descriptor.kind, findings }
        })
        .collect()
}

/// Reads what an environment needs of the stores that can be used.
///
/// # Errors
///
/// As [`Plan::new`].
pub async fn read(
    config: &Config,
    environment: &Environment,
    plan: &Plan,
    reports: &[StoreReport],
    cx: &Context,
) -> Result<ReadReport, Vec<ConfigError>> {
    let started = std::time::Instant::now();
    let usable = Usable { plan, reports };
    let part = Plan::of_part(config, environment, cx.env(), &usable)?;
    let resolution = resolve::resolve(config, &part, cx).await;
    Ok(ReadReport {
        environment: environment.name.clone(),
        present: resolution.values.len(),
        skipped: plan.variables.len() - part.variables.len(),
        absent: resolution.absent,
        failures: resolution.failures,
        took: started.elapsed(),
    })
}

/// What comes from stores that did not fail: the others' own reports say why nothing comes from them.
struct Usable<'a> {
    plan: &'a Plan,
    reports: &'a [StoreReport],
}

impl Usable<'_> {
    fn has_store(&self, index: usize) -> bool {
        let name = self.plan.stores.get(index).map(|store| store.name.as_str());
        !self.reports.iter().any(|report| Some(report.name.as_str()) == name && report.failed())
    }
}

impl Part for Usable<'_> {
    fn has_variable(&self, variable: &Variable) -> bool {
        let planned = self.plan.variables.iter().find(|planned| planned.variable.name == variable.name);
        planned
            .is_some_and(|planned| planned.candidates.iter().all(|candidate| self.has_store(candidate.store)))
    }

    fn has_import(&self, import: &Import) -> bool {
        let planned = self.plan.stores.iter().position(|store| store.name == import.store);
        planned.is_some_and(|index| self.has_store(index))
    }
}

fn not_opened(store: &Store, cause: &Cause) -> Finding {
    let finding = Finding::ok("open", "");
    let (message, help, kind) = match cause {
        Cause::Fetch { store: other, error, .. } => {
            let message = if *other == store.name {
                error.message().to_owned()
            } else {
                format!("its credential is in `{other}`: {}", error.message())
            };
            (message, error.advice().map(str::to_owned), Some(error.kind()))
        }
        Cause::Config(error) => {
            (error.message.clone(), error.help.clone(), Some(FetchErrorKind::Unauthenticated))
        }
        Cause::Transform(error) => (error.to_string(), error.help.clone(), None),
        Cause::Empty => ("its credential is empty".to_owned(), None, None),
    };
    Finding { status: Status::Failed, message, help, kind, ..finding }
}
