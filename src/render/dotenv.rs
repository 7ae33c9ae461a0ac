//! `NAME=value` lines that shells, docker compose, python-dotenv and Node's readers agree on.
//!
//! These readers differ (`tests/peers/render.py` runs them):
//!
//! - A shell takes everything in single quotes for itself, and in double quotes a backslash before `"`, `\`, `$` and a
//!   backtick away.
//! - docker compose does the same, but in double quotes keeps the backslash before a backtick, and takes a quote after a
//!   backslash for a part of the value, in single quotes too.
//! - python-dotenv makes one of two backslashes also in single quotes, keeps the backslash before `$`, expands `${NAME}`
//!   everywhere, and loses carriage returns.
//! - Node's readers take no backslash away, and lose carriage returns.
//!
//! So: nothing around what is plain for all; single quotes wherever the value has none; double quotes for the rest. Where
//! no way serves every reader, shells read the value exactly, nothing in it is ever run or expanded by them, and a note
//! says who does not. `docker run --env-file` knows no quotes at all: it is not among these readers.

use super::error::RenderError;
use super::{Note, Variable, each, is_name, text_of};
use crate::transform::buffer::Buffer;

/// Renders the lines, and notes what some readers misread.
pub(super) fn render(variables: &[Variable<'_>], notes: &mut Vec<Note>) -> Result<Buffer, Vec<RenderError>> {
    each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        let value = text_of(name, value)?;
        let quotes = Quotes::around(value);
        text.extend(name.as_bytes());
        text.push(b'=');
        quotes.write(value, text);
        text.push(b'\n');
        if let Some(message) = quotes.misread(value).message(name) {
            notes.push(Note { variable: name.to_owned(), message });
        }
        Ok(())
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

impl Quotes {
    fn around(value: &str) -> Self {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,=".contains(&byte);
        if value.bytes().all(is_plain) && !value.starts_with('=') {
            Self::None
        } else if !value.contains('\'') && !value.ends_with('\\') {
            Self::Single
        } else {
            Self::Double
        }
    }

    fn write(self, value: &str, text: &mut Buffer) {
        match self {
            Self::None => text.extend(value.as_bytes()),
            Self::Single => {
                text.push(b'\'');
                text.extend(value.as_bytes());
                text.push(b'\'');
            }
            Self::Double => {
                text.push(b'"');
                for byte in value.bytes() {
                    if matches!(byte, b'"' | b'\\' | b'$' | b'`') {
                        text.push(b'\\');
                    }
                    text.push(byte);
                }
                text.push(b'"');
            }
        }
    }

    fn misread(self, value: &str) -> Misread {
        let has = |part: &str| value.contains(part);
        match self {
            Self::None => Misread::default(),
            Self::Single => Misread {
                compose: false,
                python: has("\\\\") || has("${") || has("\r"),
                node: has("\r"),
                what_follows: false,
            },
            Self::Double => Misread {
                compose: has("`"),
                python: has("$") || has("`") || has("\r"),
                node: value.contains(['"', '\\', '$', '`', '\r']),
                // Node's readers take the second backslash and the closing quote for a quote inside, or the quote
                // inside for the closing one, and what is left of the value for the next line.
                what_follows: value.ends_with('\\') || value.contains('"'),
            },
        }
    }
}

/// Which readers get another value.
#[derive(Default)]
struct Misread {
    compose: bool,
    python: bool,
    node: bool,
    what_follows: bool,
}

impl Misread {
    fn message(&self, name: &str) -> Option<String> {
        let readers =
            [(self.compose, "docker compose"), (self.python, "python-dotenv"), (self.node, "Node's dotenv")];
        let named: Vec<&str> =
            readers.iter().filter(|(misreads, _)| *misreads).map(|(_, reader)| *reader).collect();
        let (last, rest) = named.split_last()?;
        let listed =
            if rest.is_empty() { (*last).to_owned() } else { format!("{} and {last}", rest.join(", ")) };
        let more = if self.what_follows { ", which may misread the lines after it too" } else { "" };
        Some(format!("`{name}` is exact for shells, but not for {listed}{more}; `json` is exact for all"))
    }
}
