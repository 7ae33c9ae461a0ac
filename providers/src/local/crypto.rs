//! Encrypts and decrypts a store as an age file (<https://c2sp.org/age>), in ASCII armor.

use std::io::{self, BufReader, Read as _, Write};
use std::path::Path;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::stream::StreamReader;
use age::{DecryptError, Decryptor, Encryptor};
use zeroize::Zeroizing;

use super::keys::{Keys, Passphrase, Seal, Takes};
use crate::contract::{FetchError, FetchErrorKind};

/// The most work that a file may ask for: `N = 2^20` is a gigabyte of memory and a few seconds.
/// Stock age writes 18 always; a file that asks for much more is there to do harm.
const MOST_WORK: u8 = 20;

const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const MAGIC: &[u8] = b"age-encryption.org/";

type Armored<'a> = ArmoredReader<BufReader<&'a [u8]>>;

/// An encrypted file as read, with its path for messages.
#[derive(Clone, Copy)]
pub(super) struct Sealed<'a> {
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Returns the kind of key that the file takes.
    pub(super) fn takes(&self) -> Result<Takes, FetchError> {
        Ok(if self.header()?.is_scrypt() { Takes::Passphrase } else { Takes::Identity })
    }

    /// Decrypts the whole file, or nothing of it.
    pub(super) fn open(&self, keys: &Keys) -> Result<Zeroizing<Vec<u8>>, FetchError> {
        let decryptor = self.header()?;
        let mut body = match keys {
            Keys::Identities(identities) => {
                decryptor.decrypt(identities.iter().map(|identity| &identity.0 as &dyn age::Identity))
            }
            Keys::Passphrase(passphrase) => self.open_with(decryptor, passphrase),
        }
        .map_err(|error| self.refused(&error, keys))?;
        // A plaintext is shorter than its file, so that the buffer never moves and leaves no copy.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        body.read_to_end(&mut plaintext).map_err(|_| self.damaged("is damaged or cut off in its body"))?;
        Ok(plaintext)
    }

    fn open_with(
        &self,
        decryptor: Decryptor<Armored<'a>>,
        passphrase: &Passphrase,
    ) -> Result<StreamReader<Armored<'a>>, DecryptError> {
        decryptor.decrypt(std::iter::once(&passphrase.identity(MOST_WORK) as &dyn age::Identity))
    }

    fn header(&self) -> Result<Decryptor<Armored<'a>>, FetchError> {
        if self.bytes.is_empty() {
            return Err(self.damaged("is empty"));
        }
        if !self.bytes.starts_with(ARMOR) && !self.bytes.starts_with(MAGIC) {
            return Err(self.damaged("is not an age file"));
        }
        Decryptor::new_buffered(ArmoredReader::new(self.bytes)).map_err(|error| match error {
            DecryptError::UnknownFormat => self.damaged("is in a newer age format"),
            _ => self.damaged("is damaged or cut off in its header"),
        })
    }

    fn refused(&self, error: &DecryptError, keys: &Keys) -> FetchError {
        let path = self.path.display();
        match (error, keys) {
            (DecryptError::ExcessiveWork { required, .. }, _) => self.damaged(&format!(
                "asks for 2^{required} rounds of work per passphrase, more than 2^{MOST_WORK}"
            )),
            (DecryptError::NoMatchingKeys, Keys::Passphrase(_)) => FetchError::new(
                FetchErrorKind::Unauthenticated,
                format!("`{path}` takes an identity, not a passphrase"),
            )
            .help("take `passphrase` off the store, and name your `identity`"),
            (DecryptError::NoMatchingKeys, Keys::Identities(_)) => self.wrong_identity(keys),
            (DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed, Keys::Passphrase(_)) => {
                FetchError::new(
                    FetchErrorKind::Unauthenticated,
                    format!("the passphrase does not open `{path}`"),
                )
                .help("give the passphrase that the file was encrypted with")
            }
            _ => self.damaged("is damaged in its header"),
        }
    }

    fn wrong_identity(&self, keys: &Keys) -> FetchError {
        let path = self.path.display();
        if matches!(self.takes(), Ok(Takes::Passphrase)) {
            return FetchError::new(FetchErrorKind::Unauthenticated, format!("`{path}` takes a passphrase"))
                .help("set `passphrase` on the store");
        }
        let error =
            FetchError::new(FetchErrorKind::Unauthenticated, format!("your identity does not open `{path}`"));
        match keys.recipients().first() {
            Some(mine) => {
                error.help(format!("ask somebody who can open it to run `dsops local recipients add {mine}`"))
            }
            None => error,
        }
    }

    fn damaged(&self, what: &str) -> FetchError {
        FetchError::new(FetchErrorKind::Damaged, format!("`{}` {what}", self.path.display()))
            .help("take the file from a backup or from version control")
    }
}

/// Encrypts what `write` writes.
pub(super) fn seal(
    seal: &Seal,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Vec<u8>, FetchError> {
    let encryptor = match seal {
        Seal::Recipients(named) => {
            Encryptor::with_recipients(named.iter().map(|one| &one.recipient.0 as &dyn age::Recipient))
        }
        Seal::Passphrase(passphrase) => {
            Encryptor::with_recipients(std::iter::once(&passphrase.recipient() as &dyn age::Recipient))
        }
    }
    .map_err(|_| {
        FetchError::new(FetchErrorKind::Unsupported, "a store needs somebody who can open it")
            .help("name a recipient")
    })?;
    encrypt(encryptor, write).map_err(|error| {
        FetchError::new(FetchErrorKind::Unsupported, "the store cannot be encrypted").caused_by(error)
    })
}

fn encrypt(
    encryptor: Encryptor,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut body = encryptor.wrap_output(armor)?;
    write(&mut body)?;
    body.finish()?.finish()
}
