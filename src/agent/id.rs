//! The ids that a program asks with.

/// The longest id, in bytes.
const MOST_BYTES: usize = 256;

/// Says whether a text is an id by the grammar of the programs that ask: a letter or digit, and up to 255 more of them
/// and of `._:/#-`, with no `.` or `..` between slashes.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'#' | b'-');
    text.len() <= MOST_BYTES
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(is_plain)
        && !text.split('/').any(|part| matches!(part, "." | ".."))
}

/// Returns the reference that an id is which is a path in a store: `store/folder/KEY`, `store/path#field`, with `#v3` or
/// `:v3` at the end for version 3, since an id has no `@`.
#[must_use]
pub fn reference_of(id: &str) -> String {
    let version = id.rfind([':', '#']).filter(|mark| {
        let digits = id.get(mark + 1..).and_then(|text| text.strip_prefix('v')).unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    match version.and_then(|mark| id.split_at_checked(mark)) {
        Some((path, version)) => format!("{path}@{}", version.get(1..).unwrap_or_default()),
        None => id.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_plain_characters_and_goes_nowhere() {
        for id in ["A", "7", "a.b_c:d/e#f-g", "providers/openai/apiKey", "a//b", "a/...", &"a".repeat(256)] {
            assert!(is_id(id), "{id}");
        }
        for id in
            ["", "_A", "/a", "a b", "a@v1", "a=b", "a%20", "é", "a/../b", "a/.", "a\n", &"a".repeat(257)]
        {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn a_version_stands_at_the_end() {
        for (id, reference) in [
            ("s/a/K", "s/a/K"),
            ("s/a/K#v3", "s/a/K@v3"),
            ("s/a/K:v12", "s/a/K@v12"),
            ("s/a/K#password#v3", "s/a/K#password@v3"),
            ("s/a/K#version", "s/a/K#version"),
            ("s/a/K#v", "s/a/K#v"),
            ("s/a/K#v3x", "s/a/K#v3x"),
        ] {
            assert_eq!(reference_of(id), reference);
        }
    }
}
