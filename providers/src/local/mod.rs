//! `type: local`: secrets in one file that is encrypted with age. The store that needs no server.

mod config;
mod crypto;
mod document;
mod file;
pub mod identity;
mod json;
mod keyring;
mod keys;
mod name;
mod timestamp;
mod vault;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::Mutex;

use crate::contract::{
    About, Answers, AuthMethod, Backend, Context, DecodeError, Entry, FetchError, FetchErrorKind, Finding,
    Lister, Locator, LocatorError, LocatorPart, Node, Parts, Provider, SecretValue, Writer,
};

pub use config::LocalConfig;
pub use document::{Content, Document, Listing, Version};
pub use keys::{Identity, Keys, Named, Passphrase, Recipient, Seal, Takes};
pub use name::{check_folder, check_secret};
pub use timestamp::Timestamp;
pub use vault::Vault;

/// An opened `type: local` store: a [`Vault`], and the keys that the options and the environment give.
///
/// It asks for a passphrase once, and shows every caller the same moment of the file.
pub struct LocalStore {
    vault: Vault,
    config: LocalConfig,
    known: Mutex<Known>,
}

/// A store that was just made.
#[derive(Debug)]
pub struct Started {
    /// Who can open it.
    pub recipients: Vec<Named>,
    /// Where the identity is.
    pub source: identity::Source,
    /// Whether it was there before.
    pub origin: identity::Origin,
}

/// What has been found out; failures too, so that a person is not asked twice.
#[derive(Default)]
struct Known {
    keys: Option<Result<Found, FetchError>>,
    document: Option<Result<Arc<Document>, FetchError>>,
}

#[derive(Clone)]
struct Found {
    keys: Arc<Keys>,
    /// Where they came from, for `doctor`.
    origin: String,
}

impl LocalStore {
    /// Returns the store's file.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Creates the store for the caller's identity, which is made where there is none. A store for a
    /// passphrase is made by [`Vault::create`].
    ///
    /// # Errors
    ///
    /// Those of [`identity::find_or_make`] and [`Vault::create`].
    pub async fn init(&self, cx: &Context, name: Option<String>) -> Result<Started, FetchError> {
        self.vault.check_free()?;
        let (found, origin) = identity::find_or_make(cx, self.config.identity.as_deref()).await?;
        let mine = |identity: &Identity| Named { recipient: identity.recipient(), name: name.clone() };
        let recipients: Vec<Named> = found.identities.iter().map(mine).collect();
        self.vault.create(&Seal::Recipients(recipients.clone()))?;
        *self.known.lock().await = Known::default();
        Ok(Started { recipients, source: found.source, origin })
    }

    /// Returns the passphrase of the options, where there is one.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` where it cannot be one.
    pub fn passphrase(&self) -> Result<Option<Passphrase>, FetchError> {
        self.config.passphrase.as_ref().map(|credential| Passphrase::new(credential.value())).transpose()
    }

    /// Returns what opens the store: an identity, or the passphrase, which may have to be asked for.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::takes`] and of [`identity::find`]; `Unauthenticated` where a passphrase is
    /// needed and nobody can be asked.
    pub async fn keys(&self, cx: &Context) -> Result<Arc<Keys>, FetchError> {
        let mut known = self.known.lock().await;
        self.find_keys(cx, &mut known).await.map(|found| found.keys)
    }

    /// Returns the content, read once.
    ///
    /// # Errors
    ///
    /// Those of [`LocalStore::keys`] and [`Vault::read`].
    pub async fn document(&self, cx: &Context) -> Result<Arc<Document>, FetchError> {
        let mut known = self.known.lock().await;
        if let Some(document) = &known.document {
            return document.clone();
        }
        let document = match self.find_keys(cx, &mut known).await {
            Ok(found) => self.vault.read(&found.keys).map(Arc::new),
            Err(error) => Err(error),
        };
        known.document.insert(document).clone()
    }

