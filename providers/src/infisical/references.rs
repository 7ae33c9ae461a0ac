//! References between secrets: what a value refers to, and whether all of it is there.
//!
//! Servers replace a reference whose target is gone with nothing (2026) or leave its text (2025), and leave
//! the text of a circular one, all without an error. So every target is read before a value that was put
//! together from it is believed.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, try_join_all};
use tokio::sync::OnceCell;

use super::answers::Secret;
use super::api::{Api, Imports, ListFlags, Place, References};
use super::error::Failure;
use super::plan::has_own_address;
use super::read::Found;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};

/// How deep references may go: the server follows no more.
const DEEPEST: usize = 10;
/// How many steps putting a value together may take beyond its length: what takes more is made to.
const STEPS: usize = 100_000;

/// Returns the names between `${` and `}` in a value, by the server's own pattern, `[a-zA-Z0-9-_.]+`.
pub(super) fn references(value: &SecretValue) -> Vec<&str> {
    // JSON gave the value, so it is text.
    let Some(mut rest) = value.expose_str() else { return Vec::new() };
    let mut found = Vec::new();
    while let Some((_, behind)) = rest.split_once("${") {
        let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')));
        match end.and_then(|end| behind.split_at_checked(end)) {
            Some((name, after)) if !name.is_empty() && after.starts_with('}') => {
                found.push(name);
                rest = after;
            }
            _ => rest = behind,
        }
    }
    found
}

/// Says whether what a reference means depends on the folder that it stands in.
fn is_bare(reference: &str) -> bool {
    !reference.contains('.')
}

/// Says whether a value holds a reference whose meaning depends on the folder that it stands in.
pub(super) fn needs_home(value: &SecretValue) -> bool {
    references(value).into_iter().any(is_bare)
}

/// A secret, by its place and name. Shown as a reference to it is written.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) name: String,
}

impl Address {
    /// Returns what a reference in a value of `home` means. `None` where that depends on an unknown home.
    fn of(reference: &str, home: Option<&Place>) -> Option<Self> {
        let mut parts: Vec<&str> = reference.split('.').collect();
        let name = parts.pop().unwrap_or_default().to_owned();
        if parts.is_empty() {
            return Some(Self { place: home?.clone(), name });
        }
        let environment = parts.remove(0).to_owned();
        let folders: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Some(Self { place: Place { environment, path: format!("/{}", folders.join("/")) }, name })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.place.path.trim_end_matches('/').replace('/', ".");
        write!(f, "`${{{}{path}.{}}}`", self.place.environment, self.name)
    }
}

/// A target as it is stored.
struct Target {
    value: SecretValue,
    /// Where it stands; `None` where the server does not say.
    home: Option<Place>,
    /// Whether only an import of the folder shows it there.
    imported: bool,
}

/// Why a target cannot be had.
enum Lack {
    Missing(String),
    Denied(String),
    Failed(FetchError),
}

/// What following the references of a value came to.
#[derive(Clone, Copy, Default)]
pub(super) struct Reach {
    /// How many references follow one another.
    depth: usize,
    /// Whether a target is there by an import only.
    pub(super) imported: bool,
}

type Cell = Arc<OnceCell<Result<Target, Lack>>>;

/// The targets of one batch, each read once, however many values refer to it.
pub(super) struct Targets<'a> {
    api: &'a Api,
    cx: &'a Context,
    known: Mutex<HashMap<Address, Cell>>,
    proven: Mutex<HashMap<Address, Reach>>,
}

/// A value whose references are followed.
pub(super) struct Root<'a> {
    /// The secret, for messages.
    pub(super) what: &'a str,
    pub(super) address: Address,
    pub(super) value: &'a SecretValue,
    /// Where the secret stands; `None` where the server does not say.
    pub(super) home: Option<&'a Place>,
}

impl<'a> Targets<'a> {
    /// Returns a book of targets that knows none.
    pub(super) fn new(api: &'a Api, cx: &'a Context) -> Self {
        Self { api, cx, known: Mutex::default(), proven: Mutex::default() }
    }

    /// Takes in a secret that a list showed, so that it need not be read to be known.
    pub(super) fn learn(&self, name: &str, place: &Place, found: &Found) {
        let Ok(value) = &found.value else { return };
        let target = Target {
            value: SecretValue::copy_of(value.expose()),
            home: Some(place.clone()),
            imported: false,
        };
        let cell = self.cell(&Address { place: place.clone(), name: name.to_owned() });
        // Known already where it was asked for twice.
        let _ = cell.set(Ok(target));
    }

    /// Follows the references of a value to their ends.
    ///
    /// # Errors
    ///
    /// `Dangling` where a target is missing or refers back, `Forbidden` where it may not be read, and
    /// otherwise what reading it came to.
    pub(super) async fn prove(&self, root: &Root<'_>) -> Result<Reach, FetchError> {
        self.walk(root, root.value, root.home, std::slice::from_ref(&root.address)).await
    }

