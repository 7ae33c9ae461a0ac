//! `dsops completion`: scripts with which shells complete commands, flags and the names in the file.

mod names;
mod programs;
mod shells;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};

use clap::{Arg, Args, Command, CommandFactory as _, ValueHint};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use clap_complete::env::CompleteEnv;
use dsops::exit;
use dsops_providers::contract::EnvSnapshot;

use super::session::Session;
use super::{Cli, Outcome};
use programs::Programs;
use shells::SHELLS;

/// The variable that asks for candidates. The scripts set it.
const VARIABLE: &str = "DSOPS_COMPLETE";

/// Print the script with which a shell completes dsops
///
/// Commands and flags are completed, and the environments, stores and variables of the nearest `dsops.yaml`.
/// No store is asked.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops completion bash > ~/.local/share/bash-completion/completions/dsops\n  \
    dsops completion zsh > ~/.zfunc/_dsops\n  dsops completion fish > ~/.config/fish/completions/dsops.fish"
)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish", "elvish", "powershell"])]
    shell: String,
}

impl Completion {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let mut script = Vec::new();
        if let Some(shell) = SHELLS.completer(&self.shell) {
            shell.write_registration(VARIABLE, "dsops", "dsops", "dsops", &mut script)?;
        }
        session.output.stdout(&script)?;
        Ok(exit::OK)
    }
}

/// Answers a shell that asks for candidates. Returns false where none asks.
pub(super) fn answer(args: &[OsString], env: &EnvSnapshot) -> bool {
    if env.get(VARIABLE).is_none_or(|shell| matches!(shell, "" | "0")) {
        return false;
    }
    // Whatever goes wrong, a line that somebody is typing is no place to say it.
    panic::set_hook(Box::new(|_| {}));
    let answered = panic::catch_unwind(AssertUnwindSafe(|| {
        let here = std::env::current_dir().ok();
        let completion =
            CompleteEnv::with_factory(command).var(VARIABLE).bin("dsops").completer("dsops").shells(SHELLS);
        completion.try_complete(args.iter().cloned(), here.as_deref())
    }));
    drop(answered);
    true
}

/// The tree of commands, with the names in the file as candidates. Built only when a shell asks.
fn command() -> Command {
    with_candidates(Cli::command(), "")
}

/// Gives the arguments of a command, and of those below it, their candidates. `path` is what stands
/// between `dsops` and the arguments: `local set`.
fn with_candidates(command: Command, path: &str) -> Command {
    let mut command = command.mut_args(|arg| completed(arg, path));
    let below: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in below {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(&name, |sub| with_candidates(sub, &path));
    }
    command
}

/// Decides what completes an argument. The rest is completed from its type.
fn completed(arg: Arg, path: &str) -> Arg {
    match (path, arg.get_id().as_str()) {
        ("init", "kind") => arg.add(ArgValueCandidates::new(names::types)),
        // These are new names.
        ("init", _) => arg,
        (_, "profile") => arg.add(ArgValueCandidates::new(names::profiles)),
        ("helper aws", "name") => arg.add(ArgValueCandidates::new(names::aws_keys)),
        ("helper kube", "name") => arg.add(ArgValueCandidates::new(names::kube_users)),
        (_, "env") => arg.add(ArgValueCandidates::new(names::environments)),
        ("local", "store") => arg.add(ArgValueCandidates::new(names::local_stores)),
        ("infisical", "store") => arg.add(ArgValueCandidates::new(names::infisical_stores)),
        ("local set" | "local get" | "local delete" | "local history", "key") => {
            arg.add(ArgValueCandidates::new(names::local_keys))
        }
        ("local", "identity") => arg.value_hint(ValueHint::FilePath),
        ("get", "name" | "var") => arg.add(ArgValueCandidates::new(names::variables)),
        ("get", "key") => arg.add(ArgValueCandidates::new(names::references)),
        ("render", "format") => arg.add(ArgValueCandidates::new(names::formats)),
        ("exec", "command") => arg.add(ArgValueCompleter::new(Programs)),
        ("exec", "working_dir") | ("man", "out") => arg.value_hint(ValueHint::DirPath),
        ("man", "command") => arg.add(ArgValueCandidates::new(|| names::pages(&Cli::command()))),
        _ => arg,
    }
}
