//! What a run will ask, of whom, and at what cost: known without asking anybody.
//!
//! A plan holds no values. References are collected first, then grouped by store, and each place is
//! asked for once however many variables name it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dsops_providers::contract::{Cost, DecodeError, EnvSnapshot, ListQuery, Locator, Span};
use serde::Serialize;

use crate::config::{
    Code, Config, ConfigError, Environment, Expander, FileOptions, Import, Origin, ReferenceAt, Store,
    Variable,
};

/// The plan of one environment.
#[derive(Debug)]
pub struct Plan {
    /// The environment's name.
    pub environment: String,
    /// What stands before every name that a program gets (`--prefix`). Empty unless a command sets it.
    pub prefix: String,
    /// The variables, in the order of the file.
    pub variables: Vec<PlannedVariable>,
    /// The folders whose keys become variables.
    pub imports: Vec<PlannedImport>,
    /// The stores that are asked, in the order in which they are first needed.
    pub stores: Vec<PlannedStore>,
}

/// One variable of a plan.
#[derive(Debug)]
pub struct PlannedVariable {
    /// What the file says.
    pub variable: Arc<Variable>,
    /// Where the value is looked for, in this order. Empty for a literal.
    pub candidates: Vec<Candidate>,
}

/// A place to look: a store of the plan and a locator of that store.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The index in [`Plan::stores`].
    pub store: usize,
    /// The index in [`PlannedStore::locators`].
    pub locator: usize,
    /// Where the reference stands.
    pub span: Span,
    /// The reference as it is printed.
    pub reference: String,
}

/// One folder of a plan.
#[derive(Debug)]
pub struct PlannedImport {
    /// What the file says.
    pub import: Import,
    /// The index in [`Plan::stores`].
    pub store: usize,
    /// The index in [`PlannedStore::folders`].
    pub folder: usize,
}

/// One store of a plan.
#[derive(Debug)]
pub struct PlannedStore {
    /// Its name in the file.
    pub name: String,
    /// Every place that may be asked for, once each.
    pub locators: Vec<Locator>,
    /// Which of the locators are asked for at once; the others are fallbacks.
    pub at_once: Vec<bool>,
    /// The folders that are listed, once each.
    pub folders: Vec<ListQuery>,
    /// The credentials that other stores give, by the place of the `{from: …}`.
    pub credentials: Vec<(Span, Candidate)>,
    /// What this costs when all goes well.
    pub cost: Cost,
}

impl Plan {
    /// Makes the plan of an environment. No I/O.
    ///
    /// # Errors
    ///
    /// All that can be known now: unset `${NAME}`, references that come out wrong, policies.
    pub fn new(
        config: &Config,
        environment: &Environment,
        env: &EnvSnapshot,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut builder = Builder::new(config, Some(&environment.name), env);
        let mut variables = Vec::with_capacity(environment.variables.len());
        for variable in environment.variables.values() {
            let candidates = builder.candidates(variable);
            variables.push(PlannedVariable { variable: Arc::clone(variable), candidates });
        }
        let imports: Vec<_> =
            environment.imports.iter().filter_map(|import| builder.import(import)).collect();
        if let Err(error) = config.policies.check_count(&environment.name, variables.len()) {
            builder.errors.push(error);
        }
        builder.finish(variables, imports)
    }

