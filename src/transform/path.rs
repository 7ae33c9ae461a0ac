//! Paths into a document: `.a.b`, `.items[0]`, `.items.0`, `.list[-1]`, `."a.b"`, `.["a.b"]`.

use std::fmt;

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::{char, digit1};
use nom::combinator::{all_consuming, map, map_opt, map_res, opt, recognize};
use nom::multi::many0;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

use super::error::Fault;
use super::quote;

/// A way from the top of a document to one value in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Segment>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// A key of a mapping; in a list, if it is a number, a place.
    Name(String),
    /// A place in a list, negative from the end.
    Index(i64),
}

impl Path {
    /// Reads a path. The leading dot may be left out; `.` alone is the whole document.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("the path is empty")
                .help("write a path such as `.user.name`, or `.` for everything"));
        }
        if text == "." {
            return Ok(Self(Vec::new()));
        }
        match all_consuming(path).parse(text) {
            Ok((_, path)) => Ok(path),
            Err(_) => Err(Fault::new(format!("`{text}` is not a path")).help(
                "write keys and places as in `.users[0].name`, and odd keys in quotes, as in `.\"a.b\"`",
            )),
        }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Returns the first `len` steps as text, for messages.
    pub(super) fn up_to(&self, len: usize) -> String {
        if len == 0 {
            return "the document".to_owned();
        }
        let start = self.0.get(..len).unwrap_or(&self.0);
        format!("`{}`", Self(start.to_vec()))
    }
}

impl Segment {
    /// Returns the place in a list of that length, or `None` where the segment is no number or the list is shorter.
    pub(super) fn place(&self, len: usize) -> Option<usize> {
        let index = match self {
            Self::Index(index) => *index,
            Self::Name(name) => name.parse().ok()?,
        };
        let place = match usize::try_from(index) {
            Ok(place) => place,
            Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        (place < len).then_some(place)
    }

    /// Says whether the segment can mean a place in a list.
    pub(super) fn is_place(&self) -> bool {
        match self {
            Self::Index(_) => true,
            Self::Name(name) => name.parse::<i64>().is_ok(),
        }
    }
}

/// Prints the one spelling that every path is read back from.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Name(name) if is_simple(name) => write!(f, ".{name}")?,
                Segment::Name(name) => write!(f, ".{}", quote::json(name))?,
                Segment::Index(index) => write!(f, "{}[{index}]", if position == 0 { "." } else { "" })?,
            }
        }
        Ok(())
    }
}

fn is_simple(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn path(input: &str) -> IResult<&str, Path> {
    let first = alt((bracket, preceded(opt(char('.')), alt((bracket, name)))));
    let rest = many0(alt((bracket, preceded(char('.'), alt((bracket, name))))));
    map((first, rest), |(first, rest)| Path(std::iter::once(first).chain(rest).collect())).parse(input)
}

fn name(input: &str) -> IResult<&str, Segment> {
    let bare = take_while1(|character| !matches!(character, '.' | '[' | ']' | '"' | ',' | '|'));
    alt((map(quoted, Segment::Name), map(bare, |name: &str| Segment::Name(name.to_owned())))).parse(input)
}

fn bracket(input: &str) -> IResult<&str, Segment> {
    let index =
        map_res(recognize((opt(char('-')), digit1)), |digits: &str| digits.parse().map(Segment::Index));
    delimited(char('['), alt((map(quoted, Segment::Name), index)), char(']')).parse(input)
}

/// Reads a key in quotes: a JSON string.
fn quoted(input: &str) -> IResult<&str, String> {
    map_opt(quote::token, quote::unjson).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> String {
        Path::parse(text).unwrap().to_string()
    }

    #[test]
    fn every_spelling_of_a_path_is_read() {
        for (text, canonical) in [
            (".a.b", ".a.b"),
            ("a.b", ".a.b"),
            (".", "."),
            (".a[0].c", ".a[0].c"),
            (".items.0", ".items.0"),
            (".[2]", ".[2]"),
            ("[2]", ".[2]"),
            (".list[-1]", ".list[-1]"),
            (".\"a.b\"", ".\"a.b\""),
            (".[\"a.b\"]", ".\"a.b\""),
            ("[\"plain\"].x", ".plain.x"),
            (".with space", ".\"with space\""),
            (".\"\\u00e9\\\"\"", ".\"é\\\"\""),
            (".\"\"", ".\"\""),
        ] {
            assert_eq!(printed(text), canonical, "{text}");
            assert_eq!(printed(canonical), canonical);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            ".a..b",
            ".a.",
            "..",
            ".a[",
            ".a[x]",
            ".a]b",
            ".a\"b",
            ".\"open",
            ".a,b",
            ".a[99999999999999999999]",
        ] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_count_from_both_ends() {
        assert_eq!(Segment::Index(0).place(3), Some(0));
        assert_eq!(Segment::Index(-1).place(3), Some(2));
        assert_eq!(Segment::Index(-4).place(3), None);
        assert_eq!(Segment::Index(3).place(3), None);
        assert_eq!(Segment::Index(i64::MIN).place(3), None);
        assert_eq!(Segment::Name("1".to_owned()).place(3), Some(1));
        assert_eq!(Segment::Name("x".to_owned()).place(3), None);
    }
}
