//! Text in quotes, as chains and paths write it.

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::{anychar, char};
use nom::combinator::recognize;
use nom::multi::many0_count;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

/// Reads from a quote to the quote that ends it, both included. A backslash takes the next character with it.
pub(super) fn token(input: &str) -> IResult<&str, &str> {
    let plain = recognize(take_while1(|character| !matches!(character, '"' | '\\')));
    let escaped = recognize(preceded(char('\\'), anychar));
    recognize(delimited(char('"'), many0_count(alt((plain, escaped))), char('"'))).parse(input)
}

/// Returns the text that a token means as a JSON string, or `None` where it is none.
pub(super) fn unjson(token: &str) -> Option<String> {
    serde_json::from_str(token).ok()
}

/// Returns text as a JSON string.
pub(super) fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns what stands between the quotes of a token.
pub(super) fn inside(token: &str) -> &str {
    token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(token)
}
