//! The grammar of a dotenv file, over bytes: a value need not be text.
//!
//! There is no standard. What python-dotenv and Node's dotenv read alike is read the same here, but for two
//! escapes of the shell in double quotes, `\$` and the end of a line. Where the two differ, a value is read as
//! a shell reads it, or is an error rather than a guess.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_while, take_while1};
use nom::combinator::{eof, map_res, opt, recognize, value};
use nom::error::{ErrorKind, FromExternalError, ParseError};
use nom::multi::many0;
use nom::sequence::{pair, preceded, terminated};
use nom::{IResult, Offset as _, Parser};

/// Whether `${NAME}` means another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expansion {
    /// It does.
    On,
    /// It is text as any other.
    Off,
}

/// One `KEY=value`.
pub(super) struct Assignment<'a> {
    /// The key.
    pub(super) name: &'a str,
    /// What the value is put together from.
    pub(super) pieces: Vec<Piece<'a>>,
    /// The line of the key, from 1.
    pub(super) line: usize,
}

/// A part of a value. It borrows from the file, so that no copy of a secret is made here.
pub(super) enum Piece<'a> {
    /// Bytes of the file.
    Bytes(&'a [u8]),
    /// What an escape stands for.
    Byte(u8),
    /// `${NAME}` or `${NAME:-default}`.
    Variable { name: &'a str, default: Option<&'a [u8]> },
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// A lowercase fragment, without any part of the line: it may be a secret that lost its quotes.
    pub(super) message: &'static str,
    /// The advice.
    pub(super) help: &'static str,
}

/// Reads a whole file.
pub(super) fn parse(file: &[u8], expansion: Expansion) -> Result<Vec<Assignment<'_>>, Mistake> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut assignments = Vec::new();
    let mut rest = file;
    let mut line = 1;
    while !rest.is_empty() {
        let (after, statement) = statement(rest, expansion).map_err(|error| match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => fault.locate(file),
            // Only parsers of streams ask for more.
            nom::Err::Incomplete(_) => Fault::new(rest, NOT_A_LINE).locate(file),
        })?;
        assignments.extend(statement.map(|(name, pieces)| Assignment { name, pieces, line }));
        line += newlines(rest.get(..rest.offset(after)).unwrap_or_default());
        rest = after;
    }
    Ok(assignments)
}

/// A key and what its value is put together from.
type Statement<'a> = (&'a str, Vec<Piece<'a>>);

/// A line, or as many as a quoted value has: nothing, a comment or an assignment.
fn statement(input: &[u8], expansion: Expansion) -> Parsed<'_, Option<Statement<'_>>> {
    let (input, _) = blanks(input)?;
    alt((line_end.map(|()| None), (move |input| assignment(input, expansion)).map(Some))).parse(input)
}

type Parsed<'a, T> = IResult<&'a [u8], T, Fault<'a>>;

/// A mistake on its way up: where it is, as a part of the file.
struct Fault<'a> {
    at: &'a [u8],
    told: Told,
}

type Told = (&'static str, &'static str);

const NOT_A_LINE: Told = (
    "neither `KEY=value` nor a comment",
    "quote the value if it has more than one line, or put `#` before what is not meant to be read",
);
const NO_EQUALS: Told = ("no `=` after the key", "write `KEY=value`, or `KEY=` for an empty value");
const OPEN_QUOTE: Told =
    ("a quote that does not close", "close the quote, or put the whole value in another kind of quotes");
const AFTER_QUOTE: Told = (
    "more text after the closing quote",
    "put the whole value in quotes, and `\\` before a double quote within double quotes",
);
const LONE_RETURN: Told = (
    "a carriage return without a line feed",
    "end lines with a line feed, or put the value in double quotes and write `\\r`",
);
const BAD_VARIABLE: Told = (
    "a `${` that is neither `${NAME}` nor `${NAME:-default}`",
    "correct it, put the value in single quotes, or take `expand` out of the store",
);

impl<'a> Fault<'a> {
    fn new(at: &'a [u8], told: Told) -> Self {
        Self { at, told }
    }

