//! `dsops init`: a first `dsops.yaml`, that loads.

mod discover;
mod found;
mod questions;
mod template;

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use dsops::config;
use dsops::exit;

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Write a first `dsops.yaml`
///
/// Asks on a terminal; elsewhere, and with --yes, takes the flags and defaults. Never overwrites a file.
///
/// For Infisical it logs in where the environment holds an identity's credentials, or where they are typed, and
/// writes the project's environments and the names of its secrets. Neither credentials nor values are written.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  dsops init\n  dsops init --type infisical --project-id 64f7e4d2-… --env dev --env production"
)]
pub(crate) struct Init {
    /// The type of the store; see `dsops stores --types`
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The name of the store; its type where this is absent
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// An environment; can be given more than once
    #[arg(long, short, value_name = "NAME")]
    env: Vec<String>,
    /// For Infisical: the project's id
    #[arg(long, value_name = "ID", conflicts_with = "project")]
    project_id: Option<String>,
    /// For Infisical, after a login: the project, by its id, slug or name
    #[arg(long, value_name = "PROJECT", conflicts_with = "offline")]
    project: Option<String>,
    /// Ask no server
    #[arg(long)]
    offline: bool,
    /// For stores that have a server of their own: its address
    #[arg(long, value_name = "URL")]
    host: Option<String>,
    /// The file to write; that of --config, or `dsops.yaml`, where this is absent
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    /// Ask nothing
    #[arg(long, short)]
    yes: bool,
}

impl Init {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let path = self.path.as_ref().or(session.config.as_ref());
        let path = path.cloned().unwrap_or_else(|| PathBuf::from(config::FILE_NAME));
        // A link that leads nowhere is something that is there, too.
        if path.symlink_metadata().is_ok() {
            return Err(exists(&path));
        }
        let answers = self.answers(session)?;
        let text = template::text(&answers);
        check(&path, &text)?;
        write(&path, &text)?;
        session.output.line(&format!("wrote {}", path.display()))?;
        if let Some(shadowed) = shadowed(session, &path) {
            let shadowed = shadowed.display();
            session.output.remark(&format!("in this directory it is now used in place of {shadowed}"));
        }
        let file = file_to_name(session, &path);
        session.output.line(&template::next_steps(&answers, &path, file, &session.env))?;
        Ok(exit::OK)
    }
}

/// Loads the text. A file that does not load would be nobody's first impression; what can be wrong
/// in it is what was given.
fn check(path: &Path, text: &str) -> Result<(), Stop> {
    let Err(report) = config::load_text(path, text.to_owned()) else { return Ok(()) };
    Err(Stop::Reports(
        report
            .errors
            .iter()
            .map(|error| {
                let diagnostic = Diagnostic::new("dsops::usage", exit::USAGE, error.message.clone());
                match &error.help {
                    Some(help) => diagnostic.help(help.clone()),
                    None => diagnostic,
                }
            })
            .collect(),
    ))
}

/// Writes the file whole or not at all, and never over another.
fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let failed = |error: &io::Error| {
        let message = format!("`{}` cannot be written: {error}", path.display());
        Stop::from(
            Diagnostic::new("dsops::output", exit::STORE, message)
                .help("see that the directory is there and can be written to"),
        )
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(path),
        _ => failed(&error),
    })?;
    file.write_all(text.as_bytes()).map_err(|error| {
        // It was not there before, so nothing is lost with it.
        let _ = fs::remove_file(path);
        failed(&error)
    })
}

fn exists(path: &Path) -> Stop {
    Diagnostic::new("dsops::init::exists", exit::PROBLEMS, format!("`{}` is there already", path.display()))
        .help("edit it, or name another with `--path`")
        .into()
}

/// Returns the file of a parent directory that commands used here until now.
fn shadowed(session: &Session, path: &Path) -> Option<PathBuf> {
    if path != Path::new(config::FILE_NAME) || session.config.is_some() {
        return None;
    }
    let here = std::env::current_dir().ok()?;
    let home = session.env.get_os("HOME").map(Path::new);
    // The search for a file would have ended here.
    if Some(here.as_path()) == home || here.join(".git").exists() {
        return None;
    }
    config::discover(here.parent()?, home).ok()
}

/// Returns the file, where the commands to come would not find it by themselves.
fn file_to_name<'a>(session: &Session, path: &'a Path) -> Option<&'a Path> {
    let by_variable = session.env.get_os("DSOPS_CONFIG").filter(|file| !file.is_empty()).map(Path::new);
    let found = by_variable.unwrap_or(Path::new(config::FILE_NAME));
    Some(path).filter(|path| *path != found)
}
