//! What a profile gives, and what of the environment its stores need.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dsops_providers::contract::EnvSnapshot;
use nix::unistd::{Uid, User};

use super::PROFILE;
use crate::agent::is_id;
use crate::config::{
    Agent, Config, ConfigError, Environment, Origin, ReferenceAt, Store, Variable, variables_in,
};
use crate::reference::{Reference, StoreName};
use crate::suggest::{and_ticked, did_you_mean};

/// What every store may need, where it is set: how to reach a server, whom to believe, and where files of the user lie.
const WHERE_SET: &[&str] = &[
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
];
/// How the variables start that an identity is found by, by a word in the name of the login.
const IDENTITIES: &[(&str, &[&str])] = &[
    ("aws", &["AWS_"]),
    ("azure", &["AZURE_", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"]),
    ("gcp", &["GCE_METADATA_", "GOOGLE_APPLICATION_CREDENTIALS"]),
    ("kubernetes", &["KUBERNETES_SERVICE_"]),
];

/// A profile of a file, or one of its environments alone.
pub struct Profile<'a> {
    config: &'a Config,
    agent: Option<&'a Agent>,
    environment: Option<&'a Environment>,
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The file does not have it.
    #[error("{message}")]
    Profile {
        /// What is missing.
        message: String,
        /// The advice.
        help: String,
    },
    /// The file does not have the environment.
    #[error("{}", .0.message)]
    Environment(ConfigError),
}

/// An id that a profile gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    /// The id.
    pub id: String,
    /// Whether it is allowed to be absent.
    pub optional: bool,
}

/// The variables that a program has to be given, by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Those to pass on.
    pub names: BTreeSet<String>,
    /// Those of them that are not set here, and have no default.
    pub unset: BTreeSet<String>,
}

impl<'a> Profile<'a> {
    /// Finds a profile. Without a name it is `openclaw`, or where an environment is named and there is no such profile,
    /// that environment.
    ///
    /// # Errors
    ///
    /// See [`Unknown`].
    pub fn of(config: &'a Config, profile: Option<&str>, environment: Option<&str>) -> Result<Self, Unknown> {
        let name = profile.unwrap_or(PROFILE);
        let agent = config.agents.get(name);
        if agent.is_none() && (profile.is_some() || environment.is_none()) {
            let known = || config.agents.keys().map(String::as_str);
            let help = match (did_you_mean(name, known()), config.agents.is_empty()) {
                (Some(near), _) => near,
                (None, true) => format!(
                    "add it: `agents: {{{PROFILE}: {{env: NAME}}}}`, or name an environment with `--env`"
                ),
                (None, false) => format!("the file has {}; name one with `--profile`", and_ticked(known())),
            };
            return Err(Unknown::Profile { message: format!("`agents` has no profile `{name}`"), help });
        }
        let named = environment.or_else(|| agent.and_then(|agent| agent.env.as_deref()));
        let environment =
            named.map(|name| config.environment(name)).transpose().map_err(Unknown::Environment)?;
        Ok(Self { config, agent, environment })
    }