    /// Makes the plan for one reference of no environment.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn for_variable(
        config: &Config,
        variable: Variable,
        env: &EnvSnapshot,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut builder = Builder::new(config, None, env);
        if let Err(error) = config.check_variable(&variable) {
            builder.errors.push(error);
        }
        let candidates = builder.candidates(&variable);
        builder.finish(vec![PlannedVariable { variable: Arc::new(variable), candidates }], Vec::new())
    }

    /// Makes a plan that opens stores, whatever the policies let environments use, and asks for nothing
    /// but what opens them.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn for_stores<'a>(
        config: &Config,
        stores: impl IntoIterator<Item = &'a Store>,
        env: &EnvSnapshot,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut builder = Builder::new(config, None, env);
        for store in stores {
            if let Err(error) = builder.store(store, store.span, &mut Vec::new()) {
                builder.errors.push(error);
            }
        }
        builder.finish(Vec::new(), Vec::new())
    }

    /// Makes the plan of a part of an environment, with only what that part needs.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn of_part(
        config: &Config,
        environment: &Environment,
        env: &EnvSnapshot,
        part: &dyn Part,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut builder = Builder::new(config, Some(&environment.name), env);
        let mut variables = Vec::new();
        for variable in environment.variables.values().filter(|variable| part.has_variable(variable)) {
            let candidates = builder.candidates(variable);
            variables.push(PlannedVariable { variable: Arc::clone(variable), candidates });
        }
        let imports = environment.imports.iter().filter(|import| part.has_import(import));
        let imports: Vec<_> = imports.filter_map(|import| builder.import(import)).collect();
        builder.finish(variables, imports)
    }

    /// Makes the plan of values that can fail each on its own: a mistake in one stops no other. Without an environment
    /// the policies for everybody hold.
    #[must_use]
    pub fn of_each<'a>(
        config: &Config,
        environment: Option<&str>,
        wanted: impl IntoIterator<Item = Arc<Variable>>,
        imports: impl IntoIterator<Item = &'a Import>,
        env: &EnvSnapshot,
    ) -> Each {
        let mut builder = Builder::new(config, Some(environment.unwrap_or_default()), env);
        let mut variables = Vec::new();
        let mut refused = Vec::new();
        for variable in wanted {
            let candidates = builder.candidates(&variable);
            match builder.errors.drain(..).next() {
                Some(error) => refused.push((variable.name.clone(), error)),
                None => variables.push(PlannedVariable { variable, candidates }),
            }
        }
        let mut planned = Vec::new();
        for import in imports {
            match builder.import(import) {
                Some(import) => planned.push(import),
                None => {
                    let errors = builder.errors.drain(..);
                    refused.extend(errors.map(|error| (import_label(import), error)));
                }
            }
        }
        let plan = builder.assemble(variables, planned, |cost| cost.unwrap_or_default());
        Each { plan, refused }
    }

    /// Says whether a program may get a variable of this name: an import may bring any.
    #[must_use]
    pub fn may_set(&self, name: &str) -> bool {
        let planned = name.strip_prefix(&self.prefix);
        planned.is_some_and(|name| self.variables.iter().any(|planned| planned.variable.name == name))
            || (planned.is_some() && !self.imports.is_empty() && !crate::environment::steers(name))
    }

    /// Returns what the whole run costs when all goes well.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.stores.iter().map(|store| store.cost).fold(Cost::default(), |sum, cost| sum + cost)
    }

    /// Returns the variables whose value the command gets as a file, by name.
    #[must_use]
    pub fn files(&self) -> BTreeMap<&str, &FileOptions> {
        let variables = self.variables.iter().map(|planned| &planned.variable);
        variables.filter_map(|variable| Some((variable.name.as_str(), variable.file.as_ref()?))).collect()
    }
}

/// A plan, and what could not become part of it.
#[derive(Debug)]
pub struct Each {
    /// The plan.
    pub plan: Plan,
    /// The variables, and by their labels the imports, that cannot be asked for, and why.
    pub refused: Vec<(String, ConfigError)>,
}

/// Returns what an import is called where a variable's name would stand.
#[must_use]
pub fn import_label(import: &Import) -> String {
    format!("import of `{}/{}`", import.store, import.query.folder)
}

/// Says what of an environment is wanted.
pub trait Part {
    /// Whether a variable is.
    fn has_variable(&self, variable: &Variable) -> bool;
    /// Whether what a folder holds is.
    fn has_import(&self, import: &Import) -> bool;
}

struct Builder<'a> {
    config: &'a Config,
    /// None where no environment is asked, and so no policy of one applies.
    environment: Option<&'a str>,
    expander: Expander<'a>,
    env: &'a EnvSnapshot,
    stores: Vec<PlannedStore>,
    by_name: HashMap<String, usize>,
    /// For each store, where each locator is.
    indices: Vec<HashMap<Locator, usize>>,
    errors: Vec<ConfigError>,
}

