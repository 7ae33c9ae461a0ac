//! `dsops helper`: the protocols by which other programs ask for a secret.

mod askpass;
mod aws;
pub(super) mod called_as;
mod credential;
mod docker;
mod git;
mod kube;

use clap::{Args, Subcommand};
use dsops::exit;
use dsops::helper::{KeyError, Unfit};

use super::Outcome;
use super::session::Session;
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
        let session = session.unattended();
        match &self.program {
            Program::Git(git) => git.run(&session),
            Program::Docker(docker) => docker.run(&session),
            Program::Aws(aws) => aws.run(&session),
            Program::Kube(kube) => kube.run(&session),
            Program::Askpass(askpass) => askpass.run(&session),
        }
    }
}

/// Returns the report of a key that says nothing, or the same as another.
fn key_report(section: &str, error: &KeyError) -> Diagnostic {
    let message = format!("{section}: {error}");
    Diagnostic::new("dsops::helper::key", exit::CONFIGURATION, message)
        .help("correct the key, or take it out; the guide to helpers says what a key may be")
}

/// Returns the report of a value that the protocol cannot carry.
fn unfit_report(place: &str, error: Unfit) -> Diagnostic {
    let message = format!("`{}`: {error}", place.escape_debug());
    Diagnostic::new("dsops::helper::value", exit::TRANSFORM, message)
        .help("keep the value on one line in its store, or add the transform `trim`")
}
