//! Base64: alone, inside the encoding of a longer text, and broken into lines.

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, general_purpose::PAD};
use zeroize::Zeroizing;

use super::{Forms, PART};

/// The lengths of line of base64(1), and of PEM and openssl(1).
const WIDTHS: [usize; 2] = [76, 64];

pub(super) fn forms(value: &[u8], forms: &mut Forms) {
    for alphabet in [STANDARD, URL_SAFE] {
        for before in 0..3 {
            aligned(value, &alphabet, before, forms);
        }
    }
    let encoded = encode(value, &STANDARD, 0);
    for width in WIDTHS {
        lines(&encoded, width, forms);
    }
}

/// Adds what the value is in the encoding of a text that has so many bytes, modulo three, before it.
///
/// Three bytes are four digits of six bits. A digit at either end may hold bits of a neighbour: it is part
/// of the form only where the text ends with the value.
fn aligned(value: &[u8], alphabet: &Alphabet, before: usize, forms: &mut Forms) {
    let encoded = encode(value, alphabet, before);
    let first = (before * 8).div_ceil(6);
    let own = (before + value.len()) * 8 / 6;
    let digits = encoded.len() - encoded.iter().rev().take_while(|digit| **digit == b'=').count();
    let inner = encoded.get(first..own).unwrap_or_default();
    if inner.len() >= PART {
        forms.add(inner);
    }
    // Where nothing stands before, the whole encoding is the value's however short it is.
    for end in [digits, encoded.len()] {
        let tail = encoded.get(first..end).unwrap_or_default();
        if before == 0 || tail.len() >= PART {
            forms.add(tail);
        }
    }
}

/// Adds the lines that the encoding is broken into.
fn lines(encoded: &[u8], width: usize, forms: &mut Forms) {
    if encoded.len() <= width {
        return;
    }
    let mut before: &[u8] = &[];
    for line in encoded.chunks(width) {
        if line.len() >= PART {
            forms.add(line);
        } else {
            // Too short to be looked for alone: with the line before it.
            for line_break in [&b"\n"[..], b"\r\n"] {
                forms.add(&Zeroizing::new([before, line_break, line].concat()));
            }
        }
        before = line;
    }
}

fn encode(value: &[u8], alphabet: &Alphabet, before: usize) -> Zeroizing<Vec<u8>> {
    let text = Zeroizing::new([[0; 2].get(..before).unwrap_or_default(), value].concat());
    let engine = GeneralPurpose::new(alphabet, PAD);
    let mut encoded = Zeroizing::new(vec![0; text.len().div_ceil(3) * 4]);
    // The buffer has the length of padded base64, which is the only error there is.
    let written = engine.encode_slice(text.as_slice(), &mut encoded).unwrap_or_default();
    encoded.truncate(written);
    encoded
}
