//! The session: one login for the process, shared by everything that runs at once.

#[cfg(feature = "aws")]
mod aws;
mod azure;
mod gcp;
mod identity;
mod kept;
mod login;
mod oidc;
mod service_token;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderName};
use tokio::sync::Mutex;

use self::kept::identity_token;
use self::service_token::{Scope, service_token_scope};
use super::config::Login;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Request, Site};

/// How long a token counts as fresh: one that is refused later may simply have been revoked.
const FRESH: Duration = Duration::from_secs(60);
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The right to make data calls, as one login gave it.
pub(super) struct Grant {
    header: HeaderName,
    prefix: &'static str,
    credential: SecretValue,
    /// How many logins of the process had given a grant with this one.
    login: u64,
    /// Whether an earlier run's login gave it: a refusal of it says nothing about a new one.
    kept: bool,
    /// When it was given.
    since: Instant,
    /// When a new login should replace it: a token may run out between two calls of one batch.
    replace_at: Option<Instant>,
    /// Whether the server has taken it once.
    proven: AtomicBool,
    scope: Option<Scope>,
}

impl Grant {
    /// Adds the credential to a call.
    pub(super) fn sign(&self, request: Request) -> Result<Request, FetchError> {
        request.secret_header(self.header.clone(), self.prefix, &self.credential)
    }

    /// Says whether another login would be refused as this one was: it was fresh, of a second login not long
    /// ago, and the server never took it.
    fn is_hopeless(&self) -> bool {
        let fresh = !self.kept && self.since.elapsed() < FRESH;
        fresh && self.login > 1 && !self.proven.load(Ordering::Relaxed)
    }

    /// Says whether an earlier run's login gave it.
    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Notes that the server took the credential.
    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Checks that the credential is for this place, where it says which place it is for.
    ///
    /// # Errors
    ///
    /// `Forbidden` where it is for another one.
    pub(super) fn admit(&self, project: &str, environment: &str, folder: &str) -> Result<(), FetchError> {
        self.scope.as_ref().map_or(Ok(()), |scope| scope.admit(project, environment, Some(folder)))
    }

    /// Returns the project that the credential is for, where it says so.
    pub(super) fn project(&self) -> Option<&str> {
        self.scope.as_ref().and_then(Scope::project)
    }

    /// As [`Grant::admit`], whatever the folder.
    pub(super) fn admit_environment(&self, project: &str, environment: &str) -> Result<(), FetchError> {
        self.scope.as_ref().map_or(Ok(()), |scope| scope.admit(project, environment, None))
    }
}

/// Logs in when a grant is first needed, once for all that wait for it.
pub(super) struct Session {
    login: Login,
    state: Mutex<State>,
    /// How many logins have ended, well or not.
    attempts: AtomicU64,
}

#[derive(Default)]
struct State {
    grant: Option<Arc<Grant>>,
    /// How many logins gave a grant. One that failed for a moment is none that a refused token could be of.
    given: u64,
    failure: Option<FetchError>,
}

impl Session {
    /// Returns a session that has not logged in.
    pub(super) fn new(login: Login) -> Self {
        Self { login, state: Mutex::default(), attempts: AtomicU64::new(0) }
    }

    /// Returns the grant, logging in where there is none.
    ///
    /// # Errors
    ///
    /// The login's. A refusal is remembered, since identities lock after a few of them; other failures
    /// are shared with those that waited meanwhile.
    pub(super) async fn grant(&self, cx: &Context, site: &Site) -> Result<Arc<Grant>, FetchError> {
        let seen = self.attempts.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        if let Some(grant) = &state.grant
            && grant.replace_at.is_none_or(|at| Instant::now() < at)
        {
            return Ok(Arc::clone(grant));
        }
        self.log_in(cx, site, &mut state, seen, None).await
    }

    /// Replaces a grant that a data call was refused for. Returns `None` where a new login cannot help:
    /// the credential is sent as it stands, or a token fresh from such a login was refused at once.
    ///
    /// # Errors
    ///
    /// As [`Session::grant`].
    pub(super) async fn replace(
        &self,
        cx: &Context,
        site: &Site,
        refused: &Grant,
    ) -> Result<Option<Arc<Grant>>, FetchError> {
        if !matches!(self.login, Login::Identity(_)) {
            return Ok(None);
        }
        let seen = self.attempts.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        match &state.grant {
            Some(current) if !std::ptr::eq(current.as_ref(), refused) => {
                return Ok(Some(Arc::clone(current)));
            }
            Some(_) if refused.is_hopeless() => return Ok(None),
            _ => {}
        }
        self.log_in(cx, site, &mut state, seen, Some(refused)).await.map(Some)
    }

    async fn log_in(
        &self,
        cx: &Context,
        site: &Site,
        state: &mut State,
        seen: u64,
        refused: Option<&Grant>,
    ) -> Result<Arc<Grant>, FetchError> {
        let attempts = self.attempts.load(Ordering::Acquire);
        if let Some(failure) = &state.failure
            && (is_final(failure) || attempts != seen)
        {
            return Err(failure.clone());
        }
        state.grant = None;
        let outcome = self.attempt(cx, site, state.given + 1, refused).await;
        self.attempts.fetch_add(1, Ordering::AcqRel);
        match outcome {
            Ok(grant) => {
                let grant = Arc::new(grant);
                state.given += u64::from(!grant.kept);
                state.grant = Some(Arc::clone(&grant));
                state.failure = None;
                Ok(grant)
            }
            Err(failure) => {
                state.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    async fn attempt(
        &self,
        cx: &Context,
        site: &Site,
        login: u64,
        refused: Option<&Grant>,
    ) -> Result<Grant, FetchError> {
        let as_it_stands = |credential: &SecretValue| Grant {
            header: AUTHORIZATION,
            prefix: "Bearer ",
            credential: SecretValue::copy_of(credential.expose()),
            login,
            kept: false,
            since: Instant::now(),
            replace_at: None,
            proven: AtomicBool::new(false),
            scope: None,
        };
        match &self.login {
            Login::Identity(identity) => {
                let refused = refused.map(|grant| &grant.credential);
                let token = identity_token(cx, site, identity, refused).await?;
                let replace_at = token.replace_in.and_then(|left| Instant::now().checked_add(left));
                Ok(Grant { kept: token.kept, replace_at, ..as_it_stands(&token.value) })
            }
            Login::AccessToken(token) => Ok(as_it_stands(token)),
            Login::ServiceToken(token) => {
                let grant = as_it_stands(token);
                let scope = service_token_scope(cx, site, &grant).await?;
                Ok(Grant { scope: Some(scope), ..grant })
            }
            Login::ApiKey(key) => Ok(Grant { header: API_KEY, prefix: "", ..as_it_stands(key) }),
        }
    }
}

/// Says whether asking again could only do harm.
fn is_final(failure: &FetchError) -> bool {
    !failure.is_temporary() && failure.kind() != FetchErrorKind::TimedOut
}
