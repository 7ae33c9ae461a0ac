//! `dsops helper`: the protocols by which other programs ask for a secret.

mod askpass;
mod aws;
pub(super) mod called_as;
mod credential;
mod docker;
mod git;
mod kube;
mod stdin;

use clap::{Args, Subcommand};
use dsops::config::Config;
use dsops::exit;
use dsops::helper::{KeyError, Unfit};

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Answer a program that asks a helper for a secret, as `helpers` of the file says
///
/// The file is that of --config or DSOPS_CONFIG, else dsops/dsops.yaml in XDG_CONFIG_HOME or ~/.config; never the one
/// of the current directory, which may be somebody else's. Nobody is asked anything.
#[derive(Args, Debug)]
pub(crate) struct Helper {
    #[command(subcommand)]
    program: Program,
}

#[derive(Debug, Subcommand)]
enum Program {
    Git(git::Git),
    Docker(docker::Docker),
    Aws(aws::Aws),
    Kube(kube::Kube),
    Askpass(askpass::Askpass),
}

impl Helper {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _ = dsops::exec::harden();
        match &self.program {
            Program::Git(git) => git.run(session),
            Program::Docker(docker) => docker.run(session),
            Program::Aws(aws) => aws.run(session),
            Program::Kube(kube) => kube.run(session),
            Program::Askpass(askpass) => askpass.run(session),
        }
    }
}

/// Reads the file; or says in one line why there is none, where none is named and the user has none either.
///
/// A helper in the settings of a whole machine is started for users without a file, too, and has nothing for them. A file
/// that is named, or there, and does not load is another matter.
fn load(session: &Session) -> Result<Result<Config, String>, Stop> {
    match session.config_path() {
        Err(Stop::Reports(reports)) if session.config.is_none() => {
            Ok(Err(reports.first().map(Diagnostic::line).unwrap_or_default()))
        }
        Err(stop) => Err(stop),
        Ok(_) => session.load().map(Ok),
    }
}

/// As [`load`], where the line is told as a remark.
fn loaded(session: &Session) -> Result<Option<Config>, Stop> {
    let config = load(session)?;
    if let Err(why) = &config {
        session.output.remark(&format!("no helper for this user: {why}"));
    }
    Ok(config.ok())
}

/// Returns the report of a key that says nothing, or the same as another.
fn key_report(section: &str, error: &KeyError) -> Diagnostic {
    let message = format!("{section}: {error}");
    Diagnostic::new("dsops::helper::key", exit::CONFIGURATION, message)
        .help("correct the key, or take it out; the guide to helpers says what a key may be")
}

/// Returns the report of a value that the protocol cannot carry; `place` is shown as it is.
fn unfit_report(place: &str, error: Unfit) -> Diagnostic {
    let message = format!("`{place}`: {error}");
    let (exit, help) = match error {
        Unfit::Empty(_) => (exit::EMPTY, "give the secret a value in its store"),
        _ => (exit::TRANSFORM, "keep the value on one line in its store, or add the transform `trim`"),
    };
    Diagnostic::new("dsops::helper::value", exit, message).help(help)
}
