//! The least access that a run needs at a store, for whoever grants it.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::Serialize;

use super::{ListQuery, Locator};

/// What has to be granted for one store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    /// Where the folders are, outermost first: `project`, `environment`.
    pub place: IndexMap<&'static str, String>,
    /// One grant for each folder, sorted.
    pub grants: Vec<Grant>,
    /// What the person who grants it should know, as sentences without a stop.
    pub notes: Vec<&'static str>,
    /// The same in the store's own form, to paste, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
}

/// The right to read in one folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Grant {
    /// The folder, as the store writes it.
    pub folder: String,
    /// The names, sorted; none where everything in the folder is read.
    pub names: Option<BTreeSet<String>>,
    /// What is done with them, in the store's words.
    pub actions: &'static [&'static str],
}

/// Access in a store's own form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// Where it is pasted.
    pub into: &'static str,
    /// The document.
    pub document: serde_json::Value,
}

impl Access {
    /// Returns the access that reading takes where nothing else is known: by folder and name.
    #[must_use]
    pub fn reading(locators: &[Locator], folders: &[ListQuery]) -> Self {
        let places = locators.iter().map(|locator| (locator.folder().to_owned(), locator.name().to_owned()));
        Self {
            grants: Grant::by_folder(places, folders.iter().map(|query| query.folder.clone()), &["read"]),
            ..Self::default()
        }
    }
}

impl Grant {
    /// Groups secrets, each a folder and a name, and whole folders.
    #[must_use]
    pub fn by_folder(
        secrets: impl IntoIterator<Item = (String, String)>,
        whole: impl IntoIterator<Item = String>,
        actions: &'static [&'static str],
    ) -> Vec<Self> {
        let mut folders: BTreeMap<String, Option<BTreeSet<String>>> =
            whole.into_iter().map(|folder| (folder, None)).collect();
        for (folder, name) in secrets {
            if let Some(names) = folders.entry(folder).or_insert_with(|| Some(BTreeSet::new())) {
                names.insert(name);
            }
        }
        folders.into_iter().map(|(folder, names)| Self { folder, names, actions }).collect()
    }
}
