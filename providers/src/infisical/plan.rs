//! Which requests a batch needs: one list per folder where that is fewer than single reads.

use std::collections::{BTreeMap, BTreeSet};

use super::config::{InfisicalConfig, check_folder};
use crate::contract::{Locator, LocatorError, LocatorPart};

/// The longest name that can stand in a path, in UTF-16 units as the server counts
/// (the default `maxParamLength` of its router).
const LONGEST_IN_PATH: usize = 100;

/// What a locator means to Infisical.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ask {
    /// The whole path of the folder, from the root.
    pub(super) folder: String,
    /// The secret's name.
    pub(super) name: String,
    /// The version, the latest where there is none.
    pub(super) version: Option<u64>,
}

impl Ask {
    /// Reads a locator.
    ///
    /// # Errors
    ///
    /// Where Infisical cannot have such a secret or such a version.
    pub(super) fn of(config: &InfisicalConfig, locator: &Locator) -> Result<Self, LocatorError> {
        let refuse = |part, message: String, help: &str| {
            Err(LocatorError { part, message, help: Some(help.to_owned()) })
        };
        if let Some(field) = &locator.field {
            return refuse(
                LocatorPart::Field,
                format!("Infisical secrets have no fields, so `#{field}` picks nothing"),
                "take the field out, and pick from JSON with the transform `json_extract:.field`",
            );
        }
        if let Err(why) = check_folder(locator.folder()) {
            return refuse(LocatorPart::Path, why, "write `folder/folder/NAME`");
        }
        let name = locator.name();
        if name.is_empty() {
            return refuse(LocatorPart::Path, "no secret is named".to_owned(), "write `folder/NAME`");
        }
        if name.contains(':') {
            return refuse(
                LocatorPart::Path,
                format!("`{name}` holds a colon, which Infisical does not take in a name"),
                "correct the name",
            );
        }
        let version = match &locator.version {
            None => None,
            Some(text) => match parse_version(text) {
                Some(version) => Some(version),
                None => {
                    return refuse(
                        LocatorPart::Version,
                        format!("`{text}` is no version of Infisical, which counts them from 1"),
                        "write a number, as in `@v2`, or take the version out for the latest",
                    );
                }
            },
        };
        Ok(Self { folder: config.folder(locator.folder()), name: name.to_owned(), version })
    }
}

fn parse_version(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('v').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().filter(|version| *version > 0)
}

/// Says whether a secret can be asked for by its name. Longer names find no route, and `.` and `..`
/// are folded away on the way there; such names are found by listing.
pub(super) fn has_own_address(name: &str) -> bool {
    !matches!(name, "." | "..") && name.encode_utf16().count() <= LONGEST_IN_PATH
}

/// Everything that is asked of one folder, without repetition.
#[derive(Debug, Default)]
pub(super) struct FolderPlan {
    /// Names whose latest version is asked for.
    pub(super) latest: BTreeSet<String>,
    /// Names and versions.
    pub(super) pinned: BTreeSet<(String, u64)>,
}

impl FolderPlan {
    /// Groups asks by folder.
    pub(super) fn group(asks: impl IntoIterator<Item = Ask>) -> BTreeMap<String, Self> {
        let mut folders: BTreeMap<String, Self> = BTreeMap::new();
        for ask in asks {
            let folder = folders.entry(ask.folder).or_default();
            match ask.version {
                None => folder.latest.insert(ask.name),
                Some(version) => folder.pinned.insert((ask.name, version)),
            };
        }
        folders
    }

    /// Returns the names whose latest version has to be known: a pinned version counts only as long as
    /// it is of the secret that has the name now.
    pub(super) fn names(&self) -> BTreeSet<&str> {
        let pinned = self.pinned.iter().map(|(name, _)| name.as_str());
        self.latest.iter().map(String::as_str).chain(pinned).collect()
    }

    /// Says whether the folder is listed. Which values are a user's own is seen in lists only.
    pub(super) fn is_listed(&self, personal: bool) -> bool {
        let names = self.names();
        names.len() > 1 || (personal && !names.is_empty()) || names.iter().any(|name| !has_own_address(name))
    }

    /// Returns the number of requests when all goes well.
    pub(super) fn requests(&self, personal: bool) -> usize {
        let latest = if self.is_listed(personal) { 1 } else { self.names().len() };
        latest + self.pinned.iter().filter(|(name, _)| has_own_address(name)).count()
    }
}
