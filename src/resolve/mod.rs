//! From a plan to values: every store at once, fallbacks only where the first place is empty.

mod breaker;
mod failure;
mod retry;
mod stores;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dsops_providers::contract::{Context, FetchError, Finding, Provider, SecretValue};
use indexmap::IndexMap;

pub use failure::{Cause, Failure, fetch_code};
pub use retry::{attempt, fetch as fetch_with_retry};
pub use stores::{OpenStores, open};

use crate::config::{Config, Origin};
use crate::environment::steers;
use crate::plan::{Plan, PlannedVariable, import_label};
use stores::Stores;

/// A value as variables share it, or why there is none.
pub(crate) type Answer = Result<Arc<SecretValue>, FetchError>;

/// What a plan came to.
#[derive(Debug, Default)]
pub struct Resolution {
    /// The variables that have a value, imports first, then in the order of the file.
    pub values: IndexMap<String, Resolved>,
    /// Everything that went wrong, one entry a cause.
    pub failures: Vec<Failure>,
    /// The optional variables that are absent, and so are not set.
    pub absent: Vec<String>,
    /// The names that more than one place gave, in the order in which that was seen.
    pub collisions: Vec<Collision>,
}

/// A name that several places gave. The later wins, as `docs/decisions/0005-precedence.md` says.
#[derive(Debug, PartialEq, Eq)]
pub struct Collision {
    /// The name.
    pub name: String,
    /// The places whose value is not used.
    pub lost: Vec<String>,
}

impl Resolution {
    /// Gives a variable its value, and remembers whose value it takes the place of.
    fn give(&mut self, name: String, resolved: Resolved) {
        if let Some(earlier) = self.values.get(&name) {
            self.collide(&name, earlier.source.clone());
        }
        self.values.insert(name, resolved);
    }

    fn collide(&mut self, name: &str, lost: String) {
        match self.collisions.iter_mut().find(|collision| collision.name == name) {
            Some(collision) => collision.lost.push(lost),
            None => self.collisions.push(Collision { name: name.to_owned(), lost: vec![lost] }),
        }
    }
}

/// A variable that has its value.
#[derive(Debug)]
pub struct Resolved {
    /// The value.
    pub value: Arc<SecretValue>,
    /// Where it came from, for people: `literal`, `default`, or a reference.
    pub source: String,
}

/// Fetches everything that the plan names.
pub async fn resolve(config: &Config, plan: &Plan, cx: &Context) -> Resolution {
    resolve_with(config, plan, cx, &OpenStores::default()).await
}

/// As [`resolve`], with what earlier resolves left: stores that are open already, and those that keep failing.
pub async fn resolve_with(config: &Config, plan: &Plan, cx: &Context, known: &OpenStores) -> Resolution {
    let stores = Stores::new(config, plan, cx, known);
    stores.ask_all().await;
    let mut resolution = Resolution::default();
    let mut failures = failure::Collector::default();
    let own: HashSet<&str> = plan.variables.iter().map(|planned| planned.variable.name.as_str()).collect();
    for planned in &plan.imports {
        match stores.listing(planned.store, planned.folder) {
            Ok(entries) => {
                for (name, answer) in entries {
                    let name = format!("{}{name}", planned.import.prefix);
                    // What the file itself names stands in the file for all to see.
                    if steers(&format!("{}{name}", plan.prefix)) && !own.contains(name.as_str()) {
                        failures.add(&name, planned.import.span, Cause::Steers);
                        continue;
                    }
                    match answer {
                        Ok(value) => {
                            let source = format!("{}/{}", planned.import.store, planned.import.query.folder);
                            resolution.give(name, Resolved { value, source });
                        }
                        Err(error) => {
                            failures.fetch(&planned.import.store, &name, planned.import.span, &error)
                        }
                    }
                }
            }
            Err(Cause::Fetch { error, .. }) if planned.import.optional && error.is_absence() => {}
            Err(cause) => {
                failures.add(&import_label(&planned.import), planned.import.span, cause);
            }
        }
    }
    let mut pending: Vec<(&PlannedVariable, usize)> =
        plan.variables.iter().map(|planned| (planned, 0)).collect();
    let mut settled: HashMap<&str, Settled> = HashMap::new();
    // Each round looks in one more place for the variables that are absent in all places before it.
    while !pending.is_empty() {
        stores.ask(pending.iter().filter_map(|(planned, position)| planned.candidates.get(*position))).await;
        let mut next = Vec::new();
        for (planned, position) in pending {
            match stores.look(planned, position) {
                Look::Settled(outcome) => {
                    settled.insert(planned.variable.name.as_str(), outcome);
                }
                Look::Next => next.push((planned, position + 1)),
            }
        }
        pending = next;
    }
    for planned in &plan.variables {
        let name = planned.variable.name.as_str();
        // A variable of the file's own stands at its own place, also where an import has the name.
        if let Some(imported) = resolution.values.shift_remove(name)
            && !is_from(settled.get(name), &format!("{}/{name}", imported.source.trim_end_matches('/')))
        {
            resolution.collide(name, imported.source);
        }
        match settled.remove(name) {
            Some(Ok(Some(resolved))) => match finish(planned, resolved) {
                Ok(resolved) => {
                    resolution.values.insert(name.to_owned(), resolved);
                }
                Err(cause) => failures.add(name, planned.variable.span, cause),
            },
            Some(Ok(None)) => resolution.absent.push(name.to_owned()),
            Some(Err((span, cause))) => failures.add(name, span, cause),
            None => {}
        }
    }
    if let Err(error) = config.policies.check_count(&plan.environment, resolution.values.len()) {
        failures.add("", dsops_providers::contract::Span::default(), Cause::Config(error));
    }
    resolution.failures = failures.finish();
    resolution
}

