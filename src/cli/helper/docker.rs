//! `dsops helper docker`: the login of a registry, by the protocol of docker's credential helpers.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use dsops::config::{Config, Login, Origin};
use dsops::exit;
use dsops::helper::docker::{self, LONGEST_LOGIN, LONGEST_URL, NO_SERVER, NOT_FOUND, answer, find, list};
use dsops::helper::shown_key;
use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

use super::credential::misfit_report;
use super::stdin::stdin as asked_on_stdin;
use super::{key_report, load, loaded};
use crate::cli::session::Session;
use crate::cli::{Outcome, Stop, show};
use crate::diagnostics::Diagnostic;

/// Give docker and its kin the login of a registry, from `helpers.docker`
///
/// Reads the registry on stdin. One that has no entry gets docker's own "not found", and exit code 1. dsops keeps
/// nothing: `store` and `erase` are refused.
#[derive(Args, Debug)]
#[command(after_help = "Example: ln -s /usr/local/bin/dsops /usr/local/bin/docker-credential-dsops\n\
    and in ~/.docker/config.json: {\"credHelpers\": {\"ghcr.io\": \"dsops\"}}")]
pub(super) struct Docker {
    /// What docker wants
    #[arg(value_enum, value_name = "ACTION")]
    action: Action,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// The login of the registry on stdin
    Get,
    /// To keep a login
    Store,
    /// To forget a login
    Erase,
    /// The registries that have an entry
    List,
    /// The version of the helper
    Version,
}

/// What docker is told.
enum Reply {
    /// What it asked for.
    Done(Zeroizing<Vec<u8>>),
    /// A text of the protocol.
    Said(&'static str),
    /// Why it is not done.
    Refused(String),
}

impl Docker {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let mut place = "helpers.docker".to_owned();
        let reply = match self.action {
            Action::Get => get(session, &mut place),
            Action::Store => store(session, &mut place),
            Action::Erase => erase(session),
            Action::List => listed(session),
            Action::Version => Ok(Reply::Done(Zeroizing::new(version().into_bytes()))),
        };
        match reply {
            Ok(Reply::Done(line)) => {
                session.output.stdout(&line)?;
                Ok(exit::OK)
            }
            Ok(Reply::Said(text)) => {
                session.output.line(text)?;
                Ok(exit::PROBLEMS)
            }
            Ok(Reply::Refused(text)) => {
                session.output.line(&format!("dsops: {text}"))?;
                Ok(exit::PROBLEMS)
            }
            Err(Stop::Reports(reports)) => {
                // Most callers show, and log, what stands on stdout, so that it holds nothing that a store or a program
                // said; docker's own `pull` shows stderr alone, and goes on.
                let exit = reports.first().map_or(exit::BUG, Diagnostic::exit);
                session.output.line(&format!("dsops: {place}: {}", said_of(exit)))?;
                show(Stop::Reports(reports), session.output);
                Ok(exit::PROBLEMS)
            }
            Err(stop) => Err(stop),
        }
    }
}

/// Returns what is said of a failure to whoever may log it.
fn said_of(exit: u8) -> &'static str {
    match exit {
        exit::USAGE => "the request cannot be understood",
        exit::CONFIGURATION => "the configuration is wrong",
        exit::AUTH => "the credentials of the store are missing, or do not reach the secret",
        exit::NOT_FOUND => "the store has no such secret",
        exit::STORE => "the store, or the request, cannot be read",
        exit::TRANSFORM => "a value cannot be given as it is",
        exit::EMPTY => "a value is empty",
        exit::HIDDEN => "the store keeps a value from this caller",
        exit::POLICY => "a policy forbids it",
        _ => "it failed",
    }
}

fn place_of(key: &str) -> String {
    format!("helpers.docker.{}", shown_key(key))
}

/// Gives a login. `place` becomes that of its entry, once it is known.
fn get(session: &Session, place: &mut String) -> Result<Reply, Stop> {
    let asked = registry()?;
    if asked.is_empty() {
        return Ok(Reply::Said(NO_SERVER));
    }
    let Some(config) = loaded(session)? else { return Ok(Reply::Said(NOT_FOUND)) };
    let Some((key, login)) = entry(&config, &asked)? else { return Ok(Reply::Said(NOT_FOUND)) };
    *place = place_of(key);
    let Some((username, password)) = values(session, &config, key, login)? else {
        return Ok(Reply::Said(NOT_FOUND));
    };
    let line = answer(&asked, &username, &password).map_err(|misfit| misfit_report(place, misfit))?;
    Ok(Reply::Done(line))
}

