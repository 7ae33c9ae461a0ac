//! `dsops completion`: scripts with which shells complete commands, flags and the names in the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use dsops::config::{self, Config};
use dsops::exit;
use dsops_providers::contract::EnvSnapshot;

use super::session::Session;
use super::{Cli, Outcome};

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
        if let Some(shell) = Shells::builtins().completer(&self.shell) {
            shell.write_registration(VARIABLE, "dsops", "dsops", "dsops", &mut script)?;
        }
        session.output.stdout(&script)?;
        Ok(exit::OK)
    }
}

/// Answers a shell that asks for candidates. Returns false where none asks.
pub(super) fn answer(args: &[OsString], env: &EnvSnapshot) -> bool {
    if env.get(VARIABLE).is_none() {
        return false;
    }
    let here = std::env::current_dir().ok();
    let completion = CompleteEnv::with_factory(command).var(VARIABLE).bin("dsops").completer("dsops");
    // A shell that completes shows no errors; there is nobody to tell.
    completion.try_complete(args.iter().cloned(), here.as_deref()).unwrap_or(true)
}

/// The tree of commands, with the names in the file as candidates. Built only when a shell asks.
fn command() -> Command {
    let mut command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(&name, |sub| with_candidates(&name, sub));
    }
    command
}

fn with_candidates(name: &str, mut command: Command) -> Command {
    let has = |command: &Command, id: &str| command.get_arguments().any(|arg| arg.get_id() == id);
    if name != "init" && has(&command, "env") {
        command = command.mut_arg("env", |arg| arg.add(ArgValueCandidates::new(environments)));
    }
    if has(&command, "store") && name != "init" {
        command = command.mut_arg("store", |arg| arg.add(ArgValueCandidates::new(stores)));
    }
    if name == "get" {
        command = command
            .mut_arg("name", |arg| arg.add(ArgValueCandidates::new(variables)))
            .mut_arg("var", |arg| arg.add(ArgValueCandidates::new(variables)));
    }
    let nested: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in nested {
        command = command.mut_subcommand(&sub, |nested| with_candidates(&sub, nested));
    }
    command
}

fn environments() -> Vec<CompletionCandidate> {
    let config = load();
    candidates(config.iter().flat_map(|config| config.environments.keys()))
}

fn stores() -> Vec<CompletionCandidate> {
    let config = load();
    candidates(config.iter().flat_map(|config| config.stores.keys()))
}

/// The variables of the environment on the line, or of all where none is named yet.
fn variables() -> Vec<CompletionCandidate> {
    let config = load();
    let wanted = option(&line(), "--env", "-e");
    let environments = config.iter().flat_map(|config| config.environments.values());
    let named =
        environments.filter(|environment| wanted.as_ref().is_none_or(|name| *name == environment.name));
    let names: std::collections::BTreeSet<&String> =
        named.flat_map(|environment| environment.variables.keys()).collect();
    candidates(names)
}

fn candidates<'a>(names: impl IntoIterator<Item = &'a String>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Loads the file that the line means. A file with mistakes gives no names.
fn load() -> Option<Config> {
    let env: EnvSnapshot = std::env::vars_os().collect();
    let named = option(&line(), "--config", "-c").map(PathBuf::from);
    let path = match named.or_else(|| env.get("DSOPS_CONFIG").map(PathBuf::from)) {
        Some(path) => path,
        None => config::discover(&std::env::current_dir().ok()?, env.get_os("HOME").map(Path::new)).ok()?,
    };
    config::load(&path).ok()
}

/// The words of the line that is being completed: what the shell passes behind `--`.
fn line() -> Vec<String> {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words.skip_while(|word| word != "--").skip(1).collect()
}

fn option(line: &[String], long: &str, short: &str) -> Option<String> {
    let assigned = format!("{long}=");
    let mut words = line.iter();
    while let Some(word) = words.next() {
        if let Some(value) = word.strip_prefix(&assigned) {
            return Some(value.to_owned());
        }
        if word == long || word == short {
            return words.next().cloned();
        }
    }
    None
}
