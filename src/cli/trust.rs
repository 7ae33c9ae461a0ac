//! `dsops trust` and `dsops reload`: which files the shell hook may load.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use dsops::config::{self, Config, Store};
use dsops::exit;
use dsops::trust::{Subject, Trusted, Unfit, command_of};

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// The options of stores that say whom they ask. None of them is a credential.
const PLACES: &[&str] =
    &["host", "url", "address", "endpoint", "domain", "region", "project_id", "environment", "path"];

/// Let the shell hook load a file, after showing what it would do
///
/// The hook loads a file only as it was when it was trusted: a file that changes, or whose programs change, is asked
/// about again. No other command asks: whoever types `dsops exec` in a directory means it.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops trust\n  dsops trust ~/project --yes\n  dsops trust --revoke\n  dsops trust --list"
)]
pub(crate) struct Trust {
    /// The file, or a directory that has one; the nearest `dsops.yaml` where this is absent
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Trust the file no more
    #[arg(long, conflicts_with_all = ["yes", "list"])]
    revoke: bool,
    /// List what is trusted
    #[arg(long, conflicts_with_all = ["yes", "path"])]
    list: bool,
}

/// Load the environment of this directory again at the next prompt
///
/// Every shell with the hook in the same project asks the stores anew: after a rotation, or once a store that failed
/// is back.
#[derive(Args, Debug)]
#[command(after_help = "Example: dsops reload")]
pub(crate) struct Reload {}

impl Trust {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let trusted = store(session)?;
        if self.list {
            return list(session, &trusted);
        }
        let path = self.file(session)?;
        if self.revoke {
            // The file itself may be gone.
            let path = std::fs::canonicalize(&path).unwrap_or(path);
            let was = trusted.remove(&path).map_err(|error| not_kept(&error))?;
            let what = if was { "not trusted any more" } else { "was not trusted" };
            session.output.remark(&format!("{} {what}", shown(&path)));
            return Ok(exit::OK);
        }
        let (subject, config) = read(&path)?;
        let digest = subject.digest(&config);
        session.output.line(&overview(&subject, &config))?;
        if trusted.has(&subject.path, &digest) {
            session.output.remark("already trusted as it is");
            return Ok(exit::OK);
        }
        if !self.yes && !ask()? {
            session.output.warn("not trusted");
            return Ok(exit::PROBLEMS);
        }
        trusted.add(&subject.path, &digest).map_err(|error| not_kept(&error))?;
        session.output.remark(&format!("{} is trusted as it is now", shown(&subject.path)));
        Ok(exit::OK)
    }

    fn file(&self, session: &Session) -> Result<PathBuf, Stop> {
        match &self.path {
            Some(path) if path.is_dir() => Ok(path.join(config::FILE_NAME)),
            Some(path) if path.is_absolute() => Ok(path.clone()),
            Some(path) => Ok(std::env::current_dir()?.join(path)),
            None => session.config_path(),
        }
    }
}

impl Reload {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let trusted = store(session)?;
        let (subject, config) = read(&session.config_path()?)?;
        let digest = subject.digest(&config);
        if !trusted.has(&subject.path, &digest) {
            let message = format!("{} is not trusted", shown(&subject.path));
            return Err(Diagnostic::new("dsops::trust::unknown", exit::POLICY, message)
                .help("look at it and allow it with `dsops trust`")
                .into());
        }
        // What is written anew has a new stamp, which every hook sees.
        trusted.add(&subject.path, &digest).map_err(|error| not_kept(&error))?;
        session.output.remark("loaded again at the next prompt of a shell with the hook");
        Ok(exit::OK)
    }
}

fn store(session: &Session) -> Result<Trusted, Stop> {
    Trusted::of(&session.env).ok_or_else(|| {
        Diagnostic::new("dsops::trust::nowhere", exit::USAGE, "the environment names no home directory")
            .help("set HOME or XDG_DATA_HOME")
            .into()
    })
}

