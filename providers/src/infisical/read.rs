//! Reads what a folder was asked for, and checks every answer against what was asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::future::{join, join_all};

use super::api::{Api, Imports, Listing, Secret};
use super::error::{Failure, Refusal};
use super::place::is_near;
use super::plan::{FolderPlan, has_own_address};
use crate::contract::{Context, Entry, FetchError, FetchErrorKind, SecretValue};

/// What stands in for a value that the caller may not see.
const MASK: &[u8] = b"<hidden-by-infisical>";
/// A name that nobody gives a secret: its single read tells an empty folder from one that is not there.
const PROBE: &str = "DSOPS_EMPTY_FOLDER_PROBE";

/// The answers of one folder, by name and version.
pub(super) type Values = HashMap<(String, Option<u64>), Result<SecretValue, FetchError>>;

/// One folder of the store, being read.
pub(super) struct Folder<'a> {
    pub(super) api: &'a Api,
    pub(super) cx: &'a Context,
    /// The whole path, from the root.
    pub(super) path: &'a str,
}

/// A secret that passed the checks.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) version: Option<u64>,
    pub(super) value: Result<SecretValue, FetchError>,
    pub(super) origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Here,
    Import,
}

/// A failed single read.
pub(super) struct Miss {
    pub(super) error: FetchError,
    /// Whether every other name of the folder fails alike.
    pub(super) of_folder: bool,
}

/// A listed folder, merged: what stands in it beats its imports, and a later import an earlier one.
#[derive(Default)]
struct Merged {
    found: BTreeMap<String, Found>,
    /// Names whose winner the list does not prove.
    doubtful: BTreeSet<String>,
    /// Whether nothing at all was shown, which may be a lie.
    empty: bool,
}

impl Merged {
    /// Replaces what the list showed for a name.
    fn settle(&mut self, name: &str, value: Result<SecretValue, FetchError>) {
        if let Some(found) = self.found.get_mut(name) {
            found.value = value;
        }
    }
}

type Latest = BTreeMap<String, Result<Found, FetchError>>;

