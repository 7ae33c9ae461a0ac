//! JSON's escapes, and those of the languages that print strings nearly alike.

use super::Forms;
use crate::transform::buffer::Buffer;

/// What an encoder escapes beside what it must.
#[derive(Clone, Copy, Default)]
struct Style {
    /// All that is not printable ASCII, in numbers with these digits.
    ascii: bool,
    /// `/`.
    slash: bool,
    /// `<`, `>` and `&`.
    html: bool,
    /// The digits A to F.
    upper: bool,
    /// `"` and the signs that .NET takes to be dangerous in HTML, as numbers.
    dotnet: bool,
}

const STYLES: &[Style] = &[
    // serde_json, JSON.stringify, jq.
    Style { ascii: false, slash: false, html: false, upper: false, dotnet: false },
    // Python.
    Style { ascii: true, slash: false, html: false, upper: false, dotnet: false },
    // PHP, with and without its flag for Unicode.
    Style { ascii: true, slash: true, html: false, upper: false, dotnet: false },
    Style { ascii: false, slash: true, html: false, upper: false, dotnet: false },
    // Go.
    Style { ascii: false, slash: false, html: true, upper: false, dotnet: false },
    // Java and .NET.
    Style { ascii: true, slash: false, html: false, upper: true, dotnet: false },
    Style { ascii: true, slash: false, html: true, upper: true, dotnet: true },
];

pub(super) fn forms(value: &[u8], forms: &mut Forms) {
    let needs_none = |byte: &u8| byte.is_ascii_alphanumeric() || b" -._~:,;=@*()[]{}!?#$%^|".contains(byte);
    if value.iter().all(needs_none) {
        return;
    }
    // JSON is text; what is not is printed by each program in its own way.
    let Ok(text) = std::str::from_utf8(value) else { return };
    for style in STYLES {
        forms.add_buffer(&json(text, *style));
    }
    for quote in ['\'', '"'] {
        forms.add_buffer(&literal(text, quote));
    }
}

fn json(text: &str, style: Style) -> Buffer {
    let mut out = Buffer::with_capacity(text.len() * 2);
    for char in text.chars() {
        let short = match char {
            '"' if !style.dotnet => b'"',
            '\\' => b'\\',
            '\n' => b'n',
            '\r' => b'r',
            '\t' => b't',
            '\u{8}' => b'b',
            '\u{c}' => b'f',
            '/' if style.slash => b'/',
            _ => 0,
        };
        let numbered = matches!(char, '\0'..='\x1f')
            || style.ascii && !matches!(char, ' '..='~')
            || style.html && matches!(char, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
            || style.dotnet && matches!(char, '"' | '\'' | '+' | '`');
        if short != 0 {
            out.extend(&[b'\\', short]);
        } else if numbered {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.extend(b"\\u");
                hex(u32::from(*unit), 4, style.upper, &mut out);
            }
        } else {
            out.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out
}

/// A string literal as Python's `repr` writes it, in either quotes.
fn literal(text: &str, quote: char) -> Buffer {
    let mut out = Buffer::with_capacity(text.len() * 2);
    for char in text.chars() {
        match char {
            '\\' => out.extend(b"\\\\"),
            '\n' => out.extend(b"\\n"),
            '\r' => out.extend(b"\\r"),
            '\t' => out.extend(b"\\t"),
            '\0'..='\x1f' | '\x7f' => {
                out.extend(b"\\x");
                hex(u32::from(char), 2, false, &mut out);
            }
            _ => {
                if char == quote {
                    out.push(b'\\');
                }
                out.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    out
}

fn hex(number: u32, digits: u32, upper: bool, out: &mut Buffer) {
    for place in (0..digits).rev() {
        let digit = char::from_digit(number >> (4 * place) & 15, 16).unwrap_or('0');
        out.push(if upper { digit.to_ascii_uppercase() } else { digit } as u8);
    }
}
