//! One folder's list: what stands in it beats its imports, and a later import an earlier one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::{BoxFuture, join_all};

use super::answers::{Layer, Listing, Secret};
use super::api::{Imports, ListFlags, Place, References};
use super::plan::has_own_address;
use super::read::{Folder, Found, Origin};
use crate::contract::{FetchError, SecretValue};

/// How far imports of imports are followed.
const DEEPEST_IMPORT: usize = 8;
/// How many folders are listed at most to find where imported secrets stand.
const MOST_LISTS: usize = 64;

/// A listed folder, merged.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) found: BTreeMap<String, Found>,
    /// Names whose winner, or whose value as it is stored, the list does not prove.
    pub(super) doubtful: BTreeSet<String>,
    /// Whether nothing at all was shown, which may be a lie.
    pub(super) empty: bool,
    /// The imported folders, the weakest first.
    layers: Vec<Place>,
    /// The imported folders that showed nothing: they are empty, or out of reach.
    pub(super) silent: Vec<Place>,
}

/// Secrets as they are stored, by id, with the folders they stand in.
type Stored = HashMap<String, (Secret, Place)>;

impl Merged {
    /// Replaces what the list showed for a name.
    pub(super) fn settle(&mut self, name: &str, found: Result<Found, FetchError>) {
        let Some(known) = self.found.get_mut(name) else { return };
        match found {
            Ok(found) => *known = found,
            Err(error) => known.value = Err(error),
        }
    }
}

impl Folder<'_> {
    /// Merges a list with its imports.
    pub(super) fn merge(&self, mut listing: Listing) -> Result<Merged, FetchError> {
        let layers = listing.take_imports();
        let mut merged = Merged {
            empty: listing.secrets.is_empty() && layers.iter().all(|layer| layer.secrets.is_empty()),
            layers: layers.iter().map(Layer::place).collect(),
            silent: layers.iter().filter(|layer| layer.secrets.is_empty()).map(Layer::place).collect(),
            ..Merged::default()
        };
        let v4 = self.api.is_v4(self.cx);
        for (position, layer) in layers.into_iter().enumerate() {
            // An import without secrets is empty or out of reach, and would win in the second case.
            if layer.secrets.is_empty() || v4 {
                merged.doubtful.extend(merged.found.keys().cloned());
            }
            for secret in layer.secrets {
                let name = secret.key.clone();
                if v4 {
                    merged.doubtful.insert(name.clone());
                } else {
                    merged.doubtful.remove(&name);
                }
                let found = Found { layer: Some(position), ..self.found(secret, Origin::Import, None) };
                merged.found.insert(name, found);
            }
        }
        let mut personal = Vec::new();
        for secret in listing.secrets {
            if !self.is_here(&secret) {
                return Err(self.elsewhere(&secret));
            }
            self.check_project(&secret)?;
            if secret.is_personal() {
                personal.push(secret);
                continue;
            }
            merged.doubtful.remove(&secret.key);
            let place = Some(self.place.clone());
            merged.found.insert(secret.key.clone(), self.found(secret, Origin::Here, place));
        }
        if self.api.personal {
            for secret in personal {
                merged.doubtful.remove(&secret.key);
                let place = Some(self.place.clone());
                merged.found.insert(secret.key.clone(), self.found(secret, Origin::Here, place));
            }
        }
        Ok(merged)
    }

    /// Reads imported values as they are stored, by one list for each import that gives one of the names. A v3
    /// list expands imported values, whatever it is told.
    pub(super) async fn read_imports(&self, merged: &mut Merged, wanted: impl Fn(&str) -> bool) {
        let mut by_layer: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (name, found) in &merged.found {
            if let Some(layer) = found.layer
                && wanted(name)
                && found.value.is_ok()
                && !merged.doubtful.contains(name)
            {
                by_layer.entry(layer).or_default().push(found.id.clone());
            }
        }
        let lists = AtomicUsize::new(MOST_LISTS.max(by_layer.len()));
        let reads = by_layer.iter().filter_map(|(layer, ids)| {
            let place = merged.layers.get(*layer)?;
            Some(self.stored(place, ids, DEEPEST_IMPORT, &lists))
        });
        let mut stored = Stored::new();
        for read in join_all(reads.collect::<Vec<_>>()).await {
            stored.extend(read);
        }
        let asked: BTreeSet<String> = by_layer.into_values().flatten().collect();
        for (name, found) in &mut merged.found {
            if found.layer.is_none() || !asked.contains(&found.id) {
                continue;
            }
            match stored.remove(&found.id) {
                Some((secret, place)) => {
                    let expanded = found.take_value();
                    let as_stored = self.found(secret, Origin::Import, Some(place));
                    *found = Found { layer: found.layer, expanded, ..as_stored };
                }
                // Left to a single read.
                None => {
                    merged.doubtful.insert(name.clone());
                }
            }
        }
    }

    /// Finds in which folder a secret stands that a single read found: answers of 2025 do not say.
    pub(super) async fn home_of(&self, name: &str, id: &str) -> Option<Place> {
        if has_own_address(name)
            && let Ok(here) =
                self.api.get(self.cx, &self.place, name, None, Imports::Off, References::AsStored).await
            && here.id == id
        {
            return Some(self.place.clone());
        }
        let lists = AtomicUsize::new(MOST_LISTS);
        let found = self.stored(&self.place, &[id.to_owned()], DEEPEST_IMPORT, &lists).await;
        found.into_values().next().map(|(_, place)| place)
    }

    /// Finds secrets by their ids, in a folder or in what it imports. What cannot be listed is left out.
    fn stored<'s>(
        &'s self,
        place: &'s Place,
        ids: &'s [String],
        deepest: usize,
        lists: &'s AtomicUsize,
    ) -> BoxFuture<'s, Stored> {
        Box::pin(async move {
            let mut stored = Stored::new();
            // Folders that import each other lead in circles, and a mesh of them to ever more lists.
            if lists.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
                return stored;
            }
            let Ok(mut listing) = self.api.list(self.cx, place, &ListFlags::ALL).await else { return stored };
            let layers = listing.take_imports();
            for secret in listing.secrets.into_iter().filter(|secret| secret.is_at(place)) {
                if ids.contains(&secret.id) {
                    stored.insert(secret.id.clone(), (secret, place.clone()));
                }
            }
            for layer in layers {
                let left = |id: &&String| {
                    !stored.contains_key(*id) && layer.secrets.iter().any(|secret| secret.id == **id)
                };
                let left: Vec<String> = ids.iter().filter(left).cloned().collect();
                // A token of one folder is answered for that folder, whatever is asked.
                if !left.is_empty() && deepest > 0 && layer.place() != *place {
                    let below = self.stored(&layer.place(), &left, deepest - 1, lists).await;
                    stored.extend(below);
                }
            }
            stored
        })
    }
}

impl Found {
    /// Takes the value out, leaving nothing that could be used in its place.
    fn take_value(&mut self) -> Option<SecretValue> {
        let taken = std::mem::replace(&mut self.value, Err(Folder::unread()));
        taken.ok()
    }
}