    /// Puts a value together from what is known of its targets; `None` where that would be longer than
    /// `longest` bytes, or takes more steps than any real value does.
    pub(super) async fn assemble(
        &self,
        value: &SecretValue,
        home: Option<&Place>,
        longest: usize,
    ) -> Option<SecretValue> {
        let work = AtomicUsize::new(longest.saturating_add(STEPS));
        let text = self.filled_in(value, home, 0, &work).await?;
        Some(SecretValue::copy_of(text.expose()))
    }

    fn walk<'s>(
        &'s self,
        root: &'s Root<'_>,
        value: &'s SecretValue,
        home: Option<&'s Place>,
        trail: &'s [Address],
    ) -> BoxFuture<'s, Result<Reach, FetchError>> {
        Box::pin(async move {
            let mut seen = BTreeSet::new();
            let wanted: Vec<&str> =
                references(value).into_iter().filter(|reference| seen.insert(*reference)).collect();
            // What is not known yet is read at once; the descent is one after another, so that no target is
            // walked twice however many ways lead to it.
            let read = wanted.into_iter().map(|reference| async move {
                let address = Address::of(reference, home).ok_or_else(|| homeless(root, reference))?;
                if let Some(start) = trail.iter().position(|known| *known == address) {
                    return Err(circular(root, trail.get(start..).unwrap_or_default(), &address));
                }
                let cell = self.cell(&address);
                if let Err(lack) = cell.get_or_init(|| self.read(&address)).await {
                    return Err(lacking(root, trail, reference, &address, lack));
                }
                Ok((address, cell))
            });
            let mut sum = Reach::default();
            for (address, cell) in try_join_all(read.collect::<Vec<_>>()).await? {
                let Some(Ok(target)) = cell.get() else { continue };
                let known = self.proven().get(&address).copied();
                let below = match known {
                    Some(reach) => reach,
                    None => {
                        let trail: Vec<Address> =
                            trail.iter().chain(std::iter::once(&address)).cloned().collect();
                        if trail.len() > DEEPEST + 1 {
                            return Err(too_deep(root));
                        }
                        self.walk(root, &target.value, target.home.as_ref(), &trail).await?
                    }
                };
                self.proven().insert(address, below);
                if trail.len() + below.depth > DEEPEST {
                    return Err(too_deep(root));
                }
                sum.depth = sum.depth.max(below.depth + 1);
                sum.imported |= below.imported || target.imported;
            }
            Ok(sum)
        })
    }

    fn filled_in<'s>(
        &'s self,
        value: &'s SecretValue,
        home: Option<&'s Place>,
        depth: usize,
        work: &'s AtomicUsize,
    ) -> BoxFuture<'s, Option<SecretValue>> {
        Box::pin(async move {
            if depth > DEEPEST {
                return None;
            }
            let mut rest = value.expose_str()?;
            // What stands between the references ends in the result, each time that it is filled in.
            let between: usize =
                references(value).iter().map(|reference| reference.len() + "${}".len()).sum();
            let cost = rest.len().saturating_sub(between) + 1;
            work.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost)).ok()?;
            let mut text = zeroize::Zeroizing::new(Vec::new());
            for reference in references(value) {
                let (before, after) = rest.split_once(&format!("${{{reference}}}"))?;
                let cell = self.cell(&Address::of(reference, home)?);
                let target = cell.get()?.as_ref().ok()?;
                let inner = self.filled_in(&target.value, target.home.as_ref(), depth + 1, work).await?;
                text.extend_from_slice(before.as_bytes());
                text.extend_from_slice(inner.expose());
                rest = after;
            }
            text.extend_from_slice(rest.as_bytes());
            Some(SecretValue::copy_of(&text))
        })
    }

    fn cell(&self, address: &Address) -> Cell {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(address.clone()).or_default())
    }

    fn proven(&self) -> std::sync::MutexGuard<'_, HashMap<Address, Reach>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, address: &Address) -> Result<Target, Lack> {
        if address.name.is_empty() || address.place.environment.is_empty() {
            return Err(Lack::Missing(String::new()));
        }
        let Address { place, name } = address;
        let grant = self.api.session.grant(self.cx, &self.api.site).await.map_err(Lack::Failed)?;
        // A token of one folder is answered for that folder, whatever is asked.
        grant
            .admit(&self.api.project, &place.environment, &place.path)
            .map_err(|error| Lack::Denied(format!(": {}", error.message())))?;
        if !has_own_address(name) {
            return self.read_from_list(address).await;
        }
        match self.get(address, Imports::Off).await {
            Ok(secret) => self.target(address, secret, false),
            Err(Failure::Refused(refusal)) if refusal.is_of_secret() => {
                // What an import shows in the folder may count for the server, or not.
                match self.get(address, Imports::On).await {
                    Ok(secret) => self.target(address, secret, true),
                    Err(Failure::Refused(again)) if again.is_of_secret() => {
                        Err(Lack::Missing(refusal.said_by()))
                    }
                    Err(failure) => Err(lack(failure, address)),
                }
            }
            Err(failure) => Err(lack(failure, address)),
        }
    }

    async fn get(&self, address: &Address, imports: Imports) -> Result<Secret, Failure> {
        let Address { place, name } = address;
        self.api.get(self.cx, place, name, None, imports, References::AsStored).await
    }

    async fn read_from_list(&self, address: &Address) -> Result<Target, Lack> {
        let flags = ListFlags { imports: Imports::Off, ..ListFlags::ALL };
        match self.api.list(self.cx, &address.place, &flags).await {
            Ok(listing) => {
                let secret = listing.secrets.into_iter().find(|secret| secret.key == address.name);
                let secret = secret.ok_or_else(|| Lack::Missing(String::new()))?;
                self.target(address, secret, false)
            }
            Err(failure) => Err(lack(failure, address)),
        }
    }

    fn target(&self, address: &Address, secret: Secret, imported: bool) -> Result<Target, Lack> {
        if !imported && !secret.is_at(&address.place) {
            return Err(Lack::Failed(
                FetchError::new(
                    FetchErrorKind::Malformed,
                    format!("asked for {address} and got a secret of another place"),
                )
                .help("check which folder and environment the credentials under `auth` are for"),
            ));
        }
        let home = if imported { secret.place() } else { Some(address.place.clone()) };
        match secret.shown_value() {
            Some(value) => Ok(Target { value, home, imported }),
            None => Err(Lack::Denied(String::new())),
        }
    }
}

