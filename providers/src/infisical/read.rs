//! Reads what a folder was asked for, and checks every answer against what was asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::future::{join, join_all};

use super::answers::Secret;
use super::api::{Api, Imports, ListFlags, Place, References};
use super::error::{Failure, Refusal};
use super::merge::Merged;
use super::place::is_near;
use super::plan::{FolderPlan, has_own_address};
use super::references::{Targets, references};
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};

/// A name that nobody gives a secret: its single read tells an empty folder from one that is not there.
const PROBE: &str = "DSOPS_EMPTY_FOLDER_PROBE";

/// A name and a version, the latest where there is none.
pub(super) type Key = (String, Option<u64>);

/// What a folder holds, as it is stored.
pub(super) type Stored = HashMap<Key, Result<Found, FetchError>>;

/// The answers of one folder.
pub(super) type Values = HashMap<Key, Result<SecretValue, FetchError>>;

/// One folder of the store, being read.
pub(super) struct Folder<'a> {
    pub(super) api: &'a Api,
    pub(super) cx: &'a Context,
    pub(super) place: Place,
}

/// A secret that passed the checks.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) version: Option<u64>,
    /// The value as it is stored.
    pub(super) value: Result<SecretValue, FetchError>,
    pub(super) origin: Origin,
    /// The folder it stands in; `None` where the server does not say.
    pub(super) home: Option<Place>,
    /// Which import of a list it came from.
    pub(super) layer: Option<usize>,
    /// The value with its references replaced, where it came along.
    pub(super) expanded: Option<SecretValue>,
    /// Whether it is a user's own.
    pub(super) personal: bool,
}

impl Found {
    /// Copies it, for a second name of the same value.
    pub(super) fn copy(&self) -> Self {
        let copy = |value: &SecretValue| SecretValue::copy_of(value.expose());
        Self {
            id: self.id.clone(),
            version: self.version,
            value: self.value.as_ref().map(copy).map_err(Clone::clone),
            origin: self.origin,
            home: self.home.clone(),
            layer: self.layer,
            expanded: self.expanded.as_ref().map(copy),
            personal: self.personal,
        }
    }
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

type Latest = BTreeMap<String, Result<Found, FetchError>>;

impl Folder<'_> {
    /// Finds everything that was asked of the folder, as it is stored.
    pub(super) async fn read(&self, plan: &FolderPlan, targets: &Targets<'_>) -> Stored {
        if let Err(error) = self.admit().await {
            return all_failed(plan, &error);
        }
        let versions =
            join_all(plan.pinned.iter().filter(|(name, _)| has_own_address(name)).map(|(name, version)| {
                self.api.get(self.cx, &self.place, name, Some(*version), Imports::Off, References::AsStored)
            }));
        let (mut latest, versions) = join(self.latest(plan, targets), versions).await;

        let mut stored = Stored::new();
        let mut versions = versions.into_iter();
        for (name, version) in &plan.pinned {
            let newest = latest.get(name);
            let found = if has_own_address(name) {
                match versions.next() {
                    Some(read) => self.pinned(name, *version, read, newest),
                    None => Err(self.absent(name)),
                }
            } else {
                self.pinned_of_list(name, *version, newest)
            };
            stored.insert((name.clone(), Some(*version)), found);
        }
        for name in &plan.latest {
            let found = latest.remove(name).unwrap_or_else(|| Err(self.absent(name)));
            stored.insert((name.clone(), None), found);
        }
        stored
    }

    /// Checks that the credential is for this folder, where the credential says which it is for.
    pub(super) async fn admit(&self) -> Result<(), FetchError> {
        let grant = self.api.session.grant(self.cx, &self.api.site).await?;
        grant.admit(&self.api.project, &self.place.environment, &self.place.path)
    }

    /// Finds the latest version of every name, by a list or a single read, and never takes a list's
    /// silence for an absence.
    async fn latest(&self, plan: &FolderPlan, targets: &Targets<'_>) -> Latest {
        let names = plan.names();
        let imports = |name: &str| if plan.latest.contains(name) { Imports::On } else { Imports::Off };
        if !plan.is_listed(self.api.personal) {
            return self.singles(names.into_iter().map(|name| (name, imports(name))).collect()).await;
        }
        let merged = match self.api.list(self.cx, &self.place, &ListFlags::ALL).await {
            Ok(listing) => self.merge(listing),
            Err(Failure::Refused(refusal)) if refusal.is_of_some_secrets() => {
                return self.one_by_one(&names, imports, &refusal).await;
            }
            Err(failure) => Err(self.explain(failure, None).await.error),
        };
        let mut merged = match merged {
            Ok(merged) => merged,
            Err(error) => {
                return names.into_iter().map(|name| (name.to_owned(), Err(error.clone()))).collect();
            }
        };
        self.read_imports(&mut merged, |name| plan.latest.contains(name)).await;
        self.teach(targets, &merged, |name| names.contains(name));
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
        let error = refusal.explain(&format!("the folder `{}`", self.place.path));
        latest.extend(others.into_iter().map(|name| (name.to_owned(), Err(error.clone()))));
        latest
    }

