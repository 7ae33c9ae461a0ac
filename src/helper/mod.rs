//! The protocols of programs that ask a helper for a secret: what they send, which entry it means, what they read.
//!
//! Pure: no file, no store, no terminal.

pub mod askpass;
pub mod aws;
pub mod credential;
pub mod docker;
pub mod git;
pub mod kube;

use std::fmt::Write as _;

use thiserror::Error;

/// The longest value that a helper tells, in bytes. No protocol here names one; what is longer is no login.
pub const LONGEST_VALUE: usize = 64 * 1024;

/// A key under `helpers:` that says nothing, or the same as another.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{key}` {why}")]
pub struct KeyError {
    /// The key as it may be [shown](shown_key).
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

impl KeyError {
    fn new(key: &str, why: impl Into<String>) -> Self {
        Self { key: shown_key(key), why: why.into() }
    }
}

/// How much of a key is shown, in characters.
const SHOWN_KEY: usize = 200;

/// Returns a key of `helpers` as it can be shown: escaped, not endless, and without what may be a password.
///
/// That is all between the first colon behind the scheme and the last `@`. A password may hold any character, also a
/// slash or another `@`, so that no rule of URLs says where it ends.
#[must_use]
pub fn shown_key(key: &str) -> String {
    // What stands before `://` is a scheme only without a colon in it: `me:pass://word@host` has none.
    let scheme = key.split_once("://").filter(|(scheme, _)| !scheme.contains(':'));
    let (scheme, rest) = scheme.map_or(("", key), |(scheme, rest)| (scheme, rest));
    let login = rest.rsplit_once('@').and_then(|(login, host)| Some((login.split_once(':')?.0, host)));
    let mut shown = String::new();
    if !scheme.is_empty() || rest.len() < key.len() {
        let _ = write!(shown, "{scheme}://");
    }
    match login {
        Some((user, host)) => {
            let _ = write!(shown, "{user}:…@{host}");
        }
        None => shown.push_str(rest),
    }
    // Quotes stay as they are: prompts have them, and no message ends at one.
    let mut escaped = String::with_capacity(shown.len());
    for char in shown.chars().take(SHOWN_KEY) {
        match char {
            '\'' | '"' => escaped.push(char),
            char => escaped.extend(char.escape_debug()),
        }
    }
    if shown.chars().nth(SHOWN_KEY).is_some() {
        escaped.push('…');
    }
    escaped
}

/// A value that a protocol of lines cannot carry. Holds nothing of the value.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unfit {
    /// It would be tried as a login, and no other helper would be asked.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// It would end early, or say something else on the next line.
    #[error("the {0} has a line break in it")]
    LineBreak(&'static str),
    /// It would end early.
    #[error("the {0} has a NUL byte in it")]
    Nul(&'static str),
    /// It would be cut.
    #[error("the {0} is longer than {1} bytes")]
    TooLong(&'static str, usize),
}

/// Says whether bytes can be told on one line.
///
/// A carriage return is refused as well: git's `strbuf_getline` takes it away at the end of a line, and ssh ends an
/// answer at the first one.
fn fits(what: &'static str, bytes: &[u8], longest: usize) -> Result<(), Unfit> {
    if bytes.is_empty() {
        return Err(Unfit::Empty(what));
    }
    if bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(Unfit::LineBreak(what));
    }
    if bytes.contains(&0) {
        return Err(Unfit::Nul(what));
    }
    if bytes.len() > longest {
        return Err(Unfit::TooLong(what, longest));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_shown_without_its_password() {
        for (key, shown) in [
            ("ghcr.io", "ghcr.io"),
            ("https://github.com:8443/acme", "https://github.com:8443/acme"),
            ("https://me@github.com:8443", "https://me@github.com:8443"),
            ("https://me:pass@github.com", "https://me:…@github.com"),
            ("me:pass@ghcr.io", "me:…@ghcr.io"),
            ("https://me:pa/ss@w@github.com", "https://me:…@github.com"),
            ("me:pass://word@host", "me:…@host"),
            ("://me:pass@host", "://me:…@host"),
            ("Password for 'https://me:pass@github.com'", "Password for 'https://me:…@github.com'"),
            ("a\n\u{1b}b", "a\\n\\u{1b}b"),
        ] {
            assert_eq!(shown_key(key), shown, "{key}");
        }
        assert_eq!(shown_key(&"é".repeat(5000)).chars().count(), SHOWN_KEY + 1);
    }

    proptest! {
        #[test]
        fn whatever_a_password_holds_it_is_not_shown(
            scheme in proptest::option::of("[a-z+]{1,5}"), user in "[a-z%]{0,5}", noise in "[ -~]{0,8}",
        ) {
            let scheme = scheme.map(|scheme| scheme + "://").unwrap_or_default();
            let key = format!("{scheme}{user}:{noise}HUNTER2{noise}@host");
            prop_assert_eq!(shown_key(&key), format!("{scheme}{user}:…@host"));
        }
    }
}
