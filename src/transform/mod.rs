//! Transforms: what happens to a value between its store and its variable.
//!
//! A chain is a list of steps, or one string:
//!
//! ```text
//! chain     = step *( separator step )
//! separator = "," / "|"                       ; white space around it is layout
//! step      = name [ ":" arguments ]          ; or the name of a chain of the file
//! arguments = path                            ; json_extract, yaml_extract
//!           / text                            ; join
//!           / text ":" text                   ; replace
//!           / pattern ":" text                ; regex_replace
//!           / quoted / rest-of-chain          ; template
//! text      = quoted / bare
//! ```
//!
//! Quoted text stands in `"…"`. In it, and in bare text, `\n`, `\t` and `\r` mean what they do elsewhere, and `\\`, `\"`,
//! `\:`, `\,` and `\|` the character itself; any other escape is an error. In a pattern, backslashes are the regular
//! expression's own, and only `\"` inside quotes is the chain's.
//!
//! Bare text ends at the next step, that is: at a separator before a word that is followed by a colon, another separator
//! or the end. So `join:,` joins with a comma, `join:,,trim` joins with a comma and trims, `replace:a,:b` replaces a comma
//! too, and `replace:a,b:c` is an error that asks for quotes instead of a guess. White space at its end is dropped. The
//! first bare text of two ends at the first colon. A bare template is everything that is left.
//!
//! No error of applying a chain holds any part of the value.

mod base64;
pub(crate) mod buffer;
mod catalogue;
mod chain;
mod error;
pub(crate) mod jinja;
mod join;
pub(crate) mod json;
mod nodes;
mod parse;
mod path;
mod pattern;
mod quote;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod yaml;

pub use catalogue::transforms;
pub use chain::{Chain, ReadYaml};
pub use error::{ParseError, TransformError, TransformErrorKind};
