//! One store file: create it, read it, edit it, change who can open it.
//!
//! Everything here blocks for as long as the disk takes, and with a passphrase for about a second
//! per read and per write. The lock is held while an edit runs: an edit must not wait for a person.

use std::path::{Path, PathBuf};

use super::crypto::{self, Sealed};
use super::document::Document;
use super::file::{self, Old, Writer};
use super::json;
use super::keys::{Keys, Seal, Takes};
use crate::contract::{FetchError, FetchErrorKind};

/// The file of a store, which need not exist yet.
#[derive(Clone, Debug)]
pub struct Vault {
    path: PathBuf,
}

impl Vault {
    /// Returns the store at a path.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the file, with no secrets in it. Its mode is 0600.
    ///
    /// # Errors
    ///
    /// `Unsupported` where something is there already (it is left alone) or nobody could open the
    /// store; `Unavailable` where the file cannot be written.
    pub fn create(&self, seal: &Seal) -> Result<(), FetchError> {
        let document = resealed(Document::default(), seal);
        let bytes = crypto::seal(seal, |out| json::write(&document, out))?;
        Writer::lock(&self.path)?.write(Old::Nothing, &bytes)
    }

    /// Checks that nothing is there yet. [`Vault::create`] checks again, in one step with writing.
    ///
    /// # Errors
    ///
    /// `Unsupported` where something is.
    pub fn check_free(&self) -> Result<(), FetchError> {
        file::check_free(&self.path)
    }

    /// Returns the kind of key that the file takes, without needing one.
    ///
    /// # Errors
    ///
    /// `Unavailable` where there is no file, `Damaged` where it is no age file.
    pub fn takes(&self) -> Result<Takes, FetchError> {
        let bytes = file::read(&self.path)?;
        self.sealed(&bytes).takes()
    }

    /// Reads the whole store.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the file cannot be read, `Unauthenticated` where the keys do not open
    /// it, `Damaged` where it is not what was written.
    pub fn read(&self, keys: &Keys) -> Result<Document, FetchError> {
        self.parse(&file::read(&self.path)?, keys)
    }

    /// Reads the store under the lock, lets `change` work on it, and writes it; nothing is written
    /// where `change` fails. What `change` returns is returned.
    ///
    /// # Errors
    ///
    /// Those of [`Vault::read`] and of `change`; `Unavailable` where the file cannot be written, or
    /// where a program that does not take the lock has changed it meanwhile. Nothing has changed
    /// then.
    pub fn edit<T>(
        &self,
        keys: &Keys,
        change: impl FnOnce(&mut Document) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        // Before the lock, which would otherwise be the first to fail, and less clearly.
        file::read(&self.path)?;
        let writer = Writer::lock(&self.path)?;
        let old = writer.read()?;
        let mut document = self.parse(&old, keys)?;
        let seal = self.same_seal(&old, &document, keys)?;
        let outcome = change(&mut document)?;
        let seal = match seal {
            Seal::Passphrase(_) => seal,
            Seal::Recipients(_) => Seal::Recipients(document.recipients.clone()),
        };
        let new = crypto::seal(&seal, |out| json::write(&document, out))?;
        writer.write(Old::Content(&old), &new)?;
        Ok(outcome)
    }

    /// Closes the store with something else: other recipients, or another passphrase.
    ///
    /// # Errors
    ///
    /// As [`Vault::edit`].
    pub fn rekey(&self, keys: &Keys, seal: &Seal) -> Result<(), FetchError> {
        file::read(&self.path)?;
        let writer = Writer::lock(&self.path)?;
        let old = writer.read()?;
        let document = resealed(self.parse(&old, keys)?, seal);
        let new = crypto::seal(seal, |out| json::write(&document, out))?;
        writer.write(Old::Content(&old), &new)
    }

    /// Returns what closes the store as it is closed now.
    ///
    /// An X25519 header does not name its recipients, so the document does. Somebody may have
    /// encrypted the file anew with stock `age` and not told the document: writing then would
    /// change who can open it without anybody having asked for that.
    fn same_seal(&self, bytes: &[u8], document: &Document, keys: &Keys) -> Result<Seal, FetchError> {
        match (self.sealed(bytes).takes()?, keys, document.recipients.is_empty()) {
            (Takes::Passphrase, Keys::Passphrase(passphrase), true) => {
                Ok(Seal::Passphrase(passphrase.clone()))
            }
            // Whoever opened it is among its recipients, or is about to lock themselves out.
            (Takes::Identity, Keys::Identities(_), false) if document.is_for(keys) => {
                Ok(Seal::Recipients(document.recipients.clone()))
            }
            _ => Err(FetchError::new(
                FetchErrorKind::Damaged,
                format!("`{}` is encrypted in another way than its document says", self.path.display()),
            )
            .help("settle who can open it with `dsops local rekey`")),
        }
    }

    fn parse(&self, bytes: &[u8], keys: &Keys) -> Result<Document, FetchError> {
        let plaintext = self.sealed(bytes).open(keys)?;
        json::read(&plaintext).map_err(|flaw| {
            FetchError::new(FetchErrorKind::Damaged, format!("`{}` {flaw}", self.path.display()))
                .help(flaw.advice())
        })
    }

    fn sealed<'a>(&'a self, bytes: &'a [u8]) -> Sealed<'a> {
        Sealed { path: &self.path, bytes }
    }
}

fn resealed(mut document: Document, seal: &Seal) -> Document {
    document.recipients = match seal {
        Seal::Recipients(recipients) => recipients.clone(),
        Seal::Passphrase(_) => Vec::new(),
    };
    document
}