/// Says whether a variable has its value from this place: an import of the same secret loses nothing.
fn is_from(settled: Option<&Settled>, place: &str) -> bool {
    matches!(settled, Some(Ok(Some(resolved))) if resolved.source == place)
}

/// What looking for a variable came to: a value, an absence that is allowed, or a failure.
type Settled = Result<Option<Resolved>, (dsops_providers::contract::Span, Cause)>;

/// What checking the stores of a plan came to.
pub struct Checked {
    /// For each store what was found, or why it could not be opened, in the order of the plan.
    pub findings: Vec<Result<Vec<Finding>, Cause>>,
    /// The stores as they are now, for [`resolve_with`].
    pub stores: OpenStores,
}

/// Opens the stores of a plan and checks them, all at once.
pub async fn check(config: &Config, plan: &Plan, cx: &Context) -> Checked {
    let known = OpenStores::default();
    let stores = Stores::new(config, plan, cx, &known);
    let findings = stores.check_all().await;
    Checked { findings, stores: stores.into_open() }
}

/// Opens one store of a plan, with what other stores hold to open it. The context carries its deadline.
///
/// # Errors
///
/// Where it cannot be opened.
pub async fn open_one(
    config: &Config,
    plan: &Plan,
    store: &str,
    cx: &Context,
) -> Result<(Arc<dyn Provider>, Context), Cause> {
    let known = OpenStores::default();
    Stores::new(config, plan, cx, &known).open_one(store).await
}

/// What looking in one place came to.
enum Look {
    /// The value, an absence that is allowed, or a failure.
    Settled(Settled),
    /// It is absent here, and there is another place.
    Next,
}

impl Stores<'_> {
    fn look(&self, planned: &PlannedVariable, position: usize) -> Look {
        let variable = &planned.variable;
        if let Origin::Literal(value) = &variable.origin {
            return Look::Settled(Ok(Some(Resolved {
                value: Arc::clone(value),
                source: "literal".to_owned(),
            })));
        }
        let Some(candidate) = planned.candidates.get(position) else { return Look::Settled(Ok(None)) };
        let (error, cause) = match self.answer(candidate) {
            Ok(Ok(value)) => {
                return Look::Settled(Ok(Some(Resolved { value, source: candidate.reference.clone() })));
            }
            Ok(Err(error)) => {
                let store = self.name(candidate.store).to_owned();
                let reference = Some(candidate.reference.clone());
                (Some(error.clone()), Cause::Fetch { store, reference, error })
            }
            Err(cause) => (None, cause),
        };
        if !error.is_some_and(|error| error.is_absence()) {
            return Look::Settled(Err((candidate.span, cause)));
        }
        if position + 1 < planned.candidates.len() {
            return Look::Next;
        }
        match &variable.default {
            Some(value) => {
                Look::Settled(Ok(Some(Resolved { value: Arc::clone(value), source: "default".to_owned() })))
            }
            None if variable.optional => Look::Settled(Ok(None)),
            None => Look::Settled(Err((candidate.span, cause))),
        }
    }
}

/// Transforms a value, and refuses an empty one where that was asked for.
fn finish(planned: &PlannedVariable, resolved: Resolved) -> Result<Resolved, Cause> {
    let variable = &planned.variable;
    let value = if variable.transform.is_empty() {
        resolved.value
    } else {
        let copy = SecretValue::copy_of(resolved.value.expose());
        Arc::new(variable.transform.apply(copy, crate::config::yaml::parse_value).map_err(Cause::Transform)?)
    };
    if variable.non_empty && value.is_empty() {
        return Err(Cause::Empty);
    }
    Ok(Resolved { value, ..resolved })
}