impl<'a> Builder<'a> {
    fn new(config: &'a Config, environment: Option<&'a str>, env: &'a EnvSnapshot) -> Self {
        Self {
            config,
            environment,
            expander: Expander::new(env),
            env,
            stores: Vec::new(),
            by_name: HashMap::new(),
            indices: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn candidates(&mut self, variable: &Variable) -> Vec<Candidate> {
        let Origin::Reference(from) = &variable.origin else { return Vec::new() };
        let places = [from].into_iter().chain(&variable.fallback);
        places
            .enumerate()
            .filter_map(|(position, reference)| self.candidate(reference, position == 0))
            .collect()
    }

    fn candidate(&mut self, reference: &ReferenceAt, at_once: bool) -> Option<Candidate> {
        match self.try_candidate(reference, at_once, &mut Vec::new()) {
            Ok(candidate) => Some(candidate),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    fn try_candidate(
        &mut self,
        reference: &ReferenceAt,
        at_once: bool,
        opening: &mut Vec<String>,
    ) -> Result<Candidate, ConfigError> {
        let ready = reference.expand(&self.expander)?;
        if reference.ready().is_none() {
            self.config.check_expanded(reference, &ready)?;
        }
        let config = self.config;
        let store = self.store(config.store_of(&ready, reference.span)?, reference.span, opening)?;
        let printed = ready.to_string();
        let (planned, indices) = match (self.stores.get_mut(store), self.indices.get_mut(store)) {
            (Some(planned), Some(indices)) => (planned, indices),
            _ => return Err(ConfigError::new(Code::UnknownStore, "the store is not in the plan")),
        };
        let locator = *indices.entry(ready.locator).or_insert_with_key(|locator| {
            planned.locators.push(locator.clone());
            planned.at_once.push(false);
            planned.locators.len() - 1
        });
        if let Some(flag) = planned.at_once.get_mut(locator) {
            *flag |= at_once;
        }
        Ok(Candidate { store, locator, span: reference.span, reference: printed })
    }

    /// Puts a store into the plan, behind those that give its credentials.
    fn store(
        &mut self,
        store: &Store,
        used_at: Span,
        opening: &mut Vec<String>,
    ) -> Result<usize, ConfigError> {
        if let Some(index) = self.by_name.get(&store.name) {
            return Ok(*index);
        }
        if let Some(environment) = self.environment {
            self.config.policies.check_store(environment, store.descriptor, used_at)?;
        }
        if opening.contains(&store.name) {
            return Err(ConfigError::at(
                Code::CredentialCycle,
                used_at,
                format!("the credentials of `{}` come from itself", store.name),
            )
            .help("take one of the credentials from the environment: `${NAME}`"));
        }
        opening.push(store.name.clone());
        let mut credentials = Vec::new();
        for credential in &store.credentials {
            credentials.push((credential.span, self.try_candidate(&credential.reference, true, opening)?));
        }
        opening.pop();
        let index = self.stores.len();
        self.stores.push(PlannedStore {
            name: store.name.clone(),
            locators: Vec::new(),
            at_once: Vec::new(),
            folders: Vec::new(),
            credentials,
            cost: Cost::default(),
        });
        self.indices.push(HashMap::new());
        self.by_name.insert(store.name.clone(), index);
        Ok(index)
    }

    fn import(&mut self, import: &Import) -> Option<PlannedImport> {
        let store = self.config.stores.get(&import.store)?;
        let index = match self.store(store, import.span, &mut Vec::new()) {
            Ok(index) => index,
            Err(error) => {
                self.errors.push(error);
                return None;
            }
        };
        let planned = self.stores.get_mut(index)?;
        let folder = planned.folders.iter().position(|query| *query == import.query).unwrap_or_else(|| {
            planned.folders.push(import.query.clone());
            planned.folders.len() - 1
        });
        Some(PlannedImport { import: import.clone(), store: index, folder })
    }

    fn finish(
        mut self,
        variables: Vec<PlannedVariable>,
        imports: Vec<PlannedImport>,
    ) -> Result<Plan, Vec<ConfigError>> {
        if !self.errors.is_empty() {
            self.errors.sort_by_key(|error| error.labels.first().map(|label| label.span.start));
            self.errors.dedup();
            return Err(self.errors);
        }
        let mut errors = Vec::new();
        let plan = self.assemble(variables, imports, |cost| {
            cost.unwrap_or_else(|error| {
                errors.push(ConfigError::from(error));
                Cost::default()
            })
        });
        if errors.is_empty() { Ok(plan) } else { Err(errors) }
    }

    /// Puts the plan together. What options come out wrong is told when the store is opened, where nobody tells it now.
    fn assemble(
        mut self,
        variables: Vec<PlannedVariable>,
        imports: Vec<PlannedImport>,
        mut judge: impl FnMut(Result<Cost, DecodeError>) -> Cost,
    ) -> Plan {
        for planned in &mut self.stores {
            if let Some(store) = self.config.stores.get(&planned.name) {
                let locators = planned.asked_at_once();
                let expand = crate::config::PlanExpander(self.env);
                let cost =
                    (store.descriptor.cost)(&store.options, &expand, &locators, &planned.listed_folders());
                planned.cost = judge(cost);
            }
        }
        Plan {
            environment: self.environment.unwrap_or_default().to_owned(),
            prefix: String::new(),
            variables,
            imports,
            stores: self.stores,
        }
    }
}

impl PlannedStore {
    /// Returns the locators of the first batch: fallbacks wait, and what a listed folder will show
    /// need not be asked for.
    #[must_use]
    pub fn asked_at_once(&self) -> Vec<Locator> {
        let asked = self
            .locators
            .iter()
            .zip(&self.at_once)
            .filter(|(locator, at_once)| **at_once && !self.is_listed(locator));
        asked.map(|(locator, _)| locator.clone()).collect()
    }

    /// Says whether a folder that is listed anyway shows this locator's value.
    #[must_use]
    pub fn is_listed(&self, locator: &Locator) -> bool {
        locator.version.is_none()
            && locator.field.is_none()
            && self.folders.iter().any(|query| query.is_plain() && query.folder == locator.folder())
    }

    /// Returns the folders that are known to be listed. Which folders are below another is asked first, and not
    /// known here.
    fn listed_folders(&self) -> Vec<String> {
        let question = |query: &ListQuery| query.recursive.then(|| query.folder.clone());
        let questions: Vec<String> = self.folders.iter().filter_map(question).collect();
        self.folders.iter().map(|query| query.folder.clone()).chain(questions).collect()
    }
}

/// A plan as `plan --json` prints it. Stable: fields are added, never changed.
#[derive(Debug, Serialize)]
pub struct PlanView<'a> {
    environment: &'a str,
    variables: Vec<VariableView<'a>>,
    imports: Vec<ImportView<'a>>,
    stores: Vec<StoreView<'a>>,
    cost: CostView,
}

#[derive(Debug, Serialize)]
struct VariableView<'a> {
    name: &'a str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transform: Vec<&'static str>,
    optional: bool,
    has_default: bool,
    /// `file` where the command gets a path; absent where it gets the value.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    delivery: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ImportView<'a> {
    store: &'a str,
    folder: &'a str,
    prefix: &'a str,
    recursive: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    /// Pairs of key and value.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    metadata: &'a [(String, String)],
    optional: bool,
}

#[derive(Debug, Serialize)]
struct StoreView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    secrets: usize,
    folders: usize,
    cost: CostView,
}

/// What a run costs, for printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CostView {
    /// All requests, logins included.
    pub requests: usize,
    /// How many of them are logins.
    pub logins: usize,
    /// Outside programs started.
    pub processes: usize,
}

