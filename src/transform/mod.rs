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
