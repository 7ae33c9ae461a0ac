//! placeholder
use dsops_providers::contract::{Node, Span};
/// Chain.
#[derive(Clone, Debug, Default)]
pub struct Chain(Vec<String>);
/// Mistake.
pub struct ParseError {
    /// m
    pub message: String,
    /// h
    pub help: Option<String>,
    /// s
    pub span: Span,
}
impl Chain {
    /// from node
    pub fn from_node(_: &Node, _: &dyn Fn(&str) -> Option<Chain>) -> Result<Self, Vec<ParseError>> {
        Ok(Self::default())
    }
}
/// k
#[derive(Clone, Copy, Debug)]
pub enum TransformErrorKind {
    /// d
    Decode,
}
impl TransformErrorKind {
    /// c
    pub fn code(self) -> &'static str {
        "x"
    }
}
/// e
#[derive(Clone, Debug, thiserror::Error)]
#[error("x")]
pub struct TransformError {
    /// k
    pub kind: TransformErrorKind,
    /// h
    pub help: Option<String>,
}
impl Chain {
    /// n
    pub fn names(&self) -> Vec<&'static str> {
        vec![]
    }
    /// e
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// a
    pub fn apply(
        &self,
        v: dsops_providers::contract::SecretValue,
    ) -> Result<dsops_providers::contract::SecretValue, TransformError> {
        Ok(v)
    }
}
