//! Masking: a stream of bytes in, the same stream without values out.

mod filter;
mod forms;
mod masker;
mod patterns;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use dsops_providers::contract::SecretValue;

pub use filter::{FilterError, Progress, SILENCE, enlarge, filter};
pub use masker::{Masker, REPLACEMENT};
use patterns::Patterns;

/// The length in bytes of the shortest value that is masked. A shorter one stands in most texts by chance.
pub const SHORTEST: usize = patterns::SAMPLE;

/// What is masked. Clones share it; its memory is overwritten when the last one is dropped.
#[derive(Clone)]
pub struct Mask {
    patterns: Arc<Patterns>,
    too_short: Arc<[String]>,
}

impl Mask {
    /// Compiles values and the forms that programs print them in.
    pub fn new<'a>(values: impl IntoIterator<Item = (&'a str, &'a SecretValue)>) -> Self {
        let mut forms = forms::Forms::default();
        let mut too_short = Vec::new();
        for (name, value) in values {
            match value.len() {
                0 => {}
                1..SHORTEST => too_short.push(name.to_owned()),
                _ => forms.add_value(value.expose()),
            }
        }
        Self { patterns: Arc::new(Patterns::new(forms.into_patterns())), too_short: too_short.into() }
    }

    /// Returns the names of the values that have fewer than [`SHORTEST`] bytes, and so are not masked.
    #[must_use]
    pub fn too_short(&self) -> &[String] {
        &self.too_short
    }

    /// Returns what masks one stream.
    #[must_use]
    pub fn masker(&self) -> Masker {
        Masker::new(Arc::clone(&self.patterns))
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mask(***)")
    }
}
