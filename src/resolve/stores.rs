//! The stores of one run: opened when needed, each asked once for everything.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dsops_providers::contract::{
    Context, EnvSnapshot, FetchError, FetchErrorKind, Finding, ListQuery, Locator, NoTokens, OpenError,
    Provider, SecretValue, Span,
};
use futures::future::{LocalBoxFuture, join_all};

use super::breaker::{Breaker, Try};
use super::failure::Cause;
use super::{Answer, retry};
use crate::config::{Config, ConfigError, Expander, Store};
use crate::plan::{Candidate, Plan, PlannedStore};

/// The values of a listed folder, by name.
type Listing = Vec<(String, Answer)>;

/// What one resolve leaves to the next: stores that are open already, so that a plan neither logs in again
/// nor asks in vain, and which stores keep failing. A program that resolves again and again keeps one for
/// each `Config`. A refused login is final for it, since identities lock after a few, unless the credentials
/// come from another store, which may hold others the next time.
#[derive(Default)]
pub struct OpenStores {
    opened: Mutex<HashMap<String, Result<Arc<dyn Provider>, Cause>>>,
    breakers: Mutex<HashMap<String, Arc<Breaker>>>,
}

impl OpenStores {
    /// Says that a store is not to be asked, and why.
    pub fn refuse(&mut self, store: &str, cause: Cause) {
        self.keep(store, Err(cause));
    }

    /// Leaves the open stores whose values are in files, for use in another runtime: connections belong to the one in
    /// which they were made.
    pub fn leave_files(&mut self) {
        lock(&self.opened).retain(|_, opened| opened.as_ref().is_ok_and(|store| !store.files().is_empty()));
    }

    /// Has the open stores read their files anew.
    pub fn renew(&self) {
        lock(&self.opened).values().flatten().for_each(|store| store.renew());
    }

    /// Returns the files that the values of the open stores are in.
    #[must_use]
    pub fn files(&self) -> Vec<std::path::PathBuf> {
        let opened = lock(&self.opened);
        opened.values().flatten().flat_map(|provider| provider.files()).collect()
    }

    fn keep(&self, store: &str, opened: Result<Arc<dyn Provider>, Cause>) {
        lock(&self.opened).insert(store.to_owned(), opened);
    }

    fn known(&self, store: &str) -> Option<Result<Arc<dyn Provider>, Cause>> {
        lock(&self.opened).get(store).cloned()
    }

    /// Notes an answer, or why there is none.
    fn note(&self, planned: &PlannedStore, attempt: &Try, error: Option<&FetchError>) {
        attempt.note(error);
        let is_refused = error.is_some_and(|error| error.kind() == FetchErrorKind::Unauthenticated);
        if is_refused && !planned.credentials.is_empty() {
            lock(&self.opened).remove(&planned.name);
        }
    }

    fn breaker(&self, store: &Store) -> Arc<Breaker> {
        let mut breakers = lock(&self.breakers);
        let breaker = breakers.entry(store.name.clone());
        Arc::clone(breaker.or_insert_with(|| Arc::new(Breaker::new(store.breaker))))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Stores<'a> {
    config: &'a Config,
    plan: &'a Plan,
    cx: &'a Context,
    known: &'a OpenStores,
    states: Vec<State>,
}

/// What is known of one store of the plan so far.
struct State {
    /// Held while the first batch is under way, so that those who wait for a credential wait for it.
    first: tokio::sync::OnceCell<()>,
    opened: tokio::sync::OnceCell<Result<Opened, Cause>>,
    answers: RefCell<HashMap<usize, Answer>>,
    listings: RefCell<Vec<Option<Result<Listing, FetchError>>>>,
}

struct Opened {
    provider: Arc<dyn Provider>,
    /// Carries the store's deadline, which starts when the store is first needed.
    cx: Context,
    /// Counts, at the end of the resolve, whether the store answered.
    attempt: Try,
}

impl<'a> Stores<'a> {
    pub(super) fn new(config: &'a Config, plan: &'a Plan, cx: &'a Context, known: &'a OpenStores) -> Self {
        let state = |store: &PlannedStore| State {
            first: tokio::sync::OnceCell::new(),
            opened: tokio::sync::OnceCell::new(),
            answers: RefCell::default(),
            listings: RefCell::new(store.folders.iter().map(|_| None).collect()),
        };
        Self { config, plan, cx, known, states: plan.stores.iter().map(state).collect() }
    }

    /// Opens every store and checks it, all stores at once. The answers are in the order of the plan.
    pub(super) async fn check_all(&self) -> Vec<Result<Vec<Finding>, Cause>> {
        join_all(self.states.iter().zip(&self.plan.stores).map(|(state, planned)| async move {
            let opened = self.opened(state, planned).await.as_ref().map_err(Clone::clone)?;
            let checked = retry::within(&opened.cx, opened.provider.check(&opened.cx)).await;
            Ok(checked.unwrap_or_else(|error| vec![Finding::failed("check", &error)]))
        }))
        .await
    }

