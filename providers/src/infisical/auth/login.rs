//! A login: one call that carries no credential but its body, and gives an access token.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::error::Refusal;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Answer, Request, Site, send};

/// The room for a login's body, in bytes. A JWT takes some thousands.
const ROOM: usize = 64 * 1024;

/// What a login gave.
pub(super) struct Issued {
    /// The access token.
    pub(super) token: SecretValue,
    /// How long it lives; `None` where the server names no end.
    pub(super) lifetime: Option<Duration>,
}

#[derive(Deserialize)]
struct LoggedIn {
    #[serde(rename = "accessToken")]
    access_token: SecretValue,
    #[serde(rename = "expiresIn")]
    expires_in: Option<u64>,
}

/// Logs in by a route of `/api/v1/auth`, such as `universal-auth`. The call carries no `Authorization`
/// header: a stale one makes the server refuse the login.
///
/// # Errors
///
/// A refusal, told by `method` as the file names it, is final unless the server could not serve.
pub(super) async fn log_in(
    cx: &Context,
    site: &Site,
    route: &str,
    method: &str,
    body: &impl Serialize,
) -> Result<Issued, FetchError> {
    // Room for any credential at once: a buffer that grows leaves copies behind that nothing wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(ROOM));
    serde_json::to_writer(&mut *bytes, body).map_err(|_| {
        FetchError::new(FetchErrorKind::Unauthenticated, "unauthorized: the credentials cannot be sent")
            .help("copy the credentials under `auth` again")
    })?;
    cx.meter().login();
    let answer = send(cx, site, Request::post(format!("/api/v1/auth/{route}/login")).json(bytes)).await?;
    if !answer.is_success() {
        return Err(refused(&answer, method));
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
    Ok(Issued { token, lifetime })
}

/// Returns a credential as the text that a login's body carries.
///
/// # Errors
///
/// `Unauthenticated` where it is no text. `option` is its name under `auth`.
pub(super) fn text<'a>(option: &str, credential: &'a SecretValue) -> Result<&'a str, FetchError> {
    credential.expose_str().ok_or_else(|| {
        FetchError::new(FetchErrorKind::Unauthenticated, format!("unauthorized: `auth.{option}` is not text"))
            .help(format!("copy `auth.{option}` again"))
    })
}

/// Returns the error for an answer that is a refusal, also where its body cannot be read: the status alone
/// says that asking again could lock the identity.
pub(super) fn refused(answer: &Answer, method: &str) -> FetchError {
    match Refusal::read(answer) {
        Ok(refusal) => refusal.explain_login(method),
        Err(error) => error.temporary(false),
    }
}

/// Adds the pause that a service asked for, where it did.
pub(super) fn later(answer: &Answer, error: FetchError) -> FetchError {
    match answer.retry_after() {
        Some(pause) => error.retry_after(pause),
        None => error,
    }
}