    fn raise<T>(at: &'a [u8], told: Told) -> Parsed<'a, T> {
        Err(nom::Err::Failure(Self::new(at, told)))
    }

    fn locate(self, file: &[u8]) -> Mistake {
        let (line, column) = place(file, self.at);
        Mistake { line, column, message: self.told.0, help: self.told.1 }
    }
}

impl<'a, E> FromExternalError<&'a [u8], E> for Fault<'a> {
    fn from_external_error(input: &'a [u8], _: ErrorKind, _: E) -> Self {
        Self::new(input, NOT_A_LINE)
    }
}

impl<'a> ParseError<&'a [u8]> for Fault<'a> {
    fn from_error_kind(input: &'a [u8], _: ErrorKind) -> Self {
        Self::new(input, NOT_A_LINE)
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Returns the line and the column of a part of the file.
fn place(file: &[u8], part: &[u8]) -> (usize, usize) {
    let before = file.get(..file.offset(part)).unwrap_or(file);
    let line = before.rsplit(|&byte| byte == b'\n').next().unwrap_or_default();
    // A character has one byte that does not continue another.
    let characters = line.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
    (newlines(before) + 1, characters + 1)
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte == b'\n').count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn blanks(input: &[u8]) -> Parsed<'_, &[u8]> {
    take_while(is_blank).parse(input)
}

fn comment(input: &[u8]) -> Parsed<'_, &[u8]> {
    recognize(pair(tag(&b"#"[..]), take_till(|byte| byte == b'\n'))).parse(input)
}

/// The rest of a line that holds nothing more.
fn line_end(input: &[u8]) -> Parsed<'_, ()> {
    value((), pair(opt(comment), alt((newline, eof)))).parse(input)
}

fn newline(input: &[u8]) -> Parsed<'_, &[u8]> {
    alt((tag(&b"\n"[..]), tag(&b"\r\n"[..]))).parse(input)
}

fn assignment(input: &[u8], expansion: Expansion) -> Parsed<'_, Statement<'_>> {
    let (input, _) = opt(terminated(tag(&b"export"[..]), take_while1(is_blank))).parse(input)?;
    let (input, name) = name(input)?;
    let (input, _) = blanks(input)?;
    let Some(text) = input.strip_prefix(b"=") else { return Fault::raise(input, NO_EQUALS) };
    let (input, _) = blanks(text)?;
    let (input, pieces) = match input.first() {
        Some(b'"') => closed(double_quoted(input, expansion)?)?,
        Some(quote @ (b'\'' | b'`')) => closed(literally_quoted(input, *quote)?)?,
        // From right after the `=`, since a `#` there is part of the value, and one after a blank is not.
        _ => unquoted(text, expansion)?,
    };
    Ok((input, (name, pieces)))
}

/// A key, of the characters that Node's dotenv takes too.
fn name(input: &[u8]) -> Parsed<'_, &str> {
    let key = take_while1(|byte: u8| is_word(byte) || byte == b'-');
    map_res(key, std::str::from_utf8).parse(input)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
}

/// Checks that nothing but a comment follows a quoted value.
fn closed<'a>((input, pieces): (&'a [u8], Vec<Piece<'a>>)) -> Parsed<'a, Vec<Piece<'a>>> {
    match preceded(blanks, line_end).parse(input) {
        Ok((rest, ())) => Ok((rest, pieces)),
        Err(_) => Fault::raise(blanks(input)?.0, AFTER_QUOTE),
    }
}

/// Single quotes and backticks: everything up to the same quote, line ends as `\n`.
fn literally_quoted(input: &[u8], quote: u8) -> Parsed<'_, Vec<Piece<'_>>> {
    let run = take_while1(move |byte| byte != quote && byte != b'\r').map(Piece::Bytes);
    let (rest, pieces) = preceded(take(1_usize), many0(alt((run, carriage_return)))).parse(input)?;
    match rest.split_first() {
        Some((_, rest)) => Ok((rest, pieces)),
        None => Fault::raise(input, OPEN_QUOTE),
    }
}

