//! `dsops env`: statements with which a shell takes over an environment.

use clap::Args;
use dsops::environment::replaces;
use dsops::exit;
use dsops::plan::Plan;
use dsops::render::RenderError;
use dsops::resolve::{Resolution, Resolved};
use dsops::statements::{self, Shell};
use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

use super::environment::{ACTIVE, HOOK, VARIABLES, Values, outer, say_names, set_by_outer};
use super::session::Session;
use super::{Outcome, Stop, ci};
use crate::diagnostics::Diagnostic;

/// Print statements with which a shell takes over the variables of an environment
///
/// Nothing but statements is written to stdout, and nothing at all where anything goes wrong. The statements of
/// another environment take the variables of the one before away.
#[derive(Args, Debug)]
#[command(mut_arg("env", |arg| arg.required(false).required_unless_present("unset")))]
#[command(after_help = "Examples:\n  eval \"$(dsops env --env dev)\"\n  eval \"$(dsops env --unset)\"\n  \
    dsops env --env dev --shell fish | source\n  dsops env --env dev --shell nu | from json | load-env\n  \
    hide-env ...(dsops env --unset --shell nu | from json)")]
pub(crate) struct Env {
    #[command(flatten)]
    values: Values,
    /// The shell that evaluates them
    #[arg(long, value_name = "SHELL", default_value = "sh")]
    #[arg(value_parser = ["sh", "bash", "zsh", "dash", "ksh", "fish", "nu"])]
    shell: String,
    /// Print what takes the variables away again; no store is asked
    #[arg(long)]
    unset: bool,
    /// Print also where stdout is a terminal, which shows the values
    #[arg(long)]
    force: bool,
}

impl Env {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _ = dsops::exec::harden();
        let shell = Shell::of_name(&self.shell).unwrap_or(Shell::Posix);
        if self.unset {
            return unset(session, shell);
        }
        if session.output.to_terminal() && !self.force {
            let message = "stdout is a terminal, which would show the values";
            return Err(Diagnostic::new("dsops::usage", exit::USAGE, message)
                .help("let a shell evaluate them: `eval \"$(dsops env --env NAME)\"`, or add `--force`")
                .into());
        }
        let config = session.load()?;
        let plan = self.values.plan(session, &config)?;
        let cx = session.context(&config);
        let resolution = session.resolve(&config, &plan, &cx)?;
        self.values.check(session, &config, &resolution)?;
        let theirs = outer(&session.env);
        let given = named(session, &plan, &resolution);
        let is_taken = |name: &str| !self.values.allow_override || theirs.get_os(name).is_none();
        let given: Vec<(&str, &SecretValue)> = given
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .filter(|(name, _)| is_taken(name))
            .collect();
        let replaced = given.iter().filter(|(name, value)| replaces(&theirs, name, value));
        say_names(session, &replaced.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
        // The script that evaluates the statements has a log. Stdout belongs to them.
        let _ = ci::mask(session, super::mask::masked(&plan, &resolution), &[ci::Stream::Stderr]);
        session.output.stdout(&statements(session, shell, self.values.name(), &given)?)?;
        Ok(exit::OK)
    }
}

/// Returns the values under the names that a program gets, without those that are files: a shell goes on for ever, and
/// their paths are to outlive nothing.
pub(crate) fn named<'a>(
    session: &Session,
    plan: &Plan,
    resolution: &'a Resolution,
) -> Vec<(String, &'a SecretValue)> {
    let files = plan.files();
    let (files, values): (Vec<_>, Vec<_>) =
        resolution.values.iter().partition(|(name, _)| files.contains_key(name.as_str()));
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    if !names.is_empty() {
        let names = names.join(", ");
        session.output.warn(&format!(
            "not set, since a file has to end with its command: {names}; `dsops exec` and `dsops shell` have it"
        ));
    }
    let prefix = &plan.prefix;
    let named =
        |(name, resolved): (&String, &'a Resolved)| (format!("{prefix}{name}"), resolved.value.as_ref());
    values.into_iter().map(named).collect()
}

fn statements(
    session: &Session,
    shell: Shell,
    environment: &str,
    given: &[(&str, &SecretValue)],
) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let names = given.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",");
    let active = SecretValue::from(environment.to_owned());
    let names = SecretValue::from(names);
    let markers = [(ACTIVE, &active), (VARIABLES, &names)];
    let all: Vec<_> = given.iter().copied().chain(markers).collect();
    let export = statements::export(shell, &all).map_err(|errors| unwritable(&errors))?;
    // Nushell's record can only set.
    if shell == Shell::Nu {
        return Ok(export);
    }
    let is_gone = |name: &&str| !given.iter().any(|(given, _)| given == name);
    let gone: Vec<&str> = set_by_outer(&session.env).filter(is_gone).chain(hook(session)).collect();
    let unset = statements::unset(shell, &gone);
    // The capacity is exact, so that no growth leaves a copy of the values behind.
    let mut text = Zeroizing::new(Vec::with_capacity(unset.len() + export.len()));
    text.extend_from_slice(unset.as_bytes());
    text.extend_from_slice(&export);
    Ok(text)
}

/// The marks of the hook do not hold for what is set here.
fn hook(session: &Session) -> Option<&'static str> {
    session.env.get_os(HOOK).map(|_| HOOK)
}

/// Returns the reports of what a shell cannot hold.
pub(crate) fn unwritable(errors: &[RenderError]) -> Stop {
    let report = |error: &RenderError| {
        let diagnostic = Diagnostic::new(error.kind.code(), exit::TRANSFORM, error.message.clone());
        match &error.help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    };
    Stop::Reports(errors.iter().map(report).collect())
}

fn unset(session: &Session, shell: Shell) -> Outcome {
    let names: Vec<&str> = set_by_outer(&session.env).collect();
    if session.env.get_os(ACTIVE).is_none() && names.is_empty() {
        session.output.remark("no environment is active in this shell");
        if shell != Shell::Nu {
            return Ok(exit::OK);
        }
    }
    let marks = [ACTIVE, VARIABLES, HOOK].into_iter().filter(|mark| session.env.get_os(mark).is_some());
    let names: Vec<&str> = names.into_iter().chain(marks).collect();
    session.output.stdout(statements::unset(shell, &names).as_bytes())?;
    Ok(exit::OK)
}
