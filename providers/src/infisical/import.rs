//! Everything that a folder holds, with the folders below it where that is asked, for `import`.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use futures::future::{join_all, try_join_all};

use super::answers::Listing;
use super::api::{Api, Imports, ListFlags, References};
use super::error::{Failure, Refusal};
use super::plan::has_own_address;
use super::read::{Folder, Found, Stored};
use super::references::Targets;
use crate::contract::{Context, Entry, FetchError, FetchErrorKind, ListQuery, SecretValue};

/// Lists a folder, and what is below it where the query says so.
///
/// One list for each folder, also with folders below: a recursive list leaves out deeper secrets that may not
/// be read, without a word, and does not tell which folder an import belongs to.
pub(super) async fn entries(
    api: &Api,
    cx: &Context,
    root: &str,
    query: &ListQuery,
) -> Result<Vec<Entry>, FetchError> {
    let top = Folder { api, cx, place: api.place(root) };
    top.admit().await?;
    let mut paths = vec![root.to_owned()];
    if query.recursive {
        let below = format!("{}/", root.trim_end_matches('/'));
        match api.folders(cx).await {
            Ok(all) => paths.extend(all.into_iter().filter(|path| path.starts_with(&below))),
            Err(failure) => return Err(top.explain(failure, None).await.error),
        }
    }
    let targets = Targets::new(api, cx);
    let folders: Vec<Folder<'_>> =
        paths.iter().map(|path| Folder { api, cx, place: api.place(path) }).collect();
    let read = join_all(folders.iter().map(|folder| folder.all(query, &targets))).await;
    let expanded = folders.iter().zip(read).map(|(folder, read)| {
        let targets = &targets;
        async move { Ok((folder, folder.expand(read?, targets).await)) }
    });
    let mut entries: BTreeMap<String, (String, Result<SecretValue, FetchError>)> = BTreeMap::new();
    for folder in join_all(expanded.collect::<Vec<_>>()).await {
        let (folder, values) = folder?;
        for ((name, _), value) in values {
            let here = folder.place.path.clone();
            match entries.entry(name) {
                btree_map::Entry::Vacant(free) => drop(free.insert((here, value))),
                btree_map::Entry::Occupied(mut taken) => {
                    let error = twice(taken.key(), &taken.get().0, &here);
                    taken.get_mut().1 = Err(error);
                }
            }
        }
    }
    Ok(entries.into_iter().map(|(name, (_, value))| Entry { name, value }).collect())
}

fn twice(name: &str, one: &str, other: &str) -> FetchError {
    FetchError::new(
        FetchErrorKind::Unsupported,
        format!("two folders have a secret `{name}`: `{one}` and `{other}`"),
    )
    .help("import each of the two folders on its own, with a prefix of its own, and without `recursive`")
}

impl Folder<'_> {
    /// Finds everything that the folder holds, as it is stored.
    async fn all(&self, query: &ListQuery, targets: &Targets<'_>) -> Result<Stored, FetchError> {
        self.admit().await?;
        // What an import shows carries no tags, so a filter is for the folder's own secrets.
        let imports = if query.is_filtered() { Imports::Off } else { Imports::On };
        let flags = ListFlags {
            imports,
            references: References::AsStored,
            values: true,
            tags: &query.tags,
            metadata: &query.metadata,
        };
        let listing = match self.api.list(self.cx, &self.place, &flags).await {
            Ok(listing) => listing,
            Err(Failure::Refused(refusal)) if refusal.is_of_some_secrets() => {
                return self.one_after_another(&flags, &refusal).await;
            }
            Err(failure) => return Err(self.explain(failure, None).await.error),
        };
        self.check_filter(&listing, query)?;
        let mut merged = self.merge(listing)?;
        if merged.empty {
            self.prove_empty().await?;
        }
        try_join_all(merged.silent.iter().map(|place| self.prove_silent(place))).await?;
        self.read_imports(&mut merged, |_| true).await;
        self.teach(targets, &merged, |_| true);
        let doubtful = std::mem::take(&mut merged.doubtful);
        let (asked, unprovable): (Vec<String>, Vec<String>) =
            doubtful.into_iter().partition(|name| has_own_address(name));
        for name in unprovable {
            let error = self.unproven(&name);
            merged.settle(&name, Err(error));
        }
        let read = join_all(asked.iter().map(|name| self.single(name, imports))).await;
        for (name, read) in asked.into_iter().zip(read) {
            merged.settle(&name, read.map_err(|miss| miss.error));
        }
        Ok(merged.found.into_iter().map(|(name, found): (String, Found)| ((name, None), Ok(found))).collect())
    }

    /// Reads everything singly, since the list was refused for the sake of one: so that it is named.
    async fn one_after_another(
        &self,
        flags: &ListFlags<'_>,
        refusal: &Refusal,
    ) -> Result<Stored, FetchError> {
        let refused = || refusal.explain(&format!("everything in {}", self.place));
        let flags = ListFlags { values: false, ..*flags };
        let Ok(mut listing) = self.api.list(self.cx, &self.place, &flags).await else {
            return Err(refused());
        };
        let layers = listing.take_imports();
        let rows = layers.into_iter().flat_map(|layer| layer.secrets).chain(listing.secrets);
        let names: BTreeSet<String> = rows.map(|row| row.key).collect();
        if names.is_empty() {
            return Err(refused());
        }
        let read = join_all(names.iter().map(|name| async move {
            match has_own_address(name) {
                true => self.single(name, flags.imports).await.map_err(|miss| miss.error),
                false => Err(self.unproven(name)),
            }
        }));
        let read = read.await;
        Ok(names.into_iter().map(|name| (name, None)).zip(read).collect())
    }

    /// Checks that the server did not leave a filter aside, as it does with parameters that it does not know.
    fn check_filter(&self, listing: &Listing, query: &ListQuery) -> Result<(), FetchError> {
        if listing.secrets.iter().all(|secret| secret.matches(&query.tags, &query.metadata)) {
            return Ok(());
        }
        Err(FetchError::new(
            FetchErrorKind::Malformed,
            format!("asked for the secrets of {} with certain tags or metadata, and got others", self.place),
        )
        .help("update the server: it does not look at these filters"))
    }
}
