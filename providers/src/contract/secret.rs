//! The type that holds a value from the moment it is read until the child has it.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use zeroize::Zeroize;

/// Bytes that must not be printed, copied or left in memory.
///
/// Bytes and not text, since keystores and certificates are values too. It has no `Clone`,
/// `Display`, `Serialize` or `PartialEq`; share it in an `Arc`. The memory is overwritten on drop.
pub struct SecretValue(SecretSlice<u8>);

impl SecretValue {
    /// Takes the bytes over; spare capacity is given back before they are stored.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(SecretSlice::from(bytes))
    }

    /// Copies the bytes.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    /// Returns the bytes. The only door: call it on the line that uses them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// Returns the value as text, or `None` where it is not UTF-8.
    #[must_use]
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(self.expose()).ok()
    }

    /// Returns the length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.expose_secret().len()
    }

    /// Says whether the value has no bytes. An empty value is a value, not an absence.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<String> for SecretValue {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl From<&str> for SecretValue {
    fn from(text: &str) -> Self {
        Self::copy_of(text.as_bytes())
    }
}

impl Zeroize for SecretValue {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// From a string, which goes straight into the memory that is overwritten. There is no way back: a
/// value is never serialized.
impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = SecretValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SecretValue, E> {
                Ok(SecretValue::from(text))
            }

            fn visit_string<E: Error>(self, mut text: String) -> Result<SecretValue, E> {
                let value = SecretValue::from(text.as_str());
                text.zeroize();
                Ok(value)
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_the_value_nor_its_length() {
        assert_eq!(format!("{:?}", SecretValue::from("hunter2")), "SecretValue(***)");
    }

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        let value = SecretValue::copy_of(&[0xff, 0x00]);
        assert_eq!(value.expose(), &[0xff, 0x00]);
        assert!(value.expose_str().is_none());
    }
}
