//! Reads YAML into the span tree: the one file that names the YAML reader.
//!
//! Why this reader and not the better-known one is told in `docs/decisions/0001-yaml.md`: positions on good values,
//! repeated keys and nulls seen, and budgets against documents made to hurt.

use std::collections::HashMap;
use std::fmt;

use dsops_providers::contract::{Key, Node, NodeKind, Scalar, Span};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

/// How large a file may be, in bytes. Ten thousand variables take about one megabyte.
pub const MAX_BYTES: usize = 4 << 20;
/// How deep a file may be nested.
const MAX_DEPTH: usize = 64;
/// How many aliases a file may use.
const MAX_ALIASES: usize = 1_000;

/// A mistake that keeps the text from being read as a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The message: a lowercase fragment that quotes nothing of the file but keys.
    pub message: String,
    /// Where.
    pub span: Span,
    /// For a repeated key, where it stood first.
    pub first: Option<Span>,
}

/// Reads a document. An empty one is a null.
///
/// # Errors
///
/// The first mistake in the syntax, or every repeated key.
pub fn parse(text: &str) -> Result<Node, Vec<YamlError>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: 400_000,
            max_events: 1_000_000,
            max_aliases: MAX_ALIASES,
            max_anchors: 1_000,
            flow_nesting_limit: MAX_DEPTH,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: MAX_ALIASES,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    let raw: Option<Spanned<Raw>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| vec![syntax_error(text, &error)])?;
    let Some(raw) = raw else {
        return Ok(Node { span: Span { start: 0, len: text.len() }, kind: NodeKind::Null });
    };
    let mut reader = Reader { text, repeated: Vec::new() };
    let node = reader.node(raw);
    if reader.repeated.is_empty() { Ok(node) } else { Err(reader.repeated) }
}

/// Reads a document that is a value and not a file of ours: of a mistake only the byte is told, since
/// the reader's messages may quote what they read.
///
/// # Errors
///
/// The first byte at fault.
pub fn parse_value(text: &str) -> Result<Node, usize> {
    parse(text).map_err(|errors| errors.first().map_or(0, |error| error.span.start))
}

fn syntax_error(text: &str, error: &serde_saphyr::Error) -> YamlError {
    let error = error.without_snippet();
    let span =
        error.location().map_or(Span { start: text.len(), len: 0 }, |location| position(text, &location));
    YamlError { message: message(error), span, first: None }
}

/// Returns the reader's message without its position, which the report shows itself.
fn message(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    match error {
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            format!(
                "the file is nested or repeated beyond any use (at most {MAX_DEPTH} levels, 1000 aliases)"
            )
        }
        Error::MultipleDocuments { .. } => "a second document starts here, where one is expected".to_owned(),
        Error::Eof { .. } => "the file ends too early".to_owned(),
        other => {
            let text = other.to_string();
            let text = text.split_once(" at line").map_or(text.as_str(), |(message, _)| message);
            match text.trim_start_matches("error: ").trim() {
                // Raised by the scanner itself, which has no error of its own for it.
                "recursion limit exceeded" => too_deep(),
                text => text.to_owned(),
            }
        }
    }
}

/// Finds the byte of a line and column: the places of syntax errors come without bytes.
fn position(text: &str, location: &Location) -> Span {
    let line = usize::try_from(location.line()).unwrap_or(1).saturating_sub(1);
    let column = usize::try_from(location.column()).unwrap_or(1).saturating_sub(1);
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..).unwrap_or_default();
    let rest = rest.split('\n').next().unwrap_or_default();
    let offset: usize = rest.chars().take(column).map(char::len_utf8).sum();
    Span { start: start + offset, len: rest.len().saturating_sub(offset).min(1) }
}

fn too_deep() -> String {
    format!("nested or repeated beyond any use: at most {MAX_DEPTH} levels and {MAX_ALIASES} aliases")
}

fn place(location: &Location) -> Span {
    let span = location.span();
    let bytes = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
    Span { start: bytes(span.byte_offset()), len: bytes(span.byte_len()) }
}

/// What the reader gives, before the text of the scalars that it interpreted is put back.
enum Raw {
    Null,
    Text(String),
    /// A number or truth value, whose text stands in the file.
    Interpreted,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

macro_rules! interpreted {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<E>(self, _: $type) -> Result<Raw, E> {
            Ok(Raw::Interpreted)
        }
    )*};
}

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    interpreted!(visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64);

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary data is not taken here; use text and a `base64_decode` transform"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            if map.len() > MAX_BYTES {
                return Err(A::Error::custom("too many keys"));
            }
            map.push((key, entries.next_value()?));
        }
        Ok(Raw::Map(map))
    }
}

