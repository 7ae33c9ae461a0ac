//! The JSON that is spoken with the program, version 1.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::contract::{FetchError, FetchErrorKind, SecretValue};

/// The only version there is.
const VERSION: u32 = 1;
/// How much of a program's message is shown.
const MAX_MESSAGE: usize = 300;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    protocol_version: u32,
    provider: &'a str,
    ids: &'a [&'a str],
}

/// Returns the line that the program reads: no values are in it.
pub(super) fn request(store: &str, ids: &[&str]) -> Zeroizing<Vec<u8>> {
    let request = Request { protocol_version: VERSION, provider: store, ids };
    // Text and lists of text always have a JSON form.
    let mut line = serde_json::to_vec(&request).unwrap_or_default();
    line.push(b'\n');
    Zeroizing::new(line)
}

/// What the program wrote. Keys that are not known here are for later versions and are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(default)]
    protocol_version: Version,
    #[serde(borrow, default)]
    values: Object<&'a RawValue>,
    #[serde(default)]
    errors: Object<Refusal>,
}

/// Why an answer cannot be used as a whole, as the end of a sentence that starts with the program.
pub(super) struct Unusable {
    pub(super) message: String,
    pub(super) help: &'static str,
}

impl<'a> Answer<'a> {
    /// Reads what the program wrote, which is one JSON document and white space.
    pub(super) fn read(stdout: &'a [u8]) -> Result<Self, Unusable> {
        if stdout.trim_ascii().is_empty() {
            return Err(Unusable {
                message: "wrote nothing to its stdout".to_owned(),
                help: "make the program write its answer to stdout",
            });
        }
        let answer: Self = serde_json::from_slice(stdout).map_err(|error| Unusable {
            // The error's own text may quote what it does not like.
            message: format!(
                "did not write one answer in JSON: {} at line {}, column {}",
                what_is_wrong(&error),
                error.line(),
                error.column()
            ),
            help: "run the program by hand, and have it write nothing but the answer to stdout",
        })?;
        match answer.protocol_version {
            Version::Known => Ok(answer),
            Version::Other => Err(Unusable {
                message: format!("answered in another version of the protocol than {VERSION}"),
                help: "make the program answer with `\"protocolVersion\": 1`",
            }),
            Version::Missing => Err(Unusable {
                message: "answered without `protocolVersion`".to_owned(),
                help: "make the program answer with `\"protocolVersion\": 1`",
            }),
        }
    }

    /// Returns what the answer says about one id.
    pub(super) fn about(&self, id: &str) -> Result<SecretValue, FetchError> {
        match (self.values.0.get(id), self.errors.0.get(id)) {
            (Some(Once::Said(raw)), None) => value_of(raw).map_err(|what| {
                malformed(
                    format!("the program gave {what} for `{id}` where a string is needed"),
                    "make the program write every value as a JSON string",
                )
            }),
            (None, Some(Once::Said(refusal))) => Err(refusal.error(id)),
            (None, None) => Err(unanswered(id)),
            _ => Err(malformed(
                format!("the program said more than one thing about `{id}`"),
                "make the program answer every id once, under `values` or under `errors`",
            )),
        }
    }
}

/// Returns the error for an id that the answer does not have.
pub(super) fn unanswered(id: &str) -> FetchError {
    malformed(
        format!("the program said nothing about `{id}`"),
        "make the program answer every id, under `values` or under `errors`",
    )
}

fn malformed(message: String, help: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Malformed, message).help(help)
}

fn what_is_wrong(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "a part has the wrong type",
        _ => "it is not JSON",
    }
}

#[derive(Default)]
enum Version {
    Known,
    Other,
    #[default]
    Missing,
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        Ok(if number.as_u64() == Some(u64::from(VERSION)) { Self::Known } else { Self::Other })
    }
}

/// What an object says under a key: readers differ on which of two they believe, so both are wrong.
enum Once<T> {
    Said(T),
    Repeated,
}

/// An object by its keys. `null` is an empty one, since that is how some languages write it.
struct Object<T>(HashMap<String, Once<T>>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E: Error>(self) -> Result<Object<T>, E> {
                Ok(Object::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<T>, A::Error> {
                let mut entries = HashMap::new();
                while let Some((id, value)) = map.next_entry()? {
                    entries.entry(id).and_modify(|said| *said = Once::Repeated).or_insert(Once::Said(value));
                }
                Ok(Object(entries))
            }
        }

        deserializer.deserialize_any(Entries(std::marker::PhantomData))
    }
}

/// Returns the value that stands as a JSON string, or what stands there instead.
fn value_of(raw: &RawValue) -> Result<SecretValue, &'static str> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).map_err(|_| "half a character"),
        Some(b'{') => Err("an object"),
        Some(b'[') => Err("an array"),
        Some(b'n') => Err("null"),
        Some(b't' | b'f') => Err("a truth value"),
        _ => Err("a number"),
    }
}

/// Why the program does not give a value.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: Option<String>,
}

impl Refusal {
    fn error(&self, id: &str) -> FetchError {
        let kind = self.code.as_deref().and_then(kind_of);
        let message = match shown(&self.message) {
            said if said.is_empty() => format!("the program refused `{id}` without a reason"),
            said => format!("the program refused `{id}`: {said}"),
        };
        let error = FetchError::new(kind.unwrap_or(FetchErrorKind::Unavailable), message)
            .in_own_words(format!("the program refused `{id}`"));
        match kind {
            Some(FetchErrorKind::NotFound) => {
                error.help("correct the reference, or add the secret to the store")
            }
            // Only a program that says `unavailable` has said that asking again may help.
            None => error.temporary(false),
            Some(_) => error,
        }
    }
}

/// Returns the kind that a code names: `NOT_FOUND` and `not_found` are the same. Beside the names of the kinds
/// themselves these are OpenClaw's `AMBIGUOUS_DUPLICATE_KEY` and what `dsops exec-provider` says, each as the kind that
/// is nearest. Only `NotFound` is an absence.
fn kind_of(code: &str) -> Option<FetchErrorKind> {
    let code = code.to_ascii_lowercase();
    let kinds = [
        FetchErrorKind::NotFound,
        FetchErrorKind::Hidden,
        FetchErrorKind::Unauthenticated,
        FetchErrorKind::Forbidden,
        FetchErrorKind::RateLimited,
        FetchErrorKind::Unavailable,
        FetchErrorKind::TimedOut,
        FetchErrorKind::Malformed,
        FetchErrorKind::Unsupported,
        FetchErrorKind::ToolMissing,
    ];
    kinds.into_iter().find(|kind| code == kind.name()).or(match code.as_str() {
        // What forbids it is another's decision, as a store's is.
        "policy" => Some(FetchErrorKind::Forbidden),
        "ambiguous_duplicate_key" | "transform" | "empty" | "placeholder" => Some(FetchErrorKind::Malformed),
        "configuration" | "invalid_id" | "not_text" | "too_large" => Some(FetchErrorKind::Unsupported),
        _ => None,
    })
}

/// Returns a program's message in one line that cannot steer a terminal.
fn shown(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown: String = line.chars().filter(|char| !char.is_control()).take(MAX_MESSAGE).collect();
    if shown.len() < line.len() && shown.chars().count() == MAX_MESSAGE {
        shown.push('…');
    }
    shown
}
