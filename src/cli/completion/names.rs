//! The names that complete a line: from `dsops.yaml`, from the build, and what the line says already.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::engine::CompletionCandidate;
use dsops::config::{self, Config, Environment, Origin};
use dsops::reference::{Reference, StoreName};
use dsops::render::Format;
use dsops_providers::ALL;
use dsops_providers::contract::EnvSnapshot;

/// The type of store that `dsops local` works on.
const LOCAL: &str = "local";

/// Returns the types of store that this build has.
pub(super) fn types() -> Vec<CompletionCandidate> {
    let types = ALL.iter();
    types
        .map(|descriptor| {
            CompletionCandidate::new(descriptor.kind).help(Some(descriptor.about.summary.into()))
        })
        .collect()
}

/// Returns the formats that `dsops render` writes.
pub(super) fn formats() -> Vec<CompletionCandidate> {
    Format::ALL.into_iter().map(|format| CompletionCandidate::new(format.name())).collect()
}

/// Returns the environments of the file.
pub(super) fn environments() -> Vec<CompletionCandidate> {
    let config = load();
    candidates(config.iter().flat_map(|config| config.environments.keys()))
}

/// Returns the profiles of `agents` in the file.
pub(super) fn profiles() -> Vec<CompletionCandidate> {
    let config = load();
    candidates(config.iter().flat_map(|config| config.agents.keys()))
}

/// Returns the names that `dsops helper aws` knows.
pub(super) fn aws_keys() -> Vec<CompletionCandidate> {
    let config = load();
    candidates(config.iter().flat_map(|config| config.helpers.aws.keys()))
}

/// Returns the names that `dsops helper kube` knows.
pub(super) fn kube_users() -> Vec<CompletionCandidate> {
    let config = load();
    candidates(config.iter().flat_map(|config| config.helpers.kube.keys()))
}

/// Returns the stores of the file that `dsops local` works on.
pub(super) fn local_stores() -> Vec<CompletionCandidate> {
    stores_of(LOCAL)
}

/// Returns the stores of the file that `dsops infisical` looks around in.
pub(super) fn infisical_stores() -> Vec<CompletionCandidate> {
    stores_of(crate::cli::infisical::access::KIND)
}

fn stores_of(kind: &str) -> Vec<CompletionCandidate> {
    let config = load();
    let stores = config.iter().flat_map(|config| config.stores.values());
    candidates(stores.filter(|store| store.descriptor.kind == kind).map(|store| &store.name))
}

/// Returns the variables of the environment that the line or `DSOPS_ENV` names, and of all where none does.
pub(super) fn variables() -> Vec<CompletionCandidate> {
    let config = load();
    let wanted =
        Line::here().option("--env", "-e").or_else(|| snapshot().get("DSOPS_ENV").map(str::to_owned));
    let environments = config.iter().flat_map(|config| config.environments.values());
    let named =
        environments.filter(|environment| wanted.as_ref().is_none_or(|name| *name == environment.name));
    let names: BTreeSet<&String> = named.flat_map(|environment| environment.variables.keys()).collect();
    candidates(names)
}

/// Returns the references of the file.
pub(super) fn references() -> Vec<CompletionCandidate> {
    let config = load();
    let texts: BTreeSet<String> =
        config.iter().flat_map(references_of).map(std::string::ToString::to_string).collect();
    candidates(&texts)
}

/// Returns the keys that the file reads from encrypted files. The encrypted files themselves stay
/// shut: opening one can ask for a passphrase.
pub(super) fn local_keys() -> Vec<CompletionCandidate> {
    let Some(config) = load() else { return Vec::new() };
    let wanted = Line::here().option("--store", "");
    let is_meant = |reference: &&Reference| match &reference.store {
        StoreName::Named(name) => {
            wanted.as_ref().is_none_or(|wanted| wanted == name)
                && config.stores.get(name).is_some_and(|store| store.descriptor.kind == LOCAL)
        }
        StoreName::OnePassword => false,
    };
    let keys: BTreeSet<&String> =
        references_of(&config).filter(is_meant).map(|reference| &reference.locator.path).collect();
    candidates(keys)
}

/// Returns the commands that have a manual page, below those that the line names already.
pub(super) fn pages(root: &Command) -> Vec<CompletionCandidate> {
    let line = Line::here();
    let named = line.0.iter().skip_while(|word| *word != "man").skip(1);
    let mut command = root;
    for word in named {
        if let Some(below) = command.find_subcommand(word) {
            command = below;
        }
    }
    let below = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    below.map(|sub| CompletionCandidate::new(sub.get_name()).help(sub.get_about().cloned())).collect()
}

fn candidates<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn references_of(config: &Config) -> impl Iterator<Item = &Reference> {
    let variables =
        config.environments.values().flat_map(|environment: &Environment| environment.variables.values());
    let places = variables.flat_map(|variable| {
        let from = match &variable.origin {
            Origin::Reference(reference) => Some(reference),
            Origin::Literal(_) => None,
        };
        from.into_iter().chain(&variable.fallback)
    });
    places.filter_map(|place| place.ready())
}

/// Loads the file that the line means. A file with mistakes gives no names.
fn load() -> Option<Config> {
    let env = snapshot();
    let home = env.get_os("HOME").map(Path::new);
    let named = Line::here().option("--config", "-c").map(|path| match (path.strip_prefix("~/"), home) {
        // The shell expands this only when it runs the line.
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    });
    let path = match named.or_else(|| env.get_os("DSOPS_CONFIG").map(PathBuf::from)) {
        Some(path) => path,
        None => config::discover(&std::env::current_dir().ok()?, home).ok()?,
    };
    config::load(&path).ok()
}

fn snapshot() -> EnvSnapshot {
    std::env::vars_os().collect()
}

/// The words of the line that is being completed, up to the command that `exec` would run.
struct Line(Vec<String>);

impl Line {
    /// Returns the line that the shell passes behind the first `--`.
    fn here() -> Self {
        let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        let line = words.skip_while(|word| word != "--").skip(1);
        // bash passes `--env=dev` as three words.
        Self(line.take_while(|word| word != "--").filter(|word| word != "=").collect())
    }

    /// Returns the value of an option, in any of its spellings.
    fn option(&self, long: &str, short: &str) -> Option<String> {
        let mut words = self.0.iter();
        while let Some(word) = words.next() {
            if word == long || word == short {
                return words.next().cloned();
            }
            if let Some(value) = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
                return Some(value.to_owned());
            }
            if let Some(value) =
                word.strip_prefix(short).filter(|_| !short.is_empty() && !word.starts_with("--"))
            {
                return Some(value.strip_prefix('=').unwrap_or(value).to_owned());
            }
        }
        None
    }
}
