//! Percent-encoding: the sets of characters that encoders leave as they are.

use super::Forms;
use crate::transform::buffer::Buffer;

/// What is left as it is beside letters and digits, by encoder.
const LEFT: &[&[u8]] = &[
    // RFC 3986, section 2.3: Python's `quote(safe="")`, Go, jq's `@uri`.
    b"-._~",
    // Python's `quote`.
    b"-._~/",
    // ECMAScript's encodeURIComponent.
    b"-_.!~*'()",
    // ECMAScript's encodeURI.
    b"-_.!~*'();/?:@&=+$,#",
    // application/x-www-form-urlencoded of the URL standard, and Java.
    b"*-._",
    // The user and password of the URL standard.
    b"!$%&'()*+,-._~",
    // A segment of a path in Go.
    b"-._~$&+=:@",
];

pub(super) fn forms(value: &[u8], forms: &mut Forms) {
    if value.iter().all(u8::is_ascii_alphanumeric) {
        return;
    }
    for left in LEFT {
        for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            for blank in [&b"%20"[..], b"+"] {
                forms.add_buffer(&encode(value, left, digits, blank));
                if !value.contains(&b' ') {
                    break;
                }
            }
        }
    }
}

fn encode(value: &[u8], left: &[u8], digits: &[u8; 16], blank: &[u8]) -> Buffer {
    let digit = |value: u8| digits.get(usize::from(value)).copied().unwrap_or_default();
    let mut out = Buffer::with_capacity(value.len() * 3);
    for byte in value {
        match byte {
            b' ' => out.extend(blank),
            _ if byte.is_ascii_alphanumeric() || left.contains(byte) => out.push(*byte),
            _ => out.extend(&[b'%', digit(byte >> 4), digit(byte & 15)]),
        }
    }
    out
}
