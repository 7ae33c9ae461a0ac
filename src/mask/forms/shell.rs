//! Shell quoting: what `set -x`, `export -p`, `printf %q` and their likes make of a value.

use super::Forms;
use crate::transform::buffer::Buffer;

/// What bash puts a backslash before: lib/sh/shquote.c, `sh_backslash_quote`.
const BASH: &[u8] = b" \t\n!\"$&'()*,;<>?[\\]^`{|}";

pub(super) fn forms(value: &[u8], forms: &mut Forms) {
    if value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._/:@%+=".contains(byte)) {
        return;
    }
    // In single quotes: the POSIX way, and that of Python's shlex.
    forms.add_buffer(&replaced(value, |byte| if byte == b'\'' { b"'\\''" } else { b"" }));
    forms.add_buffer(&replaced(value, |byte| if byte == b'\'' { b"'\"'\"'" } else { b"" }));
    forms.add_buffer(&replaced(value, |byte| if byte == b'\'' { b"\\'" } else { b"" }));
    // In double quotes.
    forms.add_buffer(&backslashed(value, |byte| b"\\\"$`".contains(&byte)));
    forms.add_buffer(&backslashed(value, |byte| b"\\\"$`!".contains(&byte)));
    // `printf %q`; a `#` only where it would start a comment.
    forms.add_buffer(&backslashed(value, |byte| BASH.contains(&byte)));
    if matches!(value.first(), Some(b'#' | b'~')) {
        let mut out = Buffer::with_capacity(value.len() * 2);
        out.push(b'\\');
        let rest = backslashed(value, |byte| BASH.contains(&byte));
        out.extend(&rest);
        forms.add_buffer(&out);
    }
    // `$'…'`, with all bytes that are not ASCII as they are, and as octal.
    forms.add_buffer(&ansi_c(value, |byte| byte < b' ' || byte == 0x7f));
    forms.add_buffer(&ansi_c(value, |byte| !(b' '..0x7f).contains(&byte)));
}

fn replaced(value: &[u8], replacement: impl Fn(u8) -> &'static [u8]) -> Buffer {
    let mut out = Buffer::with_capacity(value.len() * 2);
    for byte in value {
        match replacement(*byte) {
            [] => out.push(*byte),
            text => out.extend(text),
        }
    }
    out
}

fn backslashed(value: &[u8], is_special: impl Fn(u8) -> bool) -> Buffer {
    let mut out = Buffer::with_capacity(value.len() * 2);
    for byte in value {
        if is_special(*byte) {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out
}

/// What stands between `$'` and `'`: lib/sh/strtrans.c of bash, `ansic_quote`.
fn ansi_c(value: &[u8], is_octal: impl Fn(u8) -> bool) -> Buffer {
    let mut out = Buffer::with_capacity(value.len() * 4);
    for byte in value {
        let letter = match byte {
            0x07 => b'a',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0b => b'v',
            0x0c => b'f',
            0x0d => b'r',
            0x1b => b'E',
            b'\\' | b'\'' => *byte,
            _ if is_octal(*byte) => {
                out.extend(&[b'\\', b'0' + (byte >> 6), b'0' + (byte >> 3 & 7), b'0' + (byte & 7)]);
                continue;
            }
            _ => {
                out.push(*byte);
                continue;
            }
        };
        out.extend(&[b'\\', letter]);
    }
    out
}
