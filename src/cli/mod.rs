//! The command line: one tree of commands, one file each.

mod cache;
mod ci;
mod completion;
mod doctor;
mod entry;
mod env;
mod environment;
mod exec;
mod exec_provider;
mod get;
mod helper;
mod hook;
mod infisical;
mod init;
#[cfg(feature = "local")]
mod local;
mod man;
mod mask;
mod openclaw;
mod output;
mod plan;
mod render;
mod schema;
mod session;
mod shell;
mod stores;
mod trust;
mod validate;
mod version;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use dsops::exit;
use dsops_providers::contract::EnvSnapshot;

use crate::diagnostics::{Diagnostic, Format};
use output::{Colour, Output};

/// Give programs their secrets: one file names the stores, one command fetches what an environment needs.
#[derive(Debug, Parser)]
#[command(name = "dsops", version, max_term_width = 100)]
#[command(after_help = "Start with `dsops init`. Every command has its own --help.\n\n\
    DSOPS_LOG=debug writes to stderr which stores are asked, how often and how long it takes.")]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// The options that every command has.
#[derive(Args, Debug)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Read this file instead of the nearest `dsops.yaml`
    #[arg(long, short, global = true, env = "DSOPS_CONFIG", hide_env_values = true, value_name = "FILE")]
    #[arg(value_parser = OsStringValueParser::new().map(PathBuf::from))]
    config: Option<PathBuf>,
    /// How errors are written
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    error_format: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Colour,
    /// Leave out remarks; errors are still written
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Exec(exec::Exec),
    Shell(shell::Shell),
    Env(env::Env),
    Hook(hook::Hook),
    #[command(hide = true)]
    HookEnv(hook::HookEnv),
    Trust(trust::Trust),
    Reload(trust::Reload),
    Plan(plan::Plan),
    Get(get::Get),
    Render(render::Render),
    ExecProvider(exec_provider::ExecProvider),
    Mask(mask::Mask),
    Helper(helper::Helper),
    Doctor(doctor::Doctor),
    Validate(validate::Validate),
    Stores(stores::Stores),
    Infisical(infisical::Infisical),
    #[cfg(feature = "local")]
    Local(local::Local),
    Openclaw(openclaw::Openclaw),
    Init(init::Init),
    Cache(cache::Cache),
    Schema(schema::Schema),
    Completion(completion::Completion),
    Man(man::Man),
    Version(version::Version),
}

impl Command {
    /// Says whether another program starts this command and reads what it writes.
    fn is_unattended(&self) -> bool {
        matches!(self, Self::ExecProvider(_) | Self::Helper(_))
    }
}

/// `exec` without the other commands.
#[derive(Debug, Parser)]
#[command(name = "dsops")]
struct ExecAlone {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Alone,
}

#[derive(Debug, Subcommand)]
enum Alone {
    Exec(exec::Exec),
}

/// Reads the command line.
///
/// To build the tree of all commands takes longer than to do what most starts are for. So `exec` is tried alone;
/// whatever that is not, a mistake or a question for help, the whole tree answers.
fn parse(args: &[OsString]) -> Result<Cli, clap::Error> {
    if args.iter().any(|arg| arg == "exec")
        && let Ok(ExecAlone { global, command: Alone::Exec(command) }) = ExecAlone::try_parse_from(args)
    {
        return Ok(Cli { global, command: Command::Exec(command) });
    }
    Cli::try_parse_from(args)
}

/// Why a command ends without having done what was asked.
#[derive(Debug)]
pub(crate) enum Stop {
    /// These reports are to be shown; the first decides the exit code.
    Reports(Vec<Diagnostic>),
    /// Stdout cannot be written to.
    Output(std::io::Error),
}

impl From<Diagnostic> for Stop {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Reports(vec![diagnostic])
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Output(error)
    }
}

/// What a command comes to: the exit code.
pub(crate) type Outcome = Result<u8, Stop>;