fn not_kept(error: &io::Error) -> Stop {
    Diagnostic::new(
        "dsops::trust::nowhere",
        exit::USAGE,
        format!("it cannot be kept what is trusted: {error}"),
    )
    .help("see the directory `dsops/trust` below XDG_DATA_HOME: it has to be yours, with mode 0700")
    .into()
}

/// Reads a file that may be trusted.
fn read(path: &Path) -> Result<(Subject, Config), Stop> {
    let subject = Subject::read(path).map_err(|unfit| refused(path, &unfit))?;
    let config = config::load_text(&subject.path, subject.text.clone())
        .map_err(|report| Stop::Reports(Diagnostic::report(&report)))?;
    Ok((subject, config))
}

fn refused(path: &Path, unfit: &Unfit) -> Stop {
    let help = match unfit {
        Unfit::Writable => "take the right away: `chmod o-w FILE`",
        Unfit::Owner => "take a copy of your own",
        Unfit::Unreadable(_) | Unfit::NoFile => "name a `dsops.yaml` that you can read",
    };
    let message = format!("{} cannot be trusted: {unfit}", shown(path));
    Diagnostic::new("dsops::trust::unfit", exit::POLICY, message).help(help).into()
}

/// A path as it can be printed: a name in a strange directory must not move the cursor.
pub(crate) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

fn printable(text: &str) -> String {
    let letters = text.chars();
    letters
        .map(
            |letter| {
                if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() }
            },
        )
        .collect()
}

/// Says what loading the file would do. No value, no credential.
fn overview(subject: &Subject, config: &Config) -> String {
    let mut lines = vec![shown(&subject.path)];
    for store in config.stores.values() {
        lines.push(format!("  store {} ({}){}", printable(&store.name), store.descriptor.kind, whom(store)));
        let credentials: Vec<&str> = store.credential_env.iter().map(String::as_str).collect();
        if !credentials.is_empty() {
            lines.push(format!("    gets credentials from {}", printable(&credentials.join(", "))));
        }
        let command = command_of(&store.options);
        if !command.is_empty() {
            lines.push(format!("    RUNS {}", printable(&command.join(" "))));
        }
    }
    for environment in config.environments.values() {
        let names: Vec<&str> = environment.variables.keys().map(String::as_str).collect();
        let imports = environment
            .imports
            .iter()
            .map(|import| format!("{}* from {}/{}", import.prefix, import.store, import.query.folder));
        let all: Vec<String> = names.into_iter().map(str::to_owned).chain(imports).collect();
        lines.push(format!("  environment {}: {}", printable(&environment.name), printable(&all.join(", "))));
    }
    lines.join("\n")
}

fn whom(store: &Store) -> String {
    let places = PLACES.iter().filter_map(|name| {
        let text = store.options.get(name)?.text()?;
        Some(format!(" {name}={}", printable(text)))
    });
    places.collect()
}

fn list(session: &Session, trusted: &Trusted) -> Outcome {
    let rows = trusted.all().into_iter().map(|entry| {
        let state = match read(&entry.path) {
            Ok((subject, config)) if subject.digest(&config) == entry.digest => "trusted",
            Ok(_) => "changed since",
            Err(_) => "gone or unfit",
        };
        vec![shown(&entry.path), state.to_owned()]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        session.output.remark("nothing is trusted");
        return Ok(exit::OK);
    }
    session.output.line(&session.output.table(&["file", "state"], rows))?;
    Ok(exit::OK)
}

/// Asks on the terminal. Whatever is not a yes is a no.
fn ask() -> Result<bool, Stop> {
    if !io::stdin().is_terminal() {
        let message = "trust is asked for on a terminal, and stdin is none";
        return Err(Diagnostic::new("dsops::usage", exit::USAGE, message)
            .help("read the file, and add `--yes`")
            .into());
    }
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(b"Let the shell hook load this? [y/N] ");
    let _ = stderr.flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
