//! The JSON that is spoken with the program that asks, version 1: one request in, one answer out.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use dsops_providers::contract::SecretValue;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::Refusal;
use crate::transform::buffer::Buffer;

/// The only version there is.
const VERSION: u64 = 1;
/// The longest request, in bytes.
pub const MOST_BYTES: usize = 256 << 10;
/// The most ids of one request.
pub const MOST_IDS: usize = 512;

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The ids, each once, in the order of the request.
    pub ids: Vec<String>,
}

/// Why a request cannot be answered. The text quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequestError(String);

impl Request {
    /// Reads a request, which is one JSON object and white space.
    ///
    /// # Errors
    ///
    /// Where it is too long, no JSON, incomplete, followed by more, of another version, or says a thing twice.
    pub fn read(bytes: &[u8]) -> Result<Self, RequestError> {
        let wrong = |message: String| RequestError(message);
        if bytes.len() > MOST_BYTES {
            return Err(wrong(format!("the request has over {MOST_BYTES} bytes")));
        }
        if bytes.trim_ascii().is_empty() {
            return Err(wrong("there is no request on stdin".to_owned()));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Eof => "it ends too early".to_owned(),
                // The texts are ours and name no more than keys of the protocol.
                serde_json::error::Category::Data if error.to_string().starts_with(OURS) => {
                    let text = error.to_string();
                    let end = text.find(" at line").unwrap_or(text.len());
                    text.get(OURS.len()..end).unwrap_or_default().to_owned()
                }
                serde_json::error::Category::Data => "a part has the wrong type".to_owned(),
                _ => "it is not one document of JSON".to_owned(),
            };
            let place = format!("line {}, column {}", error.line(), error.column());
            wrong(format!("the request cannot be read: {what} ({place})"))
        })?;
        match document.version {
            Some(Some(VERSION)) => {}
            Some(_) => {
                return Err(wrong(format!(
                    "the request is of another version of the protocol than {VERSION}"
                )));
            }
            None => return Err(wrong("the request has no `protocolVersion`".to_owned())),
        }
        let ids = document.ids.ok_or_else(|| wrong("the request has no `ids`".to_owned()))?;
        if ids.len() > MOST_IDS {
            return Err(wrong(format!("the request has {} ids, and {MOST_IDS} is the limit", ids.len())));
        }
        let mut seen = HashSet::new();
        let ids = ids.iter().filter(|id| seen.insert(id.as_str())).cloned().collect();
        Ok(Self { ids })
    }
}

/// How the messages start that are shown: those of the JSON reader may quote what it does not like.
const OURS: &str = "dsops: ";

/// A request before it is judged.
#[derive(Default)]
struct Document {
    /// The version, where it is a whole number.
    version: Option<Option<u64>>,
    ids: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut document = Document::default();
                let mut seen = HashSet::new();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "protocolVersion" => {
                            document.version = Some(map.next_value::<serde_json::Number>()?.as_u64());
                        }
                        "ids" => document.ids = Some(map.next_value()?),
                        "provider" => {
                            map.next_value::<String>()?;
                        }
                        // What a later program says beyond this is for a later dsops.
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                    // Readers differ on which of two they believe.
                    if !seen.insert(key) {
                        return Err(A::Error::custom(format!("{OURS}a key stands twice")));
                    }
                }
                Ok(document)
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// What is said about one id.
pub type Said = Result<Arc<SecretValue>, Refusal>;