/// Runs the program and returns its exit code.
pub(crate) fn main() -> u8 {
    let args = helper::called_as::arguments(std::env::args_os());
    // Before anything looks at the environment: it may be the one of the command that is to be started.
    if let Some(code) = dsops::exec::inner(&args) {
        return code;
    }
    let env: EnvSnapshot = std::env::vars_os().collect();
    if completion::answer(&args, &env) {
        return exit::OK;
    }
    let cli = match parse(&args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, &args, &env),
    };
    let is_exec = matches!(cli.command, Command::Exec(_) | Command::Shell(_));
    let Global { config, error_format, color, quiet } = cli.global;
    let output = Output::new(error_format, quiet, color, &env);
    let is_unattended = cli.command.is_unattended();
    let output = if is_unattended { output.unattended() } else { output };
    report_panics(output);
    trace(&env, output);
    // An empty variable is one that is not set, as for every program that reads its environment.
    let config = config.filter(|path| !path.as_os_str().is_empty());
    let session = session::Session { config, env, output, place: session::Place::Nearest };
    let session = if is_unattended { session.unattended() } else { session };
    let run = || match &cli.command {
        Command::Exec(command) => command.run(&session),
        Command::Shell(command) => command.run(&session),
        Command::Env(command) => command.run(&session),
        Command::Hook(command) => command.run(&session),
        Command::HookEnv(command) => command.run(&session),
        Command::Trust(command) => command.run(&session),
        Command::Reload(command) => command.run(&session),
        Command::Render(command) => command.run(&session),
        Command::ExecProvider(command) => command.run(&session),
        Command::Mask(command) => command.run(&session),
        Command::Helper(command) => command.run(&session),
        Command::Plan(command) => command.run(&session),
        Command::Get(command) => command.run(&session),
        Command::Doctor(command) => command.run(&session),
        Command::Validate(command) => command.run(&session),
        Command::Stores(command) => command.run(&session),
        Command::Schema(command) => command.run(&session),
        #[cfg(feature = "local")]
        Command::Local(command) => command.run(&session),
        Command::Cache(command) => command.run(&session),
        Command::Infisical(command) => command.run(&session),
        Command::Openclaw(command) => command.run(&session),
        Command::Init(command) => command.run(&session),
        Command::Completion(command) => command.run(&session),
        Command::Man(command) => command.run(&session),
        Command::Version(command) => command.run(&session),
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let code = match outcome {
        Ok(Ok(code)) => return code,
        Ok(Err(stop)) => show(stop, output),
        Err(_) => exit::BUG,
    };
    // What a command runs owns the codes below; dsops's own failure must not look like one of them.
    match (is_exec, code) {
        (true, exit::OK | exit::NOT_EXECUTABLE | exit::COMMAND_NOT_FOUND | exit::TIMEOUT) | (false, _) => {
            code
        }
        (true, _) => exit::NOT_STARTED,
    }
}

fn usage(error: &clap::Error, args: &[OsString], env: &EnvSnapshot) -> u8 {
    let own = || args.iter().skip(1).take_while(|arg| *arg != "--");
    let is_shell =
        || own().find(|arg| !arg.to_string_lossy().starts_with('-')).is_some_and(|arg| arg == "shell");
    let is_exec = own().any(|arg| arg == "exec") || is_shell();
    let code = match (error.use_stderr(), is_exec) {
        (false, _) => exit::OK,
        (true, true) => exit::NOT_STARTED,
        (true, false) => exit::USAGE,
    };
    // The command line could not be read, so that its options have to be looked for.
    let wants_json = own().any(|arg| arg == "--error-format=json")
        || own().zip(own().skip(1)).any(|(option, value)| option == "--error-format" && value == "json");
    let word = own().find(|arg| !arg.to_string_lossy().starts_with('-'));
    let is_unattended = word.is_some_and(|word| word == "helper" || word == "exec-provider");
    if error.use_stderr() && (wants_json || is_unattended) {
        let text = error.render().to_string();
        let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let format = if wants_json { Format::Json } else { Format::Line };
        let output = Output::new(format, false, Colour::Never, env);
        output.diagnostic(&Diagnostic::new("dsops::usage", exit::USAGE, message).help("see `--help`"));
    } else {
        let _ = error.print();
        let is_command =
            error.kind() == clap::error::ErrorKind::UnknownArgument && !args.iter().any(|arg| arg == "--");
        if is_exec && !is_shell() && is_command {
            Output::new(Format::Human, false, Colour::Never, env)
                .remark("put `--` before the command: dsops exec --env NAME -- COMMAND");
        }
    }
    code
}

/// How many reports people get to see; whoever has more has one mistake many times.
const MOST_REPORTS: usize = 50;

fn show(stop: Stop, output: Output) -> u8 {
    match stop {
        // Whoever read our output has seen enough.
        Stop::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => exit::OK,
        Stop::Output(error) => {
            let message = format!("the output cannot be written: {error}");
            output.diagnostic(&Diagnostic::new("dsops::output", exit::STORE, message));
            exit::STORE
        }
        Stop::Reports(reports) if output.format == Format::Line => {
            output.first_of(&reports);
            reports.first().map_or(exit::BUG, Diagnostic::exit)
        }
        Stop::Reports(reports) => {
            let shown = if output.format == Format::Json { reports.len() } else { MOST_REPORTS };
            reports.iter().take(shown).for_each(|report| output.diagnostic(report));
            if let Some(more @ 1..) = reports.len().checked_sub(shown) {
                output.warn(&format!("{more} more, which `--error-format json` shows"));
            }
            reports.first().map_or(exit::BUG, Diagnostic::exit)
        }
    }
}

/// Writes what happens to stderr, where `DSOPS_LOG` asks for it. Events name stores, never secrets; nobody
/// can say that of the events of libraries, which are left out.
fn trace(env: &EnvSnapshot, output: Output) {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let Some(level) = env.get("DSOPS_LOG").filter(|level| !level.is_empty()) else { return };
    match level.parse::<tracing_subscriber::filter::LevelFilter>() {
        Ok(level) => tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(move || output)
            .with_ansi(false)
            .finish()
            .with(tracing_subscriber::filter::Targets::new().with_target("dsops", level))
            .init(),
        Err(_) => output.warn("DSOPS_LOG is none of off, error, warn, info, debug and trace"),
    }
}

/// A panic's message may hold what was being worked on, so only its place is shown.
fn report_panics(output: Output) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        let message = format!("dsops has a bug{place}");
        output.diagnostic(
            &Diagnostic::new("dsops::bug", exit::BUG, message)
                .help("report this line, and what you ran, without values"),
        );
    }));
}
