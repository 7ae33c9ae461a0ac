//! `NAME="value"` lines for `EnvironmentFile=` of a unit.
//!
//! systemd.exec(5), `EnvironmentFile=`; the reader is `src/basic/env-file.c` of systemd. In double quotes a backslash takes
//! the meaning of `"`, `\`, `$` and a backtick, and everything else is itself, newlines too. Nothing is expanded. The
//! text has to be UTF-8 without the code points that Unicode keeps for no character.

use super::error::RenderError;
use super::{Variable, each, is_name, text_of};
use crate::transform::buffer::Buffer;

/// Renders the lines.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        let value = text_of(name, value)?;
        if value.chars().any(is_no_character) {
            let why = format!("`{name}` holds a code point that is no character, and systemd refuses it");
            return Err(RenderError::value(name, why));
        }
        text.extend(name.as_bytes());
        text.extend(b"=\"");
        for byte in value.bytes() {
            if matches!(byte, b'"' | b'\\' | b'$' | b'`') {
                text.push(b'\\');
            }
            text.push(byte);
        }
        text.extend(b"\"\n");
        Ok(())
    })
}

/// `unichar_is_valid` of systemd.
fn is_no_character(character: char) -> bool {
    let code = u32::from(character);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}
