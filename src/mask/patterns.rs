//! The set of byte strings that are masked, and the search for them.
//!
//! A search has two stages. The first looks at a group of starts at once, and at few bytes of each: a sample of four
//! bytes lies at the last start of the group, so that whatever begins at one of them has it among its first
//! bytes, and a table of bits says whether any pattern has. Nearly all text is passed over so,
//! four bytes out of sixteen. Patterns of fewer than eight bytes leave no room for that: then each
//! start of a group of five has its own sample. The second stage looks each start of a group that is left up in
//! the sorted list of patterns: exact, and with no more memory than the patterns themselves.
//!
//! Aho and Corasick's automaton, which reads every byte and follows a table, is slower by an order of
//! magnitude on such text, takes longer to build, and keeps the values where nobody can overwrite them.

use zeroize::Zeroizing;

/// The length of a sample, and of the shortest pattern.
pub(super) const SAMPLE: usize = 4;
/// The largest group of starts. More gains nothing and fills the table.
const LARGEST_GROUP: usize = 16;
/// The group where each start has a sample: as many as one load of eight bytes has.
const DENSE_GROUP: usize = 5;

/// Patterns, compiled. All memory that holds parts of them is overwritten on drop.
pub(super) struct Patterns {
    sorted: Vec<Zeroizing<Vec<u8>>>,
    /// For each pattern the longest other one that it starts with.
    shorter: Vec<Option<usize>>,
    /// The first four bytes of each pattern, in their order.
    keys: Zeroizing<Vec<u32>>,
    /// What the first bytes of some pattern are.
    starts: Samples,
    /// What a sample at one of the first `group` places of some pattern is. None where each start has its own.
    inside: Option<Samples>,
    group: usize,
    longest: usize,
}

/// What stands at one place of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The length of the longest pattern there; 0 where there is none.
    pub(super) len: usize,
    /// Whether the text ends before a pattern that it may be the start of.
    pub(super) open: bool,
}

impl Patterns {
    /// Compiles patterns. Those shorter than a sample are dropped.
    pub(super) fn new(mut sorted: Vec<Zeroizing<Vec<u8>>>) -> Self {
        sorted.retain(|pattern| pattern.len() >= SAMPLE);
        sorted.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
        sorted.dedup_by(|a, b| a.as_slice() == b.as_slice());
        let shortest = sorted.iter().map(|pattern| pattern.len()).min().unwrap_or(SAMPLE);
        let group = (shortest - SAMPLE + 1).clamp(DENSE_GROUP, LARGEST_GROUP);
        let is_dense = shortest < DENSE_GROUP + SAMPLE - 1;
        let mut starts = Samples::new(sorted.len(), if is_dense { 256 } else { 32 });
        let mut inside = (!is_dense).then(|| Samples::new(sorted.len() * group, 32));
        let mut keys = Zeroizing::new(Vec::with_capacity(sorted.len()));
        for pattern in &sorted {
            let first = sample(pattern);
            keys.push(first.swap_bytes());
            starts.insert(first);
            if let Some(inside) = &mut inside {
                pattern.windows(SAMPLE).take(group).for_each(|window| inside.insert(sample(window)));
            }
        }
        let longest = sorted.iter().map(|pattern| pattern.len()).max().unwrap_or(0);
        let shorter = shorter(&sorted);
        Self { sorted, shorter, keys, starts, inside, group, longest }
    }

    /// Returns the length of the longest pattern.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Calls `visit` with each place of the text where something was found, in order.
    pub(super) fn scan(&self, text: &[u8], mut visit: impl FnMut(usize, Found)) {
        if self.sorted.is_empty() {
            return;
        }
        let mut look = |start: usize| {
            let found = text.get(start..).map_or(Found::default(), |rest| self.at(rest));
            if found != Found::default() {
                visit(start, found);
            }
        };
        // All starts before it are settled.
        let mut next = 0;
        while let Some(skipped) = self.skip(text.get(next..).unwrap_or_default()) {
            next += skipped * self.group;
            (next..next + self.group).for_each(&mut look);
            next += self.group;
        }
        let groups = text.len().saturating_sub(next + SAMPLE - 1) / self.group;
        (next + groups * self.group..text.len()).for_each(&mut look);
    }

