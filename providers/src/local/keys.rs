//! What opens a store and what closes it: identities and recipients, or a passphrase.

use std::fmt;
use std::str::FromStr;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::x25519;

use crate::contract::{FetchError, FetchErrorKind, SecretValue};

/// `N = 2^18`: what stock age uses (`age(1)`; one second on a fast machine of 2019, 256 MiB).
const WORK_FACTOR: u8 = 18;

/// One age identity: a private X25519 key.
#[derive(Clone)]
pub struct Identity(pub(super) x25519::Identity);

impl Identity {
    /// Returns a new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// Returns its public half.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(self.0.to_public())
    }

    /// Returns the `AGE-SECRET-KEY-1…` text.
    #[must_use]
    pub fn to_secret(&self) -> SecretValue {
        SecretValue::copy_of(self.0.to_string().expose_secret().as_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(***)")
    }
}

/// One age recipient: a public X25519 key. It prints as `age1…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient(pub(super) x25519::Recipient);

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Recipient {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Self, FetchError> {
        // Whoever pastes the wrong half must not see it again in a log.
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                "a private key where a recipient is needed",
            )
            .help("give the `age1…` line beside it, and keep the private key to yourself"));
        }
        text.parse().map(Self).map_err(|why| {
            FetchError::new(FetchErrorKind::Unsupported, format!("`{text}` is no age recipient: {why}"))
                .help("give the `age1…` public key of an X25519 identity")
        })
    }
}

/// A passphrase, and how much work it takes to try one.
#[derive(Clone)]
pub struct Passphrase {
    text: SecretString,
    work_factor: u8,
}

impl Passphrase {
    /// Takes a passphrase.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` where it is empty or not UTF-8, which no age file can have.
    pub fn new(value: &SecretValue) -> Result<Self, FetchError> {
        let unusable =
            |why: &str| FetchError::new(FetchErrorKind::Unauthenticated, format!("the passphrase is {why}"));
        let text = value.expose_str().ok_or_else(|| unusable("not UTF-8 text"))?;
        if text.is_empty() {
            return Err(unusable("empty"));
        }
        Ok(Self { text: SecretString::from(text), work_factor: WORK_FACTOR })
    }

    /// Makes it cheap to try, so that tests need not take seconds.
    #[cfg(test)]
    pub(super) fn weakened(mut self) -> Self {
        self.work_factor = 4;
        self
    }

    pub(super) fn recipient(&self) -> age::scrypt::Recipient {
        let mut recipient = age::scrypt::Recipient::new(self.text.clone());
        recipient.set_work_factor(self.work_factor);
        recipient
    }

    pub(super) fn identity(&self, limit: u8) -> age::scrypt::Identity {
        let mut identity = age::scrypt::Identity::new(self.text.clone());
        identity.set_max_work_factor(limit);
        identity
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(***)")
    }
}

/// What opens a store.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Any of these private keys.
    Identities(Vec<Identity>),
    /// The passphrase.
    Passphrase(Passphrase),
}

impl Keys {
    /// Returns the public halves of the identities, none for a passphrase.
    #[must_use]
    pub fn recipients(&self) -> Vec<Recipient> {
        match self {
            Self::Identities(identities) => identities.iter().map(Identity::recipient).collect(),
            Self::Passphrase(_) => Vec::new(),
        }
    }
}

/// What a store is closed with. Every write uses a fresh file key.
#[derive(Clone, Debug)]
pub enum Seal {
    /// Everybody who holds one of these.
    Recipients(Vec<Named>),
    /// Everybody who knows this.
    Passphrase(Passphrase),
}

/// A recipient with the name that a person gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The public key.
    pub recipient: Recipient,
    /// Whose it is, as free text.
    pub name: Option<String>,
}

/// The kind of key that a file takes, which its header tells without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// An identity.
    Identity,
    /// A passphrase.
    Passphrase,
}
