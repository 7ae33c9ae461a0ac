//! `regex_replace`: regular expressions of the `regex` crate, which match in linear time.

use dsops_providers::contract::SecretValue;
use regex::bytes::Regex;
use zeroize::Zeroizing;

use super::buffer::Buffer;
use super::error::Fault;

/// A regular expression and what takes the place of its matches.
#[derive(Clone)]
pub(super) struct Pattern {
    regex: Regex,
    replacement: String,
}

impl Pattern {
    /// Compiles the pattern and checks that the replacement names groups that it has.
    pub(super) fn new(pattern: &str, replacement: String) -> Result<Self, Fault> {
        if pattern.is_empty() {
            return Err(Fault::new("the pattern is empty").help("write a regular expression"));
        }
        let regex = Regex::new(pattern).map_err(|error| {
            // The message draws the pattern with a marker under it, over several lines; the last says what is wrong.
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            Fault::new(format!("the pattern is no regular expression: {reason}"))
                .help("put the pattern in quotes if it holds a colon, comma or pipe")
        })?;
        for group in groups(&replacement) {
            let is_there = match group.parse::<usize>() {
                Ok(number) => number < regex.captures_len(),
                Err(_) => regex.capture_names().flatten().any(|name| name == group),
            };
            if !is_there {
                return Err(Fault::new(format!("the pattern has no group `{group}`")).help(
                    "write `${1}` where a letter, digit or underscore follows, and `$$` for a dollar",
                ));
            }
        }
        Ok(Self { regex, replacement })
    }

    pub(super) fn replacement(&self) -> &str {
        &self.replacement
    }

    /// Returns the pattern in quotes. A quote in it becomes the regular expression's own escape for one.
    pub(super) fn quoted(&self) -> String {
        let mut quoted = String::from("\"");
        let mut characters = self.regex.as_str().chars();
        while let Some(character) = characters.next() {
            match (character, if character == '\\' { characters.next() } else { None }) {
                ('"', _) | ('\\', Some('"')) => quoted.push_str("\\x22"),
                (character, escaped) => quoted.extend(std::iter::once(character).chain(escaped)),
            }
        }
        quoted.push('"');
        quoted
    }

    pub(super) fn apply(&self, value: &SecretValue) -> SecretValue {
        let bytes = value.expose();
        let mut replaced = Buffer::with_capacity(bytes.len());
        let mut last = 0;
        let mut expanded = Zeroizing::new(Vec::with_capacity(bytes.len() + self.replacement.len()));
        for captures in self.regex.captures_iter(bytes) {
            let Some(whole) = captures.get(0) else { continue };
            replaced.extend(bytes.get(last..whole.start()).unwrap_or_default());
            captures.expand(self.replacement.as_bytes(), &mut expanded);
            replaced.extend(&expanded);
            expanded.clear();
            last = whole.end();
        }
        replaced.extend(bytes.get(last..).unwrap_or_default());
        replaced.to_value()
    }
}

/// Returns the groups that a replacement names, by the rules of `Captures::expand`: the longest name after a
/// dollar, or what stands in braces. The library takes a group that is not there for empty text.
fn groups(replacement: &str) -> Vec<&str> {
    let mut groups = Vec::new();
    let mut rest = replacement;
    while let Some((_, after)) = rest.split_once('$') {
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
        } else if let Some((group, after)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            groups.push(group);
            rest = after;
        } else {
            let end = after.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
            let (group, after) = after.split_at(end.unwrap_or(after.len()));
            if !group.is_empty() {
                groups.push(group);
            }
            rest = after;
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, replacement: &str, value: &str) -> String {
        let pattern = Pattern::new(pattern, replacement.to_owned()).unwrap();
        String::from_utf8(pattern.apply(&SecretValue::from(value)).expose().to_vec()).unwrap()
    }

    #[test]
    fn every_match_is_replaced() {
        assert_eq!(replaced(r"(\d+)-(?<unit>\w+)", "$unit=${1}0 $$", "5-kg, 7-m"), "kg=50 $, m=70 $");
        assert_eq!(replaced("^", "> ", "x"), "> x");
        assert_eq!(replaced("(?i)bearer +", "", "BEARER  abc"), "abc");
    }

    #[test]
    fn bytes_that_are_not_text_pass() {
        let pattern = Pattern::new(r"(?-u)\xff", "!".to_owned()).unwrap();
        assert_eq!(pattern.apply(&SecretValue::copy_of(b"a\xff\xfe")).expose(), b"a!\xfe");
    }

    #[test]
    fn a_group_that_is_not_there_is_refused() {
        for replacement in ["$1", "$1x", "${name}", "a$b"] {
            assert!(Pattern::new("a", replacement.to_owned()).is_err(), "{replacement}");
        }
        assert!(Pattern::new("(a)(?<b>)", "$0$1$b$$9 $".to_owned()).is_ok());
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_told_in_one_line() {
        let fault = Pattern::new("(", String::new()).map(|_| ()).unwrap_err();
        assert_eq!(fault.message, "the pattern is no regular expression: unclosed group");
        assert!(Pattern::new("", String::new()).is_err());
        assert!(Pattern::new(r"\w{1000}{1000}", String::new()).is_err(), "a pattern too large to hold");
    }
}