/// A carriage return within quotes: a part of a line's end, or itself.
fn carriage_return(input: &[u8]) -> Parsed<'_, Piece<'_>> {
    alt((preceded(tag(&b"\r"[..]), tag(&b"\n"[..])), tag(&b"\r"[..]))).map(Piece::Bytes).parse(input)
}

/// Double quotes: everything up to the next that has no backslash before it.
fn double_quoted(input: &[u8], expansion: Expansion) -> Parsed<'_, Vec<Piece<'_>>> {
    let run = take_while1(|byte| !matches!(byte, b'"' | b'\\' | b'$' | b'\r')).map(Piece::Bytes);
    let piece = alt((run, escape, carriage_return, move |input| dollar(input, expansion)));
    let (rest, pieces) = preceded(take(1_usize), many0(piece)).parse(input)?;
    match rest.strip_prefix(b"\"") {
        Some(rest) => Ok((rest, pieces)),
        None => Fault::raise(input, OPEN_QUOTE),
    }
}

/// A backslash within double quotes; one before a character that it means nothing to is itself.
fn escape(input: &[u8]) -> Parsed<'_, Piece<'_>> {
    let (rest, backslash) = tag(&b"\\"[..]).parse(input)?;
    if let Ok((rest, _)) = newline(rest) {
        return Ok((rest, Piece::Bytes(&[])));
    }
    let Some((&escaped, after)) = rest.split_first() else {
        return Err(nom::Err::Error(Fault::new(input, OPEN_QUOTE)));
    };
    let byte = match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'"' | b'\\' | b'$' => escaped,
        _ => return Ok((rest, Piece::Bytes(backslash))),
    };
    Ok((after, Piece::Byte(byte)))
}

/// A dollar, and the variable that it begins where variables are expanded.
fn dollar(input: &[u8], expansion: Expansion) -> Parsed<'_, Piece<'_>> {
    let (rest, dollar) = tag(&b"$"[..]).parse(input)?;
    if expansion == Expansion::Off || !rest.starts_with(b"{") {
        return Ok((rest, Piece::Bytes(dollar)));
    }
    match variable(rest) {
        Ok(parsed) => Ok(parsed),
        Err(_) => Fault::raise(input, BAD_VARIABLE),
    }
}

/// `{NAME}` or `{NAME:-default}`. No dash in the name: in a shell `${NAME-default}` means something else
/// again. A default is text without an end of line.
fn variable(input: &[u8]) -> Parsed<'_, Piece<'_>> {
    let name = map_res(take_while1(is_word), std::str::from_utf8);
    let default = preceded(tag(&b":-"[..]), take_till(|byte| matches!(byte, b'}' | b'\r' | b'\n')));
    let (rest, (name, default)) =
        terminated(preceded(tag(&b"{"[..]), pair(name, opt(default))), tag(&b"}"[..])).parse(input)?;
    Ok((rest, Piece::Variable { name, default }))
}

/// A value without quotes: the rest of the line without the white space around it, up to a `#` that
/// has white space before it.
fn unquoted(input: &[u8], expansion: Expansion) -> Parsed<'_, Vec<Piece<'_>>> {
    let (rest, line) = terminated(take_till(|byte| byte == b'\n'), opt(newline)).parse(input)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = without_comment(line).trim_ascii();
    if let Some(at) = text.iter().position(|&byte| byte == b'\r') {
        return Fault::raise(text.get(at..).unwrap_or_default(), LONE_RETURN);
    }
    let run = take_while1(|byte| byte != b'$').map(Piece::Bytes);
    let (_, pieces) = many0(alt((run, move |input| dollar(input, expansion)))).parse(text)?;
    Ok((rest, pieces))
}

/// Cuts off a comment, which starts at a `#` that follows a blank.
fn without_comment(line: &[u8]) -> &[u8] {
    let comment = line.windows(2).position(|pair| matches!(pair, [before, b'#'] if is_blank(*before)));
    comment.and_then(|at| line.get(..at)).unwrap_or(line)
}
