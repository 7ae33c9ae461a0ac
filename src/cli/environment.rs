//! The options that `exec`, `shell` and `env` share, and the environment that comes of them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap::Args;
use dsops::config::{Config, Expander, Store, StoreCredential};
use dsops::environment::{ChildEnvironment, Inherit, Keep, Options, Precedence, Variable};
use dsops::exit;
use dsops::plan::Plan;
use dsops::resolve::Resolution;
use dsops_providers::contract::{Backend as _, EnvSnapshot, decode};
use dsops_providers::env::{Env, EnvConfig};

use super::Stop;
use super::entry;
use super::plan::plural;
use super::session::Session;
use crate::diagnostics::Diagnostic;

/// The environment that a `dsops shell`, `dsops env` or the hook made active.
pub(crate) const ACTIVE: &str = "DSOPS_ACTIVE";
/// The names of the variables that came with it, with commas between.
pub(crate) const VARIABLES: &str = "DSOPS_VARIABLES";
/// Set where the hook made it active, and so takes it away again.
pub(crate) const HOOK: &str = "DSOPS_HOOK";

/// How many names one remark lists.
const MOST_NAMES: usize = 20;

/// Which values, and under which names.
#[derive(Args, Debug)]
pub(crate) struct Values {
    /// The environment
    #[arg(long, short, env = "DSOPS_ENV", value_name = "NAME", required = true)]
    pub(crate) env: Option<String>,
    /// Put this before the name of every variable of the environment
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub(crate) prefix: Option<String>,
    /// Let variables that are set already win over resolved ones
    #[arg(long)]
    pub(crate) allow_override: bool,
    /// Go on although required values are absent
    #[arg(long)]
    pub(crate) allow_missing: bool,
}

/// What of the own environment is handed on.
#[derive(Args, Debug)]
pub(crate) struct Inherited {
    /// Inherit nothing but PATH, HOME and the like
    #[arg(long)]
    pub(crate) clean: bool,
    /// Inherit these too: names with commas between, a trailing `*` for all that start so; a store's
    /// credential is kept by its whole name
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = kept)]
    pub(crate) keep: Vec<Kept>,
    /// Let the command inherit the credentials of the stores
    #[arg(long)]
    pub(crate) keep_credentials: bool,
}

/// One word of `--keep`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// A whole name.
    Name(String),
    /// How names start.
    Start(String),
}

fn prefix(text: &str) -> Result<String, String> {
    let is_name = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { Ok(text.to_owned()) } else { Err("write a start of a name such as `APP_`".to_owned()) }
}

fn kept(text: &str) -> Result<Kept, String> {
    let (name, is_start) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
    match (name, is_start) {
        ("", true) => Err("`*` alone keeps everything: leave `--clean` out".to_owned()),
        ("", false) => Err("a name is empty".to_owned()),
        (name, _) if name.contains(['=', '*']) => Err("write a name, or `START*`".to_owned()),
        (name, true) => Ok(Kept::Start(name.to_owned())),
        (name, false) => Ok(Kept::Name(name.to_owned())),
    }
}

/// What is started with the values.
#[derive(Clone, Copy)]
pub(crate) struct Start<'a> {
    /// What of the own environment is handed on.
    pub(crate) inherited: &'a Inherited,
    /// The command and its arguments.
    pub(crate) command: &'a [OsString],
    /// What is set beside the variables of the environment.
    pub(crate) set: &'a [(&'a str, &'a str)],
    /// Whether what may surprise is remarked on: once, and not each time that the command starts again.
    pub(crate) tell: bool,
}

impl Values {
    /// Returns the name of the environment.
    pub(crate) fn name(&self) -> &str {
        self.env.as_deref().unwrap_or_default()
    }

    /// Returns what stands before every name.
    pub(crate) fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or_default()
    }

    /// Makes the plan, with the names that were asked for.
    pub(crate) fn plan(&self, session: &Session, config: &Config) -> Result<Plan, Stop> {
        let environment = session.environment(config, self.name())?;
        let mut plan = session.plan(config, environment)?;
        self.prefix().clone_into(&mut plan.prefix);
        Ok(plan)
    }

    /// Stops where values are missing, and says which names several places gave.
    pub(crate) fn check(
        &self,
        session: &Session,
        config: &Config,
        resolution: &Resolution,
    ) -> Result<(), Stop> {
        session.stop_or_warn(config, resolution, self.allow_missing)?;
        for collision in resolution.collisions.iter().take(MOST_NAMES) {
            let winner = resolution.values.get(&collision.name);
            let winner = winner.map_or("nothing, since absent and optional", |resolved| &resolved.source);
            let lost = collision.lost.join(", ");
            session.output.remark(&format!("`{}` is from {winner}, and not from {lost}", collision.name));
        }
        if let Some(more @ 1..) = resolution.collisions.len().checked_sub(MOST_NAMES) {
            session.output.remark(&format!("{more} more names come from several places"));
        }
        Ok(())
    }

    fn precedence(&self) -> Precedence {
        if self.allow_override { Precedence::Inherited } else { Precedence::Resolved }
    }

    /// Puts the environment of a command together.
    pub(crate) fn child(
        &self,
        session: &Session,
        config: &Config,
        plan: &Plan,
        resolution: &Resolution,
        start: Start<'_>,
    ) -> Result<ChildEnvironment, Stop> {
        let Start { inherited, command, set, tell } = start;
        let theirs = outer(&session.env);
        let mut keep = inherited.keep();
        if tell {
            inherited.say_idle(session, &theirs);
        }
        keep.names.extend(set.iter().map(|(name, _)| (*name).to_owned()));
        let set = set.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let ours = theirs.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let theirs: EnvSnapshot = ours.chain(set).collect();
        let strip =
            if inherited.keep_credentials { BTreeSet::new() } else { credentials(config, &session.env) };
        let names: Vec<String> =
            resolution.values.keys().map(|name| format!("{}{name}", plan.prefix)).collect();
        let files = plan.files();
        let options = Options {
            precedence: self.precedence(),
            inherit: if inherited.clean { Inherit::Clean } else { Inherit::All },
            strip,
            keep,
            files: names
                .iter()
                .zip(resolution.values.keys())
                .filter_map(|(name, planned)| Some((name.as_str(), *files.get(planned.as_str())?)))
                .collect(),
            command,
        };
        let values = resolution.values.values().map(|resolved| resolved.value.as_ref());
        let resolved = names.iter().map(String::as_str).zip(values);
        let child = ChildEnvironment::build(&theirs, resolved, &options)
            .map_err(|error| refused(config, plan, resolution, &error))?;
        if tell {
            say_replaced(session, child.variables());
        }
        Ok(child)
    }
}

