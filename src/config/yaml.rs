//! Reads YAML into the span tree: the one file that names the YAML parser.
//!
//! Built on the parser's events, which carry the place and the text of every scalar, so that no number is
//! rounded, no repeated key is lost and no null becomes an empty text. `docs/decisions/0001-yaml.md` compares
//! the readers there are.

use std::collections::{HashMap, HashSet};

use dsops_providers::contract::{Key, Node, NodeKind, Scalar, Span};
use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use crate::helper::shown_key;

/// How large a file may be, in bytes. Ten thousand variables take about half a megabyte.
pub const MAX_BYTES: usize = 4 << 20;
/// How deep a file may be nested.
const MAX_DEPTH: usize = 64;
/// How many values a file may hold once its aliases are expanded.
const MAX_NODES: usize = 400_000;
/// Up to this size a mapping is searched for repeated keys one by one.
const SMALL: usize = 16;

/// A mistake that keeps the text from being read as a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The message: a lowercase fragment that quotes nothing of the file but keys.
    pub message: String,
    /// Where.
    pub span: Span,
    /// For a repeated key, where it stood first.
    pub first: Option<Span>,
    /// The one thing to do.
    pub help: Option<&'static str>,
}

impl YamlError {
    fn at(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, first: None, help: None }
    }

    fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

/// Reads a document. An empty one is a null.
///
/// # Errors
///
/// The first mistake in the syntax, or every repeated key.
pub fn parse(text: &str) -> Result<Node, Vec<YamlError>> {
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        repeated: Vec::new(),
    };
    let node = reader.document().map_err(|error| vec![error])?;
    // A mapping is checked when it ends, so what is inside comes first.
    reader.repeated.sort_by_key(|error| error.span);
    if reader.repeated.is_empty() { Ok(node) } else { Err(reader.repeated) }
}

/// Reads a document that is a value and not a file of ours: of a mistake only the byte is told, since
/// the parser's messages may quote what they read.
///
/// # Errors
///
/// The first byte at fault.
pub fn parse_value(text: &str) -> Result<Node, usize> {
    parse(text).map_err(|errors| errors.first().map_or(0, |error| error.span.start))
}

/// A subtree that an anchor names, and how many values it holds.
struct Anchored {
    node: Node,
    nodes: usize,
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    repeated: Vec<YamlError>,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, YamlError> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    return Err(YamlError::at(span, "a second document starts here")
                        .help("keep one document in the file"));
                }
                Event::DocumentStart(..) => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        Ok(root.unwrap_or(Node { span: Span { start: 0, len: self.text.len() }, kind: NodeKind::Null }))
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let start = self.byte(&span.start);
                Ok((event, Span { start, len: self.byte(&span.end).saturating_sub(start) }))
            }
            Some(Err(error)) => Err(self.syntax_error(&error)),
            None => Ok((Event::StreamEnd, Span { start: self.text.len(), len: 0 })),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, YamlError> {
        let before = self.nodes;
        self.nodes += 1;
        if depth >= MAX_DEPTH || self.nodes > MAX_NODES {
            return Err(YamlError::at(span, too_large()));
        }
        let (anchor, node) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, Node { span, kind: scalar(text.into_owned(), style, tag.as_deref(), span)? })
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "seq", span)?;
                (anchor, self.list(span, depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "map", span)?;
                (anchor, self.map(span, depth)?)
            }
            _ => return Err(YamlError::at(span, "a value was expected here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes: self.nodes - before });
        }
        Ok(node)
    }

    /// Puts a copy of what the anchor names here. Its parts stay where they are defined.
    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, YamlError> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err(YamlError::at(span, "an alias inside of what it stands for"));
        };
        self.nodes += anchored.nodes;
        if self.nodes > MAX_NODES {
            return Err(YamlError::at(span, too_large()));
        }
        Ok(Node { span, kind: anchored.node.kind.clone() })
    }

    fn list(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let last = items.last().map(|item: &Node| item.span);
                return Ok(Node { span: whole(start, last, span), kind: NodeKind::List(items) });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, start: Span, depth: usize) -> Result<Node, YamlError> {
        let mut entries = Vec::new();
        let mut merged = Vec::new();
        let end = loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break span;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let key = self.key(event, span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if is_merge {
                merged.push(value);
            } else {
                entries.push((key, value));
            }
        };
        let last = entries.last().map(|(_, node): &(Key, Node)| node.span);
        let span = whole(start, last, end);
        let mut entries = self.without_repeated(entries);
        for source in merged {
            merge(&mut entries, source)?;
        }
        Ok(Node { span, kind: NodeKind::Map(entries) })
    }

    fn key(&mut self, event: Event<'a>, span: Span) -> Result<Key, YamlError> {
        let node = match event {
            Event::Scalar(text, ..) => return Ok(Key { name: text.into_owned(), span }),
            Event::Alias(anchor) => self.alias(anchor, span)?,
            _ => return Err(YamlError::at(span, "a key that is not text")),
        };
        match node.kind {
            NodeKind::Scalar(scalar) => Ok(Key { name: scalar.text, span }),
            _ => Err(YamlError::at(span, "a key that is not text")),
        }
    }

    fn without_repeated(&mut self, entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
        let is_first: Vec<bool> = if entries.len() <= SMALL {
            let earlier = |index: usize| entries.iter().take(index);
            let first = |(index, (key, _)): (usize, &(Key, Node))| {
                earlier(index).all(|(seen, _)| seen.name != key.name)
            };
            entries.iter().enumerate().map(first).collect()
        } else {
            let mut seen = HashSet::with_capacity(entries.len());
            entries.iter().map(|(key, _)| seen.insert(key.name.as_str())).collect()
        };
        if is_first.iter().all(|first| *first) {
            return entries;
        }
        for ((key, _), _) in entries.iter().zip(&is_first).filter(|(_, first)| !**first) {
            let first = entries.iter().find(|(seen, _)| seen.name == key.name).map(|(seen, _)| seen.span);
            let message = format!("duplicate key `{}`", shown_key(&key.name));
            self.repeated.push(YamlError { first, ..YamlError::at(key.span, message) });
        }
        entries.into_iter().zip(is_first).filter_map(|(entry, first)| first.then_some(entry)).collect()
    }

    fn syntax_error(&self, error: &ScanError) -> YamlError {
        let (message, help) = explained(error.kind());
        let start = self.byte(error.marker());
        let rest = self.text.get(start..).unwrap_or_default();
        let len = rest.chars().next().filter(|char| *char != '\n').map_or(0, char::len_utf8);
        YamlError::at(Span { start, len }, message).help(help)
    }

    /// Returns the byte of a place. Some places, those of errors first, come as line and column only.
    fn byte(&self, marker: &Marker) -> usize {
        if let Some(byte) = marker.byte_offset() {
            return byte.min(self.text.len());
        }
        let lines = self.text.split_inclusive('\n').take(marker.line().saturating_sub(1));
        let start: usize = lines.map(str::len).sum();
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.chars().take(marker.col()).map(char::len_utf8).sum::<usize>()
    }
}

