//! Values with references: the server puts them together, and every target is proven to be there.

use std::collections::HashMap;

use futures::future::{join, join_all};

use super::answers::Secret;
use super::api::{Imports, ListFlags, Place, References};
use super::error::Failure;
use super::plan::has_own_address;
use super::read::{Folder, Found, Key, Origin, Stored, Values};
use super::references::{Address, Root, Targets, needs_home, references};
use crate::contract::{FetchError, FetchErrorKind, SecretValue};

/// How many values are read singly before a list of the folder is the better way.
const FEW: usize = 3;

/// A value with references, on its way.
struct Pending {
    key: Key,
    found: Found,
    value: SecretValue,
}

impl Pending {
    /// Says whether a list can show the value: lists show the latest versions only, and those of v4 resolve
    /// imported references in the wrong folder.
    fn is_in_list(&self, v4: bool) -> bool {
        let latest = self.key.1.is_none() || !has_own_address(&self.key.0);
        latest && !(v4 && self.found.origin == Origin::Import)
    }

    /// Says whether nothing but a list can show the value.
    fn needs_list(&self) -> bool {
        self.found.personal || !has_own_address(&self.key.0)
    }
}

/// What following the references of a value came to.
struct Proof {
    home: Option<Place>,
    /// Whether the server may have left out what only an import shows.
    imported: bool,
}

impl Folder<'_> {
    /// Replaces the references in what was read, where the store is told to. A value without any is final.
    pub(super) async fn expand(&self, stored: Stored, targets: &Targets<'_>) -> Values {
        let mut values = Values::new();
        let mut pending = Vec::new();
        for (key, found) in stored {
            let mut found = match found {
                Ok(found) => found,
                Err(error) => {
                    values.insert(key, Err(error));
                    continue;
                }
            };
            match std::mem::replace(&mut found.value, Err(Self::unread())) {
                Ok(value)
                    if self.api.references == References::Expanded && !references(&value).is_empty() =>
                {
                    pending.push(Pending { key, found, value });
                }
                value => drop(values.insert(key, value)),
            }
        }
        if pending.is_empty() {
            return values;
        }
        let proofs = join_all(pending.iter().map(|pending| self.prove(pending, targets)));
        let (proofs, read) = join(proofs, self.read_expanded(&pending)).await;
        for ((pending, proof), read) in pending.into_iter().zip(proofs).zip(read) {
            let value = match (proof, read) {
                (Err(error), _) | (Ok(_), Err(error)) => Err(error),
                // Whether the server takes a user's own value of a target or the shared one is not documented.
                (Ok(proof), Ok(value)) if self.api.personal && !proof.imported => Ok(value),
                (Ok(proof), Ok(value)) => self.compare(&pending, &proof, value, targets).await,
            };
            values.insert(pending.key, value);
        }
        values
    }

    async fn prove(&self, pending: &Pending, targets: &Targets<'_>) -> Result<Proof, FetchError> {
        let name = &pending.key.0;
        let mut home = pending.found.home.clone();
        if home.is_none() && needs_home(&pending.value) {
            home = self.home_of(name, &pending.found.id).await;
        }
        let what = self.what(name);
        let place = home.clone().unwrap_or_else(|| self.place.clone());
        let root = Root {
            what: &what,
            address: Address { place, name: name.clone() },
            value: &pending.value,
            home: home.as_ref(),
        };
        let reach = targets.prove(&root).await?;
        Ok(Proof { home, imported: reach.imported })
    }

    /// Takes a value that the server put together as its references say. It does not where it stops following
    /// them, or does not look at what only an import shows.
    async fn compare(
        &self,
        pending: &Pending,
        proof: &Proof,
        value: SecretValue,
        targets: &Targets<'_>,
    ) -> Result<SecretValue, FetchError> {
        let own = targets.assemble(&pending.value, proof.home.as_ref(), value.len()).await;
        if own.is_some_and(|own| own.expose() == value.expose()) {
            return Ok(value);
        }
        let what = self.what(&pending.key.0);
        if proof.imported {
            return Err(FetchError::new(
                FetchErrorKind::Dangling,
                format!("{what} refers to a secret that its folder has by an import only, and Infisical does not look there"),
            )
            .help("write the reference with environment and folder: `${env.folder.NAME}`"));
        }
        Err(FetchError::new(
            FetchErrorKind::Malformed,
            format!("Infisical puts {what} together in another way than its references say"),
        )
        .help("run it again, in case a secret changed meanwhile; else put the value together in the file, and set `expand_references: false`"))
    }

    /// Reads values as the server puts them together: some of them singly, many by a list.
    async fn read_expanded(&self, pending: &[Pending]) -> Vec<Result<SecretValue, FetchError>> {
        let v4 = self.api.is_v4(self.cx);
        let open = |pending: &&Pending| pending.found.expanded.is_none() && pending.is_in_list(v4);
        let listed: Vec<&Pending> = pending.iter().filter(open).collect();
        let mut shown = HashMap::new();
        if listed.len() > FEW || listed.iter().any(|pending| pending.needs_list()) {
            let imports = match listed.iter().any(|pending| pending.found.origin == Origin::Import) {
                true => Imports::On,
                false => Imports::Off,
            };
            let flags = ListFlags { imports, references: References::Expanded, ..ListFlags::ALL };
            match self.api.list(self.cx, &self.place, &flags).await {
                Ok(listing) => shown = listing.by_id(),
                // Refused for the sake of one: the others can be read singly.
                Err(Failure::Refused(refusal)) if refusal.is_of_some_secrets() => {}
                Err(failure) => {
                    let error = self.explain(failure, None).await.error;
                    return pending.iter().map(|_| Err(error.clone())).collect();
                }
            }
        }
        let reads = pending.iter().map(|pending| {
            let row = shown.remove(&pending.found.id).filter(|_| pending.is_in_list(v4));
            self.one_expanded(pending, row)
        });
        join_all(reads.collect::<Vec<_>>()).await
    }

    async fn one_expanded(&self, pending: &Pending, row: Option<Secret>) -> Result<SecretValue, FetchError> {
        let (name, version) = &pending.key;
        if let Some(value) = &pending.found.expanded {
            return Ok(SecretValue::copy_of(value.expose()));
        }
        let secret = match row {
            Some(secret) => secret,
            None if pending.needs_list() => return Err(self.unproven(name)),
            None => {
                let is_here = pending.found.origin == Origin::Here && pending.found.home.is_some();
                let imports = if is_here { Imports::Off } else { Imports::On };
                let read = self.api.get(self.cx, &self.place, name, *version, imports, References::Expanded);
                match read.await {
                    Ok(secret) => secret,
                    Err(failure) => return Err(self.explain(failure, Some(name)).await.error),
                }
            }
        };
        if secret.id != pending.found.id || secret.version != pending.found.version {
            return Err(FetchError::new(
                FetchErrorKind::Malformed,
                format!("{} changed while it was being read", self.what(name)),
            )
            .help("run it again")
            .temporary(true));
        }
        self.found(secret, pending.found.origin, None).value
    }
}
