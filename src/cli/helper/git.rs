//! `dsops helper git`: the login for a repository, by git's credential protocol.

use std::sync::Arc;

use clap::Args;
use dsops::config::{Config, Login, Origin};
use dsops::exit;
use dsops::helper::git::{Found, QUIT, Request, RequestError, answer, find, is_for};
use dsops::helper::shown_key;
use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

use super::stdin::stdin;
use super::{key_report, loaded, unfit_report};
use crate::cli::session::Session;
use crate::cli::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Give git the login of a host, from `helpers.git`
///
/// Reads what git sends on stdin. A host that has no entry gets no answer, so that git asks its next helper. Where an
/// entry's values cannot be had, git is told to quit. `store` and `erase` do nothing.
#[derive(Args, Debug)]
#[command(after_help = "Example: git config --global credential.helper '/usr/local/bin/dsops helper git'")]
pub(super) struct Git {
    /// What git wants: get, store or erase
    #[arg(value_name = "ACTION")]
    action: String,
}

impl Git {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        match self.action.as_str() {
            "get" => {}
            "store" | "erase" => {
                // Read, so that nobody who writes it gets a signal; what it says is of no use here.
                let _ = stdin().map(Request::read);
                return Ok(exit::OK);
            }
            // gitcredentials(7): "it should silently ignore the request".
            _ => return Ok(exit::OK),
        }
        match get(session) {
            Ok(Some(text)) => session.output.stdout(&text)?,
            Ok(None) => {}
            Err(stop) => {
                // Where the right login is not to be had, another helper's or a typed one would be a guess.
                session.output.stdout(QUIT)?;
                return Err(stop);
            }
        }
        Ok(exit::OK)
    }
}

/// Returns what git gets; `None` where the request is not ours.
fn get(session: &Session) -> Result<Option<Zeroizing<Vec<u8>>>, Stop> {
    let request = Request::read(stdin()?).map_err(|error| request_report(&error))?;
    let Some(config) = loaded(session)? else { return Ok(None) };
    let Some((key, login)) = entry(session, &config, &request)? else { return Ok(None) };
    let Some(values) = values(session, &config, login, &request)? else { return Ok(None) };
    answer(&request, values.username.as_deref(), &values.password)
        .map_err(|error| unfit_report(&format!("helpers.git.{}", shown_key(key)), error).into())
}

/// Finds the entry that a request means.
pub(super) fn entry<'a>(
    session: &Session,
    config: &'a Config,
    request: &Request,
) -> Result<Option<(&'a str, &'a Login)>, Stop> {
    let entries = config.helpers.git.iter().map(|(key, login)| (key.as_str(), login));
    match find(entries, request).map_err(|error| key_report("helpers.git", &error))? {
        Found::Entry(key, login) => Ok(Some((key, login))),
        Found::NeedsPath(key) => {
            let key = shown_key(key);
            let remark = format!("`{key}` is not used, since git sent no path: set credential.useHttpPath");
            session.output.remark(&remark);
            Ok(None)
        }
        Found::Nothing => Ok(None),
    }
}

/// What an entry holds.
pub(super) struct Values {
    username: Option<Arc<SecretValue>>,
    pub(super) password: Arc<SecretValue>,
}

/// Fetches what an entry holds; `None` where it is for another user, or its password is optional and absent.
pub(super) fn values(
    session: &Session,
    config: &Config,
    login: &Login,
    request: &Request,
) -> Result<Option<Values>, Stop> {
    let mut wanted: Vec<_> = login.username.iter().map(Arc::clone).collect();
    // A name that stands in the file tells without any store that another user is meant.
    if let Some(username) = &login.username
        && matches!(username.origin, Origin::Literal(_))
        && let Some(own) = session.values_of(config, &wanted)?.get(&username.name)
        && !is_for(request, own)
    {
        return Ok(None);
    }
    wanted.push(Arc::clone(&login.password));
    let mut values = session.values_of(config, &wanted)?;
    let username = login.username.as_ref().and_then(|variable| values.swap_remove(&variable.name));
    let password = values.swap_remove(&login.password.name);
    let is_ours = username.as_ref().is_none_or(|username| is_for(request, username));
    Ok(password.filter(|_| is_ours).map(|password| Values { username, password }))
}

fn request_report(error: &RequestError) -> Diagnostic {
    let exit = if matches!(error, RequestError::Read(_)) { exit::STORE } else { exit::USAGE };
    Diagnostic::new("dsops::helper::request", exit, error.to_string())
        .help("send lines of `key=value` and a blank line, as git-credential(1) says")
}
