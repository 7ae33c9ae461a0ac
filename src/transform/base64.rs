//! `base64_encode`, `base64url_encode` and `base64_decode` (RFC 4648).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use dsops_providers::contract::SecretValue;

use super::buffer::Buffer;
use super::error::Failure;

/// Padding may be there or not; bits left over at the end must still be zero.
const READER: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Encodes in the standard alphabet, with padding.
pub(super) fn encode(value: &SecretValue) -> SecretValue {
    SecretValue::from(BASE64_STANDARD.encode(value.expose()))
}

/// Encodes in the URL-safe alphabet, without padding, as JOSE does (RFC 7515, section 2).
pub(super) fn encode_url(value: &SecretValue) -> SecretValue {
    SecretValue::from(BASE64_URL_SAFE_NO_PAD.encode(value.expose()))
}

/// Decodes either alphabet, padded or not, with white space anywhere.
pub(super) fn decode(value: &SecretValue) -> Result<SecretValue, Failure> {
    let mut digits = Buffer::with_capacity(value.len());
    let (mut standard, mut url) = (false, false);
    for (position, byte) in value.expose().iter().enumerate() {
        match byte {
            b'+' | b'/' => standard = true,
            b'-' | b'_' => url = true,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'=' => {}
            byte if byte.is_ascii_whitespace() => continue,
            _ => return Err(Failure::decode(format!("not base64 at byte {position}"))),
        }
        digits.push(match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        });
    }
    if standard && url {
        return Err(Failure::decode("the value mixes the standard and the URL-safe alphabet of base64"));
    }
    // The library's message quotes the symbol that it stumbled on.
    let decoded = READER
        .decode(&*digits)
        .map_err(|_| Failure::decode("the base64 is cut short or has stray padding"))?;
    Ok(SecretValue::new(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        decode(&SecretValue::from(text)).ok().map(|value| value.expose().to_vec())
    }

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        for text in ["++//", "--__", " ++\n//\t"] {
            assert_eq!(decoded(text), Some(vec![0xfb, 0xef, 0xff]), "{text}");
        }
        for text in ["aGk=", "aGk", "aG k=\r\n"] {
            assert_eq!(decoded(text), Some(b"hi".to_vec()), "{text}");
        }
        assert_eq!(decoded(""), Some(Vec::new()));
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["a", "aGk==", "=", "a=Gk", "aGl", "+_aa", "é", "a*b="] {
            assert_eq!(decoded(text), None, "{text}");
        }
        assert_eq!(decode(&SecretValue::from("ab*c")).unwrap_err().message, "not base64 at byte 2");
    }

    #[test]
    fn encoders_follow_the_rfc() {
        let value = SecretValue::copy_of(&[0xfb, 0xef, 0xff, 0x00]);
        assert_eq!(encode(&value).expose_str(), Some("++//AA=="));
        assert_eq!(encode_url(&value).expose_str(), Some("--__AA"));
    }
}