/// The reader gives the first byte of a list or mapping; it ends where its last part ends.
fn whole(span: Span, kind: &NodeKind) -> Span {
    let last = match kind {
        NodeKind::List(items) => items.last().map(|item| item.span),
        NodeKind::Map(entries) => entries.last().map(|(_, node)| node.span),
        NodeKind::Null | NodeKind::Scalar(_) => None,
    };
    let end = last.map_or(0, |last| last.start + last.len);
    Span { len: end.saturating_sub(span.start).max(span.len), ..span }
}

struct Reader<'a> {
    text: &'a str,
    repeated: Vec<YamlError>,
}

impl Reader<'_> {
    fn node(&mut self, raw: Spanned<Raw>) -> Node {
        let span = place(&raw.referenced);
        let source = self.slice(place(&raw.defined));
        let kind = match raw.value {
            Raw::Null => NodeKind::Null,
            Raw::Interpreted => NodeKind::Scalar(Scalar { text: source.trim().to_owned(), plain: true }),
            Raw::Text(text) => {
                let plain = !source.starts_with(['"', '\'', '|', '>', '!', '&']);
                NodeKind::Scalar(Scalar { text, plain })
            }
            Raw::List(items) => NodeKind::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => NodeKind::Map(self.entries(entries)),
        };
        Node { span: whole(span, &kind), kind }
    }

    fn entries(&mut self, raw: Vec<(Spanned<String>, Spanned<Raw>)>) -> Vec<(Key, Node)> {
        let mut entries: Vec<(Key, Node)> = Vec::with_capacity(raw.len());
        let mut seen: HashMap<String, Span> = HashMap::with_capacity(raw.len());
        for (name, value) in raw {
            let span = place(&name.referenced);
            let value = self.node(value);
            match seen.get(&name.value) {
                Some(first) => self.repeated.push(YamlError {
                    message: format!("duplicate key `{}`", name.value),
                    span,
                    first: Some(*first),
                }),
                None => {
                    seen.insert(name.value.clone(), span);
                    entries.push((Key { name: name.value, span }, value));
                }
            }
        }
        entries
    }

    fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.start.saturating_add(span.len)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_at<'a>(text: &'a str, node: &Node) -> &'a str {
        &text[node.span.start..node.span.start + node.span.len]
    }

    #[test]
    fn every_key_and_value_knows_its_bytes() {
        let text = "é: 1\nstores:\n  one: {type: 'literal', n: 007}\n";
        let node = parse(text).unwrap();
        let store = node.get("stores").and_then(|stores| stores.get("one")).unwrap();
        assert_eq!(text_at(text, store.get("type").unwrap()), "'literal'");
        let (key, _) = &store.entries()[1];
        assert_eq!(&text[key.span.start..key.span.start + key.span.len], "n");
    }

    #[test]
    fn numbers_are_the_text_in_the_file() {
        for number in
            ["12345678901234567890123", "1.10", "0755", "1e3", "0x1F", "-0", "1_000", "true", "no", ".5"]
        {
            let node = parse(&format!("v: {number}\n")).unwrap();
            assert_eq!(node.get("v").unwrap().text(), Some(number));
        }
    }

    #[test]
    fn a_quoted_number_is_not_a_number() {
        let node = parse("a: \"5\"\nb: 5\nc: true\n").unwrap();
        let what = |name: &str| node.get(name).unwrap().what();
        assert_eq!((what("a"), what("b"), what("c")), ("a string", "a number", "a truth value"));
    }

    #[test]
    fn block_text_keeps_its_lines() {
        let node = parse("pem: |\n  one\n  two\n").unwrap();
        assert_eq!(node.get("pem").unwrap().text(), Some("one\ntwo\n"));
    }

    #[test]
    fn every_repeated_key_is_reported_with_its_first_place() {
        let errors = parse("a: 1\nb: 2\na: 3\nc: {x: 1, x: 2}\n").unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| (error.message.as_str(), error.span.start)).collect();
        assert_eq!(found, [("duplicate key `a`", 10), ("duplicate key `x`", 25)]);
        assert_eq!(errors[0].first, Some(Span { start: 0, len: 1 }));
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let node = parse("base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3\n").unwrap();
        let more = node.get("more").unwrap();
        assert_eq!(more.get("x").unwrap().text(), Some("1"));
        assert_eq!(more.get("y").unwrap().text(), Some("3"));
    }

    #[test]
    fn nothing_is_null() {
        assert!(matches!(parse("").unwrap().kind, NodeKind::Null));
        assert!(matches!(parse("# only a comment\n").unwrap().kind, NodeKind::Null));
        assert!(matches!(parse("a:\n").unwrap().get("a").unwrap().kind, NodeKind::Null));
    }

    #[test]
    fn documents_made_to_hurt_are_refused_quickly() {
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let previous = level - 1;
            let refs = vec![format!("*a{previous}"); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }

    #[test]
    fn a_tab_used_for_indentation_is_placed() {
        let error = &parse("envs:\n\tdev:\n\t\tA: {literal: x}\n").unwrap_err()[0];
        assert!(error.span.start >= 5 && error.span.start <= 8, "{error:?}");
    }
}
