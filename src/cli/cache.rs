//! `dsops cache`: what is kept between runs, seen and taken away.

use clap::{Args, Subcommand};
use dsops::cache::Tokens;
use dsops::exit;
use serde_json::json;

use super::plan::plural;
use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// See or remove the tokens that are kept between runs
///
/// A login's token is kept in the user's cache directory until nine tenths of its life are over, sealed under
/// the credential that it was given for, so that the next run need not log in. No values of secrets are kept.
#[derive(Args, Debug)]
#[command(
    after_help = "Nothing is kept with DSOPS_TOKEN_CACHE=off, or with `token_cache: false` on a store."
)]
pub(crate) struct Cache {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show where tokens are kept, how many, and how old they are
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove all kept tokens; the next run logs in again
    Clear,
}

impl Cache {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let tokens = Tokens::of(&session.env);
        match &self.command {
            Command::Status { json } => status(session, tokens.as_ref(), *json),
            Command::Clear => clear(session, tokens.as_ref()),
        }
    }
}

fn status(session: &Session, tokens: Option<&Tokens>, json: bool) -> Outcome {
    let kept = tokens.map(Tokens::kept).unwrap_or_default();
    let path = tokens.map(|tokens| tokens.path().display().to_string());
    if json {
        session.output.line(&json!({ "directory": path, "tokens": kept }).to_string())?;
        return Ok(exit::OK);
    }
    let Some(path) = path else {
        session
            .output
            .line("tokens are not kept: there is no home directory, or DSOPS_TOKEN_CACHE is off")?;
        return Ok(exit::OK);
    };
    match kept.first() {
        None => session.output.line(&format!("no tokens are kept; they would be in {path}"))?,
        Some(youngest) => {
            let verb = if kept.len() == 1 { "is" } else { "are" };
            let count = kept.len();
            session.output.line(&format!(
                "{count} token{} {verb} kept in {path}, the youngest {} old",
                plural(count),
                age(youngest.age)
            ))?;
        }
    }
    Ok(exit::OK)
}

fn clear(session: &Session, tokens: Option<&Tokens>) -> Outcome {
    let removed = tokens.map_or(Ok(0), Tokens::clear).map_err(|error| {
        let message = format!("a kept token cannot be removed: {error}");
        Stop::from(
            Diagnostic::new("dsops::output", exit::STORE, message)
                .help("remove the directory that `dsops cache status` names"),
        )
    })?;
    session.output.line(&match removed {
        0 => "no tokens were kept".to_owned(),
        count => format!("removed {count} token{}", plural(count)),
    })?;
    Ok(exit::OK)
}

/// Says how old something is, in its largest whole unit.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
