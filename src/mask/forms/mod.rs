//! The forms in which programs print a value: as it is, line by line, and in the common encodings.
//!
//! Each form is what depends on the value alone; quotes around it and separators are left out. A form that
//! no byte of the value needs is the value itself, and counts once.

mod base64;
mod json;
mod shell;
mod url;

use zeroize::Zeroizing;

use super::SHORTEST;
use crate::transform::buffer::Buffer;

/// The longest pattern, in bytes. What is longer is masked in pieces of this length: that bounds the memory of a
/// stream and what it holds back, and a long value is masked also where only a part of it is printed.
const PIECE: usize = 1024;
/// The length from which on a part of a value is masked where it is not a whole line of its own.
const PART: usize = 8;

/// The forms of all values so far. Their memory is overwritten.
#[derive(Default)]
pub(super) struct Forms(Vec<Zeroizing<Vec<u8>>>);

impl Forms {
    /// Adds all forms of a value.
    pub(super) fn add_value(&mut self, value: &[u8]) {
        self.add(value);
        self.add_lines(value);
        self.add_encoded(value);
        // A file's last newline, or blanks around a value, are often dropped on the way.
        let trimmed = value.trim_ascii();
        if trimmed.len() < value.len() && trimmed.len() >= SHORTEST {
            self.add_encoded(trimmed);
        }
    }

    pub(super) fn into_patterns(self) -> Vec<Zeroizing<Vec<u8>>> {
        self.0
    }

    /// Adds one text, in pieces where it is long.
    fn add(&mut self, text: &[u8]) {
        if text.len() < SHORTEST {
            return;
        }
        // The newline at the end of a file is no secret, and the output would lose a line break with it.
        let text = match text.strip_suffix(b"\n") {
            Some(bare) => {
                let end = bare.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
                bare.get(..end).filter(|bare| bare.len() >= SHORTEST).unwrap_or(text)
            }
            None => text,
        };
        let mut pieces = text.chunks_exact(PIECE);
        for piece in &mut pieces {
            self.0.push(Zeroizing::new(piece.to_vec()));
        }
        if pieces.remainder().is_empty() {
            return;
        }
        // The last piece reaches back, so that it is no shorter than the others.
        let last = text.get(text.len().saturating_sub(PIECE)..).unwrap_or(text);
        self.0.push(Zeroizing::new(last.to_vec()));
    }

    fn add_buffer(&mut self, buffer: &Buffer) {
        self.add(buffer);
    }

    /// Adds the lines, and the whole as a terminal and as Windows break it.
    fn add_lines(&mut self, value: &[u8]) {
        if !value.contains(&b'\n') {
            return;
        }
        for line in value.split(|byte| *byte == b'\n') {
            let bare = line.strip_suffix(b"\r").unwrap_or(line);
            // Blanks hold nothing, and are the indentation of everything.
            if bare.trim_ascii().is_empty() {
                continue;
            }
            self.add(bare);
            // Printed again, a line may be indented in another way.
            let trimmed = bare.trim_ascii();
            if trimmed.len() >= PART {
                self.add(trimmed);
            }
        }
        self.add_buffer(&with_breaks(value, b"\n"));
        self.add_buffer(&with_breaks(value, b"\r\n"));
        // A terminal puts a carriage return before each newline, whatever stands there.
        self.add_buffer(&with_breaks(value, b"\r\r\n"));
    }

    fn add_encoded(&mut self, value: &[u8]) {
        base64::forms(value, self);
        url::forms(value, self);
        json::forms(value, self);
        shell::forms(value, self);
    }
}

/// Returns the text with each line break as given.
fn with_breaks(text: &[u8], line_break: &[u8]) -> Buffer {
    let mut out = Buffer::with_capacity(text.len() + 64);
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        out.extend(if is_last { line } else { line.strip_suffix(b"\r").unwrap_or(line) });
        if !is_last {
            out.extend(line_break);
        }
    }
    out
}
