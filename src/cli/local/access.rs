//! `dsops local init|recipients|rekey`: who can open the file.

use clap::{Args, Subcommand};
use dsops::exit;
use dsops_providers::contract::Backend as _;
use dsops_providers::local::identity::{self, Origin, Source};
use dsops_providers::local::{Keys, LocalConfig, LocalStore, Named, Recipient, Seal};
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
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Close the file with a passphrase instead
    #[arg(long, conflicts_with_all = ["recipient", "keyring", "name"])]
    passphrase: bool,
    /// Keep the identity in the desktop's keyring
    #[arg(long)]
    keyring: bool,
}

/// Reads public keys. Not while the command line is parsed: its errors repeat what they refuse, and
/// people paste the wrong half.
fn recipients(texts: &[String]) -> Result<Vec<Recipient>, Stop> {
    texts.iter().map(|text| text.parse().map_err(|error| failed(&error))).collect()
}

impl Init {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let others = recipients(&self.recipient)?;
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
        let runtime = runtime()?;
        let identity = if self.keyring { Some("keyring") } else { opened.options.identity.as_deref() };
        if vault.check_free().is_err() {
            return join(session, opened, &runtime, identity);
        }
        let store = if self.keyring {
            let options =
                LocalConfig { identity: Some("keyring".to_owned()), ..LocalConfig::at(&opened.options.path) };
            in_keyring = LocalStore::open(options, &opened.cx).map_err(|error| failed(&error))?;
            &in_keyring
        } else {
            &opened.store
        };
        let started =
            runtime.block_on(store.init(&opened.cx, self.name.clone())).map_err(|error| failed(&error))?;
        if !others.is_empty() {
            let change = store.edit(&opened.cx, |document| {
                others.iter().try_for_each(|one| document.add_recipient(one.clone(), None))
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

/// Makes an identity for somebody who joins those that the file is for already.
fn join(
    session: &Session,
    opened: &Opened,
    runtime: &tokio::runtime::Runtime,
    identity: Option<&str>,
) -> Outcome {
    let taken = opened.store.vault().check_free().err();
    let found =
        runtime.block_on(identity::find_or_make(&opened.cx, identity)).map_err(|error| failed(&error))?;
    let (found, origin) = found;
    let keys = found
        .identities
        .iter()
        .map(|identity| identity.recipient().to_string())
        .collect::<Vec<_>>()
        .join(" ");
    if let (Origin::Found, Some(error)) = (origin, taken) {
        session.output.remark(&format!("your public key: {keys}"));
        return Err(failed(&error));
    }
    session.output.line(&format!(
        "made an identity in {}: back it up, and never commit it\nyour public key: {keys}\n\n\
         The file is there already. Somebody who can open it lets you in with:\n  \
         dsops local recipients add {keys} --name …",
        found.source
    ))?;
    Ok(exit::OK)
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
        #[arg(value_name = "KEY")]
        key: String,
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
                let key = recipients(std::slice::from_ref(key))?.remove(0);
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
/// For the same recipients or with the same passphrase, or with another kind of key.
#[derive(Args, Debug)]
pub(super) struct Rekey {
    /// Close the file with a new passphrase
    #[arg(long, conflicts_with = "recipient")]
    passphrase: bool,
    /// Close the file for these public keys, yours among them, and nobody else; can be given more than once
    #[arg(long, value_name = "KEY")]
    recipient: Vec<String>,
    /// Leave your own public key out
    #[arg(long, requires = "recipient")]
    force: bool,
}

impl Rekey {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let others = recipients(&self.recipient)?;
        let runtime = runtime()?;
        let keys = runtime.block_on(opened.store.keys(&opened.cx)).map_err(|error| failed(&error))?;
        let document = runtime.block_on(opened.store.document(&opened.cx)).map_err(|error| failed(&error))?;
        let stays = !self.passphrase && others.is_empty();
        if stays && (document.is_for(&keys) || matches!(*keys, Keys::Passphrase(_))) {
            // An edit that changes nothing takes who can open the file from the file, under its lock.
            runtime.block_on(opened.store.edit(&opened.cx, |_| Ok(()))).map_err(|error| failed(&error))?;
        } else {
            let seal = self.seal(&keys, document.recipients(), others)?;
            runtime.block_on(opened.store.rekey(&opened.cx, &seal)).map_err(|error| failed(&error))?;
        }
        session.output.remark("encrypted anew");
        Ok(exit::OK)
    }

    fn seal(&self, keys: &Keys, recipients: &[Named], others: Vec<Recipient>) -> Result<Seal, Stop> {
        if self.passphrase {
            return new_passphrase().map(Seal::Passphrase);
        }
        if !others.is_empty() {
            self.check_own(&keys.recipients(), &others)?;
            return Ok(Seal::Recipients(others.into_iter().map(unnamed).collect()));
        }
        // Somebody encrypted the file with `age` itself, for others than its document says: whoever can
        // open it joins them.
        let mut all = recipients.to_vec();
        all.extend(keys.recipients().into_iter().map(unnamed));
        Ok(Seal::Recipients(all))
    }

    /// Whoever leaves their own key out cannot open the file any more, and rarely means it.
    fn check_own(&self, own: &[Recipient], new: &[Recipient]) -> Result<(), Stop> {
        let is_among = |one: &Recipient| new.iter().any(|other| other.to_string() == one.to_string());
        if self.force || own.iter().any(is_among) {
            return Ok(());
        }
        Err(Diagnostic::new("dsops::usage", exit::USAGE, "none of these public keys is yours")
            .help("add your own with another `--recipient`, or add `--force` to close the file to yourself")
            .into())
    }
}

fn unnamed(recipient: Recipient) -> Named {
    Named { recipient, name: None }
}
