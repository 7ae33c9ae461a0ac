//! `json_extract`: one value out of a JSON document, exact to the digit.
//!
//! The document is never built as a tree: every step hands on the text of the part that the path leads to, so that
//! numbers keep their digits and no copies of the rest are left in memory.

use std::fmt;

use dsops_providers::contract::SecretValue;
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::buffer::Buffer;
use super::error::Failure;
use super::path::{Path, Segment};

/// Returns what a path leads to: strings without quotes, numbers and truth values as they are written, the rest as
/// JSON without white space.
pub(super) fn extract(value: &SecretValue, path: &Path) -> Result<SecretValue, Failure> {
    let mut found = document(value.expose())?;
    for (depth, segment) in path.segments().iter().enumerate() {
        found = step(found, segment, path, depth)?;
    }
    if found.get() == "null" {
        return Err(Failure::pointer(format!("{} is null", path.up_to(path.segments().len()))));
    }
    Ok(plain(found)?.to_value())
}

/// Returns the document as one piece of checked text.
pub(super) fn document(bytes: &[u8]) -> Result<&RawValue, Failure> {
    // A byte order mark is noise that some editors leave (RFC 8259, section 8.1, lets readers ignore it).
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| {
        if bytes.trim_ascii().is_empty() {
            Failure::decode("the value is empty, where JSON is needed")
        } else if error.is_eof() {
            Failure::decode("the JSON ends too early")
        } else {
            Failure::decode(format!("not JSON at byte {}", offset(bytes, &error)))
        }
    })
}

/// Returns the byte that the reader stumbled on, counted from zero. Its message would quote what stands there.
fn offset(bytes: &[u8], error: &serde_json::Error) -> usize {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1)
}

fn step<'a>(
    from: &'a RawValue,
    segment: &Segment,
    path: &Path,
    depth: usize,
) -> Result<&'a RawValue, Failure> {
    let here = path.up_to(depth);
    match (shape(from), segment) {
        (Shape::Object, Segment::Name(name)) => member(from, name)
            .ok_or_else(|| Failure::pointer(format!("nothing is at {}", path.up_to(depth + 1)))),
        (Shape::Array, segment) if segment.is_place() => {
            let items = items(from)?;
            let place = segment.place(items.len());
            place
                .and_then(|place| items.get(place).copied())
                .ok_or_else(|| Failure::pointer(format!("nothing is at {}", path.up_to(depth + 1))))
        }
        (shape, segment) => {
            let needed = if matches!(segment, Segment::Name(_)) { "an object" } else { "an array" };
            Err(Failure::pointer(format!("{here} is {}, where {needed} is needed", shape.name())))
        }
    }
}

#[derive(Clone, Copy)]
enum Shape {
    Object,
    Array,
    Text,
    Null,
    Other,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::Text => "a string",
            Self::Null => "null",
            Self::Other => "a number or truth value",
        }
    }
}

fn shape(raw: &RawValue) -> Shape {
    match raw.get().as_bytes().first() {
        Some(b'{') => Shape::Object,
        Some(b'[') => Shape::Array,
        Some(b'"') => Shape::Text,
        Some(b'n') => Shape::Null,
        _ => Shape::Other,
    }
}

/// Returns the items of an array.
pub(super) fn items(array: &RawValue) -> Result<Vec<&RawValue>, Failure> {
    serde_json::from_str(array.get()).map_err(|_| Failure::decode("not a JSON array"))
}

/// Returns the value of a key: of several, the last, as nearly every reader does.
fn member<'a>(object: &'a RawValue, name: &str) -> Option<&'a RawValue> {
    serde_json::Deserializer::from_str(object.get()).deserialize_map(Member { name }).ok().flatten()
}

struct Member<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Is(self.name))? {
            if is_wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a key without keeping it.
struct Is<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// Returns a value as an environment variable would hold it.
pub(super) fn plain(raw: &RawValue) -> Result<Buffer, Failure> {
    match shape(raw) {
        Shape::Text => unescape(raw.get()),
        Shape::Object | Shape::Array => Ok(compact(raw.get())),
        Shape::Null | Shape::Other => Ok({
            let mut text = Buffer::default();
            text.extend(raw.get().as_bytes());
            text
        }),
    }
}

/// Removes the white space between the parts, and leaves strings and numbers as they are written.
fn compact(text: &str) -> Buffer {
    let mut compact = Buffer::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    compact
}

/// Returns the text of a string; `None` for every other value.
pub(crate) fn string(raw: &RawValue) -> Option<Buffer> {
    if raw.get().starts_with('"') { unescape(raw.get()).ok() } else { None }
}

/// Returns the text of a JSON string that was checked before.
///
/// Not by the JSON reader, which would leave a copy of every string with escapes (each PEM key) in memory.
fn unescape(quoted: &str) -> Result<Buffer, Failure> {
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(quoted);
    let mut text = Buffer::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        text.extend(before.as_bytes());
        let mut characters = after.chars();
        let plain = match characters.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => code_point(&mut characters)
                .ok_or_else(|| Failure::decode("a string of the JSON holds half of a surrogate pair"))?,
            Some(itself @ ('"' | '\\' | '/')) => itself,
            _ => return Err(Failure::decode("a string of the JSON holds an unknown escape")),
        };
        text.extend(plain.encode_utf8(&mut [0; 4]).as_bytes());
        rest = characters.as_str();
    }
    text.extend(rest.as_bytes());
    Ok(text)
}