/// Returns the parser's message and what to do. Of a character that stands in a value nothing is told.
fn explained(kind: &ErrorKind) -> (String, &'static str) {
    match kind {
        ErrorKind::RecursionLimitExceeded => (too_large(), "see whether it is the right file"),
        ErrorKind::TabInBlockIndentation => ("a tab in the indentation".to_owned(), "indent with spaces"),
        ErrorKind::UnexpectedCharacter { .. } => {
            ("a character that no plain text starts with".to_owned(), "put the text in quotes")
        }
        ErrorKind::MappingValueNotAllowed => {
            ("a colon where no key is possible".to_owned(), "put a text with `: ` in it in quotes")
        }
        ErrorKind::UnknownAnchor => {
            ("a `*` that stands for nothing in the file".to_owned(), "put the text in quotes")
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            ("a backslash with no meaning".to_owned(), "write it twice, or put the text in single quotes")
        }
        kind => (kind.to_string(), "see this line and those above: indentation, quotes and brackets"),
    }
}

/// Puts entries of a merge key (`<<`) behind those that stand here, which win over them.
fn merge(entries: &mut Vec<(Key, Node)>, source: Node) -> Result<(), YamlError> {
    let span = source.span;
    match source.kind {
        NodeKind::Map(more) => {
            for (key, value) in more {
                if entries.iter().all(|(known, _)| known.name != key.name) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        NodeKind::List(sources) => sources.into_iter().try_for_each(|source| match source.kind {
            NodeKind::Map(_) => merge(entries, source),
            _ => Err(YamlError::at(source.span, "`<<` takes a mapping, or a list of mappings")),
        }),
        _ => Err(YamlError::at(span, "`<<` takes a mapping, or a list of mappings")),
    }
}

/// A block ends where its last part ends; only brackets have an end of their own.
fn whole(start: Span, last: Option<Span>, end: Span) -> Span {
    let end =
        last.map_or(0, |last| last.start + last.len).max(if end.len > 0 { end.start + end.len } else { 0 });
    Span { len: end.saturating_sub(start.start).max(start.len), ..start }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<NodeKind, YamlError> {
    let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| !tag.is_yaml_core_schema_tag("str"));
    if let Some(tag) = tag
        && !["str", "int", "float", "bool", "null"].into_iter().any(|name| tag.is_yaml_core_schema_tag(name))
    {
        return Err(YamlError::at(span, "a tag that has no meaning here").help("put the text in quotes"));
    }
    if plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Ok(NodeKind::Null);
    }
    Ok(NodeKind::Scalar(Scalar { text, plain }))
}

fn check_tag(tag: Option<&Tag>, name: &str, span: Span) -> Result<(), YamlError> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema_tag(name) => {
            Err(YamlError::at(span, "a tag that has no meaning here").help("put the text in quotes"))
        }
        _ => Ok(()),
    }
}

fn too_large() -> String {
    format!("nested or repeated beyond any use: at most {MAX_DEPTH} levels and {MAX_NODES} values")
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
