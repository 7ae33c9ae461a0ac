//! The types of options that hold secrets.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::SecretValue;

/// The name by which the deserializer knows a [`Credential`].
pub(super) const CREDENTIAL: &str = "$dsops::Credential";
/// The name by which the deserializer knows a [`Literal`].
pub(super) const LITERAL: &str = "$dsops::Literal";

/// A secret that opens a store: `${VAR}`, `{file: …}`, `{systemd: …}`, or `{from: …}` another store.
///
/// By the time a backend sees one it is resolved. While a file is only checked it is empty.
pub struct Credential(SecretValue);

/// Text that is taken as it stands, without `${VAR}`, and may be a secret.
pub struct Literal(SecretValue);

macro_rules! secret_option {
    ($type:ident, $name:expr, $expecting:literal) => {
        impl $type {
            /// Returns the secret.
            #[must_use]
            pub fn value(&self) -> &SecretValue {
                &self.0
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(***)"))
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Bytes;

                impl Visitor<'_> for Bytes {
                    type Value = SecretValue;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<SecretValue, E> {
                        Ok(SecretValue::copy_of(bytes))
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<SecretValue, E> {
                        Ok(SecretValue::from(text))
                    }
                }

                deserializer.deserialize_newtype_struct($name, Bytes).map($type)
            }
        }
    };
}

secret_option!(Credential, CREDENTIAL, "a credential: `${VAR}`, `{file: …}`, `{systemd: …}` or `{from: …}`");
secret_option!(Literal, LITERAL, "text");

/// For a credential that a backend finds in the environment.
impl From<SecretValue> for Credential {
    fn from(value: SecretValue) -> Self {
        Self(value)
    }
}

impl JsonSchema for Credential {
    fn schema_name() -> Cow<'static, str> {
        "Credential".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        // The file's schema defines `Reference`; a backend's schema alone only names it.
        let _ = generator;
        json_schema!({
            "description": "A secret that opens the store: `${VAR}` from the environment, `{file: …}` a file, `{systemd: …}` a credential that systemd gives to the unit, or `{from: …}` another store.",
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "from": { "$ref": "#/$defs/From" } },
                    "required": ["from"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": { "file": { "type": "string" } },
                    "required": ["file"],
                    "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": { "systemd": { "type": "string" } },
                    "required": ["systemd"],
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl JsonSchema for Literal {
    fn schema_name() -> Cow<'static, str> {
        "Literal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Text taken as it stands; a number is the text in the file.",
            "type": ["string", "number", "boolean"]
        })
    }
}
