//! `dsops mask`: a filter that takes the values of an environment out of a stream.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd as _;

use clap::Args;
use dsops::exec::Ended;
use dsops::exit;
use dsops::mask::{self, FilterError, Progress, SHORTEST};
use dsops::plan::Plan;
use dsops::resolve::Resolution;
use dsops_providers::contract::SecretValue;
use nix::libc;

use super::Outcome;
use super::session::Session;
use crate::diagnostics::Diagnostic;

/// Copy stdin to stdout without the values of an environment
///
/// Each value, each of its lines, and its base64, URL, JSON and shell-quoted forms become `***`. Input is read
/// once the values are there; where they cannot be had, nothing is read and nothing passes.
#[derive(Args, Debug)]
#[command(after_help = "Example: ./deploy.sh 2>&1 | dsops mask --env production")]
pub(crate) struct Mask {
    /// The environment
    #[arg(long, short, env = "DSOPS_ENV", value_name = "NAME")]
    env: String,
}

impl Mask {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _ = dsops::exec::harden();
        let mask = self.compile(session)?;
        let (input, output) = (io::stdin(), io::stdout());
        mask::enlarge(input.as_fd());
        mask::enlarge(output.as_fd());
        match mask::filter(&mask, input.as_fd(), output.as_fd(), &Progress::default()) {
            Ok(()) => Ok(exit::OK),
            Err(FilterError::Output(error)) if ends_by_sigpipe(&error) => {
                Ended::Signal(libc::SIGPIPE).end_alike()
            }
            Err(FilterError::Output(error)) => Err(error.into()),
            Err(FilterError::Input(error)) => {
                let message = format!("the input cannot be read: {error}");
                Err(Diagnostic::new("dsops::input", exit::STORE, message).into())
            }
        }
    }

    fn compile(&self, session: &Session) -> Result<mask::Mask, super::Stop> {
        let config = session.load()?;
        let environment = session.environment(&config, &self.env)?;
        let plan = session.plan(&config, environment)?;
        let cx = session.context(&config);
        let resolution = session.resolve(&config, &plan, &cx)?;
        session.stop_or_warn(&config, &resolution, false)?;
        Ok(of_values(session, &plan, &resolution))
    }
}

/// Compiles the values of an environment, but those that the file says are no secrets, and names those that
/// are too short.
pub(super) fn of_values(session: &Session, plan: &Plan, resolution: &Resolution) -> mask::Mask {
    let mask = mask::Mask::new(masked(plan, resolution));
    if !mask.too_short().is_empty() {
        let names = mask.too_short().join(", ");
        session.output.warn(&format!("not masked, since shorter than {SHORTEST} bytes: {names}"));
    }
    mask
}

/// Returns the values of an environment, but those that the file says are no secrets.
pub(super) fn masked<'a>(
    plan: &'a Plan,
    resolution: &'a Resolution,
) -> impl Iterator<Item = (&'a str, &'a SecretValue)> {
    let plain: HashSet<&str> = plan
        .variables
        .iter()
        .filter(|planned| !planned.variable.mask)
        .map(|planned| planned.variable.name.as_str())
        .collect();
    let values = resolution.values.iter().filter(move |(name, _)| !plain.contains(name.as_str()));
    values.map(|(name, resolved)| (name.as_str(), resolved.value.as_ref()))
}

/// Says whether a program that writes to a closed pipe ends without a word here, as cat(1) does.
fn ends_by_sigpipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe && !dsops_os::started_with().sigpipe_ignored
}
