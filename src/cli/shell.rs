//! `dsops shell`: a shell with the variables of an environment, which shows where it is.

mod prompt;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

use clap::Args;
use dsops::exec;
use dsops_providers::contract::EnvSnapshot;

use super::Outcome;
use super::environment::{ACTIVE, Inherited, Start, VARIABLES, Values};
use super::session::Session;
use prompt::Prompt;

/// Start a shell with the variables of an environment
///
/// The shell of `$SHELL` takes the place of dsops. Its prompt begins with `(dsops:NAME)`, `DSOPS_ACTIVE` holds the
/// name, and the values are gone with `exit`. Your own startup files are read as always.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops shell --env dev\n  dsops shell --env dev -- -c 'psql \"$DATABASE_URL\"'\n  \
    dsops shell --env dev < script.sh\n\n\
    The exit code is the shell's own. 125: dsops failed and nothing was started."
)]
pub(crate) struct Shell {
    #[command(flatten)]
    values: Values,
    #[command(flatten)]
    inherited: Inherited,
    /// Arguments for the shell; with any, its prompt is left alone
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

impl Shell {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let hardened = exec::harden();
        let config = session.load()?;
        let plan = self.values.plan(session, &config)?;
        let program = shell_of(&session.env);
        let cx = session.context(&config);
        let resolution = session.resolve(&config, &plan, &cx)?;
        self.values.check(session, &config, &resolution)?;
        let name = self.values.name();
        let is_interactive = self.args.is_empty() && io::stdin().is_terminal() && io::stderr().is_terminal();
        let prompt = match is_interactive {
            true => Prompt::of(&program, name, &session.env, plan.may_set("ENV")),
            false => Prompt::default(),
        };
        if is_interactive {
            let count = resolution.values.len();
            let inside = match session.env.get(ACTIVE).filter(|outer| !outer.is_empty()) {
                Some(outer) => {
                    format!(" inside one with `{}`, whose variables are left out", outer.escape_debug())
                }
                None => String::new(),
            };
            session.output.remark(&format!(
                "a shell with `{}`{inside}: {count} variable{}; `exit` leaves it",
                name.escape_debug(),
                super::plan::plural(count)
            ));
        }
        let names = resolution.values.keys().map(|key| format!("{}{key}", plan.prefix));
        let names = names.collect::<Vec<_>>().join(",");
        let mut set = vec![(ACTIVE, name), (VARIABLES, names.as_str())];
        set.extend(prompt.set.iter().map(|(name, value)| (*name, value.as_str())));
        let args: Vec<OsString> =
            prompt.args.iter().map(OsString::from).chain(self.args.iter().cloned()).collect();
        let command: Vec<OsString> = [program.clone()].into_iter().chain(args.iter().cloned()).collect();
        let start = Start { inherited: &self.inherited, command: &command, set: &set, tell: true };
        let environment = self.values.child(session, &config, &plan, &resolution, start)?;
        drop(resolution);
        drop(cx);
        let command =
            exec::Command { program, args, working_dir: None, environment, files: exec::Place::default() };
        let Err(error) = exec::replace(command, &hardened);
        Err(super::exec::failed(&error))
    }
}

/// Returns the person's shell, and the system's where none is named.
fn shell_of(env: &EnvSnapshot) -> OsString {
    let named = env.get_os("SHELL").filter(|shell| !shell.is_empty());
    named.map_or_else(|| OsString::from("/bin/sh"), OsString::from)
}
