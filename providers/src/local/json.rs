//! The document as JSON: what `age -d` shows.
//!
//! ```json
//! {
//!   "format": "dsops-local",
//!   "version": 1,
//!   "recipients": [{ "key": "age1…", "name": "alice" }],
//!   "secrets": {
//!     "db/PASSWORD": [
//!       { "version": 1, "created": "2026-01-31T12:00:00Z", "deleted": "2026-02-01T08:30:00Z" },
//!       { "version": 2, "created": "2026-02-02T09:00:00Z", "comment": "rotated", "value": "…" }
//!     ]
//!   }
//! }
//! ```
//!
//! A value that is not UTF-8 stands under `base64` instead of `value`. Text is kept exactly.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize as Read, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::document::{Content, Document, Version};
use super::keys::Named;
use super::name;
use super::timestamp::Timestamp;
use crate::contract::SecretValue;

const FORMAT: &str = "dsops-local";
const VERSION: u64 = 1;

/// Why a plaintext is no document. It never quotes the plaintext.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Not JSON, or not of the right shape, at a line and column of the plaintext.
    Shape(usize, usize),
    /// JSON of something else.
    Foreign,
    /// A version that this program does not know.
    Newer(u64),
    /// A document that contradicts itself.
    Inconsistent(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(line, column) => {
                write!(
                    f,
                    "holds a document of the wrong shape (line {line}, column {column} of its plaintext)"
                )
            }
            Self::Foreign => write!(f, "is an age file of something else, not a dsops store"),
            Self::Newer(version) => {
                write!(f, "is a store of format version {version}, this dsops reads {VERSION}")
            }
            Self::Inconsistent(what) => write!(f, "holds a document that contradicts itself: {what}"),
        }
    }
}

impl Flaw {
    /// Returns the one thing to do about it.
    pub(super) fn advice(&self) -> &'static str {
        match self {
            Self::Shape(..) | Self::Inconsistent(_) => {
                "look at it with `age -d`, or take the file from a backup or from version control"
            }
            Self::Foreign => "name the file that `dsops local init` made",
            Self::Newer(_) => "install a newer dsops",
        }
    }
}

#[derive(Read)]
struct Preamble<'a> {
    #[serde(borrow)]
    format: std::borrow::Cow<'a, str>,
    version: u64,
}

#[derive(Read)]
#[serde(deny_unknown_fields)]
struct DocumentIn<'a> {
    #[serde(rename = "format")]
    _format: IgnoredAny,
    #[serde(rename = "version")]
    _version: IgnoredAny,
    #[serde(default)]
    recipients: Vec<RecipientIn>,
    #[serde(borrow)]
    secrets: Entries<'a>,
}

#[derive(Read)]
#[serde(deny_unknown_fields)]
struct RecipientIn {
    key: String,
    name: Option<String>,
}

/// The value is kept as the bytes of the plaintext: serde would unescape it in a buffer that
/// nobody overwrites.
#[derive(Read)]
#[serde(deny_unknown_fields)]
struct VersionIn<'a> {
    version: u64,
    created: String,
    comment: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    base64: Option<&'a RawValue>,
    deleted: Option<String>,
}

/// The secrets as they stand: a map would silently keep the last of two with one name.
struct Entries<'a>(Vec<(String, Vec<VersionIn<'a>>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Secrets;

        impl<'de> Visitor<'de> for Secrets {
            type Value = Vec<(String, Vec<VersionIn<'de>>)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("secrets by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Secrets).map(Entries)
    }
}

/// Reads a plaintext.
pub(super) fn read(plaintext: &[u8]) -> Result<Document, Flaw> {
    let shape = |error: &serde_json::Error| Flaw::Shape(error.line(), error.column());
    let preamble: Preamble<'_> =
        serde_json::from_slice(plaintext).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Flaw::Foreign,
            _ => shape(&error),
        })?;
    if preamble.format != FORMAT {
        return Err(Flaw::Foreign);
    }
    if preamble.version != VERSION {
        return Err(Flaw::Newer(preamble.version));
    }
    let read: DocumentIn<'_> = serde_json::from_slice(plaintext).map_err(|error| shape(&error))?;
    let mut document = Document::default();
    for recipient in read.recipients {
        document.recipients.push(named(recipient)?);
    }
    for (path, versions) in read.secrets.0 {
        let (path, versions) = secret(path, versions)?;
        if let Some(_first) = document.secrets.insert(path, versions) {
            return Err(Flaw::Inconsistent("a name stands in it twice".to_owned()));
        }
    }
    Ok(document)
}

