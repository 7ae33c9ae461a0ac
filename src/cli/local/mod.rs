//! `dsops local`: the encrypted file of a `type: local` store.

mod access;
mod secrets;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dsops::config::{Code, Config, ConfigError, Expander, Store};
use dsops::exit;
use dsops::suggest::and_ticked;
use dsops_providers::contract::{Backend as _, Context, FetchError, decode};
use dsops_providers::local::{LocalConfig, LocalStore};

use super::session::{Session, Terminal};
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Keep secrets in one encrypted file, without any server
///
/// The file is an age file: stock `age -d` opens it. A team commits it and shares it by recipients.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  dsops local init\n  dsops local set db/PASSWORD\n  \
    dsops local recipients add age1… --name alice")]
pub(crate) struct Local {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Which file, and what opens it.
#[derive(Args, Debug)]
struct Place {
    /// The store in `dsops.yaml`; the only one of type `local` where this is absent
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "file")]
    store: Option<String>,
    /// The encrypted file, without any `dsops.yaml`
    #[arg(long, global = true, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The file that holds your identity, or `keyring`
    #[arg(long, global = true, value_name = "FILE")]
    identity: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the file, and an identity where there is none
    Init(access::Init),
    /// Give a secret a new version, from a prompt, stdin or a file
    Set(secrets::Set),
    /// Print the value of a secret
    Get(secrets::Get),
    /// List the secrets
    List(show::List),
    /// Delete a secret, with the values of all its versions
    Delete(secrets::Delete),
    /// List the versions of a secret
    History(show::History),
    /// Show or change who can open the file
    Recipients(access::Recipients),
    /// Encrypt the file anew, for the same people or with another kind of key
    Rekey(access::Rekey),
}

impl Local {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _hardened = dsops::exec::harden();
        let opened = self.place.open(session)?;
        match &self.command {
            Command::Init(command) => command.run(session, &opened),
            Command::Set(command) => command.run(session, &opened),
            Command::Get(command) => command.run(session, &opened),
            Command::List(command) => command.run(session, &opened),
            Command::Delete(command) => command.run(session, &opened),
            Command::History(command) => command.run(session, &opened),
            Command::Recipients(command) => command.run(session, &opened),
            Command::Rekey(command) => command.run(session, &opened),
        }
    }
}

/// A store, and what it works with.
struct Opened {
    store: LocalStore,
    /// The passphrase of the options, for making the file.
    has_passphrase: bool,
    options: LocalConfig,
    cx: Context,
}

impl Place {
    fn open(&self, session: &Session) -> Result<Opened, Stop> {
        let (mut options, cx) = match &self.file {
            Some(file) => (LocalConfig::at(file.to_string_lossy()), session.context_at(Path::new("."))),
            None => self.configured(session)?,
        };
        if let Some(identity) = &self.identity {
            options.identity = Some(from_here(identity)?);
        }
        let has_passphrase = options.passphrase.is_some();
        let kept =
            LocalConfig { path: options.path.clone(), identity: options.identity.clone(), passphrase: None };
        let store = LocalStore::open(options, &cx).map_err(|error| failed(&error))?;
        Ok(Opened { store, has_passphrase, options: kept, cx })
    }

    /// Returns the options of the store in `dsops.yaml`, or the defaults where there is no such file.
    fn configured(&self, session: &Session) -> Result<(LocalConfig, Context), Stop> {
        let config = match session.load() {
            Err(Stop::Reports(reports))
                if session.config.is_none()
                    && self.store.is_none()
                    && reports.iter().all(|report| report.code() == Code::NotFound.as_str()) =>
            {
                return Ok((LocalConfig::default(), session.context_at(Path::new("."))));
            }
            loaded => loaded?,
        };
        let store = self.pick(&config)?;
        let cx = session.context(&config).for_store(&store.name, None);
        let expander = Expander::new(&session.env).with_files(&cx);
        let options = decode::<LocalConfig>(&store.options, &expander)
            .map_err(|error| Diagnostic::config(&ConfigError::from(error), Some(&config.source)))?;
        Ok((options, cx))
    }

    fn pick<'a>(&self, config: &'a Config) -> Result<&'a Store, Stop> {
        let local = || config.stores.values().filter(|store| store.descriptor.kind == LocalStore::KIND);
        let names = || and_ticked(local().map(|store| store.name.as_str()));
        let unclear = |message: String, help: String| {
            Stop::from(Diagnostic::new(Code::UnknownStore.as_str(), exit::CONFIGURATION, message).help(help))
        };
        match &self.store {
            Some(name) => local().find(|store| store.name == *name).ok_or_else(|| {
                unclear(
                    format!("no store of type `local` is named `{name}`"),
                    format!("the file has {}", names()),
                )
            }),
            None => match (local().next(), local().nth(1)) {
                (Some(store), None) => Ok(store),
                (None, _) => Err(unclear(
                    format!("`{}` has no store of type `local`", config.source.path.display()),
                    "add one under `secretStores`, or name a file with `--file`".to_owned(),
                )),
                (Some(_), Some(_)) => Err(unclear(
                    format!("several stores are of type `local`: {}", names()),
                    "name one with `--store`".to_owned(),
                )),
            },
        }
    }
}

/// A path of the command line starts where the command runs, and not where `dsops.yaml` lies.
fn from_here(path: &str) -> Result<String, Stop> {
    if path == "keyring" || path.starts_with("~/") {
        return Ok(path.to_owned());
    }
    Ok(std::env::current_dir()?.join(path).to_string_lossy().into_owned())
}

fn failed(error: &FetchError) -> Stop {
    Diagnostic::fetch(error).into()
}

/// Asks for a new passphrase, twice.
fn new_passphrase() -> Result<dsops_providers::local::Passphrase, Stop> {
    use dsops_providers::contract::Prompt as _;
    let refuse = |message: &str| {
        Stop::from(Diagnostic::new("dsops::auth::refused", exit::AUTH, message).help("run it on a terminal"))
    };
    let first =
        Terminal.secret("new passphrase").ok_or_else(|| refuse("nobody can be asked for a passphrase"))?;
    let again =
        Terminal.secret("the same again").ok_or_else(|| refuse("nobody can be asked for a passphrase"))?;
    if first.expose() != again.expose() {
        return Err(Diagnostic::new("dsops::auth::refused", exit::AUTH, "the two passphrases differ")
            .help("type the same one twice")
            .into());
    }
    dsops_providers::local::Passphrase::new(&first).map_err(|error| failed(&error))
}
