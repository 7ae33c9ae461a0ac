//! `dsops local init|recipients|rekey`: who can open the file.

use clap::{Args, Subcommand};
use dsops::exit;
use dsops_providers::contract::Backend as _;
use dsops_providers::local::identity::{Origin, Source};
use dsops_providers::local::{LocalConfig, LocalStore, Named, Recipient, Seal};
use serde_json::{Value, json};

use super::{Opened, failed, new_passphrase};
use crate::cli::session::{Session, runtime};
use crate::cli::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Make the file, and an identity where there is none
///
/// Never overwrites either. The identity is a secret of yours: back it up, and never commit it. The encrypted
/// file can be committed.
#[derive(Args, Debug)]
pub(super) struct Init {
    /// What to call yourself in the list of recipients
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Another who can open the file: a public key `age1…`; can be given more than once
    #[arg(long, value_name = "KEY", value_parser = recipient)]
    recipient: Vec<Recipient>,
    /// Close the file with a passphrase instead
    #[arg(long, conflicts_with_all = ["recipient", "keyring", "name"])]
    passphrase: bool,
    /// Keep the identity in the desktop's keyring
    #[arg(long)]
    keyring: bool,
}

fn recipient(text: &str) -> Result<Recipient, String> {
    text.parse().map_err(|error: dsops_providers::contract::FetchError| error.to_string())
}

impl Init {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let vault = opened.store.vault();
        let path = vault.path().display().to_string();
        if self.passphrase || opened.has_passphrase {
            vault.check_free().map_err(|error| failed(&error))?;
            let passphrase = match opened.store.passphrase().map_err(|error| failed(&error))? {
                Some(passphrase) => passphrase,
                None => new_passphrase()?,
            };
            vault.create(&Seal::Passphrase(passphrase)).map_err(|error| failed(&error))?;
            session.output.line(&format!("made {path}, closed with a passphrase\n{NEXT}"))?;
            return Ok(exit::OK);
        }
        let in_keyring;
        let store = if self.keyring {
            let options =
                LocalConfig { identity: Some("keyring".to_owned()), ..LocalConfig::at(&opened.options.path) };
            in_keyring = LocalStore::open(options, &opened.cx).map_err(|error| failed(&error))?;
            &in_keyring
        } else {
            &opened.store
        };
        let runtime = runtime()?;
        let started =
            runtime.block_on(store.init(&opened.cx, self.name.clone())).map_err(|error| failed(&error))?;
        if !self.recipient.is_empty() {
            let change = store.edit(&opened.cx, |document| {
                self.recipient.iter().try_for_each(|one| document.add_recipient(one.clone(), None))
            });
            runtime.block_on(change).map_err(|error| failed(&error))?;
        }
        let mut lines = vec![format!("made {path}")];
        match started.origin {
            Origin::Made => {
                lines.push(format!("made an identity in {}: back it up, and never commit it", started.source))
            }
            Origin::Found => lines.push(format!("for the identity in {}", started.source)),
        }
        lines.extend(started.recipients.iter().map(|one| format!("your public key: {}", one.recipient)));
        if started.source == Source::Keyring && opened.options.identity.as_deref() != Some("keyring") {
            lines.push("set `identity: keyring` on the store in dsops.yaml".to_owned());
        }
        lines.push(NEXT.to_owned());
        session.output.line(&lines.join("\n"))?;
        Ok(exit::OK)
    }
}

const NEXT: &str = "\nnext:\n  dsops local set DATABASE_URL     put a secret into it\n  dsops local list                 see what is there";

