//! How ids are divided among runs of the program, so that no request is larger than the protocol allows.

use std::collections::HashMap;

/// How many bytes a request may have: what OpenClaw, the protocol's first caller, promises its programs.
pub(super) const MAX_REQUEST: usize = 256 << 10;
/// What is kept free for everything but the ids, of which only the store's name has no fixed length. A part of the limit
/// that does not depend on the name lets `plan`, which does not know it, count as the run does.
const RESERVED: usize = 4 << 10;

/// The ids of each run, and in which of them an id is asked for.
pub(super) struct Requests<'a> {
    runs: Vec<Vec<&'a str>>,
    /// None where no request can hold the id.
    run_of: HashMap<&'a str, Option<usize>>,
}

impl<'a> Requests<'a> {
    /// Divides ids, each of which is asked for once, in their order: `max_ids` to a run at most.
    pub(super) fn of(ids: impl IntoIterator<Item = &'a str>, max_ids: usize) -> Self {
        let mut this = Self { runs: Vec::new(), run_of: HashMap::new() };
        let mut size = 0;
        for id in ids {
            if this.run_of.contains_key(id) {
                continue;
            }
            if !fits(id) {
                this.run_of.insert(id, None);
                continue;
            }
            let length = length(id);
            match this.runs.last_mut() {
                Some(run) if run.len() < max_ids && size + length <= MAX_REQUEST - RESERVED => {
                    run.push(id);
                    size += length;
                }
                _ => {
                    this.runs.push(vec![id]);
                    size = length;
                }
            }
            this.run_of.insert(id, Some(this.runs.len() - 1));
        }
        this
    }

    pub(super) fn runs(&self) -> &[Vec<&'a str>] {
        &self.runs
    }

    /// Returns the number of the run that asks for an id.
    pub(super) fn run_of(&self, id: &str) -> Option<usize> {
        self.run_of.get(id).copied().flatten()
    }
}

/// Says whether a request can hold the id at all.
pub(super) fn fits(id: &str) -> bool {
    length(id) <= MAX_REQUEST - RESERVED
}

/// Returns how many bytes of a request an id takes, with the comma behind it.
fn length(id: &str) -> usize {
    // A text always has a JSON form.
    serde_json::to_string(id).map_or(usize::MAX, |json| json.len() + 1)
}