    /// Returns the profile's name, where it is one of the file's.
    #[must_use]
    pub fn name(&self) -> Option<&'a str> {
        self.agent.map(|agent| agent.name.as_str())
    }

    /// Returns when an answer is written at the latest, where the profile says so.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.agent.and_then(|agent| agent.deadline)
    }

    /// Returns the ids whose names stand in the file, aliases first.
    #[must_use]
    pub fn ids(&self) -> Vec<Id> {
        self.entries()
            .filter(|(id, _)| is_id(id))
            .map(|(id, variable)| Id { id: id.clone(), optional: variable.optional })
            .collect()
    }

    /// Returns the variables that nobody can ask for, by name.
    #[must_use]
    pub fn unaskable(&self) -> Vec<&'a str> {
        self.entries().filter(|(id, _)| !is_id(id)).map(|(id, _)| id.as_str()).collect()
    }

    /// Says whether there are more ids than the file names.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let imports = self.environment.is_some_and(|environment| !environment.imports.is_empty());
        imports || self.agent.is_some_and(|agent| agent.raw)
    }

    fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Arc<Variable>)> + use<'a> {
        let agent = self.agent;
        let variables =
            self.environment.map(|environment| environment.variables.iter()).into_iter().flatten();
        let allowed = variables.filter(move |(name, _)| agent.is_none_or(|agent| agent.allows(name)));
        agent.map(|agent| agent.ids.iter()).into_iter().flatten().chain(allowed)
    }

    /// Returns the variables of the environment that the profile's stores need.
    #[must_use]
    pub fn needs(&self, env: &EnvSnapshot) -> Needs {
        let mut needs = Needs::default();
        let is_set = |name: &str| env.get_os(name).is_some_and(|value| !value.is_empty());
        let mut stores: BTreeSet<&str> = BTreeSet::new();
        let mut all = self.agent.is_some_and(|agent| agent.raw);
        for reference in self.references() {
            match reference.ready() {
                Some(ready) => stores.extend(self.note(ready, &mut needs)),
                None => {
                    // Which store is meant depends on the environment.
                    all = true;
                    needs.names.extend(reference.variables().into_iter().map(str::to_owned));
                }
            }
        }
        let imports = self.environment.map(|environment| environment.imports.as_slice()).unwrap_or_default();
        stores.extend(imports.iter().map(|import| import.store.as_str()));
        if all {
            stores.extend(self.config.stores.keys().map(String::as_str));
        }
        // Stores whose credentials other stores hold.
        let mut known = BTreeSet::new();
        while let Some(name) = stores.pop_first() {
            let Some(store) = self.config.stores.get(name).filter(|_| known.insert(name)) else { continue };
            for credential in &store.credentials {
                stores.extend(credential.reference.ready().and_then(|ready| self.note(ready, &mut needs)));
            }
            of_store(store, env, &mut needs);
        }
        needs.unset = needs.names.iter().filter(|name| !is_set(name)).cloned().collect();
        needs.names.extend(WHERE_SET.iter().filter(|name| is_set(name)).map(|name| (*name).to_owned()));
        // Without HOME the one of the user database counts.
        let home = User::from_uid(Uid::effective()).ok().flatten().map(|user| user.dir);
        if env.get_os("HOME").is_some_and(|value| home != Some(PathBuf::from(value))) {
            needs.names.insert("HOME".to_owned());
        }
        needs
    }

    fn references(&self) -> impl Iterator<Item = &'a ReferenceAt> + use<'a> {
        self.entries().flat_map(|(_, variable)| {
            let first = match &variable.origin {
                Origin::Reference(reference) => Some(reference),
                Origin::Literal(_) => None,
            };
            first.into_iter().chain(&variable.fallback)
        })
    }

    /// Returns the store of a reference, and notes the variable that it is, in a store of variables.
    fn note(&self, reference: &Reference, needs: &mut Needs) -> Option<&'a str> {
        let store = match &reference.store {
            StoreName::Named(name) => self.config.stores.get(name)?,
            StoreName::OnePassword => {
                self.config.stores.values().find(|store| store.descriptor.kind == "onepassword")?
            }
        };
        if store.descriptor.kind == "env" {
            let prefix = store.options.get("prefix").and_then(|prefix| prefix.text()).unwrap_or_default();
            needs.names.insert(format!("{prefix}{}", reference.locator.path));
        }
        Some(&store.name)
    }
}

/// Notes what one store needs.
fn of_store(store: &Store, env: &EnvSnapshot, needs: &mut Needs) {
    let is_set = |name: &&str| env.get_os(name).is_some_and(|value| !value.is_empty());
    for open in &store.open_texts {
        let has_default = |name: &str| open.raw.contains(&format!("${{{name}:-"));
        let names = variables_in(&open.raw).into_iter().filter(|name| is_set(name) || !has_default(name));
        needs.names.extend(names.map(str::to_owned));
    }
    needs.names.extend(store.descriptor.about.own_env.iter().copied().filter(is_set).map(str::to_owned));
    let method = store.options.get("auth").and_then(|auth| auth.get("method")?.text()).unwrap_or_default();
    let mut starts: Vec<&str> = Vec::new();
    for (_, found) in IDENTITIES.iter().filter(|(word, _)| method.contains(word)) {
        starts.extend(*found);
    }
    // A credential of systemd, and an identity in the desktop's keyring.
    starts.push("CREDENTIALS_DIRECTORY");
    match store.descriptor.kind {
        // A program without a slash in its name is looked for, and may look for others.
        "exec" => starts.push("PATH"),
        "local" => starts.push("DBUS_SESSION_BUS_ADDRESS"),
        _ => {}
    }
    let set = env.iter().filter_map(|(name, _)| name.to_str()).filter(is_set);
    needs
        .names
        .extend(set.filter(|name| starts.iter().any(|start| matches_start(name, start))).map(str::to_owned));
}

/// Only what ends with `_` is the beginning of names.
fn matches_start(name: &str, start: &str) -> bool {
    if start.ends_with('_') { name.starts_with(start) } else { name == start }
}
