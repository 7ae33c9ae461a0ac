//! `dsops openclaw`: dsops as a source of OpenClaw's secrets, from the first set-up to a checked one.

mod check;
mod install;
mod report;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use dsops::config::Config;
use dsops::exit;
use dsops::openclaw::{
    self, Breach, COMMAND, MAX_OUTPUT, MOST_TIMEOUT, Needs, Profile, Provider, TIMEOUT, Unknown,
};

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// The name of the copy in its directory.
const COPY: &str = "dsops";
/// What may come beside the answer, which itself may have a mebibyte: line feeds and remarks.
const BESIDE: usize = 64 << 10;
/// The most that OpenClaw takes of one argument.
const MOST_ARGUMENT: usize = 1024;

/// What comes of a `dsops.yaml` that others may change.
const EXPOSED: &str = "whoever may can say which programs run and what OpenClaw gets";

/// Set up and check dsops as the source of OpenClaw's secrets
///
/// OpenClaw runs `dsops exec-provider` for the references in its settings. It takes no program that a package manager
/// installed, and gives the program an empty environment: `install` makes a copy that it takes and prints the settings,
/// `check` tries them as OpenClaw does.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops openclaw install | openclaw config patch --stdin\n  dsops openclaw check\n  \
    dsops openclaw check --settings ~/.openclaw/openclaw.json"
)]
pub(crate) struct Openclaw {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Install(install::Install),
    Check(check::Check),
}

impl Openclaw {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        match &self.command {
            Command::Install(command) => command.run(session),
            Command::Check(command) => command.run(session),
        }
    }
}

/// What OpenClaw is to be given, and by which copy.
#[derive(Args, Debug)]
struct Wanted {
    /// The environment whose variables may be asked for, instead of the profile's
    #[arg(long, short, value_name = "NAME")]
    env: Option<String>,
    /// The profile of `agents`; `openclaw` where this is absent
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// The provider's name in OpenClaw's settings
    #[arg(long, value_name = "NAME", default_value = "dsops")]
    provider: String,
    /// The directory of the copy [default: $XDG_DATA_HOME/dsops/openclaw or ~/.local/share/dsops/openclaw]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Wanted {
    fn profile<'a>(&self, config: &'a Config) -> Result<Profile<'a>, Stop> {
        Profile::of(config, self.profile.as_deref(), self.env.as_deref())
            .map_err(|unknown| unknown_profile(&unknown, config))
    }

    /// Returns the directory of the copy, absolute.
    fn directory(&self, session: &Session) -> Result<PathBuf, Stop> {
        let named = self.dir.clone().or_else(|| openclaw::directory(&session.env));
        let directory =
            named.ok_or_else(|| unfit("no home directory is known", "name a directory with `--dir`"))?;
        Ok(std::path::absolute(directory)?)
    }

    /// Returns the provider as OpenClaw's settings are to have it.
    fn provider(
        &self,
        config: &Path,
        profile: &Profile<'_>,
        needs: &Needs,
        directory: &Path,
    ) -> Result<Provider, Stop> {
        if !openclaw::is_provider_name(&self.provider) {
            let message = "OpenClaw takes no provider of this name";
            let help = "use small letters, digits, `_` and `-`, with a letter at the start, and at most 64";
            return Err(Diagnostic::new("dsops::usage", exit::USAGE, message).help(help).into());
        }
        let timeout = timeout_for(profile.deadline());
        let mut args = vec![COMMAND.to_owned()];
        let mut option = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        let path = config.to_str().filter(|path| path.len() <= MOST_ARGUMENT);
        option(
            "--config",
            path.ok_or_else(|| {
                unfit(
                    "OpenClaw's settings cannot hold the path of the file",
                    "give the file a shorter path, in UTF-8",
                )
            })?,
        );
        if let Some(name) = profile.name() {
            option("--profile", name);
        }
        if let Some(name) = &self.env {
            option("--env", name);
        }
        if timeout != TIMEOUT {
            option("--timeout", &format!("{}ms", timeout.as_millis()));
        }
        Ok(Provider {
            name: self.provider.clone(),
            command: directory.join(COPY),
            args,
            env: Vec::new(),
            pass_env: needs.names.iter().filter(|name| openclaw::is_passable(name)).cloned().collect(),
            timeout,
            silence: timeout,
            max_output: MAX_OUTPUT + BESIDE,
            trusted_dirs: vec![directory.to_owned()],
        })
    }
}

/// Returns the time for the whole process such that the deadline is 80 % of it.
fn timeout_for(deadline: Option<Duration>) -> Duration {
    let needed = deadline.map_or(0, |deadline| deadline.as_millis().saturating_mul(5).div_ceil(4));
    Duration::from_millis(u64::try_from(needed).unwrap_or(u64::MAX)).clamp(TIMEOUT, MOST_TIMEOUT)
}

fn unknown_profile(unknown: &Unknown, config: &Config) -> Stop {
    match unknown {
        Unknown::Environment(error) => Diagnostic::config(error, Some(&config.source)).into(),
        Unknown::Profile { message, help } => {
            Diagnostic::new("dsops::config::unknown_profile", exit::CONFIGURATION, message).help(help).into()
        }
    }
}

/// Returns what makes a breach of a file right.
fn remedy(breach: Breach) -> String {
    breach
        .remedy
        .unwrap_or_else(|| "name a file that is there and can be looked at with `--config`".to_owned())
}

fn unfit(message: impl Into<String>, help: impl Into<String>) -> Stop {
    Diagnostic::new("dsops::openclaw::directory", exit::USAGE, message).help(help).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;
    use dsops::openclaw::GLOBAL_OPTIONS;

    use super::*;

    #[test]
    fn the_global_options_are_those_of_the_command_line() {
        let command = crate::cli::Cli::command();
        let there = command.get_arguments().filter(|arg| arg.is_global_set());
        let there: BTreeSet<_> = there
            .map(|arg| (arg.get_long().unwrap(), arg.get_short(), arg.get_action().takes_values()))
            .map(|(long, short, has_value)| (long.to_owned(), short, has_value))
            .collect();
        let known = GLOBAL_OPTIONS.iter().map(|known| (known.long.to_owned(), known.short, known.has_value));
        assert_eq!(known.collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn the_deadline_is_four_fifths_of_the_time() {
        let millis = |deadline: Option<u64>| timeout_for(deadline.map(Duration::from_millis)).as_millis();
        assert_eq!(millis(None), 5000);
        assert_eq!(millis(Some(1000)), 5000);
        assert_eq!(millis(Some(4000)), 5000);
        assert_eq!(millis(Some(4001)), 5002);
        assert_eq!(millis(Some(8000)), 10_000);
        assert_eq!(millis(Some(3_600_000)), 120_000);
    }
}
