//! What the values of a credential must be where a protocol carries them as JSON, and when they end.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dsops_providers::contract::SecretValue;
use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::LONGEST_VALUE;
use crate::transform::buffer::Buffer;

/// A value of an entry that its protocol cannot carry. Holds nothing of the value.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("`{part}` {why}")]
pub struct Misfit {
    /// The key of the value in its entry, such as `password`.
    pub part: &'static str,
    /// What is wrong with it.
    pub why: Unusable,
}

/// Why a value cannot be given.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Unusable {
    /// No bytes at all.
    #[error("is empty")]
    Empty,
    /// Bytes that are not UTF-8, or a NUL among them.
    #[error("is not text")]
    NotText,
    /// It would not be one word in a header.
    #[error("has white space, a control character or a letter beyond ASCII in it, as no such value has")]
    NotOneWord,
    /// A name with what separates it from the password, or with a control character.
    #[error("has a colon or a control character in it, which a name cannot have")]
    NotName,
    /// No certificate.
    #[error("is no certificate in PEM")]
    NotCertificate,
    /// No key of a certificate.
    #[error("is no unencrypted private key in PEM")]
    NotKey,
    /// No protocol here would take it.
    #[error("is longer than {LONGEST_VALUE} bytes")]
    TooLong,
}

impl Unusable {
    /// Returns the one thing to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Empty => "give the secret a value in its store",
            Self::NotText => "see whether the reference names the right secret",
            Self::NotOneWord => "where it is a line break at the end, add `transform: trim`",
            Self::NotName => "see whether the name and the password are the right way round",
            Self::NotCertificate | Self::NotKey => {
                "where it is the base64 text of a kubeconfig, add `transform: base64_decode`"
            }
            Self::TooLong => "see whether the reference names the right secret",
        }
    }
}

/// Returns a value as text that is not empty.
pub(super) fn text<'a>(part: &'static str, value: &'a SecretValue) -> Result<&'a str, Misfit> {
    let misfit = |why| Misfit { part, why };
    let text = value.expose_str().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| misfit(Unusable::NotText))?;
    match text.len() {
        0 => Err(misfit(Unusable::Empty)),
        1..=LONGEST_VALUE => Ok(text),
        _ => Err(misfit(Unusable::TooLong)),
    }
}

/// Returns a value as one word of printable ASCII, as headers carry keys and tokens.
pub(super) fn word<'a>(part: &'static str, value: &'a SecretValue) -> Result<&'a str, Misfit> {
    let text = text(part, value)?;
    let is_word = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_word { Ok(text) } else { Err(Misfit { part, why: Unusable::NotOneWord }) }
}

/// Writes one line of JSON.
pub(super) fn json(part: &'static str, answer: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, Misfit> {
    let mut line = Buffer::default();
    // Text into memory: nothing there can fail.
    serde_json::to_writer(&mut line, answer).map_err(|_| Misfit { part, why: Unusable::NotText })?;
    line.push(b'\n');
    Ok(line.into_bytes())
}

/// Returns when a credential ends that is given now, as RFC 3339 writes it in UTC: `2026-03-01T09:05:00Z`.
///
/// Whole seconds, rounded up: what is given must not have ended already. `None` for a clock or a time that no year of
/// four digits holds.
#[must_use]
pub fn expiry(now: SystemTime, after: Duration) -> Option<String> {
    let since = now.duration_since(UNIX_EPOCH).ok()?.checked_add(after)?;
    let seconds = since.as_secs().checked_add(u64::from(since.subsec_nanos() > 0))?;
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        match days.checked_sub(length) {
            Some(left) if year < 9999 => (days, year) = (left, year + 1),
            Some(_) => return None,
            None => break,
        }
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        match days.checked_sub(length) {
            Some(left) => (days, month) = (left, month + 1),
            None => break,
        }
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    Some(format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, after: Duration) -> Option<String> {
        expiry(UNIX_EPOCH + Duration::from_secs(seconds), after)
    }

    #[test]
    fn an_expiry_is_the_date_that_gnu_date_writes() {
        let of = |seconds| at(seconds, Duration::ZERO).expect("a date");
        assert_eq!(of(0), "1970-01-01T00:00:00Z");
        assert_eq!(of(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(of(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(of(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(of(1_772_355_900), "2026-03-01T09:05:00Z");
        assert_eq!(of(1_798_761_599), "2026-12-31T23:59:59Z");
        assert_eq!(of(1_798_761_600), "2027-01-01T00:00:00Z");
        assert_eq!(of(4_107_542_400), "2100-03-01T00:00:00Z");
        assert_eq!(of(253_402_300_799), "9999-12-31T23:59:59Z");
        assert_eq!(at(253_402_300_800, Duration::ZERO), None);
    }

    #[test]
    fn part_of_a_second_is_rounded_up_so_that_nothing_ends_before_it_is_given() {
        assert_eq!(at(10, Duration::from_millis(1)).as_deref(), Some("1970-01-01T00:00:11Z"));
        assert_eq!(at(10, Duration::from_secs(900)).as_deref(), Some("1970-01-01T00:15:10Z"));
        let before = UNIX_EPOCH.checked_sub(Duration::from_secs(1)).expect("a clock before 1970");
        assert_eq!(expiry(before, Duration::ZERO), None);
        assert_eq!(at(0, Duration::MAX), None);
    }

    #[test]
    fn a_word_has_neither_white_space_nor_control_characters() {
        let why = |value: &str| word("x", &SecretValue::from(value)).map_err(|misfit| misfit.why).err();
        assert_eq!(why("abc+/=~!"), None);
        assert_eq!(why(""), Some(Unusable::Empty));
        for value in ["a b", "a\n", "\ta", "é", "\x7f", "a\r\n"] {
            assert_eq!(why(value), Some(Unusable::NotOneWord), "{value:?}");
        }
        assert_eq!(why("a\0"), Some(Unusable::NotText));
        assert_eq!(why(&"a".repeat(LONGEST_VALUE)), None);
        assert_eq!(why(&"a".repeat(LONGEST_VALUE + 1)), Some(Unusable::TooLong));
        let bytes = SecretValue::copy_of(&[0xff]);
        assert_eq!(word("x", &bytes).map_err(|misfit| misfit.why), Err(Unusable::NotText));
    }
}
