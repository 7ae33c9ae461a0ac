//! `join`: one line out of a list.
//!
//! A JSON array gives its items: strings without quotes, numbers as they are written, null as nothing, containers as
//! JSON. Any other text is cut at the first of newline, comma, semicolon and pipe that parts it in two or more; its
//! items are trimmed and empty ones dropped. White space alone parts nothing: a sentence is one item.

use dsops_providers::contract::SecretValue;

use super::buffer::Buffer;
use super::error::Failure;
use super::json;

const DELIMITERS: [char; 4] = ['\n', ',', ';', '|'];

/// Joins the items of a list with a separator.
pub(super) fn join(value: &SecretValue, separator: &str) -> Result<SecretValue, Failure> {
    let text = value.expose_str().ok_or_else(Failure::not_text)?.trim();
    if text.starts_with('[') && text.ends_with(']') {
        return join_array(text, separator);
    }
    let items = DELIMITERS.iter().map(|delimiter| parts(text, *delimiter)).find(|items| items.len() > 1);
    let items = items.unwrap_or_else(|| vec![text]);
    Ok(joined(items.iter().map(|item| item.as_bytes()), separator).to_value())
}

fn join_array(text: &str, separator: &str) -> Result<SecretValue, Failure> {
    let array = json::document(text.as_bytes()).map_err(|failure| {
        failure.help("make it a JSON array, or take the brackets away with `regex_replace`")
    })?;
    let mut items = Vec::new();
    for item in json::items(array)? {
        items.push(if item.get() == "null" { Buffer::default() } else { json::plain(item)? });
    }
    Ok(joined(items.iter().map(|item| &**item), separator).to_value())
}

fn parts(text: &str, delimiter: char) -> Vec<&str> {
    text.split(delimiter).map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn joined<'a>(items: impl Iterator<Item = &'a [u8]> + Clone, separator: &str) -> Buffer {
    let length = items.clone().map(|item| item.len() + separator.len()).sum();
    let mut joined = Buffer::with_capacity(length);
    for (position, item) in items.enumerate() {
        if position > 0 {
            joined.extend(separator.as_bytes());
        }
        joined.extend(item);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str, separator: &str) -> Result<String, String> {
        match join(&SecretValue::from(text), separator) {
            Ok(joined) => Ok(joined.expose_str().unwrap().to_owned()),
            Err(failure) => Err(failure.message),
        }
    }

    #[test]
    fn arrays_are_joined_item_by_item() {
        let array = r#" ["a,b", 12345678901234567890.10, true, null, {"x": [1]}, ""] "#;
        assert_eq!(joined(array, "|").as_deref(), Ok(r#"a,b|12345678901234567890.10|true||{"x":[1]}|"#));
        assert_eq!(joined("[]", ",").as_deref(), Ok(""));
    }

    #[test]
    fn text_is_parted_at_the_first_delimiter_that_parts_it() {
        for (text, expected) in [
            ("apple\nbanana\r\n\n cherry \n", "apple-banana-cherry"),
            ("red,green, blue,", "red-green-blue"),
            ("a;b", "a-b"),
            ("a|b", "a-b"),
            ("a,b\nc", "a,b-c"),
            (" one ", "one"),
            ("a plain sentence", "a plain sentence"),
            ("", ""),
        ] {
            assert_eq!(joined(text, "-").as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn what_looks_like_an_array_and_is_none_is_refused() {
        assert_eq!(joined("[a, b]", "-"), Err("not JSON at byte 1".to_owned()));
    }
}
