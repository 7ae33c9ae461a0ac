//! What a store holds once it is decrypted: secrets with their versions, and who can open it.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::keys::{Keys, Named, Recipient};
use super::name;
use super::timestamp::Timestamp;
use crate::contract::{FetchError, FetchErrorKind, LocatorError, SecretValue};

/// The decrypted content of a store.
///
/// It is only ever read whole and written whole, so that every reader sees one moment of it.
#[derive(Debug, Default)]
pub struct Document {
    pub(super) recipients: Vec<Named>,
    pub(super) secrets: BTreeMap<String, Vec<Version>>,
}

/// One value that a secret has or had.
#[derive(Debug)]
pub struct Version {
    /// Counts from 1, and is never given twice, also not after a deletion.
    pub number: u64,
    /// When it was set.
    pub created: Timestamp,
    /// What somebody wrote about it.
    pub comment: Option<String>,
    /// The value, or when it was deleted.
    pub content: Content,
}

/// What is left of a version.
#[derive(Debug)]
pub enum Content {
    /// The value.
    Value(SecretValue),
    /// Nothing but the moment when it was deleted.
    Deleted(Timestamp),
}

impl Version {
    fn value(&self) -> Option<&SecretValue> {
        match &self.content {
            Content::Value(value) => Some(value),
            Content::Deleted(_) => None,
        }
    }
}

/// What lies directly in a folder, sorted.
#[derive(Debug)]
pub struct Listing<'a> {
    /// The secrets' own names, each with its newest version.
    pub secrets: Vec<(&'a str, &'a Version)>,
    /// The folders' own names.
    pub folders: Vec<&'a str>,
}

impl Document {
    /// Returns a value: the newest, or that of a version.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such secret or it was deleted, with the name that was probably
    /// meant; `VersionNotFound` where the secret has no such version any more.
    pub fn get(&self, path: &str, version: Option<u64>) -> Result<&SecretValue, FetchError> {
        let (newest, value) = self.live(path)?;
        let Some(number) = version else { return Ok(value) };
        let absent = |message: String| {
            FetchError::new(FetchErrorKind::VersionNotFound, message)
                .help(format!("run `dsops local history {path}`"))
        };
        let versions = self.secrets.get(path).map_or(&[][..], Vec::as_slice);
        match versions.iter().find(|version| version.number == number).map(|version| &version.content) {
            Some(Content::Value(value)) => Ok(value),
            Some(Content::Deleted(when)) => {
                Err(absent(format!("version {number} of `{path}` was deleted on {}", when.date())))
            }
            None => Err(absent(format!("`{path}` has no version {number}, the newest is {}", newest.number))),
        }
    }

    /// Returns every version of a secret, the oldest first; also of a deleted one.
    ///
    /// # Errors
    ///
    /// `NotFound` where there never was such a secret.
    pub fn history(&self, path: &str) -> Result<&[Version], FetchError> {
        self.secrets.get(path).map(Vec::as_slice).ok_or_else(|| self.absent(path))
    }