/// Keeps nothing, and says so; what an entry gives anyway need not be kept, so that `docker login` can be used to try it.
fn store(session: &Session, place: &mut String) -> Result<Reply, Stop> {
    let written = stdin(LONGEST_LOGIN)?;
    let login = written.as_deref().and_then(|written| docker::Login::read(written));
    let Some(login) = login else {
        return Err(request_report("what is to be stored is not the JSON of a login").into());
    };
    // What is missing is said by the refusal.
    let config = load(session)?.ok();
    let found = config.as_ref().map(|config| entry(config, &login.server_url)).transpose()?.flatten();
    let Some((config, (key, entry))) = config.as_ref().zip(found) else {
        return Ok(Reply::Refused(
            "no logins are kept here: add the registry to helpers.docker in dsops.yaml".to_owned(),
        ));
    };
    *place = place_of(key);
    let is_its =
        values(session, config, key, entry)?.is_some_and(|(name, password)| login.is(&name, &password));
    if is_its {
        return Ok(Reply::Done(Zeroizing::default()));
    }
    Ok(Reply::Refused(format!(
        "no logins are kept here, and this is not the one of {place}: change it in its store",
    )))
}

/// Forgets nothing. A success would let `docker logout` say that the login is gone, when the next pull has it.
fn erase(session: &Session) -> Result<Reply, Stop> {
    let asked = registry()?;
    if asked.is_empty() {
        return Ok(Reply::Said(NO_SERVER));
    }
    let Some(config) = loaded(session)? else { return Ok(Reply::Said(NOT_FOUND)) };
    let Some((key, _)) = entry(&config, &asked)? else { return Ok(Reply::Said(NOT_FOUND)) };
    let place = place_of(key);
    let message = format!("no logins are kept here that could be erased: take {place} out of dsops.yaml");
    // docker itself tries four names of the registry, and shows an error only where it counts four.
    session.output.warn(&message);
    Ok(Reply::Refused(message))
}

/// Lists the registries. No store is asked: callers want the registries, and one store that is away would take all of
/// them from `docker build`.
fn listed(session: &Session) -> Result<Reply, Stop> {
    let Some(config) = loaded(session)? else {
        return Ok(Reply::Done(Zeroizing::new(b"{}\n".to_vec())));
    };
    let entries = &config.helpers.docker;
    let names = entries.values().filter_map(|login| login.username.as_ref());
    let literal: Vec<_> =
        names.filter(|name| matches!(name.origin, Origin::Literal(_))).map(Arc::clone).collect();
    let values = session.values_of(&config, &literal)?;
    let name_of = |login: &Login| values.get(&login.username.as_ref()?.name).map(AsRef::as_ref);
    let names: BTreeMap<String, Option<&SecretValue>> =
        entries.iter().filter_map(|(key, login)| Some((docker::url(key)?, name_of(login)))).collect();
    let line = list(&names).map_err(|misfit| misfit_report("helpers.docker", misfit))?;
    Ok(Reply::Done(line))
}

fn version() -> String {
    format!("docker-credential-dsops ({}) v{}\n", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// Finds the entry of a registry.
fn entry<'a>(config: &'a Config, asked: &str) -> Result<Option<(&'a str, &'a Login)>, Stop> {
    let entries = config.helpers.docker.iter().map(|(key, login)| (key.as_str(), login));
    find(entries, asked).map_err(|error| key_report("helpers.docker", &error).into())
}

type Values = (Arc<SecretValue>, Arc<SecretValue>);

/// Fetches the name and the password of an entry; `None` where one is optional, and absent.
fn values(session: &Session, config: &Config, key: &str, login: &Login) -> Result<Option<Values>, Stop> {
    let Some(username) = &login.username else {
        let message = format!("`{}` has no `username`", place_of(key));
        return Err(Diagnostic::new("dsops::config::missing_field", exit::CONFIGURATION, message)
            .help("add it; with an identity token it is `username: {literal: <token>}`")
            .into());
    };
    let wanted = [Arc::clone(username), Arc::clone(&login.password)];
    let mut values = session.values_of(config, &wanted)?;
    let username = values.swap_remove(&username.name);
    Ok(username.zip(values.swap_remove(&login.password.name)))
}

/// Reads the registry that docker asks for.
fn registry() -> Result<String, Stop> {
    let written = stdin(LONGEST_URL)?;
    let written = written.as_deref().and_then(|written| std::str::from_utf8(written).ok());
    let written = written.ok_or_else(|| request_report("what is on stdin is no URL of a registry"))?;
    Ok(written.trim().to_owned())
}

/// Reads all of stdin; `None` where that is more than a limit.
fn stdin(longest: usize) -> Result<Option<Zeroizing<Vec<u8>>>, Stop> {
    // With its full size from the start, it never moves.
    let mut written = Zeroizing::new(Vec::with_capacity(longest + 1));
    asked_on_stdin()
        .and_then(|stdin| stdin.take(longest as u64 + 1).read_to_end(&mut written))
        .map_err(|error| request_report(&format!("stdin cannot be read: {error}")))?;
    Ok((written.len() <= longest).then_some(written))
}

fn request_report(message: &str) -> Diagnostic {
    Diagnostic::new("dsops::helper::request", exit::USAGE, message)
        .help("let docker run this; by hand: echo ghcr.io | dsops helper docker get")
}