/// Returns the answer as one line. Where it would be longer than `most` bytes, the largest values are left out, each
/// with an error in its place. The values are text, as [`super::Selection::answers`] makes sure.
#[must_use]
pub fn answer(said: &[(String, Said)], most: usize) -> Zeroizing<Vec<u8>> {
    let mut sizes: Vec<usize> = said.iter().map(|(id, said)| size(id, said)).collect();
    let mut total = sizes.iter().sum::<usize>() + EMPTY;
    let mut largest: Vec<usize> = (0..said.len()).filter(|index| is_value(said, *index)).collect();
    largest.sort_by_key(|index| std::cmp::Reverse(sizes.get(*index).copied()));
    let mut left_out = HashSet::new();
    for index in largest {
        if total <= most {
            break;
        }
        if let (Some(size_now), Some((id, _))) = (sizes.get_mut(index), said.get(index)) {
            let instead = size(id, &Err(Refusal::TooLarge));
            total = total - *size_now + instead;
            *size_now = instead;
            left_out.insert(index);
        }
    }
    let mut text = Buffer::with_capacity(total);
    let refusals = said.iter().enumerate().filter_map(|(index, (id, said))| match said {
        Err(refusal) => Some((id, *refusal)),
        Ok(_) if left_out.contains(&index) => Some((id, Refusal::TooLarge)),
        Ok(_) => None,
    });
    let refusals: Vec<(&String, Refusal)> = refusals.collect();
    text.extend(br#"{"protocolVersion":1,"values":{"#);
    let kept = said.iter().enumerate().filter(|(index, _)| !left_out.contains(index));
    let mut first = true;
    for (id, value) in kept.filter_map(|(_, (id, said))| Some((id, said.as_ref().ok()?))) {
        text.extend(if first { b"" } else { b"," });
        first = false;
        string(&mut text, id);
        text.push(b':');
        string(&mut text, value.expose_str().unwrap_or_default());
    }
    text.push(b'}');
    if !refusals.is_empty() {
        text.extend(br#","errors":{"#);
        for (index, (id, refusal)) in refusals.into_iter().enumerate() {
            text.extend(if index == 0 { b"" } else { b"," });
            string(&mut text, id);
            text.extend(br#":{"code":"#);
            string(&mut text, refusal.code());
            text.extend(br#","message":"#);
            string(&mut text, refusal.message());
            text.push(b'}');
        }
        text.push(b'}');
    }
    text.extend(b"}\n");
    text.into_bytes()
}

/// The length of an answer without ids, with room for both objects.
const EMPTY: usize = r#"{"protocolVersion":1,"values":{},"errors":{}}"#.len() + 1;

fn is_value(said: &[(String, Said)], index: usize) -> bool {
    matches!(said.get(index), Some((_, Ok(_))))
}

/// Returns the length of what is said about an id, with the comma behind it.
fn size(id: &str, said: &Said) -> usize {
    let inner = match said {
        Ok(value) => encoded(value.expose_str().unwrap_or_default()),
        Err(refusal) => {
            r#"{"code":,"message":}"#.len() + encoded(refusal.code()) + encoded(refusal.message())
        }
    };
    encoded(id) + inner + ":,".len()
}

/// Returns the length of a text as a JSON string.
fn encoded(text: &str) -> usize {
    let length = |byte: u8| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(length).sum::<usize>()
}

fn string(text: &mut Buffer, string: &str) {
    // Writing into memory cannot fail, and text always has a JSON form.
    let _ = serde_json::to_writer(text, string);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        Request::read(text.as_bytes()).map(|request| request.ids).map_err(|error| error.to_string())
    }

    #[test]
    fn a_request_names_each_id_once() {
        let request = r#" {"protocolVersion":1,"provider":"p","ids":["b","a","b"],"later":{"x":[1]}}  "#;
        assert_eq!(read(request).unwrap(), ["b", "a"]);
        assert!(read(r#"{"ids":[],"protocolVersion":1}"#).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_request_is_told_without_quoting_it() {
        for (text, told) in [
            ("", "no request"),
            (" \n", "no request"),
            ("{", "ends too early"),
            (r#"{"protocolVersion":1,"ids":["hunter2"#, "ends too early"),
            (r#"{"protocolVersion":1,"ids":[]} x"#, "not one document"),
            (r#"{"protocolVersion":1,"ids":[]}{}"#, "not one document"),
            (r#"{"protocolVersion":2,"ids":[]}"#, "another version"),
            (r#"{"protocolVersion":1.0,"ids":[]}"#, "another version"),
            (r#"{"protocolVersion":"1","ids":[]}"#, "wrong type"),
            (r#"{"ids":[]}"#, "no `protocolVersion`"),
            (r#"{"protocolVersion":1}"#, "no `ids`"),
            (r#"{"protocolVersion":1,"ids":"hunter2"}"#, "wrong type"),
            (r#"{"protocolVersion":1,"ids":[7]}"#, "wrong type"),
            (r#"{"protocolVersion":1,"ids":[],"ids":[]}"#, "a key stands twice"),
            (r#"{"protocolVersion":1,"ids":[],"x":1,"x":2}"#, "a key stands twice"),
            ("[]", "wrong type"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told) && !error.contains("hunter2"), "{text}: {error}");
        }
        assert!(Request::read(b"{\"protocolVersion\":1,\"ids\":[\"\xff\"]}").is_err());
    }

    #[test]
    fn the_limits_hold_to_the_byte_and_the_id() {
        let ids = |count: usize| {
            let ids: Vec<String> = (0..count).map(|number| format!("\"{number}\"")).collect();
            format!(r#"{{"protocolVersion":1,"ids":[{}]}}"#, ids.join(","))
        };
        assert_eq!(read(&ids(MOST_IDS)).unwrap().len(), MOST_IDS);
        assert!(read(&ids(MOST_IDS + 1)).unwrap_err().contains("513 ids"));
        let longest = format!("{}{}", ids(1), " ".repeat(MOST_BYTES - ids(1).len()));
        assert_eq!(read(&longest).unwrap().len(), 1);
        assert!(read(&format!("{longest} ")).unwrap_err().contains("bytes"));
    }

    fn value(text: &str) -> Said {
        Ok(Arc::new(SecretValue::from(text)))
    }

    #[test]
    fn an_answer_is_json_and_the_largest_values_go_first() {
        let said = vec![
            ("a".to_owned(), value("\u{0}\u{1f}\"\\\n\r\t\u{8}\u{c}\u{7f}é😀")),
            ("b".to_owned(), value(&"x".repeat(1000))),
            ("c".to_owned(), Err(Refusal::NotFound)),
        ];
        let whole = answer(&said, usize::MAX);
        let json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        assert_eq!(json["values"]["a"], "\u{0}\u{1f}\"\\\n\r\t\u{8}\u{c}\u{7f}é😀");
        assert_eq!(json["errors"]["c"]["code"], "NOT_FOUND");
        assert_eq!(answer(&said, whole.len() + 2), whole, "it fits");
        let cut = answer(&said, 900);
        assert!(cut.len() <= 900);
        let json: serde_json::Value = serde_json::from_slice(&cut).unwrap();
        assert_eq!(json["errors"]["b"]["code"], "TOO_LARGE");
        assert!(json["values"]["a"].is_string() && json["values"].get("b").is_none());
        assert_eq!(&*answer(&[], 0), b"{\"protocolVersion\":1,\"values\":{}}\n");
    }

    #[test]
    fn the_length_that_is_reckoned_is_no_less_than_that_which_is_written() {
        for text in ["", "plain", "\u{0}\u{1b}", "\"\\/", "é\u{2028}", "\n\r\t"] {
            let said = vec![(text.to_owned(), value(text)), ("x".to_owned(), Err(Refusal::TooLarge))];
            let reckoned = said.iter().map(|(id, said)| size(id, said)).sum::<usize>() + EMPTY;
            let written = answer(&said, usize::MAX).len();
            assert!(written <= reckoned && reckoned <= written + 2, "{text:?}: {written} {reckoned}");
        }
    }
}