fn named(read: RecipientIn) -> Result<Named, Flaw> {
    let recipient =
        read.key.parse().map_err(|_| Flaw::Inconsistent("a recipient's key is none".to_owned()))?;
    Ok(Named { recipient, name: read.name })
}

fn secret(path: String, read: Vec<VersionIn<'_>>) -> Result<(String, Vec<Version>), Flaw> {
    name::check_secret(&path).map_err(|error| Flaw::Inconsistent(error.message))?;
    if read.is_empty() {
        return Err(Flaw::Inconsistent(format!("`{path}` has no versions")));
    }
    let mut versions: Vec<Version> = Vec::with_capacity(read.len());
    for one in read {
        if one.version <= versions.last().map_or(0, |before| before.number) {
            return Err(Flaw::Inconsistent(format!("the versions of `{path}` do not ascend")));
        }
        let wrong = || Flaw::Inconsistent(format!("version {} of `{path}` is not well formed", one.version));
        let content = match (one.value, one.base64, &one.deleted) {
            (Some(text), None, None) => Content::Value(unescape(text.get()).ok_or_else(wrong)?),
            (None, Some(text), None) => Content::Value(decode(text.get()).ok_or_else(wrong)?),
            (None, None, Some(when)) => Content::Deleted(moment(when).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        let created = moment(&one.created).ok_or_else(wrong)?;
        versions.push(Version { number: one.version, created, comment: one.comment, content });
    }
    Ok((path, versions))
}

fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn decode(literal: &str) -> Option<SecretValue> {
    let text = unescape(literal)?;
    // Taken at the upper bound, so that the buffer never moves; copied out at its exact length.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    STANDARD.decode_vec(text.expose(), &mut bytes).ok()?;
    Some(SecretValue::copy_of(&bytes))
}

/// Returns the text of a JSON string literal (RFC 8259, section 7) that is well formed already.
///
/// `None` where it is not a string, or has half a surrogate pair.
fn unescape(literal: &str) -> Option<SecretValue> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    // No escape is shorter than what it stands for, so that the buffer never moves.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let (character, after) = unescape_one(escaped)?;
        text.push(character);
        rest = after;
    }
    text.push_str(rest);
    Some(SecretValue::copy_of(text.as_bytes()))
}

fn unescape_one(escaped: &str) -> Option<(char, &str)> {
    let mut characters = escaped.chars();
    let character = match characters.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unescape_code_point(characters.as_str()),
        same @ ('"' | '\\' | '/') => same,
        _ => return None,
    };
    Some((character, characters.as_str()))
}

fn unescape_code_point(digits: &str) -> Option<(char, &str)> {
    let (unit, rest) = code_unit(digits)?;
    if !(0xd800..0xdc00).contains(&unit) {
        return Some((char::from_u32(unit)?, rest));
    }
    let (low, rest) = code_unit(rest.strip_prefix("\\u")?)?;
    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    Some((char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low)?, rest))
}

fn code_unit(digits: &str) -> Option<(u32, &str)> {
    let (digits, rest) = digits.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[derive(Serialize)]
struct DocumentOut<'a> {
    format: &'static str,
    version: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<RecipientOut<'a>>,
    secrets: BTreeMap<&'a str, Vec<VersionOut<'a>>>,
}

#[derive(Serialize)]
struct RecipientOut<'a> {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Serialize)]
struct VersionOut<'a> {
    version: u64,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(flatten)]
    content: ContentOut<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum ContentOut<'a> {
    Value(&'a str),
    Base64(Encoded<'a>),
    Deleted(String),
}

/// Encodes while it is written, so that no encoded copy stays behind.
struct Encoded<'a>(&'a SecretValue);

impl Serialize for Encoded<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0.expose(), &STANDARD))
    }
}

/// Writes a document, in pieces and without a copy of its own.
pub(super) fn write(document: &Document, out: &mut dyn Write) -> io::Result<()> {
    let recipients = document
        .recipients
        .iter()
        .map(|one| RecipientOut { key: one.recipient.to_string(), name: one.name.as_deref() })
        .collect();
    let secrets = document
        .secrets
        .iter()
        .map(|(path, versions)| (path.as_str(), versions.iter().map(version_out).collect()))
        .collect();
    let whole = DocumentOut { format: FORMAT, version: VERSION, recipients, secrets };
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    out.write_all(b"\n")
}

