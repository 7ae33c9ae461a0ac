//! `dsops helper askpass`: the answer to a prompt of ssh or git.

use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::Arc;

use clap::Args;
use dsops::config::{Config, Login, Variable};
use dsops::exit;
use dsops::helper::askpass::{Asked, Wanted, answer, find, git_prompt, shown};
use dsops::helper::git::Request;
use dsops::helper::shown_key;
use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

use super::{git, key_report, load, unfit_report};
use crate::cli::session::Session;
use crate::cli::{Outcome, Stop};

/// Answer a prompt of ssh or git, from `helpers.askpass` and `helpers.git`
///
/// For SSH_ASKPASS and GIT_ASKPASS, which start a program with the prompt as its one argument. A prompt that has no
/// entry gets no answer and exit code 1; so does every question that ssh wants a yes for.
#[derive(Args, Debug)]
#[command(
    after_help = "Example: ln -s /usr/local/bin/dsops ~/bin/dsops-askpass; export SSH_ASKPASS=$HOME/bin/dsops-askpass"
)]
pub(super) struct Askpass {
    /// What the user would be asked
    #[arg(value_name = "PROMPT")]
    prompt: OsString,
}

impl Askpass {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let prompt = self.prompt.to_string_lossy();
        match self.answer(session)? {
            Ok(line) => {
                session.output.stdout(&line)?;
                Ok(exit::OK)
            }
            Err(why) => {
                session.output.remark(&format!("no answer to the prompt \"{}\": {why}", shown(&prompt)));
                Ok(exit::PROBLEMS)
            }
        }
    }

    /// Returns the answer as it is written, or why there is none.
    fn answer(&self, session: &Session) -> Result<Result<Zeroizing<Vec<u8>>, Cow<'static, str>>, Stop> {
        // ssh(1): `confirm` wants a yes, `none` only tells something. Whatever else may come, no secret is meant.
        if session.env.get_os("SSH_ASKPASS_PROMPT").is_some_and(|kind| !kind.is_empty()) {
            return Ok(Err("it asks for no secret".into()));
        }
        let Some(prompt) = self.prompt.to_str() else { return Ok(Err("it is no text".into())) };
        let config = match load(session)? {
            Ok(config) => config,
            Err(why) => return Ok(Err(why.into())),
        };
        let git = git_prompt(prompt);
        let asked = if git.is_some() { Asked::ByGit } else { Asked::ByAny };
        let entries = config.helpers.askpass.iter().map(|(key, variable)| (key.as_str(), (key, variable)));
        let own = find(entries, prompt).map_err(|error| key_report("helpers.askpass", &error))?;
        let (place, value) = match (own, git) {
            (Some((key, variable)), _) => {
                (format!("helpers.askpass.{}", shown_key(key)), one(session, &config, variable)?)
            }
            (None, Some((wanted, request))) => match git::entry(session, &config, &request)? {
                Some((key, login)) => (
                    format!("helpers.git.{}", shown_key(key)),
                    part(session, &config, login, wanted, &request)?,
                ),
                None => return Ok(Err(NOTHING.into())),
            },
            (None, None) => return Ok(Err(NOTHING.into())),
        };
        let Some(value) = value else { return Ok(Err("its entry has no value for it".into())) };
        Ok(Ok(answer(&value, asked).map_err(|error| unfit_report(&place, error))?))
    }
}

const NOTHING: &str = "nothing under `helpers` is for it";

/// Fetches one value; `None` where it is optional, and absent.
fn one(
    session: &Session,
    config: &Config,
    variable: &Arc<Variable>,
) -> Result<Option<Arc<SecretValue>>, Stop> {
    let mut values = session.values_of(config, std::slice::from_ref(variable))?;
    Ok(values.swap_remove(&variable.name))
}

/// Fetches the part of a login that git asks for. It asks for the name first, and names it where it wants the
/// password.
fn part(
    session: &Session,
    config: &Config,
    login: &Login,
    wanted: Wanted,
    request: &Request,
) -> Result<Option<Arc<SecretValue>>, Stop> {
    match (wanted, &login.username) {
        (Wanted::Username, Some(username)) => one(session, config, username),
        (Wanted::Username, None) => Ok(None),
        (Wanted::Password, _) => {
            Ok(git::values(session, config, login, request)?.map(|values| values.password))
        }
    }
}
