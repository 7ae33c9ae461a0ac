//! One flat YAML mapping of strings.

use super::error::RenderError;
use super::{Variable, is_name, json};
use crate::transform::buffer::Buffer;

/// Words that are no strings to readers of YAML 1.1 (<https://yaml.org/type/bool.html>, `null.html`), in lower case.
const RESERVED: [&str; 9] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];

/// Renders the mapping, every value in double quotes.
///
/// Not by a YAML writer: what it may leave unquoted is a matter of the version that the reader speaks.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    let texts = json::texts(variables)?;
    if texts.is_empty() {
        let mut yaml = Buffer::default();
        yaml.extend(b"{}\n");
        return Ok(yaml);
    }
    let size = variables.iter().map(|(name, value)| name.len() + value.len() * 2 + 16).sum();
    let mut yaml = Buffer::with_capacity(size);
    for (name, text) in texts {
        key(name, &mut yaml);
        yaml.extend(b": ");
        quote(text, &mut yaml);
        yaml.push(b'\n');
    }
    Ok(yaml)
}

/// Writes a key, in quotes where some reader would take it for something else.
pub(super) fn key(name: &str, yaml: &mut Buffer) {
    if is_name(name) && !RESERVED.contains(&name.to_lowercase().as_str()) {
        yaml.extend(name.as_bytes());
    } else {
        quote(name, yaml);
    }
}

/// Writes text in double quotes, such that it is the same to readers of YAML 1.1, YAML 1.2 and JSON: it is a JSON string
/// in which what YAML counts as a line break or as not printable (YAML 1.2.2, section 5.1) is escaped too.
pub(super) fn quote(text: &str, quoted: &mut Buffer) {
    quoted.push(b'"');
    for character in text.chars() {
        match character {
            '"' => quoted.extend(b"\\\""),
            '\\' => quoted.extend(b"\\\\"),
            '\n' => quoted.extend(b"\\n"),
            '\r' => quoted.extend(b"\\r"),
            '\t' => quoted.extend(b"\\t"),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                escape(character, quoted);
            }
            other => quoted.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    quoted.push(b'"');
}

fn escape(character: char, quoted: &mut Buffer) {
    let code = u32::from(character);
    quoted.extend(b"\\u");
    for shift in [12, 8, 4, 0] {
        let digit = char::from_digit((code >> shift) & 0xf, 16).unwrap_or('0');
        quoted.extend(digit.encode_utf8(&mut [0; 4]).as_bytes());
    }
}