    /// Returns how many groups of starts can be passed over before one where something may begin. None where
    /// that is all of them that have their samples in the text.
    fn skip(&self, text: &[u8]) -> Option<usize> {
        let mut groups = text.windows(self.group + SAMPLE - 1).step_by(self.group);
        match &self.inside {
            Some(inside) => groups.position(|window| {
                inside.has(window.last_chunk().map_or(0, |last: &[u8; SAMPLE]| u32::from_le_bytes(*last)))
            }),
            None => groups.position(|window| {
                let bytes = window.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                (0..DENSE_GROUP)
                    .fold(false, |any, place| any | self.starts.has((bytes >> (8 * place)) as u32))
            }),
        }
    }

    /// Says what the text starts with.
    fn at(&self, text: &[u8]) -> Found {
        let (from, to) = match text.get(..SAMPLE) {
            Some(first) => {
                let first = sample(first);
                if !self.starts.has(first) {
                    return Found::default();
                }
                let key = first.swap_bytes();
                let from = self.keys.partition_point(|other| *other < key);
                let to = self.keys.partition_point(|other| *other <= key);
                (from, to)
            }
            None => (0, self.sorted.len()),
        };
        let Some(range) = self.sorted.get(from..to) else { return Found::default() };
        let after = from + range.partition_point(|pattern| pattern.as_slice() <= text);
        // What the text is the start of comes right behind it in the order, and what starts the text right
        // before it, or is the start of what does.
        let open = self.sorted.get(after).is_some_and(|pattern| pattern.starts_with(text));
        let mut candidate = after.checked_sub(1);
        while let Some(index) = candidate {
            match self.sorted.get(index) {
                Some(pattern) if text.starts_with(pattern) => return Found { len: pattern.len(), open },
                Some(_) => candidate = self.shorter.get(index).copied().flatten(),
                None => break,
            }
        }
        Found { len: 0, open }
    }
}

/// Returns for each of the sorted patterns the longest other one that it starts with.
fn shorter(sorted: &[Zeroizing<Vec<u8>>]) -> Vec<Option<usize>> {
    let mut chain: Vec<(usize, &[u8])> = Vec::new();
    let mut shorter = Vec::with_capacity(sorted.len());
    for (index, pattern) in sorted.iter().enumerate() {
        while chain.last().is_some_and(|(_, start)| !pattern.starts_with(start)) {
            chain.pop();
        }
        shorter.push(chain.last().map(|(start, _)| *start));
        chain.push((index, pattern.as_slice()));
    }
    shorter
}

/// Returns four bytes as a number.
fn sample(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// A set of samples that may also say yes to one that is not in it.
struct Samples {
    bits: Zeroizing<Vec<u64>>,
    shift: u32,
}

impl Samples {
    /// Returns an empty set with so many bits for each sample: one in as many others will be taken for one.
    fn new(samples: usize, bits_each: usize) -> Self {
        let bits = (samples.max(1) * bits_each).next_power_of_two().clamp(1 << 12, 1 << 24);
        Self { bits: Zeroizing::new(vec![0; bits / 64]), shift: 32 - bits.trailing_zeros() }
    }

    fn insert(&mut self, sample: u32) {
        let (word, bit) = self.place(sample);
        if let Some(word) = self.bits.get_mut(word) {
            *word |= bit;
        }
    }

    #[inline]
    fn has(&self, sample: u32) -> bool {
        let (word, bit) = self.place(sample);
        self.bits.get(word).copied().unwrap_or_default() & bit != 0
    }

    /// Fibonacci hashing: the upper bits of the product depend on all bits of the sample.
    #[inline]
    fn place(&self, sample: u32) -> (usize, u64) {
        let hash = sample.wrapping_mul(0x9E37_79B1) >> self.shift;
        ((hash >> 6) as usize, 1 << (hash & 63))
    }
}
