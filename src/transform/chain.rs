//! Chains: what a value goes through between its store and its variable.

use std::fmt;

use dsops_providers::contract::{Node, SecretValue};

use super::catalogue::{Entry, Kind};
use super::error::{Failure, Fault, ParseError, TransformError};
use super::parse::{self, Step};
use super::path::Path;
use super::pattern::Pattern;
use super::template::Template;
use super::text::Replace;
use super::{base64, catalogue, join, json, nodes, text, yaml};

/// Reads YAML text as a tree, or says at which byte it is none.
///
/// A parameter, because one file of the project names the YAML reader and this one is not it.
pub type ReadYaml = fn(&str) -> Result<Node, usize>;

/// Transforms in the order in which they are done. A chain without steps changes nothing.
#[derive(Clone, Default)]
pub struct Chain(Vec<Transform>);

/// One step, with its arguments checked.
#[derive(Clone)]
pub(super) struct Transform {
    entry: &'static Entry,
    action: Action,
}

#[derive(Clone)]
enum Action {
    Trim,
    MultilineToSingle,
    Upper,
    Lower,
    Base64Encode,
    Base64Decode,
    Base64UrlEncode,
    JsonExtract(Path),
    YamlExtract(Path),
    Join(String),
    Replace(Replace),
    RegexReplace(Pattern),
    Template(Template),
}

impl Chain {
    /// Reads a chain in one string.
    ///
    /// # Errors
    ///
    /// The first mistake; its span counts from the start of the text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &|_| None)
    }

    /// Reads a chain in one string, in which the names of other chains may stand.
    ///
    /// # Errors
    ///
    /// As [`Chain::parse`].
    pub fn parse_with(text: &str, named: &dyn Fn(&str) -> Option<Self>) -> Result<Self, ParseError> {
        let mut chain = Self::default();
        for step in parse::steps(text)? {
            match step {
                Step::Call { entry, arguments, span } => {
                    let transform =
                        Transform::new(entry, arguments).map_err(|fault| ParseError::at(span, fault))?;
                    chain.0.push(transform);
                }
                Step::Word { name, span } => match named(&name) {
                    Some(inlined) => chain.append(inlined),
                    None => return Err(ParseError::at(span, catalogue::unknown(&name))),
                },
            }
        }
        Ok(chain)
    }

    /// Reads a chain in the form that a document has it in: a string, a mapping with `type`, or a list of both.
    ///
    /// `named` gives the chains that the document names; a transform's own name always wins. Chains that
    /// name each other in a circle are for the caller to find.
    ///
    /// # Errors
    ///
    /// Every mistake, with its place in the document.
    pub fn from_node(node: &Node, named: &dyn Fn(&str) -> Option<Self>) -> Result<Self, Vec<ParseError>> {
        nodes::read(node, named)
    }

    /// Sends a value through the chain.
    ///
    /// # Errors
    ///
    /// Where a step cannot use the value. The error says which step and why, and nothing of the value.
    pub fn apply(&self, value: SecretValue, read_yaml: ReadYaml) -> Result<SecretValue, TransformError> {
        let mut value = value;
        for (position, transform) in self.0.iter().enumerate() {
            value = transform
                .apply(&value, read_yaml)
                .map_err(|failure| failure.at(position + 1, transform.entry.name))?;
        }
        Ok(value)
    }

    /// Says whether the chain changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the steps.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|transform| transform.entry.name)
    }

    pub(super) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn push(&mut self, transform: Transform) {
        self.0.push(transform);
    }
}

impl Transform {
    /// Checks the arguments, given in the order of the entry's options.
    pub(super) fn new(entry: &'static Entry, arguments: Vec<String>) -> Result<Self, Fault> {
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().unwrap_or_default();
        let action = match entry.kind {
            Kind::Trim => Action::Trim,
            Kind::MultilineToSingle => Action::MultilineToSingle,
            Kind::Upper => Action::Upper,
            Kind::Lower => Action::Lower,
            Kind::Base64Encode => Action::Base64Encode,
            Kind::Base64Decode => Action::Base64Decode,
            Kind::Base64UrlEncode => Action::Base64UrlEncode,
            Kind::JsonExtract => Action::JsonExtract(Path::parse(&next())?),
            Kind::YamlExtract => Action::YamlExtract(Path::parse(&next())?),
            Kind::Join => Action::Join(next()),
            Kind::Replace => Action::Replace(Replace::new(next(), next())?),
            Kind::RegexReplace => Action::RegexReplace(Pattern::new(&next(), next())?),
            Kind::Template => Action::Template(Template::new(next())?),
        };
        Ok(Self { entry, action })
    }

    fn apply(&self, value: &SecretValue, read_yaml: ReadYaml) -> Result<SecretValue, Failure> {
        match &self.action {
            Action::Trim => Ok(text::trim(value)),
            Action::MultilineToSingle => Ok(text::multiline_to_single(value)),
            Action::Upper => text::upper(value),
            Action::Lower => text::lower(value),
            Action::Base64Encode => Ok(base64::encode(value)),
            Action::Base64Decode => base64::decode(value),
            Action::Base64UrlEncode => Ok(base64::encode_url(value)),
            Action::JsonExtract(path) => json::extract(value, path),
            Action::YamlExtract(path) => yaml::extract(value, path, read_yaml),
            Action::Join(separator) => join::join(value, separator),
            Action::Replace(replace) => Ok(replace.apply(value)),
            Action::RegexReplace(pattern) => Ok(pattern.apply(value)),
            Action::Template(template) => template.apply(value),
        }
    }
}

/// Prints the chain as [`Chain::parse`] reads it, with the texts in quotes.
impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, transform) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            f.write_str(transform.entry.name)?;
            match &transform.action {
                Action::JsonExtract(path) | Action::YamlExtract(path) => write!(f, ":{path}")?,
                Action::Join(separator) => write!(f, ":{}", parse::escape(separator))?,
                Action::Replace(replace) => {
                    write!(f, ":{}:{}", parse::escape(&replace.from), parse::escape(&replace.to))?;
                }
                Action::RegexReplace(pattern) => {
                    write!(f, ":{}:{}", pattern.quoted(), parse::escape(pattern.replacement()))?;
                }
                Action::Template(template) => write!(f, ":{}", parse::escape(template.source()))?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({self})")
    }
}

impl std::str::FromStr for Chain {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}
