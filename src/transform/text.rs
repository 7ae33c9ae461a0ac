//! Transforms of plain text: `trim`, `upper`, `lower`, `multiline_to_single`, `replace`.

use dsops_providers::contract::SecretValue;

use super::buffer::Buffer;
use super::error::{Failure, Fault};

/// Removes white space at both ends: Unicode's, or ASCII's where the value is not text.
pub(super) fn trim(value: &SecretValue) -> SecretValue {
    match value.expose_str() {
        Some(text) => SecretValue::copy_of(text.trim().as_bytes()),
        None => SecretValue::copy_of(value.expose().trim_ascii()),
    }
}

/// Puts the two characters `\n` for each newline and removes carriage returns.
pub(super) fn multiline_to_single(value: &SecretValue) -> SecretValue {
    let bytes = value.expose();
    let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let mut single = Vec::with_capacity(bytes.len() + newlines);
    for byte in bytes {
        match byte {
            b'\n' => single.extend_from_slice(b"\\n"),
            b'\r' => {}
            other => single.push(*other),
        }
    }
    SecretValue::new(single)
}

/// Makes text upper case, by Unicode's rules.
pub(super) fn upper(value: &SecretValue) -> Result<SecretValue, Failure> {
    let text = value.expose_str().ok_or_else(Failure::not_text)?;
    Ok(SecretValue::from(text.to_uppercase()))
}

/// Makes text lower case, by Unicode's rules.
pub(super) fn lower(value: &SecretValue) -> Result<SecretValue, Failure> {
    let text = value.expose_str().ok_or_else(Failure::not_text)?;
    Ok(SecretValue::from(text.to_lowercase()))
}

/// Replaces every occurrence of a text, from the left, without looking at what was put in.
#[derive(Clone)]
pub(super) struct Replace {
    pub(super) from: String,
    pub(super) to: String,
}

impl Replace {
    pub(super) fn new(from: String, to: String) -> Result<Self, Fault> {
        if from.is_empty() {
            return Err(Fault::new("the text to replace is empty")
                .help("write what to replace, as in `replace:\"a\":\"b\"`"));
        }
        Ok(Self { from, to })
    }

    pub(super) fn apply(&self, value: &SecretValue) -> SecretValue {
        let from = self.from.as_bytes();
        let mut replaced = Buffer::with_capacity(value.len());
        let mut rest = value.expose();
        while let Some((first, after)) = rest.split_first() {
            if let Some(after) = rest.strip_prefix(from) {
                replaced.extend(self.to.as_bytes());
                rest = after;
            } else {
                replaced.push(*first);
                rest = after;
            }
        }
        replaced.to_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trim_removes_what_unicode_calls_white_space() {
        assert_eq!(trim(&SecretValue::from("\u{a0}\t a b\r\n\u{2003}")).expose(), b"a b");
        assert_eq!(trim(&SecretValue::copy_of(b" \xff \n")).expose(), b"\xff");
    }

    #[test]
    fn lines_become_one() {
        let value = SecretValue::from("one\r\ntwo\n\rthree");
        assert_eq!(multiline_to_single(&value).expose(), b"one\\ntwo\\nthree");
    }

    #[test]
    fn case_is_changed_beyond_ascii_and_never_in_bytes() {
        assert_eq!(upper(&SecretValue::from("straße é")).unwrap().expose_str(), Some("STRASSE É"));
        assert_eq!(lower(&SecretValue::from("ÀB")).unwrap().expose_str(), Some("àb"));
        assert!(upper(&SecretValue::copy_of(b"\xff")).is_err());
    }

    #[test]
    fn replace_takes_every_occurrence_once() {
        let replace = |from: &str, to: &str, value: &str| {
            let replace = Replace::new(from.to_owned(), to.to_owned()).unwrap();
            String::from_utf8(replace.apply(&SecretValue::from(value)).expose().to_vec()).unwrap()
        };
        assert_eq!(replace("a", "aa", "banana"), "baanaanaa");
        assert_eq!(replace("aa", "a", "aaaaa"), "aaa");
        assert_eq!(replace("x", "", "xyx"), "y");
        assert!(Replace::new(String::new(), "x".to_owned()).is_err());
    }
}
