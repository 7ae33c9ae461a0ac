//! The session: one login for the process, shared by everything that runs at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderName};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::config::Login;
use super::error::Refusal;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Answer, Request, Site, send};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The right to make data calls, as one login gave it.
pub(super) struct Grant {
    header: HeaderName,
    prefix: &'static str,
    credential: SecretValue,
    /// Which login of the process gave it, the first being 1.
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
        let outcome = self.attempt(cx, site, attempts + 1).await;
        self.attempts.fetch_add(1, Ordering::AcqRel);
        match outcome {
            Ok(grant) => {
                let grant = Arc::new(grant);
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
                let (token, lifetime) = universal_auth(cx, site, client_id, client_secret).await?;
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

#[derive(Serialize)]
struct UniversalAuth<'a> {
    #[serde(rename = "clientId")]
    client_id: &'a str,
    #[serde(rename = "clientSecret")]
    client_secret: &'a str,
}

#[derive(Deserialize)]
struct LoggedIn {
    #[serde(rename = "accessToken")]
    access_token: SecretValue,
    #[serde(rename = "expiresIn")]
    expires_in: Option<u64>,
}

/// Logs a machine identity in. The call carries no `Authorization` header: a stale one makes the
/// server refuse the login.
async fn universal_auth(
    cx: &Context,
    site: &Site,
    client_id: &SecretValue,
    client_secret: &SecretValue,
) -> Result<(SecretValue, Option<Duration>), FetchError> {
    let not_text = |option: &str| {
        FetchError::new(FetchErrorKind::Unauthenticated, format!("unauthorized: `auth.{option}` is not text"))
            .help(format!("copy `auth.{option}` again"))
    };
    let body = UniversalAuth {
        client_id: client_id.expose_str().ok_or_else(|| not_text("client_id"))?,
        client_secret: client_secret.expose_str().ok_or_else(|| not_text("client_secret"))?,
    };
    let body = Zeroizing::new(serde_json::to_vec(&body).map_err(|_| not_text("client_secret"))?);
    cx.meter().login();
    let answer = send(cx, site, Request::post("/api/v1/auth/universal-auth/login").json(body)).await?;
    if !answer.is_success() {
        return Err(refused(&answer, "machine_identity"));
    }
    // Not temporary, whatever the body lacks: the login itself has been used up.
    let logged_in: LoggedIn = answer.json().map_err(|error| error.temporary(false))?;
    let token = logged_in.access_token;
    if token.is_empty() {
        return Err(FetchError::new(FetchErrorKind::Malformed, "the login gave an empty access token")
            .help("check `host`, and what stands before the server"));
    }
    // Zero is an older server's way to say that the token does not expire.
    let lifetime = logged_in.expires_in.filter(|seconds| *seconds > 0).map(Duration::from_secs);
    Ok((token, lifetime))
}

/// Returns the error for an answer that is a refusal, also where its body cannot be read: the status alone
/// says that asking again could lock the identity.
fn refused(answer: &Answer, method: &str) -> FetchError {
    match Refusal::read(answer) {
        Ok(refusal) => refusal.explain_login(method),
        Err(error) => error.temporary(false),
    }
}

/// What a service token is for.
struct Scope {
    project: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    environment: String,
    #[serde(rename = "secretPath")]
    path: String,
}

/// The few fields that are needed of an answer that also carries a password hash and the creator's
/// mail address.
#[derive(Deserialize)]
struct ServiceToken {
    scopes: Vec<Rule>,
    #[serde(rename = "projectId")]
    project: Option<String>,
    workspace: Option<String>,
}

async fn service_token_scope(cx: &Context, site: &Site, grant: &Grant) -> Result<Scope, FetchError> {
    let answer = send(cx, site, grant.sign(Request::get("/api/v2/service-token"))?).await?;
    if !answer.is_success() {
        return Err(refused(&answer, "service_token"));
    }
    let token: ServiceToken = answer.json()?;
    Ok(Scope { project: token.project.or(token.workspace), rules: token.scopes })
}

impl Scope {
    fn admit(&self, project: &str, environment: &str, folder: Option<&str>) -> Result<(), FetchError> {
        let refuse = |what: String| {
            Err(FetchError::new(FetchErrorKind::Forbidden, what)
                .help("create a service token for this place, or log in as a machine identity"))
        };
        if let Some(own) = self.project.as_deref().filter(|own| !own.eq_ignore_ascii_case(project)) {
            return refuse(format!("the service token is for project `{own}`, not for `{project}`"));
        }
        // A token of one plain scope gets that scope's secrets whatever it asks for, and nothing says so.
        let [rule] = self.rules.as_slice() else { return Ok(()) };
        if rule.path.contains(['*', '?', '[', ']', '{', '}']) {
            return Ok(());
        }
        let own = format!("/{}", rule.path.trim_matches('/'));
        if rule.environment == environment && folder.is_none_or(|folder| own == folder) {
            return Ok(());
        }
        let folder = folder.unwrap_or("/");
        refuse(format!(
            "the service token is for folder `{own}` of environment `{}` only, not for folder `{folder}` of `{environment}`",
            rule.environment
        ))
    }
}