    async fn singles(&self, asked: Vec<(&str, Imports)>) -> Latest {
        let read = join_all(asked.iter().map(|(name, imports)| self.single(name, *imports))).await;
        let names = asked.into_iter().map(|(name, _)| name.to_owned());
        names.zip(read.into_iter().map(|read| read.map_err(|miss| miss.error))).collect()
    }

    /// Reads the latest version of one name.
    pub(super) async fn single(&self, name: &str, imports: Imports) -> Result<Found, Miss> {
        match self.api.get(self.cx, &self.place, name, None, imports, References::AsStored).await {
            Ok(secret) => {
                let here = self.is_here(&secret);
                if imports == Imports::Off && !here {
                    return Err(Miss { error: self.elsewhere(&secret), of_folder: true });
                }
                self.check_project(&secret).map_err(|error| Miss { error, of_folder: true })?;
                // An answer of 2025 names no folder, and one through an import of the same environment looks the same.
                let home = match imports {
                    Imports::Off => Some(self.place.clone()),
                    Imports::On => secret.place(),
                };
                Ok(self.found(secret, if here { Origin::Here } else { Origin::Import }, home))
            }
            Err(failure) => Err(self.explain(failure, Some(name)).await),
        }
    }

    /// Tells a folder that is empty from one that is missing or out of reach.
    pub(super) async fn prove_empty(&self) -> Result<(), FetchError> {
        match self.api.get(self.cx, &self.place, PROBE, None, Imports::Off, References::AsStored).await {
            Err(Failure::Refused(refusal)) if refusal.is_of_secret() => Ok(()),
            Err(failure) => Err(self.explain(failure, Some(PROBE)).await.error),
            Ok(_) => Err(FetchError::new(
                FetchErrorKind::Malformed,
                format!("the list of {} is empty, and a secret in it can be read", self.place),
            )
            .help("compare the folder with what Infisical shows of it, and report the difference there")),
        }
    }

    /// Tells an import that brings nothing from one that is out of reach, whose names would be missing
    /// without a word.
    pub(super) async fn prove_silent(&self, imported: &Place) -> Result<(), FetchError> {
        let silent = Folder { api: self.api, cx: self.cx, place: imported.clone() };
        let proof = match silent.admit().await {
            Ok(()) => silent.prove_empty().await,
            refused => refused,
        };
        let Err(error) = proof else { return Ok(()) };
        Err(match error.kind() {
            // What is gone brings nothing, and nothing of it is missing.
            FetchErrorKind::NotFound => return Ok(()),
            FetchErrorKind::Forbidden | FetchErrorKind::Hidden => FetchError::new(
                FetchErrorKind::Forbidden,
                format!("{} imports {imported}, which is out of reach: {}", self.place, error.message()),
            )
            .help("grant reading that folder too, or take the import out in Infisical"),
            _ => error,
        })
    }

    /// Tells the book of targets what a list showed, where a wanted value refers to something.
    pub(super) fn teach(&self, targets: &Targets<'_>, merged: &Merged, wanted: impl Fn(&str) -> bool) {
        let refers = merged.found.iter().any(|(name, found)| {
            wanted(name) && found.value.as_ref().is_ok_and(|value| !references(value).is_empty())
        });
        if self.api.references == References::AsStored || !refers {
            return;
        }
        for (name, found) in &merged.found {
            if found.origin == Origin::Here && !found.personal {
                targets.learn(name, &self.place, found);
            }
        }
    }

    /// Takes a secret of an answer, unless its value is kept from the caller.
    pub(super) fn found(&self, secret: Secret, origin: Origin, home: Option<Place>) -> Found {
        let personal = secret.is_personal();
        let value = match secret.value {
            _ if secret.is_hidden() => Err(self.hidden(&secret.key)),
            Some(value) => Ok(value),
            None => Err(FetchError::new(
                FetchErrorKind::Malformed,
                format!("the answer for {} holds no value", self.what(&secret.key)),
            )
            .help("grant `Read Value` on this secret to the identity's role in the project")),
        };
        let (id, version) = (secret.id, secret.version);
        Found { id, version, value, origin, home, layer: None, expanded: None, personal }
    }

    /// Stands where a value was taken out of its place, and is never shown.
    pub(super) fn unread() -> FetchError {
        FetchError::new(FetchErrorKind::Malformed, "the value was not read")
            .help("report this; it is a mistake of dsops")
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
fn all_failed(plan: &FolderPlan, error: &FetchError) -> Stored {
    let latest = plan.latest.iter().map(|name| (name.clone(), None));
    let pinned = plan.pinned.iter().map(|(name, version)| (name.clone(), Some(*version)));
    latest.chain(pinned).map(|key| (key, Err(error.clone()))).collect()
}