impl Folder<'_> {
    /// Answers everything that was asked of the folder.
    pub(super) async fn read(&self, plan: &FolderPlan) -> Values {
        if let Err(error) = self.admit().await {
            return all_failed(plan, &error);
        }
        let versions = join_all(
            plan.pinned
                .iter()
                .filter(|(name, _)| has_own_address(name))
                .map(|(name, version)| self.api.get(self.cx, self.path, name, Some(*version), Imports::Off)),
        );
        let (mut latest, versions) = join(self.latest(plan), versions).await;

        let mut values = Values::new();
        let mut versions = versions.into_iter();
        for (name, version) in &plan.pinned {
            let newest = latest.get(name);
            let value = if has_own_address(name) {
                match versions.next() {
                    Some(read) => self.pinned(name, *version, read, newest),
                    None => Err(self.absent(name)),
                }
            } else {
                self.pinned_of_list(name, *version, newest)
            };
            values.insert((name.clone(), Some(*version)), value);
        }
        for name in &plan.latest {
            let value = match latest.remove(name) {
                Some(Ok(found)) => found.value,
                Some(Err(error)) => Err(error),
                None => Err(self.absent(name)),
            };
            values.insert((name.clone(), None), value);
        }
        values
    }

    /// Returns everything that the folder holds, sorted by name.
    pub(super) async fn entries(&self) -> Result<Vec<Entry>, FetchError> {
        self.admit().await?;
        let listing = match self.api.list(self.cx, self.path).await {
            Ok(listing) => listing,
            Err(failure) => return Err(self.explain(failure, None).await.error),
        };
        let mut merged = self.merge(listing)?;
        if merged.empty {
            self.prove_empty().await?;
        }
        let doubtful = std::mem::take(&mut merged.doubtful);
        let (asked, unprovable): (Vec<String>, Vec<String>) =
            doubtful.into_iter().partition(|name| has_own_address(name));
        for name in unprovable {
            let error = self.unproven(&name);
            merged.settle(&name, Err(error));
        }
        let read = join_all(asked.iter().map(|name| self.single(name, Imports::On))).await;
        for (name, read) in asked.into_iter().zip(read) {
            merged.settle(&name, read.map_err(|miss| miss.error).and_then(|found| found.value));
        }
        Ok(merged.found.into_iter().map(|(name, found)| Entry { name, value: found.value }).collect())
    }

    /// Checks that the credential is for this folder, where the credential says which it is for.
    pub(super) async fn admit(&self) -> Result<(), FetchError> {
        let grant = self.api.session.grant(self.cx, &self.api.site).await?;
        grant.admit(&self.api.project, &self.api.environment, self.path)
    }

    /// Finds the latest version of every name, by a list or a single read, and never takes a list's
    /// silence for an absence.
    async fn latest(&self, plan: &FolderPlan) -> Latest {
        let names = plan.names();
        let imports = |name: &str| if plan.latest.contains(name) { Imports::On } else { Imports::Off };
        if !plan.is_listed() {
            return self.singles(names.into_iter().map(|name| (name, imports(name))).collect()).await;
        }
        let merged = match self.api.list(self.cx, self.path).await {
            Ok(listing) => self.merge(listing),
            Err(Failure::Refused(refusal)) if refusal.is_of_some_secrets() => {
                return self.one_by_one(&names, imports, &refusal).await;
            }
            Err(failure) => Err(self.explain(failure, None).await.error),
        };
        let merged = match merged {
            Ok(merged) => merged,
            Err(error) => {
                return names.into_iter().map(|name| (name.to_owned(), Err(error.clone()))).collect();
            }
        };
        self.confirm(&names, imports, merged).await
    }

    /// Takes what a list showed, and asks singly for what it did not.
    async fn confirm(
        &self,
        names: &BTreeSet<&str>,
        imports: impl Fn(&str) -> Imports,
        mut merged: Merged,
    ) -> Latest {
        let mut latest = Latest::new();
        let near = near_misses(names, &merged.found);
        let mut unproven = Vec::new();
        let mut unaddressable = Vec::new();
        for &name in names {
            let certain = !merged.doubtful.contains(name);
            match merged.found.remove(name) {
                Some(found) if certain => drop(latest.insert(name.to_owned(), Ok(found))),
                _ if has_own_address(name) => unproven.push((name, imports(name))),
                Some(_) => drop(latest.insert(name.to_owned(), Err(self.unproven(name)))),
                None => unaddressable.push(name),
            }
        }
        if !unaddressable.is_empty() {
            let proof = if merged.empty { self.prove_empty().await } else { Ok(()) };
            for name in unaddressable {
                let error = proof.clone().err().unwrap_or_else(|| self.absent(name));
                latest.insert(name.to_owned(), Err(error));
            }
        }
        // An empty list is what an unknown folder gives on older servers: one read tells for all.
        if merged.empty && unproven.len() > 1 {
            let (name, imports) = unproven.swap_remove(0);
            match self.single(name, imports).await {
                Err(miss) if miss.of_folder => {
                    let all = unproven.iter().map(|(name, _)| *name).chain([name]);
                    latest.extend(all.map(|name| (name.to_owned(), Err(miss.error.clone()))));
                    return latest;
                }
                read => drop(latest.insert(name.to_owned(), read.map_err(|miss| miss.error))),
            }
        }
        latest.extend(self.singles(unproven).await);
        for (name, near) in near {
            if let Some(Err(error)) = latest.get_mut(name)
                && error.kind() == FetchErrorKind::NotFound
            {
                *error = error.clone().help(format!("did you mean `{near}`?"));
            }
        }
        latest
    }

    /// Asks for every name on its own, since the list was refused for the sake of one.
    async fn one_by_one(
        &self,
        names: &BTreeSet<&str>,
        imports: impl Fn(&str) -> Imports,
        refusal: &Refusal,
    ) -> Latest {
        let (addressable, others): (Vec<&str>, Vec<&str>) =
            names.iter().copied().partition(|name| has_own_address(name));
        let mut latest =
            self.singles(addressable.into_iter().map(|name| (name, imports(name))).collect()).await;
        let error = refusal.explain(&format!("the folder `{}`", self.path));
        latest.extend(others.into_iter().map(|name| (name.to_owned(), Err(error.clone()))));
        latest
    }

    async fn singles(&self, asked: Vec<(&str, Imports)>) -> Latest {
        let read = join_all(asked.iter().map(|(name, imports)| self.single(name, *imports))).await;
        let names = asked.into_iter().map(|(name, _)| name.to_owned());
        names.zip(read.into_iter().map(|read| read.map_err(|miss| miss.error))).collect()
    }

    /// Reads the latest version of one name.
    async fn single(&self, name: &str, imports: Imports) -> Result<Found, Miss> {
        match self.api.get(self.cx, self.path, name, None, imports).await {
            Ok(secret) => {
                let here = self.is_here(&secret);
                if imports == Imports::Off && !here {
                    return Err(Miss { error: self.elsewhere(&secret), of_folder: true });
                }
                self.check_project(&secret).map_err(|error| Miss { error, of_folder: true })?;
                Ok(self.found(secret, if here { Origin::Here } else { Origin::Import }))
            }
            Err(failure) => Err(self.explain(failure, Some(name)).await),
        }
    }

    /// Tells a folder that is empty from one that is missing or out of reach.
    async fn prove_empty(&self) -> Result<(), FetchError> {
        match self.api.get(self.cx, self.path, PROBE, None, Imports::Off).await {
            Err(Failure::Refused(refusal)) if refusal.is_of_secret() => Ok(()),
            Err(failure) => Err(self.explain(failure, Some(PROBE)).await.error),
            Ok(_) => Err(FetchError::new(
                FetchErrorKind::Malformed,
                format!("the list of {} is empty, and a secret in it can be read", self.place()),
            )
            .help("compare the folder with what Infisical shows of it, and report the difference there")),
        }
    }

    /// Merges a list with its imports.
    fn merge(&self, mut listing: Listing) -> Result<Merged, FetchError> {
        let layers = listing.take_imports();
        let mut merged = Merged {
            empty: listing.secrets.is_empty() && layers.iter().all(|layer| layer.secrets.is_empty()),
            ..Merged::default()
        };
        for layer in layers {
            // An import without secrets is empty or out of reach, and would win in the second case.
            if layer.secrets.is_empty() || self.api.is_v4() {
                merged.doubtful.extend(merged.found.keys().cloned());
            }
            for secret in layer.secrets {
                if self.api.lists_imports_rightly() {
                    merged.doubtful.remove(&secret.key);
                } else {
                    merged.doubtful.insert(secret.key.clone());
                }
                merged.found.insert(secret.key.clone(), self.found(secret, Origin::Import));
            }
        }
        for secret in listing.secrets {
            if secret.is_personal() {
                continue;
            }
            if !self.is_here(&secret) {
                return Err(self.elsewhere(&secret));
            }
            self.check_project(&secret)?;
            merged.doubtful.remove(&secret.key);
            merged.found.insert(secret.key.clone(), self.found(secret, Origin::Here));
        }
        Ok(merged)
    }

    pub(super) fn found(&self, secret: Secret, origin: Origin) -> Found {
        let value = match secret.value {
            _ if secret.hidden => Err(self.hidden(&secret.key)),
            Some(value) if value.expose() == MASK => Err(self.hidden(&secret.key)),
            Some(value) => Ok(value),
            None => Err(FetchError::new(
                FetchErrorKind::Malformed,
                format!("the answer for {} holds no value", self.what(&secret.key)),
            )
            .help("grant `Read Value` on this secret to the identity's role in the project")),
        };
        Found { id: secret.id, version: secret.version, value, origin }
    }
}

/// Returns, for names that a list does not show, one that it shows and that was perhaps meant.
fn near_misses<'a>(names: &BTreeSet<&'a str>, shown: &BTreeMap<String, Found>) -> Vec<(&'a str, String)> {
    let missing = names.iter().filter(|name| !shown.contains_key(**name));
    missing
        .filter_map(|name| Some((*name, shown.keys().find(|other| is_near(other, name))?.clone())))
        .collect()
}

/// Gives everything that was asked of a folder the same error.
pub(super) fn all_failed(plan: &FolderPlan, error: &FetchError) -> Values {
    let latest = plan.latest.iter().map(|name| (name.clone(), None));
    let pinned = plan.pinned.iter().map(|(name, version)| (name.clone(), Some(*version)));
    latest.chain(pinned).map(|key| (key, Err(error.clone()))).collect()
}
