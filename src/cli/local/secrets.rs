//! `dsops local set|get|delete`.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use clap::Args;
use dsops::exit;
use dsops_providers::contract::{Locator, LocatorError, Prompt as _, Provider as _, SecretValue};
use dsops_providers::local::check_secret;
use zeroize::Zeroizing;

use super::{Opened, failed};
use crate::cli::session::{Session, Terminal, runtime};
use crate::cli::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// How large a value may be, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Give a secret a new version, from a prompt, stdin or a file
///
/// The value is never an argument: arguments are seen by every user of the machine and kept by shells.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  dsops local set db/PASSWORD\n  openssl rand -hex 32 | dsops local set \
    --trim-newline API_KEY\n  dsops local set tls/KEY --from-file key.pem")]
pub(super) struct Set {
    /// The secret, with its folders: `db/PASSWORD`
    #[arg(value_name = "KEY")]
    key: String,
    /// Not taken: see `--help`
    #[arg(value_name = "VALUE", hide = true)]
    value: Vec<std::ffi::OsString>,
    /// Read the value from this file, to the byte
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Take one newline off the end of the value
    #[arg(long)]
    trim_newline: bool,
    /// A remark that is kept beside the value
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

impl Set {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        // `KEY=value` is the habit of other programs.
        if !self.value.is_empty() || self.key.contains('=') {
            let message =
                "a value is not taken from the command line, where every user of the machine can see it";
            return Err(Diagnostic::new("dsops::usage", exit::USAGE, message)
                .help(
                    "name only the secret, to be asked for its value, or pipe it: `… | dsops local set KEY`",
                )
                .into());
        }
        if self.comment.as_ref().is_some_and(|comment| comment.contains(char::is_control)) {
            return Err(Diagnostic::new("dsops::usage", exit::USAGE, "a comment is one line of text").into());
        }
        check_secret(&self.key).map_err(|error| unusable(&error))?;
        // Before anything is typed: a store that cannot be opened should not cost a secret its secrecy.
        let runtime = runtime()?;
        runtime.block_on(opened.store.document(&opened.cx)).map_err(|error| failed(&error))?;
        let value = self.read(session)?;
        let comment = self.comment.clone();
        let change = opened.store.edit(&opened.cx, |document| document.set(&self.key, value, comment));
        let version = runtime.block_on(change).map_err(|error| failed(&error))?;
        session.output.remark(&format!("{}: version {version}", self.key));
        Ok(exit::OK)
    }

    fn read(&self, session: &Session) -> Result<SecretValue, Stop> {
        let mut bytes = Zeroizing::new(Vec::new());
        if let Some(path) = &self.from_file {
            let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
            take(&mut file, &mut bytes).map_err(|error| unreadable(path, &error))?;
        } else if std::io::stdin().is_terminal() {
            let nobody = || Diagnostic::new("dsops::usage", exit::USAGE, "nobody can be asked for the value");
            let answer = Terminal.secret(&format!("value of {}", self.key)).ok_or_else(nobody)?;
            return Ok(answer);
        } else {
            take(&mut std::io::stdin().lock(), &mut bytes)?;
            if bytes.ends_with(b"\n") && !self.trim_newline {
                session.output.remark(
                    "the newline at the end is part of the value; `printf` or --trim-newline leaves it out",
                );
            }
        }
        if bytes.len() as u64 > MAX_BYTES {
            let message = format!("a value of over {MAX_BYTES} bytes");
            return Err(Diagnostic::new("dsops::usage", exit::USAGE, message).into());
        }
        if self.trim_newline && bytes.ends_with(b"\n") {
            bytes.pop();
        }
        Ok(SecretValue::copy_of(&bytes))
    }
}

fn unusable(error: &LocatorError) -> Diagnostic {
    let diagnostic = Diagnostic::new("dsops::reference::invalid", exit::CONFIGURATION, error.message.clone());
    match &error.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// Reads up to the limit and one byte more, by which too large a value is known.
fn take(from: &mut impl std::io::Read, bytes: &mut Zeroizing<Vec<u8>>) -> std::io::Result<usize> {
    // Room for most values from the start: a buffer that grows leaves copies of them behind.
    bytes.reserve(64 << 10);
    from.by_ref().take(MAX_BYTES + 1).read_to_end(bytes)
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Stop {
    Diagnostic::new("dsops::usage", exit::USAGE, format!("`{}` cannot be read: {error}", path.display()))
        .into()
}

/// Print the value of a secret
///
/// The bytes are exact. A newline is added on a terminal only.
#[derive(Args, Debug)]
pub(super) struct Get {
    /// The secret, perhaps with a version: `db/PASSWORD@v2`
    #[arg(value_name = "KEY")]
    key: String,
}

impl Get {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let reference = dsops::reference::Reference::from_parts("local", &self.key).map_err(|error| {
            Diagnostic::new("dsops::reference::syntax", exit::CONFIGURATION, error.message)
        })?;
        let locator: Locator = reference.locator;
        let answers = runtime()?.block_on(opened.store.fetch(&opened.cx, &[locator])).into_vec();
        for answer in answers {
            session.output.value(&answer.map_err(|error| failed(&error))?)?;
        }
        Ok(exit::OK)
    }
}

/// Delete a secret, with the values of all its versions
#[derive(Args, Debug)]
pub(super) struct Delete {
    /// The secret
    #[arg(value_name = "KEY")]
    key: String,
}

impl Delete {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let change = opened.store.edit(&opened.cx, |document| document.delete(&self.key));
        runtime()?.block_on(change).map_err(|error| failed(&error))?;
        session.output.remark(&format!("{}: deleted", self.key));
        Ok(exit::OK)
    }
}
