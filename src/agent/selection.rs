//! From ids to a plan that fetches what they mean, and from what came of it to an answer for each.

use std::collections::HashMap;
use std::sync::Arc;

use dsops_providers::contract::{EnvSnapshot, SecretValue, Span};

use super::protocol::Said;
use super::{Refusal, is_id, reference_of};
use crate::config::{self, Agent, Code, Config, ConfigError, Environment, Import, Variable};
use crate::openclaw::REDACTED;
use crate::plan::{Each, Plan, import_label};
use crate::resolve::{Failure, Resolution};

/// What ids mean.
#[derive(Debug)]
pub struct Selection {
    /// What is to be fetched for them.
    pub plan: Plan,
    /// The ids, in the order in which they were asked.
    ids: Vec<String>,
    /// Those that cannot be asked for.
    refused: HashMap<String, Refusal>,
    /// The imports that cannot, by their prefixes.
    refused_imports: Vec<(String, Refusal)>,
    /// Why, where the file is at fault.
    pub mistakes: Vec<ConfigError>,
}

/// What one id means.
enum Meaning {
    Value(Arc<Variable>),
    /// It may be a name that an import brings.
    Imported,
    Nothing(Refusal),
}

impl Selection {
    /// Finds what each id means. Nothing is fetched for what may not be asked for.
    #[must_use]
    pub fn new(
        config: &Config,
        agent: &Agent,
        environment: Option<&Environment>,
        ids: Vec<String>,
        env: &EnvSnapshot,
    ) -> Self {
        let mut refused = HashMap::new();
        let mut variables = Vec::new();
        let mut imported = Vec::new();
        for id in &ids {
            match meaning(config, agent, environment, id) {
                Meaning::Value(variable) => variables.push(variable),
                Meaning::Imported => imported.push(id.as_str()),
                Meaning::Nothing(refusal) => {
                    refused.insert(id.clone(), refusal);
                }
            }
        }
        let imports = environment.into_iter().flat_map(|environment| &environment.imports);
        let imports = imports.filter(|import| imported.iter().any(|id| id.starts_with(&import.prefix)));
        let imports: Vec<_> = imports.collect();
        let name = environment.map(|environment| environment.name.as_str());
        let Each { plan, refused: mistakes } =
            Plan::of_each(config, name, variables, imports.iter().copied(), env);
        refused.extend(mistakes.iter().map(|(id, error)| (id.clone(), Refusal::of_config(error))));
        let of_import = |import: &&Import| {
            let refusal = refused.get(&import_label(import))?;
            Some((import.prefix.clone(), *refusal))
        };
        let refused_imports = imports.iter().filter_map(of_import).collect();
        let mut mistakes: Vec<ConfigError> = mistakes.into_iter().map(|(_, error)| error).collect();
        mistakes.dedup();
        Self { plan, ids, refused, refused_imports, mistakes }
    }

    /// Returns what is said about each id, in the order in which they were asked.
    #[must_use]
    pub fn answers(&self, config: &Config, resolution: &Resolution) -> Vec<(String, Said)> {
        let failures = resolution.failures.iter().flat_map(|failure| {
            let refusal = Refusal::of_cause(&failure.cause);
            failure.variables.iter().map(move |name| (name.as_str(), refusal))
        });
        let failures: HashMap<&str, Refusal> = failures.collect();
        let said = |id: &String| {
            if let Some(refusal) = self.refused.get(id).or_else(|| failures.get(id.as_str())) {
                return Err(*refusal);
            }
            match resolution.values.get(id) {
                Some(resolved) => usable(&resolved.value),
                None => Err(self.of_imports(id, &failures)),
            }
        };
        let mut answers: Vec<(String, Said)> = self.ids.iter().map(|id| (id.clone(), said(id))).collect();
        // What counts is what is given, not what the imports would bring beside it.
        let given = answers.iter().filter(|(_, said)| said.is_ok()).count();
        if config.policies.check_count(&self.plan.environment, given).is_err() {
            answers
                .iter_mut()
                .filter(|(_, said)| said.is_ok())
                .for_each(|(_, said)| *said = Err(Refusal::Policy));
        }
        answers
    }

    /// Returns what went wrong for what was asked. An import is fetched whole, and what stops its other entries is
    /// nobody's business who may not ask for them.
    #[must_use]
    pub fn told(&self, resolution: &Resolution) -> Vec<Failure> {
        let labels: Vec<String> =
            self.plan.imports.iter().map(|planned| import_label(&planned.import)).collect();
        let is_asked = |name: &String| self.ids.contains(name) || labels.contains(name);
        let told = resolution.failures.iter().filter_map(|failure| {
            let places = failure.variables.iter().zip(&failure.spans).filter(|(name, _)| is_asked(name));
            let (variables, spans): (Vec<String>, Vec<Span>) =
                places.map(|(name, span)| (name.clone(), *span)).unzip();
            (!variables.is_empty()).then(|| Failure { variables, spans, cause: failure.cause.clone() })
        });
        told.collect()
    }

    /// Returns why no import brings an id: what kept one from being listed that might have.
    fn of_imports(&self, id: &str, failures: &HashMap<&str, Refusal>) -> Refusal {
        let is_named = self.plan.variables.iter().any(|planned| planned.variable.name == id);
        let imports = self.plan.imports.iter().map(|planned| &planned.import);
        let might = imports.filter(|import| !is_named && id.starts_with(&import.prefix)).map(import_label);
        let failed = might.filter_map(|label| failures.get(label.as_str()).copied()).next();
        let refused = || self.refused_imports.iter().find(|(prefix, _)| id.starts_with(prefix));
        failed.or_else(|| refused().map(|(_, refusal)| *refusal)).unwrap_or(Refusal::NotFound)
    }
}

fn meaning(config: &Config, agent: &Agent, environment: Option<&Environment>, id: &str) -> Meaning {
    if !is_id(id) {
        return Meaning::Nothing(Refusal::InvalidId);
    }
    if let Some(alias) = agent.ids.get(id) {
        return Meaning::Value(Arc::clone(alias));
    }
    if !agent.allows(id) {
        return Meaning::Nothing(Refusal::NotFound);
    }
    if let Some(variable) = environment.and_then(|environment| environment.variables.get(id)) {
        return Meaning::Value(Arc::clone(variable));
    }
    let mut refusal = Refusal::NotFound;
    if agent.raw {
        match raw(config, id) {
            Ok(variable) => return Meaning::Value(Arc::new(variable)),
            Err(why) => refusal = why,
        }
    }
    let mut imports = environment.into_iter().flat_map(|environment| &environment.imports);
    match imports.any(|import| id.starts_with(&import.prefix)) {
        true if refusal == Refusal::NotFound => Meaning::Imported,
        _ => Meaning::Nothing(refusal),
    }
}

/// Reads an id that may be a path in a store.
fn raw(config: &Config, id: &str) -> Result<Variable, Refusal> {
    let variable = config::variable_of_reference(&reference_of(id)).map_err(|_| Refusal::NotFound)?;
    config.check_variable(&variable).map_err(|error| match error.code {
        // A store that is not there is as absent as a secret that is not.
        Code::UnknownStore => Refusal::NotFound,
        _ => Refusal::of_config(&error),
    })?;
    Ok(Variable { name: id.to_owned(), ..variable })
}

/// Says whether a value can be given.
fn usable(value: &Arc<SecretValue>) -> Said {
    match value.expose_str() {
        None => Err(Refusal::NotText),
        Some("") => Err(Refusal::Empty),
        Some(REDACTED) => Err(Refusal::Placeholder),
        Some(_) => Ok(Arc::clone(value)),
    }
}