/// Show or change who can open the file
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Recipients {
    /// Print as JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    command: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Let somebody open the file from now on
    Add {
        /// The public key: `age1…`
        #[arg(value_name = "KEY", value_parser = recipient)]
        key: Recipient,
        /// Whose it is
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Close the file to somebody from now on; what they have read, and older copies of the file, stay open to them
    Remove {
        /// The public key or the name
        #[arg(value_name = "WHO")]
        who: String,
        /// Remove yourself too
        #[arg(long)]
        force: bool,
    },
}

impl Recipients {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let runtime = runtime()?;
        match &self.command {
            None => {
                let document =
                    runtime.block_on(opened.store.document(&opened.cx)).map_err(|error| failed(&error))?;
                session.output.line(&self.show(session, document.recipients()))?;
            }
            Some(Change::Add { key, name }) => {
                let change = opened
                    .store
                    .edit(&opened.cx, |document| document.add_recipient(key.clone(), name.clone()));
                runtime.block_on(change).map_err(|error| failed(&error))?;
                session.output.remark(&format!(
                    "{} can open the file now",
                    name.as_deref().unwrap_or("the new recipient")
                ));
            }
            Some(Change::Remove { who, force }) => {
                let own = runtime
                    .block_on(opened.store.keys(&opened.cx))
                    .map_err(|error| failed(&error))?
                    .recipients();
                let document =
                    runtime.block_on(opened.store.document(&opened.cx)).map_err(|error| failed(&error))?;
                let is_own =
                    |one: &&Named| own.iter().any(|key| key.to_string() == one.recipient.to_string());
                let meant =
                    |one: &&Named| one.name.as_deref() == Some(who) || one.recipient.to_string() == *who;
                if !force && document.recipients().iter().filter(meant).any(|one| is_own(&one)) {
                    return Err(Diagnostic::new("dsops::usage", exit::USAGE, format!("`{who}` is you"))
                        .help("add `--force` to close the file to yourself")
                        .into());
                }
                let change =
                    opened.store.edit(&opened.cx, |document| document.remove_recipient(who).map(drop));
                runtime.block_on(change).map_err(|error| failed(&error))?;
                session.output.remark(&format!(
                    "`{who}` cannot open the file any more; older copies, as in a repository's history, stay open to \
                     them, so give the secrets new values"
                ));
            }
        }
        Ok(exit::OK)
    }

    fn show(&self, session: &Session, recipients: &[Named]) -> String {
        if self.json {
            let recipients =
                recipients.iter().map(|one| json!({ "key": one.recipient.to_string(), "name": one.name }));
            return format!("{:#}", Value::from_iter(recipients));
        }
        if recipients.is_empty() {
            return "none: the file is closed with a passphrase".to_owned();
        }
        let rows = recipients
            .iter()
            .map(|one| vec![one.name.clone().unwrap_or_default(), one.recipient.to_string()]);
        session.output.table(&["name", "public key"], rows.collect())
    }
}

/// Encrypt the file anew
///
/// For the same recipients, or with another kind of key. A passphrase is asked for.
#[derive(Args, Debug)]
pub(super) struct Rekey {
    /// Close the file with a new passphrase
    #[arg(long, conflicts_with = "recipient")]
    passphrase: bool,
    /// Close the file for these public keys, yours among them, and nobody else; can be given more than once
    #[arg(long, value_name = "KEY", value_parser = recipient)]
    recipient: Vec<Recipient>,
}

impl Rekey {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let runtime = runtime()?;
        let seal = if self.passphrase {
            Seal::Passphrase(new_passphrase()?)
        } else if self.recipient.is_empty() {
            let document =
                runtime.block_on(opened.store.document(&opened.cx)).map_err(|error| failed(&error))?;
            same(document.recipients())?
        } else {
            let named = |one: &Recipient| Named { recipient: one.clone(), name: None };
            Seal::Recipients(self.recipient.iter().map(named).collect())
        };
        runtime.block_on(opened.store.rekey(&opened.cx, &seal)).map_err(|error| failed(&error))?;
        session.output.remark(match &seal {
            Seal::Passphrase(_) => "encrypted anew, with the new passphrase",
            Seal::Recipients(_) => "encrypted anew, for its recipients",
        });
        Ok(exit::OK)
    }
}

/// What closes the file now, with a new passphrase where it is one.
fn same(recipients: &[Named]) -> Result<Seal, Stop> {
    if recipients.is_empty() {
        return new_passphrase().map(Seal::Passphrase);
    }
    Ok(Seal::Recipients(recipients.to_vec()))
}
