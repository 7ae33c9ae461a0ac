//! The grammar of a chain in one string, as [`super`] documents it.

use dsops_providers::contract::Span;
use nom::branch::alt;
use nom::bytes::complete::take_while;
use nom::character::complete::{anychar, char, multispace0, one_of, satisfy};
use nom::combinator::{eof, fail, not, peek, recognize, value};
use nom::multi::many0_count;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use super::catalogue::{self, Arguments, Entry};
use super::error::{Fault, ParseError};
use super::quote;

/// One step of a chain as it is written.
pub(super) enum Step {
    /// A transform with its arguments, read but not checked.
    Call { entry: &'static Entry, arguments: Vec<String>, span: Span },
    /// A word that is no transform, and may be the name of a chain.
    Word { name: String, span: Span },
}

/// Splits a chain into its steps.
pub(super) fn steps(text: &str) -> Result<Vec<Step>, ParseError> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let start = text.len() - rest.len();
        let Ok((after, name)) = word(rest) else {
            return Err(ParseError::at(
                Span { start, len: rest.chars().next().map_or(0, char::len_utf8) },
                Fault::new("the name of a transform is missing").help(format!("use {}", catalogue::names())),
            ));
        };
        rest = after;
        steps.push(step(name, start, &mut rest)?);
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(steps);
        }
        let Ok((after, _)) = separator(rest) else {
            return Err(ParseError::at(
                Span { start: text.len() - rest.len(), len: rest.trim_end().len() },
                Fault::new("transforms must be separated by a comma"),
            ));
        };
        rest = after;
    }
}

/// Reads what follows a name, and moves `rest` behind it.
fn step(name: &str, start: usize, rest: &mut &str) -> Result<Step, ParseError> {
    let before = *rest;
    let Some(entry) = catalogue::find(name) else {
        let span = Span { start, len: name.len() };
        if before.starts_with(':') {
            return Err(ParseError::at(span, catalogue::unknown(name)));
        }
        return Ok(Step::Word { name: name.to_owned(), span });
    };
    let span_to = |rest: &str| {
        let taken = before.get(..before.len() - rest.len()).unwrap_or_default();
        Span { start, len: name.len() + taken.trim_end().len() }
    };
    let whole = span_to(skip_step(before));
    let Some(given) = before.strip_prefix(':') else {
        if entry.options.is_empty() {
            return Ok(Step::Call { entry, arguments: Vec::new(), span: span_to(before) });
        }
        let fault = Fault::new(format!("`{name}` needs {}", entry.needs()))
            .help(format!("write `{}`", entry.example));
        return Err(ParseError::at(whole, fault));
    };
    *rest = given;
    let read = match entry.style {
        Arguments::None => {
            Err(Fault::new(format!("`{name}` takes no arguments")).help(format!("write `{name}` alone")))
        }
        Arguments::Path => Ok(vec![path_argument(rest)]),
        Arguments::Template => rest_of_chain(rest).map(|template| vec![template]),
        Arguments::Text => text_argument(rest, End::Step).map(|text| vec![text]),
        Arguments::Pair => pair(entry, rest, text_argument),
        Arguments::PatternPair => pair(entry, rest, pattern_argument),
    };
    let arguments = read.map_err(|fault| ParseError::at(whole, fault))?;
    Ok(Step::Call { entry, arguments, span: span_to(rest) })
}

/// Where an argument ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// At the next step or the end of the chain.
    Step,
    /// At a colon.
    Colon,
}

type ReadArgument = fn(&mut &str, End) -> Result<String, Fault>;

fn pair(entry: &Entry, rest: &mut &str, first: ReadArgument) -> Result<Vec<String>, Fault> {
    let from = first(rest, End::Colon)?;
    let Some(after) = rest.strip_prefix(':') else {
        return Err(Fault::new(format!("`{}` needs {}", entry.name, entry.needs()))
            .help(format!("write `{}`, with quotes around commas and colons", entry.example)));
    };
    *rest = after;
    Ok(vec![from, optional_text(rest)?])
}

/// Reads text that may be empty: to replace with nothing is common.
fn optional_text(rest: &mut &str) -> Result<String, Fault> {
    let (after, raw) = raw_argument(rest, End::Step)?;
    *rest = after;
    unescape(raw)
}

