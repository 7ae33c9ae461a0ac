//! The askpass protocol: a prompt as the one argument, the answer and a newline on stdout, or a failure.
//!
//! Sources: ssh(1), `SSH_ASKPASS`; gitcredentials(7), "Requesting credentials"; git's prompt.c and credential.c;
//! OpenSSH's readpass.c. Whoever a program talks to can have a hand in a prompt's text: a server chooses that of
//! keyboard-interactive logins, a URL the user's name. So a prompt is compared from its first letter on, and one with
//! control characters is never answered.

use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

use super::git::Request;
use super::{KeyError, LONGEST_VALUE, Unfit, fits, shown_key};
use crate::transform::buffer::Buffer;

/// The longest answer that ssh takes, in bytes, without the newline. It cuts what is longer without a word (readpass.c
/// has a buffer of 1024 bytes with the NUL at its end; tried against 9.2).
pub const LONGEST_FOR_SSH: usize = 1023;

/// How much of a prompt is shown, in characters.
const SHOWN: usize = 160;

/// Returns a prompt, or a key, without what stands behind its text: white space and the colon.
fn text_of(prompt: &str) -> &str {
    let text = prompt.trim_end();
    text.strip_suffix(':').unwrap_or(text).trim_end()
}

/// Says whether a prompt can be answered at all.
fn is_plain(prompt: &str) -> bool {
    !prompt.chars().any(char::is_control)
}

/// Checks a key of `helpers.askpass`: a whole prompt, or its beginning and `*`.
///
/// # Errors
///
/// An empty key, a `*` anywhere but at the end, control characters.
pub fn check(key: &str) -> Result<(), KeyError> {
    let start = key.strip_suffix('*').unwrap_or(key);
    if start.contains('*') {
        return Err(KeyError::new(key, "has a `*` that is not its end"));
    }
    if text_of(start).trim_start().is_empty() {
        return Err(KeyError::new(key, "would be for every prompt, also those that a server makes up"));
    }
    if !is_plain(start) {
        return Err(KeyError::new(key, "has a control character in it, and no prompt with one is answered"));
    }
    Ok(())
}

/// Says whether two keys are for the same prompts: whole ones that differ in their ends alone.
#[must_use]
pub fn is_same(key: &str, other: &str) -> bool {
    key == other || (!key.ends_with('*') && !other.ends_with('*') && text_of(key) == text_of(other))
}

/// Finds the entry for a prompt: the one that is the whole prompt, else the longest beginning.
///
/// # Errors
///
/// A key that [`check`] refuses; two keys for the same prompt.
pub fn find<'a, T>(
    entries: impl IntoIterator<Item = (&'a str, T)>,
    prompt: &str,
) -> Result<Option<T>, KeyError> {
    let mut best: Option<(usize, &str, T)> = None;
    for (key, entry) in entries {
        check(key)?;
        let closeness = match key.strip_suffix('*') {
            Some(start) => prompt.starts_with(start).then_some(start.len()),
            None => (text_of(prompt) == text_of(key)).then_some(usize::MAX),
        };
        let Some(closeness) = closeness.filter(|_| is_plain(prompt)) else { continue };
        match &best {
            Some((known, _, _)) if *known > closeness => {}
            Some((known, other, _)) if *known == closeness => {
                let why = format!("and `{}` are for the same prompt", shown_key(other));
                return Err(KeyError::new(key, why));
            }
            _ => best = Some((closeness, key, entry)),
        }
    }
    Ok(best.map(|(_, _, entry)| entry))
}

/// What git asks for in a prompt of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `Username for 'URL'`.
    Username,
    /// `Password for 'URL'`.
    Password,
}

/// Reads a prompt of git's. `None` for every other one, and where the URL could be read in two ways.
///
/// Until January 2025 git wrote the user's name and the path without percent-encoding, so that a URL such as
/// `https://github.com%2Fx@evil.example` looked like another host's. Hence only what git encodes nowadays is taken: one
/// `@` at most, before the first slash.
#[must_use]
pub fn git_prompt(prompt: &str) -> Option<(Wanted, Request)> {
    let text = text_of(prompt);
    let (wanted, rest) = match text.strip_prefix("Username for '") {
        Some(rest) => (Wanted::Username, rest),
        None => (Wanted::Password, text.strip_prefix("Password for '")?),
    };
    let url = rest.strip_suffix('\'')?;
    let (_, rest) = url.split_once("://")?;
    let fits = |char: char| {
        char.is_ascii_alphanumeric()
            || matches!(char, '-' | '.' | '_' | '~' | '%' | ':' | '/' | '@' | '[' | ']')
    };
    if !url.chars().all(fits) {
        return None;
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let is_odd = path.contains(['@', ':', '[', ']'])
        || authority.split_once('@').is_some_and(|(user, host)| user.contains(':') || host.contains('@'));
    if is_odd { None } else { Request::of_url(url).map(|request| (wanted, request)) }
}

/// Returns the answer as the program reads it.
///
/// # Errors
///
/// A value that is empty or does not fit on a line, or that ssh would cut where ssh may be the one that asks.
pub fn answer(value: &SecretValue, asked: Asked) -> Result<Zeroizing<Vec<u8>>, Unfit> {
    let longest = match asked {
        Asked::ByGit => LONGEST_VALUE,
        Asked::ByAny => LONGEST_FOR_SSH,
    };
    fits("value", value.expose(), longest)?;
    let mut text = Buffer::with_capacity(value.len() + 1);
    text.extend(value.expose());
    text.push(b'\n');
    Ok(text.into_bytes())
}

/// Whose prompt it is, by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One of git's own.
    ByGit,
    /// Any other.
    ByAny,
}

/// Returns a prompt as it can be shown: escaped, but for its quotes, and cut where it is long.
#[must_use]
pub fn shown(prompt: &str) -> String {
    let prompt = prompt.trim_end();
    let mut shown = String::new();
    for char in prompt.chars().take(SHOWN) {
        match char {
            '\'' | '"' => shown.push(char),
            char => shown.extend(char.escape_debug()),
        }
    }
    if prompt.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
