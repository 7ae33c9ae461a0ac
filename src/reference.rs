//! References: `store/folder/KEY@vN`, `store://store/path#field?version=V` and their other spellings.
//!
//! ```text
//! reference = op / uri / colon / short
//! op        = "op://" 1*char                                  ; the one store of type `onepassword`
//! uri       = "store://" name "/" path *( "#" field / "?version=" version )   ; percent-encoded
//! colon     = name ":" tail                                   ; where no slash stands before the colon
//! short     = name "/" tail
//! tail      = path [ "#" field ] [ "@v" 1*digit ]             ; or version before field; taken literally
//! name      = 1*( letter / digit / "_" / "-" / "." )
//! ```

use std::borrow::Cow;
use std::fmt;

use dsops_providers::contract::Locator;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, rest, verify};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// How long a reference may be, in bytes.
pub const MAX_BYTES: usize = 4096;

/// Which store a reference means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreName {
    /// The store of that name.
    Named(String),
    /// The one store of type `onepassword`, as in a bare `op://vault/item/field`.
    OnePassword,
}

/// Names one value: a store, and a locator within it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The store.
    pub store: StoreName,
    /// The place within the store.
    pub locator: Locator,
}

/// Why a text is not a reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReferenceError {
    /// A lowercase fragment.
    pub message: String,
    /// The first byte of the culprit in the text.
    pub offset: usize,
    /// The length of the culprit in bytes.
    pub len: usize,
    /// The advice.
    pub help: Option<String>,
}