    /// Opens a store of the plan, whoever else is in it.
    pub(super) async fn open_one(&self, store: &str) -> Result<(Arc<dyn Provider>, Context), Cause> {
        let mut all = self.states.iter().zip(&self.plan.stores);
        let Some((state, planned)) = all.find(|(_, planned)| planned.name == store) else {
            return Err(Cause::Fetch { store: store.to_owned(), reference: None, error: never_asked() });
        };
        let opened = self.opened(state, planned).await.as_ref().map_err(Clone::clone)?;
        Ok((Arc::clone(&opened.provider), opened.cx.clone()))
    }

    /// Gives away the stores that were opened, and why others were not.
    pub(super) fn into_open(self) -> OpenStores {
        let states = self.states.into_iter().zip(&self.plan.stores);
        let opened = states.filter_map(|(state, planned)| {
            let opened = state.opened.into_inner()?;
            Some((planned.name.clone(), opened.map(|opened| opened.provider)))
        });
        OpenStores { opened: Mutex::new(opened.collect()), breakers: Mutex::default() }
    }

    /// Asks every store for its first batch, all stores at once.
    pub(super) async fn ask_all(&self) {
        join_all((0..self.states.len()).map(|index| self.first_batch(index))).await;
    }

    /// Asks for candidates that have no answer yet.
    pub(super) async fn ask(&self, candidates: impl Iterator<Item = &Candidate>) {
        let mut wanted: HashMap<usize, Vec<usize>> = HashMap::new();
        for candidate in candidates {
            let known = self
                .states
                .get(candidate.store)
                .is_none_or(|state| state.answers.borrow().contains_key(&candidate.locator));
            let list = wanted.entry(candidate.store).or_default();
            if !known && !list.contains(&candidate.locator) {
                list.push(candidate.locator);
            }
        }
        join_all(wanted.into_iter().map(|(store, locators)| self.fetch(store, locators))).await;
    }

    /// Returns a store's name.
    pub(super) fn name(&self, store: usize) -> &str {
        self.plan.stores.get(store).map_or("", |store| store.name.as_str())
    }

    /// Returns the answer to a candidate that was asked for.
    pub(super) fn answer(&self, candidate: &Candidate) -> Result<Answer, Cause> {
        let state = self.states.get(candidate.store);
        if let Some(Err(cause)) = state.and_then(|state| state.opened.get()) {
            return Err(cause.clone());
        }
        let answer = state.and_then(|state| state.answers.borrow().get(&candidate.locator).cloned());
        Ok(answer.unwrap_or_else(|| Err(never_asked())))
    }

    /// Returns the values of a listed folder.
    pub(super) fn listing(&self, store: usize, folder: usize) -> Result<Listing, Cause> {
        let state = self.states.get(store);
        if let Some(Err(cause)) = state.and_then(|state| state.opened.get()) {
            return Err(cause.clone());
        }
        let listing = state.and_then(|state| state.listings.borrow().get(folder).cloned().flatten());
        listing.unwrap_or_else(|| Err(never_asked())).map_err(|error| Cause::Fetch {
            store: self.name(store).to_owned(),
            reference: None,
            error,
        })
    }

    // Boxed, since a store waits for the first batch of the store that holds its credential.
    fn first_batch(&self, index: usize) -> LocalBoxFuture<'_, ()> {
        Box::pin(async move {
            let (Some(state), Some(planned)) = (self.states.get(index), self.plan.stores.get(index)) else {
                return;
            };
            state
                .first
                .get_or_init(|| async {
                    if let Ok(opened) = self.opened(state, planned).await {
                        self.ask_first(state, planned, opened).await;
                    }
                })
                .await;
        })
    }

    async fn ask_first(&self, state: &State, planned: &PlannedStore, opened: &Opened) {
        let (listed, asked): (Vec<usize>, Vec<usize>) = (0..planned.locators.len())
            .filter(|index| planned.at_once.get(*index).copied().unwrap_or_default())
            .partition(|index| {
                planned.locators.get(*index).is_some_and(|locator| planned.is_listed(locator))
            });
        let list_all = join_all(planned.folders.iter().map(|query| self.list(planned, opened, query)));
        let (listings, ()) = futures::join!(list_all, self.fetch_into(state, planned, opened, asked));
        // What a list shows need not be asked for; what it does not show is, since lists can be silently empty.
        let mut unseen = Vec::new();
        for index in listed {
            let Some(locator) = planned.locators.get(index) else { continue };
            match seen(planned, &listings, locator) {
                Some(answer) => {
                    state.answers.borrow_mut().insert(index, answer);
                }
                None => unseen.push(index),
            }
        }
        *state.listings.borrow_mut() = listings.into_iter().map(Some).collect();
        self.fetch_into(state, planned, opened, unseen).await;
    }

    async fn fetch(&self, store: usize, locators: Vec<usize>) {
        let (Some(state), Some(planned)) = (self.states.get(store), self.plan.stores.get(store)) else {
            return;
        };
        if let Some(Ok(opened)) = state.opened.get() {
            self.fetch_into(state, planned, opened, locators).await;
        }
    }

