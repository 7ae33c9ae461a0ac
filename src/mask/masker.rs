//! One stream on its way out: what is a value is replaced, what may become one is held back.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::patterns::{Found, Patterns, SAMPLE};

/// What stands in place of values. Values that touch or overlap share one.
pub const REPLACEMENT: &[u8] = b"***";

/// How much is read at once, in bytes.
const CHUNK: usize = 128 * 1024;

/// Masks one stream.
///
/// Read into [`Masker::space`] and call [`Masker::commit`], or call [`Masker::push`]. Text that may turn out to be
/// the start of a value is held back until that is known; [`Masker::release`] lets the first bytes of such
/// text through after a silence, and what follows is masked all the same. Memory is bounded by
/// the longest pattern and the size of one read.
pub struct Masker {
    patterns: Arc<Patterns>,
    /// The text from the first place on where a value may have begun. Overwritten on drop.
    buffer: Zeroizing<Vec<u8>>,
    pub(super) filled: usize,
    /// How much of the text has been settled: written, or replaced.
    pub(super) settled: usize,
    /// Whether the last that was written is a replacement.
    masked: bool,
}

impl Masker {
    pub(super) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, buffer: Zeroizing::default(), filled: 0, settled: 0, masked: false }
    }

    /// Returns where the next bytes are to be read to. It is never empty.
    pub fn space(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer = Zeroizing::new(vec![0; self.patterns.longest() + CHUNK]);
        }
        // What is kept is shorter than the longest pattern.
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Takes the first `count` bytes of the space as read, and appends what can be shown.
    pub fn commit(&mut self, count: usize, out: &mut Vec<u8>) {
        self.filled = (self.filled + count).min(self.buffer.len());
        self.settle(Ending::Open, out);
    }

    /// Takes bytes, and appends what can be shown.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let space = self.space();
            let (now, later) = bytes.split_at(bytes.len().min(space.len()));
            if let Some(space) = space.get_mut(..now.len()) {
                space.copy_from_slice(now);
            }
            self.commit(now.len(), out);
            bytes = later;
        }
    }

    /// Says whether bytes are held back that [`Masker::release`] would let through.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.settled < self.filled && self.filled < SAMPLE
    }

    /// Lets held bytes through where they are less than the first four of a value: a prompt, a typed character.
    ///
    /// For a silence of the stream. Should the rest of a value follow, it is masked.
    pub fn release(&mut self, out: &mut Vec<u8>) {
        if self.is_waiting() {
            out.extend_from_slice(self.buffer.get(self.settled..self.filled).unwrap_or_default());
            self.settled = self.filled;
            self.masked = false;
        }
    }

    /// Ends the stream: what was held back is shown, unless it is a value.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.settle(Ending::Closed, out);
    }

    fn settle(&mut self, ending: Ending, out: &mut Vec<u8>) {
        let text = self.buffer.get(..self.filled).unwrap_or_default();
        let mut writer = Writer { text, settled: self.settled, masked: self.masked, out };
        // Where the first value begins that the text may be the start of: no more than that is settled.
        let mut limit = None;
        self.patterns.scan(text, |start, Found { len, open }| {
            if open && limit.is_none() && ending == Ending::Open {
                writer.show_to(start);
                limit = Some(start);
            }
            let end = start + len;
            if len > 0 && end > writer.settled && (limit.is_none() || start <= writer.settled) {
                writer.show_to(start);
                writer.mask_to(end);
            }
        });
        let limit = limit.unwrap_or(self.filled);
        writer.show_to(limit);
        (self.settled, self.masked) = (writer.settled - limit, writer.masked);
        let filled = self.filled;
        self.buffer.copy_within(limit..filled, 0);
        self.filled = filled - limit;
    }
}

/// Whether more may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Open,
    Closed,
}

/// Settles a text from its start to its end.
struct Writer<'a> {
    text: &'a [u8],
    pub(super) settled: usize,
    masked: bool,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn show_to(&mut self, end: usize) {
        if let Some(text @ [_, ..]) = self.text.get(self.settled..end) {
            self.out.extend_from_slice(text);
            self.settled = end;
            self.masked = false;
        }
    }

    fn mask_to(&mut self, end: usize) {
        if !self.masked {
            self.out.extend_from_slice(REPLACEMENT);
        }
        self.settled = end;
        self.masked = true;
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker(***)")
    }
}
