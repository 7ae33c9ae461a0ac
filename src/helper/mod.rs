//! The protocols of programs that ask a helper for a secret: what they send, which entry it means, what they read.
//!
//! Pure: no file, no store, no terminal.

pub mod askpass;
pub mod aws;
pub mod credential;
pub mod docker;
pub mod git;
pub mod kube;

use thiserror::Error;

/// The longest value that a helper tells, in bytes. No protocol here names one; what is longer is no login.
pub const LONGEST_VALUE: usize = 64 * 1024;

/// A key under `helpers:` that says nothing, or the same as another.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{}` {why}", key.escape_debug())]
pub struct KeyError {
    /// The key as it stands in the file.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

impl KeyError {
    fn new(key: &str, why: impl Into<String>) -> Self {
        Self { key: key.to_owned(), why: why.into() }
    }
}

/// A value that a protocol of lines cannot carry. Holds nothing of the value.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    /// It would end early, or say something else on the next line.
    #[error("the {0} has a line break in it")]
    LineBreak(&'static str),
    /// It would end early.
    #[error("the {0} has a NUL byte in it")]
    Nul(&'static str),
    /// It would be cut.
    #[error("the {0} is longer than {1} bytes")]
    TooLong(&'static str, usize),
}

/// Says whether bytes can be told on one line.
///
/// A carriage return is refused as well: git's `strbuf_getline` takes it away at the end of a line, and ssh ends an
/// answer at the first one.
fn fits(what: &'static str, bytes: &[u8], longest: usize) -> Result<(), Unfit> {
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(Unfit::LineBreak(what));
    }
    if bytes.contains(&0) {
        return Err(Unfit::Nul(what));
    }
    if bytes.len() > longest {
        return Err(Unfit::TooLong(what, longest));
    }
    Ok(())
}
