//! One flat TOML table of strings.

use super::error::RenderError;
use super::yaml::quote;
use super::{Variable, json};
use crate::transform::buffer::Buffer;

/// Renders the table: basic strings, which hold any text and whose escapes are those of JSON (TOML 1.0.0, section
/// "String").
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    let texts = json::texts(variables)?;
    let size = variables.iter().map(|(name, value)| name.len() + value.len() * 2 + 16).sum();
    let mut toml = Buffer::with_capacity(size);
    for (name, text) in texts {
        let is_bare = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if is_bare {
            toml.extend(name.as_bytes());
        } else {
            quote(name, &mut toml);
        }
        toml.extend(b" = ");
        quote(text, &mut toml);
        toml.push(b'\n');
    }
    Ok(toml)
}