impl From<Cost> for CostView {
    fn from(cost: Cost) -> Self {
        Self { requests: cost.requests + cost.logins, logins: cost.logins, processes: cost.processes }
    }
}

impl Plan {
    /// Returns the plan for printing.
    #[must_use]
    pub fn view<'a>(&'a self, config: &'a Config) -> PlanView<'a> {
        let store_name = |index: usize| self.stores.get(index).map_or("", |store| store.name.as_str());
        PlanView {
            environment: &self.environment,
            variables: self
                .variables
                .iter()
                .map(|planned| VariableView {
                    name: &planned.variable.name,
                    source: if planned.candidates.is_empty() { "literal" } else { "store" },
                    store: planned.candidates.first().map(|candidate| store_name(candidate.store)),
                    reference: planned.candidates.first().map(|candidate| candidate.reference.as_str()),
                    fallback: planned
                        .candidates
                        .iter()
                        .skip(1)
                        .map(|candidate| candidate.reference.as_str())
                        .collect(),
                    transform: planned.variable.transform.names().collect(),
                    optional: planned.variable.optional,
                    has_default: planned.variable.default.is_some(),
                    delivery: planned.variable.file.as_ref().map(|_| "file"),
                    mode: planned.variable.file.as_ref().map(FileOptions::mode_text),
                    filename: planned.variable.file.as_ref().map(|file| file.name.as_str()),
                })
                .collect(),
            imports: self
                .imports
                .iter()
                .map(|planned| ImportView {
                    store: &planned.import.store,
                    folder: &planned.import.query.folder,
                    recursive: planned.import.query.recursive,
                    tags: &planned.import.query.tags,
                    metadata: &planned.import.query.metadata,
                    prefix: &planned.import.prefix,
                    optional: planned.import.optional,
                })
                .collect(),
            stores: self
                .stores
                .iter()
                .map(|planned| StoreView {
                    name: &planned.name,
                    kind: config.stores.get(&planned.name).map_or("", |store| store.descriptor.kind),
                    secrets: planned.at_once.iter().filter(|at_once| **at_once).count(),
                    folders: planned.folders.len(),
                    cost: planned.cost.into(),
                })
                .collect(),
            cost: self.cost().into(),
        }
    }
}
