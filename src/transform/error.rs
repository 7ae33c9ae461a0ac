//! What can be wrong with a chain, and with a value that goes through it.

use dsops_providers::contract::Span;

/// A mistake in the text of a chain.
///
/// The message quotes the chain, which is configuration, never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// The one thing to do about it.
    pub help: Option<String>,
    /// Where: in the document for [`super::Chain::from_node`], in the text for [`super::Chain::parse`].
    pub span: Span,
}

impl ParseError {
    pub(super) fn at(span: Span, fault: Fault) -> Self {
        Self { message: fault.message, help: fault.help, span }
    }
}

/// A mistake in an argument, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Which stage of making a value usable failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransformErrorKind {
    /// The value is not in the form that the transform reads.
    Decode,
    /// The path leads nowhere, or to a null.
    Pointer,
    /// The template did not come to an end with this value.
    Template,
}

impl TransformErrorKind {
    /// Returns the public code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Decode => "dsops::transform::decode",
            Self::Pointer => "dsops::transform::pointer",
            Self::Template => "dsops::transform::template",
        }
    }
}

/// A value that a step of a chain cannot use. No part of the value is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` (step {step} of the transform): {message}")]
pub struct TransformError {
    /// Which step, counted from one.
    pub step: usize,
    /// The name of the transform.
    pub name: &'static str,
    /// Which stage failed.
    pub kind: TransformErrorKind,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// The one thing to do about it.
    pub help: Option<String>,
}

/// A failure of one transform, before its place in the chain is known.
///
/// The texts are made of paths, positions and fixed words only: the libraries' own messages quote what they
/// read, so none of them gets here.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) kind: TransformErrorKind,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Failure {
    pub(super) fn decode(message: impl Into<String>) -> Self {
        Self { kind: TransformErrorKind::Decode, message: message.into(), help: None }
    }

    pub(super) fn pointer(message: impl Into<String>) -> Self {
        Self { kind: TransformErrorKind::Pointer, message: message.into(), help: None }
    }

    pub(super) fn template(message: impl Into<String>) -> Self {
        Self { kind: TransformErrorKind::Template, message: message.into(), help: None }
    }

    pub(super) fn not_text() -> Self {
        Self::decode("the value is not UTF-8 text")
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn at(self, step: usize, name: &'static str) -> TransformError {
        TransformError { step, name, kind: self.kind, message: self.message, help: self.help }
    }
}