    /// Changes the content, as [`Vault::edit`].
    ///
    /// # Errors
    ///
    /// Those of [`LocalStore::keys`] and [`Vault::edit`].
    pub async fn edit<T>(
        &self,
        cx: &Context,
        change: impl FnOnce(&mut Document) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let mut known = self.known.lock().await;
        let found = self.find_keys(cx, &mut known).await?;
        let outcome = self.vault.edit(&found.keys, change)?;
        known.document = None;
        Ok(outcome)
    }

    /// Changes who can open the store, as [`Vault::rekey`].
    ///
    /// # Errors
    ///
    /// Those of [`LocalStore::keys`] and [`Vault::rekey`].
    pub async fn rekey(&self, cx: &Context, seal: &Seal) -> Result<(), FetchError> {
        let mut known = self.known.lock().await;
        let found = self.find_keys(cx, &mut known).await?;
        self.vault.rekey(&found.keys, seal)?;
        *known = Known::default();
        Ok(())
    }

    async fn find_keys(&self, cx: &Context, known: &mut Known) -> Result<Found, FetchError> {
        if let Some(found) = &known.keys {
            return found.clone();
        }
        let found = match self.vault.takes() {
            Ok(Takes::Identity) => self.find_identity(cx).await,
            Ok(Takes::Passphrase) => self.find_passphrase(cx),
            Err(error) => Err(error),
        };
        known.keys.insert(found).clone()
    }

    async fn find_identity(&self, cx: &Context) -> Result<Found, FetchError> {
        let found = identity::find(cx, self.config.identity.as_deref()).await?;
        let origin = format!("identity from {}", found.source);
        Ok(Found { keys: Arc::new(Keys::Identities(found.identities)), origin })
    }

    fn find_passphrase(&self, cx: &Context) -> Result<Found, FetchError> {
        let found = |value: &SecretValue, origin: &str| {
            let keys = Arc::new(Keys::Passphrase(Passphrase::new(value)?));
            Ok(Found { keys, origin: origin.to_owned() })
        };
        if let Some(credential) = &self.config.passphrase {
            return found(credential.value(), "passphrase from the store's options");
        }
        let label = format!("passphrase of {}", self.vault.path().display());
        match cx.prompt().secret(&label) {
            Some(answer) => found(&answer, "passphrase as typed"),
            None => Err(FetchError::new(
                FetchErrorKind::Unauthenticated,
                format!("`{}` takes a passphrase, and nobody can be asked", self.vault.path().display()),
            )
            .help("set `passphrase: ${…}` on the store")),
        }
    }
}

/// Answers one locator from the document.
fn answer(document: &Document, locator: &Locator) -> Result<SecretValue, FetchError> {
    let version = locator.version.as_deref().map(version).transpose().map_err(document::unusable)?;
    document.get(&locator.path, version).map(|value| SecretValue::copy_of(value.expose()))
}

fn version(text: &str) -> Result<u64, LocatorError> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| LocatorError {
        part: LocatorPart::Version,
        message: format!("`{text}` is no version: they count from 1"),
        help: Some("write it as in `KEY@v2`".to_owned()),
    })
}

