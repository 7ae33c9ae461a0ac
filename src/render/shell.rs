//! `export NAME='value'` lines for POSIX shells.

use super::error::RenderError;
use super::{Variable, each, is_name};
use crate::transform::buffer::Buffer;

/// Renders the lines. In single quotes every byte is itself (POSIX.1-2024, XCU 2.2.2), so a value need not be text.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        if value.expose().contains(&0) {
            return Err(RenderError::nul(name));
        }
        text.extend(b"export ");
        text.extend(name.as_bytes());
        text.extend(b"='");
        for byte in value.expose() {
            // A single quote cannot stand in single quotes: close them, write it, open them again.
            match byte {
                b'\'' => text.extend(br"'\''"),
                other => text.push(*other),
            }
        }
        text.extend(b"'\n");
        Ok(())
    })
}