fn lack(failure: Failure, address: &Address) -> Lack {
    match failure {
        Failure::Refused(refusal) if refusal.is_of_place() => Lack::Missing(refusal.said_by()),
        Failure::Refused(refusal) if refusal.is_of_some_secrets() => Lack::Denied(refusal.said_by()),
        Failure::Refused(refusal) => Lack::Failed(refusal.explain(&format!("{address}"))),
        Failure::Broken(error) => Lack::Failed(error),
    }
}

fn lacking(
    root: &Root<'_>,
    trail: &[Address],
    reference: &str,
    address: &Address,
    lack: &Lack,
) -> FetchError {
    let what = root.what;
    let way: Vec<String> = trail.iter().skip(1).map(ToString::to_string).collect();
    let way = if way.is_empty() { String::new() } else { format!(", by way of {},", way.join(", ")) };
    let Address { place, name } = address;
    match lack {
        Lack::Missing(said) => FetchError::new(
            FetchErrorKind::Dangling,
            format!("{what} refers{way} to `${{{reference}}}`, and `{name}` in {place} is not there{said}"),
        )
        .help(format!(
            "create `{name}` there, correct the reference in Infisical, or set `expand_references: false` on the store"
        )),
        Lack::Denied(said) => FetchError::new(
            FetchErrorKind::Forbidden,
            format!("{what} refers{way} to `${{{reference}}}`, and no permission reaches `{name}` in {place}{said}"),
        )
        .help("grant `Read Value` on the secret that is referred to, to the identity's role in the project"),
        Lack::Failed(error) => error.clone(),
    }
}

fn circular(root: &Root<'_>, circle: &[Address], back: &Address) -> FetchError {
    let steps: Vec<String> = circle.iter().chain(std::iter::once(back)).map(ToString::to_string).collect();
    FetchError::new(
        FetchErrorKind::Dangling,
        format!("{} refers to secrets that refer to each other: {}", root.what, steps.join(" → ")),
    )
    .help("break the circle in Infisical: give one of them a value of its own")
}

fn too_deep(root: &Root<'_>) -> FetchError {
    FetchError::new(
        FetchErrorKind::Dangling,
        format!(
            "{} refers to secrets over more than {DEEPEST} steps, which Infisical does not follow",
            root.what
        ),
    )
    .help("refer to the last secret of the chain directly")
}

fn homeless(root: &Root<'_>, reference: &str) -> FetchError {
    FetchError::new(
        FetchErrorKind::Unsupported,
        format!("{} refers to `${{{reference}}}`, and the server does not say in which folder", root.what),
    )
    .help("write the reference with its environment and folder, or refer to the folder that the secret comes from")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        references(&SecretValue::copy_of(text.as_bytes())).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn references_are_found_by_the_servers_pattern() {
        assert_eq!(found("https://${HOST}:${prod.app.PORT}/"), ["HOST", "prod.app.PORT"]);
        assert_eq!(found("$${A}${${B}}${c-d_e}"), ["A", "B", "c-d_e"]);
        for none in ["", "a$b$$c", "${}", "${A", "${A B}", "${A:-b}", "$(id)", "{A}", "${é}"] {
            assert!(found(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn a_reference_names_environment_folders_and_name() {
        let home = Place { environment: "dev".to_owned(), path: "/app".to_owned() };
        let at = |reference| Address::of(reference, Some(&home)).unwrap().to_string();
        assert_eq!(at("HOST"), "`${dev.app.HOST}`");
        assert_eq!(at("prod.HOST"), "`${prod.HOST}`");
        assert_eq!(at("prod.a.b.HOST"), "`${prod.a.b.HOST}`");
        assert!(Address::of("HOST", None).is_none());
    }
}