    async fn fetch_into(&self, state: &State, planned: &PlannedStore, opened: &Opened, indices: Vec<usize>) {
        if indices.is_empty() {
            return;
        }
        let locators: Vec<Locator> =
            indices.iter().filter_map(|index| planned.locators.get(*index).cloned()).collect();
        let answers = retry::fetch(opened.provider.as_ref(), &opened.cx, &locators).await;
        for answer in &answers {
            self.known.note(planned, &opened.attempt, answer.as_ref().err());
        }
        state.answers.borrow_mut().extend(indices.into_iter().zip(answers));
    }

    async fn list(
        &self,
        planned: &PlannedStore,
        opened: &Opened,
        query: &ListQuery,
    ) -> Result<Listing, FetchError> {
        let Some(lister) = opened.provider.lister() else { return Err(never_asked()) };
        let entries = retry::attempt(&opened.cx, || async {
            let entries = lister.list_by(&opened.cx, query).await?;
            // One value that cannot be had for a moment is asked for again with its folder.
            let passing =
                entries.iter().filter_map(|entry| entry.value.as_ref().err()).find(|e| e.is_temporary());
            passing.map_or(Ok(()), |error| Err(error.clone())).map(|()| entries)
        });
        let entries = entries.await;
        self.known.note(planned, &opened.attempt, entries.as_ref().err());
        Ok(entries?.into_iter().map(|entry| (entry.name, entry.value.map(Arc::new))).collect())
    }

    /// Opens a store, once for all that need it.
    async fn opened<'s>(&self, state: &'s State, planned: &PlannedStore) -> &'s Result<Opened, Cause> {
        state.opened.get_or_init(|| self.open(planned)).await
    }

    /// Returns what the store works with. Its time starts now.
    fn context(&self, store: &Store) -> Context {
        let cx = self.cx.for_store(&store.name, Some(store.timeout));
        if store.token_cache { cx } else { cx.with_tokens(NoTokens) }
    }

    async fn open(&self, planned: &PlannedStore) -> Result<Opened, Cause> {
        let Some(store) = self.config.stores.get(&planned.name) else {
            return Err(Cause::Fetch { store: planned.name.clone(), reference: None, error: never_asked() });
        };
        let attempt = self.known.breaker(store).admit().map_err(|error| Cause::Fetch {
            store: store.name.clone(),
            reference: None,
            error,
        })?;
        if let Some(known) = self.known.known(&planned.name) {
            let cx = self.context(store);
            return known.map(|provider| Opened { provider, cx, attempt });
        }
        let mut credentials = HashMap::new();
        for (span, candidate) in &planned.credentials {
            self.first_batch(candidate.store).await;
            let answer = self.answer(candidate)?;
            let value = answer.map_err(|error| Cause::Fetch {
                store: self.name(candidate.store).to_owned(),
                reference: Some(candidate.reference.clone()),
                error: without_credential(&planned.name, error),
            })?;
            credentials.insert(*span, value);
        }
        let cx = self.context(store);
        let provider: Arc<dyn Provider> = open(store, self.cx.env(), credentials, &cx)?.into();
        self.known.keep(&planned.name, Ok(Arc::clone(&provider)));
        Ok(Opened { provider, cx, attempt })
    }
}

/// Opens a store with the credentials that other stores gave.
///
/// # Errors
///
/// Where an option names an unset variable, or what the options name cannot be used.
pub fn open(
    store: &Store,
    env: &EnvSnapshot,
    credentials: HashMap<Span, Arc<SecretValue>>,
    cx: &Context,
) -> Result<Box<dyn Provider>, Cause> {
    let expander = Expander::new(env).with_credentials(credentials).with_files(cx);
    (store.descriptor.open)(&store.options, &expander, cx).map_err(|error| match error {
        OpenError::Decode(error) => Cause::Config(ConfigError::from(error)),
        OpenError::Fetch(error) => Cause::Fetch { store: store.name.clone(), reference: None, error },
    })
}

/// A credential that is not there says nothing about the secrets behind it, so it is no absence of theirs.
fn without_credential(store: &str, error: FetchError) -> FetchError {
    if !error.is_absence() {
        return error;
    }
    let message = format!("unauthorized: a credential of `{store}` is missing: {}", error.message());
    let missing = FetchError::new(FetchErrorKind::Unauthenticated, message);
    match error.advice() {
        Some(help) => missing.help(help),
        None => missing,
    }
}

fn seen(
    planned: &PlannedStore,
    listings: &[Result<Listing, FetchError>],
    locator: &Locator,
) -> Option<Answer> {
    let shows = |query: &ListQuery| query.is_plain() && query.folder == locator.folder();
    let folder = planned.folders.iter().position(shows)?;
    let listing = listings.get(folder)?.as_ref().ok()?;
    listing.iter().find(|(name, _)| name == locator.name()).map(|(_, answer)| answer.clone())
}

fn never_asked() -> FetchError {
    FetchError::new(FetchErrorKind::Malformed, "the store was not asked")
        .help("report this; it is a mistake of dsops")
}