impl ReferenceError {
    fn new(message: impl Into<String>, offset: usize, len: usize) -> Self {
        Self { message: message.into(), offset, len, help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Reference {
    /// Reads a reference in any of its one-line spellings.
    ///
    /// # Errors
    ///
    /// Where the text is none of them, with the place of the culprit.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        check_text(text)?;
        if let Some(locator) = text.strip_prefix("op://") {
            if locator.split('/').filter(|segment| !segment.is_empty()).count() < 2 {
                return Err(ReferenceError::new("`op://` needs a vault, an item and a field", 0, text.len())
                    .help("write `op://vault/item/field`"));
            }
            return Ok(Self { store: StoreName::OnePassword, locator: Locator::new(text) });
        }
        if text.starts_with("svc://") {
            return Err(ReferenceError::new(
                "`svc://` names a service, which holds no secrets",
                0,
                text.len(),
            )
            .help("name a store: `store://name/path`"));
        }
        if let Some(uri) = text.strip_prefix("store://") {
            return parse_uri(uri, text.len() - uri.len());
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ReferenceError::new("no reference starts with this scheme", 0, scheme.len() + 3)
                .help("write `store/folder/KEY`, or `store://store/folder/KEY`"));
        }
        parse_short(text)
    }

    /// Builds a reference from its parts, as the mapping forms give them.
    ///
    /// # Errors
    ///
    /// Where the store's name or the path cannot be used.
    pub fn from_parts(store: &str, tail: &str) -> Result<Self, ReferenceError> {
        let store = parse_name(store)?;
        check_text(tail)?;
        Ok(Self { store: StoreName::Named(store), locator: parse_tail(tail, 0)? })
    }
}

/// Reads the name of a store.
///
/// # Errors
///
/// Where it holds anything but letters, digits, `_`, `-` and `.`.
pub fn parse_name(text: &str) -> Result<String, ReferenceError> {
    match all_consuming(name).parse(text) {
        Ok((_, name)) => Ok(name.to_owned()),
        Err(_) => Err(ReferenceError::new(
            "a store's name has letters, digits, `_`, `-` and `.` only",
            0,
            text.len(),
        )),
    }
}

fn check_text(text: &str) -> Result<(), ReferenceError> {
    if text.is_empty() {
        return Err(ReferenceError::new("an empty reference", 0, 0).help("write `store/folder/KEY`"));
    }
    if text.len() > MAX_BYTES {
        return Err(ReferenceError::new(format!("a reference of over {MAX_BYTES} bytes"), 0, text.len()));
    }
    match text.char_indices().find(|(_, char)| char.is_control()) {
        Some((offset, char)) => {
            Err(ReferenceError::new("a control character in a reference", offset, char.len_utf8()))
        }
        None => Ok(()),
    }
}

fn name(input: &str) -> IResult<&str, &str> {
    take_while1(|char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.')).parse(input)
}

fn parse_short(text: &str) -> Result<Reference, ReferenceError> {
    let mut head = terminated(name, alt((char::<_, nom::error::Error<&str>>('/'), char(':'))));
    let Ok((tail, store)) = head.parse(text) else {
        let error = ReferenceError::new("a reference needs a store and a name", 0, text.len());
        return Err(error.help("write `store/folder/KEY`; to give the text itself, use `literal`"));
    };
    let locator = parse_tail(tail, text.len() - tail.len())?;
    Ok(Reference { store: StoreName::Named(store.to_owned()), locator })
}

/// Reads what follows the store: suffixes come off the end, the rest is the path, to the letter.
fn parse_tail(tail: &str, offset: usize) -> Result<Locator, ReferenceError> {
    let (before, version) = split_version(tail);
    let (path, field) = match before.split_once('#') {
        Some((path, field)) => (path, Some(field)),
        None => (before, None),
    };
    // The version may stand before the field too: `KEY@v2#field`.
    let (path, version) = match (version, split_version(path)) {
        (None, (path, early @ Some(_))) if field.is_some() => (path, early),
        (version, _) => (path, version),
    };
    if path.is_empty() || path.ends_with('/') {
        let error = ReferenceError::new("the reference ends before a name", offset, tail.len());
        return Err(error.help("add the secret's name: `store/folder/KEY`"));
    }
    if field == Some("") {
        return Err(ReferenceError::new("`#` without a field behind it", offset + path.len(), 1));
    }
    Ok(Locator {
        path: path.to_owned(),
        field: field.map(str::to_owned),
        version: version.map(str::to_owned),
    })
}

/// Takes `@v` and digits off the end.
fn split_version(text: &str) -> (&str, Option<&str>) {
    let Some(at) = text.rfind("@v") else { return (text, None) };
    let (path, suffix) = text.split_at(at);
    let mut version = all_consuming(preceded(tag::<_, _, nom::error::Error<&str>>("@v"), digit1));
    match version.parse(suffix) {
        Ok((_, digits)) => (path, Some(digits)),
        Err(_) => (text, None),
    }
}

fn parse_uri(uri: &str, offset: usize) -> Result<Reference, ReferenceError> {
    let mut head = terminated(name, char::<_, nom::error::Error<&str>>('/'));
    let Ok((tail, store)) = head.parse(uri) else {
        let error = ReferenceError::new("`store://` needs a store and a path", 0, offset + uri.len());
        return Err(error.help("write `store://name/path#field?version=V`"));
    };
    let tail_offset = offset + uri.len() - tail.len();
    let path_len = tail.find(['#', '?']).unwrap_or(tail.len());
    let (path, mut suffixes) = tail.split_at(path_len);
    let mut locator = Locator::new(decode(path, tail_offset)?);
    if locator.path.is_empty() || locator.path.ends_with('/') {
        return Err(ReferenceError::new("the reference ends before a name", tail_offset, tail.len())
            .help("add the secret's name: `store://name/path`"));
    }
    while !suffixes.is_empty() {
        let at = tail_offset + tail.len() - suffixes.len();
        let mut suffix = verify(
            (alt((char::<_, nom::error::Error<&str>>('#'), char('?'))), rest),
            |(_, text): &(char, &str)| !text.is_empty(),
        );
        let Ok((_, (mark, text))) = suffix.parse(suffixes) else {
            return Err(ReferenceError::new("nothing behind the mark", at, 1));
        };
        let end = text.find(['#', '?']).unwrap_or(text.len());
        let (text, remaining) = text.split_at(end);
        suffixes = remaining;
        let slot = if mark == '#' {
            (&mut locator.field, Cow::Borrowed(text), at + 1)
        } else {
            (&mut locator.version, Cow::Borrowed(query_version(text, at + 1)?), at + 1)
        };
        let (slot, text, at) = slot;
        if text.is_empty() || slot.is_some() {
            return Err(ReferenceError::new("a part that is empty or stands twice", at, text.len()));
        }
        *slot = Some(decode(&text, at)?);
    }
    Ok(Reference { store: StoreName::Named(store.to_owned()), locator })
}

fn query_version(query: &str, offset: usize) -> Result<&str, ReferenceError> {
    match query.split_once('=') {
        Some(("version", version)) => Ok(version),
        _ => Err(ReferenceError::new("only `version` can stand behind `?`", offset, query.len())
            .help("write `?version=V`")),
    }
}

fn decode(text: &str, offset: usize) -> Result<String, ReferenceError> {
    let bad = || ReferenceError::new("a `%` that does not encode text", offset, text.len());
    let mut after_percent = text.split('%').skip(1);
    if !after_percent.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(bad().help("write a plain `%` as `%25`"));
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| bad())?;
    if decoded.chars().any(char::is_control) {
        return Err(ReferenceError::new("a control character in a reference", offset, text.len()));
    }
    Ok(decoded.into_owned())
}

/// What a URI form must not hold as it is.
const RESERVED: &AsciiSet = &CONTROLS.add(b'%').add(b'#').add(b'?');

impl Reference {
    fn short(&self, store: &str) -> String {
        format!("{store}/{}", self.locator)
    }
}

/// Prints the short form where it reads back as the same reference, and the URI form otherwise.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreName::Named(store) = &self.store else { return f.write_str(&self.locator.path) };
        let short = self.short(store);
        if Self::parse(&short).as_ref() == Ok(self) {
            return f.write_str(&short);
        }
        write!(f, "store://{store}/{}", utf8_percent_encode(&self.locator.path, RESERVED))?;
        if let Some(field) = &self.locator.field {
            write!(f, "#{}", utf8_percent_encode(field, RESERVED))?;
        }
        if let Some(version) = &self.locator.version {
            write!(f, "?version={}", utf8_percent_encode(version, RESERVED))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