    /// Returns what lies directly in a folder; `""` is the root, which is always there.
    ///
    /// # Errors
    ///
    /// `NotFound` where no secret lies in or below the folder.
    pub fn list(&self, folder: &str) -> Result<Listing<'_>, FetchError> {
        let mut listing = Listing { secrets: Vec::new(), folders: Vec::new() };
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        for (rest, version) in self.below(&prefix) {
            match rest.split_once('/') {
                None => listing.secrets.push((rest, version)),
                Some((inner, _)) if listing.folders.last() != Some(&inner) => listing.folders.push(inner),
                Some(_) => {}
            }
        }
        // `a-b/…` sorts between `a/…` and `a0/…`, so a folder can come in two runs.
        listing.folders.sort_unstable();
        listing.folders.dedup();
        if listing.secrets.is_empty() && listing.folders.is_empty() && !folder.is_empty() {
            return Err(FetchError::new(FetchErrorKind::NotFound, format!("there is no folder `{folder}`"))
                .help("run `dsops local list` for the names"));
        }
        Ok(listing)
    }

    /// Returns the path and newest version of every secret, sorted by path.
    pub fn secrets(&self) -> impl Iterator<Item = (&str, &Version)> {
        self.below("")
    }

    /// Returns who can open the store; nobody where it takes a passphrase.
    #[must_use]
    pub fn recipients(&self) -> &[Named] {
        &self.recipients
    }

    /// Says whether one of the keys is a recipient's, as far as the document knows.
    #[must_use]
    pub fn is_for(&self, keys: &Keys) -> bool {
        let mine = keys.recipients();
        self.recipients.iter().any(|one| mine.contains(&one.recipient))
    }

    /// Gives a secret a new version, and returns its number. Without a comment, that of the
    /// version before stays.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the path cannot name a secret.
    pub fn set(
        &mut self,
        path: &str,
        value: SecretValue,
        comment: Option<String>,
    ) -> Result<u64, FetchError> {
        name::check_secret(path).map_err(unusable)?;
        let versions = self.secrets.entry(path.to_owned()).or_default();
        let last = versions.last();
        let number = last.map_or(0, |version| version.number) + 1;
        let comment = comment.or_else(|| {
            last.filter(|version| version.value().is_some()).and_then(|version| version.comment.clone())
        });
        versions.push(Version {
            number,
            created: Timestamp::now(),
            comment: comment.filter(|comment| !comment.is_empty()),
            content: Content::Value(value),
        });
        Ok(number)
    }

    /// Deletes a secret with the values of all its versions. That they existed stays known.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is no such secret.
    pub fn delete(&mut self, path: &str) -> Result<(), FetchError> {
        self.live(path)?;
        let now = Timestamp::now();
        for version in self.secrets.get_mut(path).into_iter().flatten() {
            if version.value().is_some() {
                version.content = Content::Deleted(now);
                version.comment = None;
            }
        }
        Ok(())
    }

    /// Lets somebody open the store from the next write on.
    ///
    /// # Errors
    ///
    /// `Unsupported` where they can already, or where the store takes a passphrase.
    pub fn add_recipient(&mut self, recipient: Recipient, name: Option<String>) -> Result<(), FetchError> {
        if self.recipients.is_empty() {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                "the store takes a passphrase, not recipients",
            )
            .help("change it with `dsops local rekey`"));
        }
        if self.recipients.iter().any(|one| one.recipient == recipient) {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                format!("`{recipient}` is a recipient already"),
            ));
        }
        self.recipients.push(Named { recipient, name });
        Ok(())
    }

    /// Takes a recipient off, by key or by name. The next write has a new key that they do not
    /// get; what they could read before, they may have kept.
    ///
    /// # Errors
    ///
    /// `NotFound` where nobody, or more than one, is called so; `Unsupported` for the last one.
    pub fn remove_recipient(&mut self, who: &str) -> Result<Named, FetchError> {
        let matches = |one: &Named| one.recipient.to_string() == who || one.name.as_deref() == Some(who);
        let mut found = self.recipients.iter().enumerate().filter(|(_, one)| matches(one)).map(|(at, _)| at);
        let unclear = |what: &str| {
            FetchError::new(FetchErrorKind::NotFound, format!("{what} `{who}`"))
                .help("give the `age1…` key that `dsops local recipients` shows")
        };
        match (found.next(), found.next()) {
            (None, _) => Err(unclear("there is no recipient")),
            (Some(_), Some(_)) => Err(unclear("more than one recipient is named")),
            (Some(_), None) if self.recipients.len() == 1 => {
                Err(FetchError::new(FetchErrorKind::Unsupported, "nobody could open the store any more")
                    .help("add another recipient first"))
            }
            (Some(at), None) => Ok(self.recipients.remove(at)),
        }
    }

    /// Returns the newest version of a secret that is there, with its value.
    fn live(&self, path: &str) -> Result<(&Version, &SecretValue), FetchError> {
        let newest = self.secrets.get(path).and_then(|versions| versions.last());
        match newest.map(|version| (version, &version.content)) {
            Some((version, Content::Value(value))) => Ok((version, value)),
            Some((_, Content::Deleted(when))) => Err(FetchError::new(
                FetchErrorKind::NotFound,
                format!("`{path}` was deleted on {}", when.date()),
            )
            .help(format!("set it again with `dsops local set {path}`"))),
            None => Err(self.absent(path)),
        }
    }

    fn below<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a Version)> {
        let prefix = prefix.to_owned();
        self.secrets
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .map_while(move |(path, versions)| Some((path.strip_prefix(prefix.as_str())?, versions)))
            .filter_map(|(rest, versions)| Some((rest, versions.last().filter(|one| one.value().is_some())?)))
    }

    fn absent(&self, path: &str) -> FetchError {
        let error = FetchError::new(FetchErrorKind::NotFound, format!("there is no secret `{path}`"));
        match self.nearest(path) {
            Some(meant) => error.help(format!("did you mean `{meant}`?")),
            None => error.help("run `dsops local list` for the names"),
        }
    }

    /// Returns the name that was probably meant: the same in another folder, or a typing error away.
    fn nearest(&self, path: &str) -> Option<&str> {
        let own = |path: &str| path.rsplit('/').next().unwrap_or_default().to_lowercase();
        let moved = self.secrets().map(|(other, _)| other).find(|other| own(other) == own(path));
        moved.or_else(|| {
            let allowed = path.chars().count().div_ceil(4).min(3);
            self.secrets()
                .map(|(other, _)| (strsim::osa_distance(&other.to_lowercase(), &path.to_lowercase()), other))
                .filter(|(distance, _)| *distance <= allowed)
                .min()
                .map(|(_, other)| other)
        })
    }
}

/// Returns the fetch error for a name that cannot be.
pub(super) fn unusable(error: LocatorError) -> FetchError {
    let fetch = FetchError::new(FetchErrorKind::Unsupported, error.message);
    match error.help {
        Some(help) => fetch.help(help),
        None => fetch,
    }
}