fn version_out(version: &Version) -> VersionOut<'_> {
    let content = match &version.content {
        Content::Value(value) => match value.expose_str() {
            Some(text) => ContentOut::Value(text),
            None => ContentOut::Base64(Encoded(value)),
        },
        Content::Deleted(when) => ContentOut::Deleted(when.to_string()),
    };
    VersionOut {
        version: version.number,
        created: version.created.to_string(),
        comment: version.comment.as_deref(),
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(literal: &str) -> Option<String> {
        unescape(literal).and_then(|value| value.expose_str().map(str::to_owned))
    }

    #[test]
    fn every_escape_of_rfc_8259_is_read_as_serde_reads_it() {
        for literal in [
            r#""""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9\u20AC\ud83d\uDD11""#,
            r#""a\u0000b\nc""#,
            "\"ü🔑\"",
        ] {
            assert_eq!(text(literal), serde_json::from_str(literal).ok(), "{literal}");
            assert!(text(literal).is_some(), "{literal}");
        }
        for literal in [r#""\ud83d""#, r#""\ud83dx""#, r#""\udd11""#, r#""\ud83d\u0041""#, "5", "true", "{}"]
        {
            assert_eq!(text(literal), None, "{literal}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_serdes_escaping(original in ".*", controls in proptest::collection::vec(0u8..0x80, 0..40)) {
            let original = original + std::str::from_utf8(&controls).unwrap();
            let literal = serde_json::to_string(&original).unwrap();
            proptest::prop_assert_eq!(text(&literal), Some(original));
        }
    }

    fn flaw(json: &str) -> Flaw {
        read(json.as_bytes()).unwrap_err()
    }

    fn with_secrets(secrets: &str) -> String {
        format!(r#"{{"format": "dsops-local", "version": 1, "secrets": {secrets}}}"#)
    }

    #[test]
    fn what_is_not_a_document_of_this_version_is_named_for_what_it_is() {
        assert_eq!(flaw(""), Flaw::Shape(1, 0));
        assert_eq!(flaw("PASSWORD=hunter2\n"), Flaw::Shape(1, 1));
        assert_eq!(flaw("[1]"), Flaw::Foreign);
        assert_eq!(flaw(r#"{"sops": {}}"#), Flaw::Foreign);
        assert_eq!(flaw(r#"{"format": "other", "version": 1}"#), Flaw::Foreign);
        assert_eq!(flaw(r#"{"format": "dsops-local", "version": 2, "vaults": []}"#), Flaw::Newer(2));
        assert_eq!(
            flaw(r#"{"format": "dsops-local", "version": 1, "secrets": {}, "extra": 1}"#),
            Flaw::Shape(1, 62)
        );
        assert!(matches!(flaw(&(with_secrets("{}") + "x")), Flaw::Shape(..)));
    }

    #[test]
    fn a_document_that_contradicts_itself_is_refused() {
        const WHEN: &str = r#""created": "2026-01-01T00:00:00Z""#;
        let one = format!(r#"{{"version": 1, {WHEN}, "value": "hunter2"}}"#);
        assert!(read(with_secrets(&format!(r#"{{"A": [{one}]}}"#)).as_bytes()).is_ok());
        for secrets in [
            format!(r#"{{"A": [{one}], "A": [{one}]}}"#),
            format!(r#"{{"A": [{one}, {one}]}}"#),
            format!(r#"{{"a//b": [{one}]}}"#),
            format!(r#"{{"A@v1": [{one}]}}"#),
            r#"{"A": []}"#.to_owned(),
            format!(r#"{{"A": [{{"version": 0, {WHEN}, "value": "hunter2"}}]}}"#),
            format!(r#"{{"A": [{{"version": 1, {WHEN}}}]}}"#),
            format!(r#"{{"A": [{{"version": 1, {WHEN}, "value": "hunter2", "base64": "aHVudGVyMg=="}}]}}"#),
            format!(r#"{{"A": [{{"version": 1, {WHEN}, "value": 5}}]}}"#),
            format!(r#"{{"A": [{{"version": 1, {WHEN}, "base64": "hunter2"}}]}}"#),
            r#"{"A": [{"version": 1, "created": "hunter2", "value": "hunter2"}]}"#.to_owned(),
        ] {
            let flaw = flaw(&with_secrets(&secrets));
            assert!(matches!(flaw, Flaw::Inconsistent(_)), "{secrets}: {flaw}");
            assert!(!flaw.to_string().contains("hunter2"), "{flaw}");
        }
    }

    #[test]
    fn a_wrong_shape_is_reported_by_place_and_never_quoted() {
        for secrets in [
            r#""hunter2""#,
            r#"{"A": "hunter2"}"#,
            r#"{"A": [{"version": "hunter2"}]}"#,
            r#"{"A": [{"hunter2": 1}]}"#,
        ] {
            let flaw = flaw(&with_secrets(secrets));
            assert!(matches!(flaw, Flaw::Shape(..)), "{secrets}");
            assert!(!format!("{flaw} {flaw:?}").contains("hunter2"));
        }
    }
}
