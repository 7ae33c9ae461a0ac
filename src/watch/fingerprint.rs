//! Values compared without being kept.

use std::collections::{BTreeMap, BTreeSet};

use dsops_providers::contract::SecretValue;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::resolve::Resolution;

/// What stands for the values of one fetch: which are the same as those of another, and nothing else about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, [u8; 32]>);

impl Fingerprint {
    /// Returns the names whose values are others in the second, or are in one of the two alone.
    #[must_use]
    pub fn changed<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let names: BTreeSet<&str> = self.0.keys().chain(other.0.keys()).map(String::as_str).collect();
        names.into_iter().filter(|name| self.0.get(*name) != other.0.get(*name)).collect()
    }
}

/// Makes fingerprints under a key that nobody else has: without it a guessed value cannot be tried against one.
pub struct Fingerprinter {
    key: Zeroizing<[u8; 32]>,
}

impl Fingerprinter {
    /// Returns one with a key of its own.
    ///
    /// # Errors
    ///
    /// Where the system gives no random bytes.
    pub fn new() -> std::io::Result<Self> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut())
            .map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
        Ok(Self { key })
    }

    /// Returns the fingerprint of the values that a plan came to. Their order, which is that of the file or of the
    /// store, is no part of what a program gets.
    #[must_use]
    pub fn of(&self, resolution: &Resolution) -> Fingerprint {
        let print = |value: &SecretValue| {
            let hash = Sha256::new().chain_update(self.key.as_slice()).chain_update(value.expose());
            hash.finalize().into()
        };
        let values = resolution.values.iter();
        Fingerprint(values.map(|(name, resolved)| (name.clone(), print(&resolved.value))).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dsops_providers::contract::SecretValue;

    use super::*;
    use crate::resolve::Resolved;

    fn resolution(values: &[(&str, &str)]) -> Resolution {
        let resolved = |value: &str| Resolved {
            value: Arc::new(SecretValue::from(value.to_owned())),
            source: String::new(),
        };
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), resolved(value)));
        Resolution { values: values.collect(), ..Resolution::default() }
    }

    #[test]
    fn names_and_values_count_and_their_order_does_not() {
        let prints = Fingerprinter::new().unwrap();
        let of = |values: &[(&str, &str)]| prints.of(&resolution(values));
        assert_eq!(of(&[("A", "1"), ("B", "2")]), of(&[("B", "2"), ("A", "1")]));
        assert_eq!(of(&[("A", "1"), ("B", "2")]).changed(&of(&[("B", "3"), ("A", "1")])), ["B"]);
        assert_eq!(of(&[("A", "1")]).changed(&of(&[("B", "1")])), ["A", "B"]);
        assert_eq!(of(&[("A", "")]).changed(&of(&[])), ["A"]);
    }

    #[test]
    fn two_keys_give_two_fingerprints() {
        let values = resolution(&[("A", "1")]);
        let (one, other) = (Fingerprinter::new().unwrap(), Fingerprinter::new().unwrap());
        assert_ne!(one.of(&values), other.of(&values));
    }
}