/// Reads what follows `\u`: four digits, or eight in two halves (RFC 8259, section 7).
fn code_point(characters: &mut std::str::Chars<'_>) -> Option<char> {
    let high = unit(characters)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    if characters.next() != Some('\\') || characters.next() != Some('u') {
        return None;
    }
    let low = unit(characters).filter(|low| (0xdc00..0xe000).contains(low))?;
    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

fn unit(characters: &mut std::str::Chars<'_>) -> Option<u32> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit * 16 + characters.next()?.to_digit(16)?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(document: &str, path: &str) -> Result<String, String> {
        let value = SecretValue::from(document);
        match extract(&value, &Path::parse(path).unwrap()) {
            Ok(found) => Ok(found.expose_str().unwrap().to_owned()),
            Err(failure) => Err(failure.message),
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        for number in ["3.14", "-1.5", "12345678901234567890123", "1.10", "1e400", "-0", "0.1e-7"] {
            assert_eq!(at(&format!("{{\"n\": {number} }}"), ".n").as_deref(), Ok(number));
        }
        assert_eq!(at("{\"t\":true}", ".t").as_deref(), Ok("true"));
    }

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        let document =
            r#"{"a": [{"b": "x"}, {"b": "y"}], "a.b": "dotted", "0": "zero", "é": "accent", "": "none"}"#;
        for (path, value) in [
            (".a[0].b", "x"),
            (".a.1.b", "y"),
            (".a[-1].b", "y"),
            ("a[-2].b", "x"),
            (".\"a.b\"", "dotted"),
            (".[\"a.b\"]", "dotted"),
            (".0", "zero"),
            (".é", "accent"),
            (".\"\"", "none"),
        ] {
            assert_eq!(at(document, path).as_deref(), Ok(value), "{path}");
        }
        assert_eq!(at("[[1,2],[3,4]]", ".[1][0]").as_deref(), Ok("3"));
        assert_eq!(at("\"just text\"", ".").as_deref(), Ok("just text"));
    }

    #[test]
    fn keys_written_with_escapes_are_found() {
        assert_eq!(at(r#"{"\u0061\"b": "x"}"#, r#"."a\"b""#).as_deref(), Ok("x"));
    }

    #[test]
    fn containers_come_compact_in_their_own_order_and_spelling() {
        let document = "{\"v\": { \"z\" : [ 1.0 , \"a \\\" b <&>\" ] ,\n \"a\" : null } }";
        assert_eq!(at(document, ".v").as_deref(), Ok("{\"z\":[1.0,\"a \\\" b <&>\"],\"a\":null}"));
    }

    #[test]
    fn what_is_not_there_is_told_by_its_path() {
        let document = r#"{"a": {"b": null}, "list": [1], "text": "hidden"}"#;
        for (path, message) in [
            (".a.c", "nothing is at `.a.c`"),
            (".list[1]", "nothing is at `.list[1]`"),
            (".list[-2]", "nothing is at `.list[-2]`"),
            (".a.b", "`.a.b` is null"),
            (".a.b.c", "`.a.b` is null, where an object is needed"),
            (".text.x", "`.text` is a string, where an object is needed"),
            (".text[0]", "`.text` is a string, where an array is needed"),
            (".a[0]", "`.a` is an object, where an array is needed"),
            (".list.x", "`.list` is an array, where an object is needed"),
            ("[0]", "the document is an object, where an array is needed"),
        ] {
            assert_eq!(at(document, path), Err(message.to_owned()), "{path}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_by_its_byte() {
        assert_eq!(at("hunter2", ".a"), Err("not JSON at byte 0".to_owned()));
        assert_eq!(at("{\"a\": 1,\n \"b\": hunter2}", ".a"), Err("not JSON at byte 15".to_owned()));
        assert_eq!(at("{} trailing", ".a"), Err("not JSON at byte 3".to_owned()));
        assert_eq!(at("{\"a\": \"hunt", ".a"), Err("the JSON ends too early".to_owned()));
        assert_eq!(at(" \n", ".a"), Err("the value is empty, where JSON is needed".to_owned()));
    }

    #[test]
    fn half_of_a_surrogate_pair_is_refused() {
        for text in [r#"["\ud800"]"#, r#"["\udc00"]"#, r#"["\ud800\ud800"]"#, r#"["\ud800x"]"#] {
            assert_eq!(
                at(text, "[0]"),
                Err("a string of the JSON holds half of a surrogate pair".to_owned())
            );
        }
    }

    #[test]
    fn a_byte_order_mark_is_ignored_and_depth_does_not_matter() {
        assert_eq!(at("\u{feff}{\"a\":1}", ".a").as_deref(), Ok("1"));
        let deep = format!("{{\"deep\":{}{},\"a\":\"x\"}}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(at(&deep, ".a").as_deref(), Ok("x"));
    }

    proptest! {
        #[test]
        fn strings_are_unescaped_as_the_json_reader_does(text in any::<String>()) {
            let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            for written in [serde_json::to_string(&text).unwrap(), format!("\"{escaped}\"")] {
                let found = at(&format!("[{written}]"), "[0]");
                prop_assert_eq!(found.as_deref(), Ok(text.as_str()));
            }
        }
    }
}