fn text_argument(rest: &mut &str, end: End) -> Result<String, Fault> {
    let (after, raw) = raw_argument(rest, end)?;
    if raw.is_empty() {
        return Err(Fault::new("an argument is empty")
            .help("write `\"\"` for empty text, and quotes around white space"));
    }
    *rest = after;
    unescape(raw)
}

/// Reads a regular expression, whose backslashes are its own: only `\"` in quotes is the chain's.
fn pattern_argument(rest: &mut &str, end: End) -> Result<String, Fault> {
    let (after, raw) = raw_argument(rest, end)?;
    *rest = after;
    Ok(if raw.starts_with('"') { quote::inside(raw).replace("\\\"", "\"") } else { raw.to_owned() })
}

fn path_argument(rest: &mut &str) -> String {
    let part = alt((quote::token, recognize(preceded(not(boundary), anychar))));
    let found: IResult<&str, &str> = recognize(many0_count(part)).parse(rest);
    let (after, raw) = found.unwrap_or((*rest, ""));
    *rest = after;
    raw.trim().to_owned()
}

/// Reads a template: in quotes, or the rest of the chain, since templates have commas and pipes of their own.
fn rest_of_chain(rest: &mut &str) -> Result<String, Fault> {
    if let Some((after, token)) = closed_quote(rest) {
        *rest = after;
        return unescape(token);
    }
    let template = rest.trim_end();
    *rest = "";
    Ok(template.to_owned())
}

/// Returns one argument as written, quotes included, and what follows.
fn raw_argument(input: &str, end: End) -> Result<(&str, &str), Fault> {
    if input.starts_with('"') {
        return closed_quote(input).ok_or_else(|| {
            Fault::new("a quote is not closed").help("end the text with `\"`, or write `\\\"` for a quote")
        });
    }
    let colon: fn(&str) -> IResult<&str, ()> = match end {
        End::Colon => |input| value((), char(':')).parse(input),
        End::Step => |input| fail().parse(input),
    };
    let escaped = recognize(preceded(char('\\'), anychar));
    let plain = recognize(preceded(not(alt((boundary, colon))), anychar));
    let found: IResult<&str, &str> = recognize(many0_count(alt((escaped, plain)))).parse(input);
    let (after, raw) = found.unwrap_or((input, ""));
    // White space before a colon belongs to the text that is replaced; before the end it is layout.
    Ok((after, if after.starts_with(':') { raw } else { raw.trim_end() }))
}

/// Reads a quoted argument, after which only a colon, a separator or the end can follow.
fn closed_quote(input: &str) -> Option<(&str, &str)> {
    let end = preceded(multispace0, alt((value((), one_of(":,|")), value((), eof))));
    let found: IResult<&str, &str> = terminated(quote::token, peek(end)).parse(input);
    found.ok()
}

fn unescape(raw: &str) -> Result<String, Fault> {
    let raw = if raw.starts_with('"') { quote::inside(raw) } else { raw };
    let mut text = String::with_capacity(raw.len());
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(plain @ ('\\' | ':' | ',' | '|' | '"')) => text.push(plain),
            Some(other) => {
                return Err(
                    Fault::new(format!("`\\{other}` is no escape")).help("write `\\\\` for a backslash")
                );
            }
            None => {
                return Err(Fault::new("a backslash stands at the end").help("write `\\\\` for a backslash"));
            }
        }
    }
    Ok(text)
}

/// Returns text in quotes, such that it is read back.
pub(super) fn escape(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            '\\' | '"' => quoted.extend(['\\', character]),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns what follows the step whose arguments start here, whatever they are: for the place of a mistake.
fn skip_step(input: &str) -> &str {
    let found: IResult<&str, usize> = many0_count(preceded(not(boundary), anychar)).parse(input);
    found.map_or("", |(after, _)| after)
}

fn word(input: &str) -> IResult<&str, &str> {
    let start = satisfy(|character| character.is_alphabetic() || character == '_');
    recognize((
        start,
        take_while(|character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '.')),
    ))
    .parse(input)
}

fn separator(input: &str) -> IResult<&str, char> {
    one_of(",|").parse(input)
}

/// Recognises the end of a step: a separator before something that has the form of another step.
fn boundary(input: &str) -> IResult<&str, ()> {
    let end = preceded(multispace0, alt((value((), one_of(":,|")), value((), eof))));
    value((), (separator, multispace0, word, peek(end))).parse(input)
}