#[async_trait]
impl Provider for LocalStore {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.vault.path().to_owned()]
    }

    fn renew(&self) {
        // Somebody who has it is reading the file just now.
        if let Ok(mut known) = self.known.try_lock() {
            known.document = None;
        }
    }

    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        match self.document(cx).await {
            Ok(document) => Answers::lookup(locators, |locator| answer(&document, locator)),
            Err(error) => Answers::all_failed(locators, &error),
        }
    }

    async fn check(&self, cx: &Context) -> Vec<Finding> {
        let mut findings = Vec::with_capacity(3);
        let path = self.vault.path().display();
        match self.vault.takes() {
            Ok(Takes::Identity) => findings.push(Finding::ok("file", format!("`{path}` takes an identity"))),
            Ok(Takes::Passphrase) => {
                findings.push(Finding::ok("file", format!("`{path}` takes a passphrase")))
            }
            Err(error) => {
                findings.push(Finding::failed("file", &error));
                findings.push(Finding::skipped("keys", "there is nothing to open"));
                findings.push(Finding::skipped("content", "the file is not usable"));
                return findings;
            }
        }
        match self.find_keys(cx, &mut *self.known.lock().await).await {
            Ok(found) => findings.push(Finding::ok("keys", found.origin)),
            Err(error) => {
                findings.push(Finding::failed("keys", &error));
                findings.push(Finding::skipped("content", "there is nothing to open the file with"));
                return findings;
            }
        }
        let started = Instant::now();
        let content = match self.document(cx).await {
            Ok(document) => Finding::ok("content", format!("{} secrets", document.secrets().count())),
            Err(error) => Finding::failed("content", &error),
        };
        findings.push(content.took(started.elapsed()));
        findings
    }

    fn lister(&self) -> Option<&dyn Lister> {
        Some(self)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

#[async_trait]
impl Lister for LocalStore {
    async fn list(&self, cx: &Context, folder: &str) -> Result<Vec<Entry>, FetchError> {
        let document = self.document(cx).await?;
        let entry = |(name, version): &(&str, &Version)| match &version.content {
            Content::Value(value) => {
                Some(Entry { name: (*name).to_owned(), value: Ok(SecretValue::copy_of(value.expose())) })
            }
            Content::Deleted(_) => None,
        };
        Ok(document.list(folder)?.secrets.iter().filter_map(entry).collect())
    }
}

#[async_trait]
impl Writer for LocalStore {
    async fn put(&self, cx: &Context, locator: &Locator, value: SecretValue) -> Result<(), FetchError> {
        whole(locator)?;
        self.edit(cx, |document| document.set(&locator.path, value, None)).await.map(|_| ())
    }

    async fn delete(&self, cx: &Context, locator: &Locator) -> Result<(), FetchError> {
        whole(locator)?;
        self.edit(cx, |document| document.delete(&locator.path)).await
    }
}

/// Refuses to write to a part: a version is given by the store, and there are no fields.
fn whole(locator: &Locator) -> Result<(), FetchError> {
    if locator.version.is_none() && locator.field.is_none() {
        return Ok(());
    }
    Err(FetchError::new(FetchErrorKind::Unsupported, format!("`{locator}` is a part of a secret"))
        .help("write to the secret itself, which gets a new version"))
}

impl Backend for LocalStore {
    type Config = LocalConfig;

    const KIND: &'static str = "local";
    const ABOUT: About = About {
        title: "Local file",
        summary: "an age-encrypted file, no server needed",
        parts: Parts { folders: true, fields: false, versions: true },
        own_env: &[identity::VARIABLE],
        example: "type: local\npath: secrets.age\n",
        readme: include_str!("README.md"),
    };
    const AUTH: &'static [AuthMethod] = &[];

    fn validate(config: &LocalConfig, node: &Node) -> Result<(), DecodeError> {
        let at = |key: &str| node.get(key).map_or(node.span, |node| node.span);
        if config.path.is_empty() {
            return Err(DecodeError::at(at("path"), "an empty path").help("name the encrypted file"));
        }
        if config.identity.is_some() && config.passphrase.is_some() {
            return Err(DecodeError::at(at("passphrase"), "`passphrase` beside `identity`")
                .help("keep the one that the file is encrypted to"));
        }
        if config.identity.as_deref() == Some("") {
            return Err(
                DecodeError::at(at("identity"), "an empty path").help("take the key out for the default")
            );
        }
        Ok(())
    }

    fn accept(_: &LocalConfig, locator: &Locator) -> Result<(), LocatorError> {
        check_secret(&locator.path)?;
        locator.version.as_deref().map_or(Ok(()), |text| version(text).map(|_| ()))
    }

    fn open(config: LocalConfig, cx: &Context) -> Result<Self, FetchError> {
        let vault = Vault::at(cx.resolve_path(&config.path));
        Ok(Self { vault, config, known: Mutex::default() })
    }
}
