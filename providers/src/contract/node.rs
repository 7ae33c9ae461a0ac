//! A document as a tree in which every key and value knows where it stands.

use std::fmt;

/// A range of bytes in `dsops.yaml`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// How many bytes.
    pub len: usize,
}

impl Span {
    /// Returns the span of a part of this one's text.
    #[must_use]
    pub fn part(self, offset: usize, len: usize) -> Self {
        Self { start: self.start + offset.min(self.len), len: len.min(self.len.saturating_sub(offset)) }
    }
}

/// One value of the document.
#[derive(Clone)]
pub struct Node {
    /// Where it stands (for an alias: where it is used).
    pub span: Span,
    /// What it is.
    pub kind: NodeKind,
}

/// The shapes a value can have.
#[derive(Clone)]
pub enum NodeKind {
    /// `null`, `~`, or nothing at all.
    Null,
    /// Text, number or truth value: kept as the text in the file, so that no number is rounded.
    Scalar(Scalar),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file, without repeated keys.
    Map(Vec<(Key, Node)>),
}

/// A value without parts.
#[derive(Clone)]
pub struct Scalar {
    /// The text, unquoted.
    pub text: String,
    /// Whether it stood without quotes, so that `5` is a number and `"5"` is not.
    pub plain: bool,
}

/// A key of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key itself.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// Returns the value under a key of a mapping.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// Returns the entries of a mapping, none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.kind {
            NodeKind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Returns the text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Returns what the value is, with its article, for messages.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match &self.kind {
            NodeKind::Null => "null",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
            NodeKind::Scalar(scalar) => scalar.what(),
        }
    }
}

impl Scalar {
    /// Returns what the scalar is by YAML's core schema (YAML 1.2.2, section 10.3), for messages.
    #[must_use]
    pub fn what(&self) -> &'static str {
        if !self.plain {
            "a string"
        } else if matches!(self.text.as_str(), "true" | "false") {
            "a truth value"
        } else if self.text.parse::<f64>().is_ok() {
            "a number"
        } else {
            "a string"
        }
    }
}

/// Shows the shape only: a scalar may be a secret.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} at {}+{})", self.what(), self.span.start, self.span.len)
    }
}
