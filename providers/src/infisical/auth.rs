//! The session: one login for the process, shared by everything that runs at once.

mod login;
mod service_token;
mod universal;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use reqwest::header::{AUTHORIZATION, HeaderName};
use tokio::sync::Mutex;

use self::login::Issued;
use self::service_token::{Scope, service_token_scope};
use self::universal::universal_auth;
use super::config::Login;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Request, Site};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The right to make data calls, as one login gave it.
pub(super) struct Grant {
    header: HeaderName,
    prefix: &'static str,
    credential: SecretValue,
    /// Which of the logins of the process that gave a grant gave this one, the first being 1.
    login: u64,
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
        self.log_in(cx, site, &mut state, seen).await
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
        if !matches!(self.login, Login::MachineIdentity { .. }) {
            return Ok(None);
        }
        let seen = self.attempts.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        match &state.grant {
            Some(current) if current.login != refused.login => return Ok(Some(Arc::clone(current))),
            Some(_) if refused.login > 1 && !refused.proven.load(Ordering::Relaxed) => return Ok(None),
            _ => {}
        }
        self.log_in(cx, site, &mut state, seen).await.map(Some)
    }

    async fn log_in(
        &self,
        cx: &Context,
        site: &Site,
        state: &mut State,
        seen: u64,
    ) -> Result<Arc<Grant>, FetchError> {
        let attempts = self.attempts.load(Ordering::Acquire);
        if let Some(failure) = &state.failure
            && (is_final(failure) || attempts != seen)
        {
            return Err(failure.clone());
        }
        state.grant = None;
        let outcome = self.attempt(cx, site, state.given + 1).await;
        self.attempts.fetch_add(1, Ordering::AcqRel);
        match outcome {
            Ok(grant) => {
                let grant = Arc::new(grant);
                state.given += 1;
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

    async fn attempt(&self, cx: &Context, site: &Site, login: u64) -> Result<Grant, FetchError> {
        let bearer = |credential: SecretValue, replace_at, scope| Grant {
            header: AUTHORIZATION,
            prefix: "Bearer ",
            credential,
            login,
            replace_at,
            proven: AtomicBool::new(false),
            scope,
        };
        match &self.login {
            Login::MachineIdentity { client_id, client_secret } => {
                let Issued { token, lifetime } = universal_auth(cx, site, client_id, client_secret).await?;
                Ok(bearer(token, lifetime.map(|lifetime| Instant::now() + lifetime.mul_f64(0.9)), None))
            }
            Login::ServiceToken(token) => {
                let grant = bearer(SecretValue::copy_of(token.expose()), None, None);
                let scope = service_token_scope(cx, site, &grant).await?;
                Ok(Grant { scope: Some(scope), ..grant })
            }
            Login::ApiKey(key) => Ok(Grant {
                header: API_KEY,
                prefix: "",
                ..bearer(SecretValue::copy_of(key.expose()), None, None)
            }),
        }
    }
}

/// Says whether asking again could only do harm.
fn is_final(failure: &FetchError) -> bool {
    !failure.is_temporary() && failure.kind() != FetchErrorKind::TimedOut
}
