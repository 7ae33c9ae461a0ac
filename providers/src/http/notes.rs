//! What was learnt of a server, for all stores of this process that ask it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::{Http, Site};

/// Facts by origin.
#[derive(Default)]
pub(super) struct Notes(Mutex<HashSet<(String, &'static str)>>);

impl Http {
    /// Notes a fact about the server behind a site, for every store that has the same one.
    pub fn note(&self, site: &Site, fact: &'static str) {
        let mut facts = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        facts.insert((site.to_string(), fact));
    }

    /// Says whether the fact was noted.
    #[must_use]
    pub fn is_noted(&self, site: &Site, fact: &'static str) -> bool {
        let facts = self.notes.0.lock().unwrap_or_else(PoisonError::into_inner);
        facts.iter().any(|(address, known)| *known == fact && *address == site.to_string())
    }
}