impl Inherited {
    fn keep(&self) -> Keep {
        let mut keep = Keep::default();
        for word in &self.keep {
            match word {
                Kept::Name(name) => drop(keep.names.insert(name.clone())),
                Kept::Start(start) => keep.starts.push(start.clone()),
            }
        }
        keep
    }

    /// Names what is to be kept and is not there: a misspelt name must not go unnoticed.
    fn say_idle(&self, session: &Session, theirs: &EnvSnapshot) {
        let is_idle = |word: &&Kept| match word {
            Kept::Name(name) => theirs.get_os(name).is_none(),
            Kept::Start(start) => {
                let start = start.as_bytes();
                !theirs.iter().any(|(name, _)| name.as_encoded_bytes().starts_with(start))
            }
        };
        let idle = self.keep.iter().filter(is_idle).map(|word| match word {
            Kept::Name(name) => format!("`{name}`"),
            Kept::Start(start) => format!("`{start}*`"),
        });
        let idle = idle.collect::<Vec<_>>().join(", ");
        if !idle.is_empty() {
            session.output.remark(&format!("--keep names what is not inherited: {idle}"));
        }
    }
}

/// Returns what dsops inherited, without what an outer `dsops shell`, `dsops env` or hook has set: the variables
/// of one environment must not get into another.
pub(crate) fn outer(env: &EnvSnapshot) -> EnvSnapshot {
    let set: BTreeSet<&str> = set_by_outer(env).chain([ACTIVE, VARIABLES, HOOK]).collect();
    let is_own = |name: &OsStr| !name.to_str().is_some_and(|name| set.contains(name));
    let own = env.iter().filter(|(name, _)| is_own(name));
    own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Returns the names that an outer dsops has set.
pub(crate) fn set_by_outer(env: &EnvSnapshot) -> impl Iterator<Item = &str> {
    let names = env.get(VARIABLES).unwrap_or_default().split(',');
    names.filter(|name| dsops::statements::is_name(name))
}

/// Names the inherited variables whose value the command does not get, since that may surprise whoever set them.
fn say_replaced<'a>(session: &Session, variables: impl Iterator<Item = Variable<'a>>) {
    let replaced = variables.filter(|variable| variable.differs);
    say_names(
        session,
        &replaced.map(|variable| variable.name.to_string_lossy().into_owned()).collect::<Vec<_>>(),
    );
}

/// Writes the remark on these names, if there are any.
pub(crate) fn say_names(session: &Session, names: &[String]) {
    if names.is_empty() {
        return;
    }
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let more = match names.len().checked_sub(MOST_NAMES) {
        Some(more @ 1..) => format!(" and {more} more"),
        _ => String::new(),
    };
    let noun = format!("variable{} of another value", plural(names.len()));
    session.output.remark(&format!("in place of the inherited {noun}: {shown}{more}"));
}

fn refused(
    config: &Config,
    plan: &Plan,
    resolution: &Resolution,
    error: &dsops::environment::EnvironmentError,
) -> Stop {
    let planned = |name: &str| name.strip_prefix(&plan.prefix).map(str::to_owned);
    let named = |name: &str| {
        let name = planned(name)?;
        plan.variables.iter().find(|planned| planned.variable.name == name)
    };
    let reports = error.problems().iter().map(|problem| {
        let report = Diagnostic::new(problem.code(), exit::NOT_STARTED, problem.to_string());
        let source = problem.variable().and_then(planned);
        let source = source.and_then(|name| entry::source(plan, resolution, &name));
        let report = report.help(problem.advice(source.as_deref()));
        match problem.variable().and_then(named) {
            Some(planned) => report.variable(&planned.variable, &config.source),
            None => report,
        }
    });
    Stop::Reports(reports.collect())
}

/// The variables that open the configured stores: what their options name, and what is their own.
fn credentials(config: &Config, env: &EnvSnapshot) -> BTreeSet<String> {
    let stores = config.stores.values();
    stores
        .flat_map(|store| {
            let own = store.descriptor.about.own_env.iter().map(|name| (*name).to_owned());
            store.credential_env.iter().cloned().chain(own).chain(read_from_env(store, config, env))
        })
        .collect()
}

/// The variables that a store's credentials come from by way of a store of type `env`.
fn read_from_env(store: &Store, config: &Config, env: &EnvSnapshot) -> Vec<String> {
    let expander = Expander::new(env);
    let name = |credential: &StoreCredential| {
        let reference = credential.reference.expand(&expander).ok()?;
        let from = config.store_of(&reference, credential.span).ok()?;
        let options: EnvConfig =
            decode(&from.options, &expander).ok().filter(|_| from.descriptor.kind == Env::KIND)?;
        Some(format!("{}{}", options.prefix, reference.locator.path))
    };
    store.credentials.iter().filter_map(name).collect()
}
