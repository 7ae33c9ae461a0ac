//! The identity token of a CI job: given, in a variable, or asked for where the job runs.

use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::super::config::{ASK_AT, ASK_WITH, IdToken, JWTS};
use super::login::later;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Request, Site, Tls, send};

/// What every job of an older GitLab has.
const GITLAB: &str = "CI_JOB_JWT_V2";

#[derive(Deserialize)]
struct Issued {
    value: SecretValue,
}

/// Returns a token for one login: these are good for minutes.
///
/// # Errors
///
/// `Unauthenticated` where there is none to be had.
pub(super) async fn token(cx: &Context, from: &IdToken) -> Result<SecretValue, FetchError> {
    match from {
        IdToken::Given(token) => Ok(SecretValue::copy_of(token.expose())),
        IdToken::Variable(name) => match variable(cx, name) {
            Some(token) => Ok(SecretValue::from(token)),
            None => Err(unauthorized(format!("`{name}`, which `auth.token_env` names, holds no token"))
                .help(format!("give the job `{name}` under `id_tokens`, or correct `auth.token_env`"))),
        },
        IdToken::Job { audience } => {
            if let (Some(address), Some(bearer)) = (variable(cx, ASK_AT), variable(cx, ASK_WITH)) {
                return github(cx, address, &SecretValue::from(bearer), audience.as_deref()).await;
            }
            variable(cx, GITLAB).map(SecretValue::from).ok_or_else(|| no_token(cx))
        }
    }
}

fn variable<'a>(cx: &'a Context, name: &str) -> Option<&'a str> {
    cx.env().get(name).map(str::trim).filter(|value| !value.is_empty())
}

async fn github(
    cx: &Context,
    address: &str,
    bearer: &SecretValue,
    audience: Option<&str>,
) -> Result<SecretValue, FetchError> {
    let url = Url::parse(address).map_err(|_| {
        unauthorized(format!("`{ASK_AT}` is no address")).help("run this in a job of GitHub Actions as it is")
    })?;
    let site = Site::parse(&url.origin().ascii_serialization(), Tls::default());
    let mut request = Request::get(url.path());
    for (name, value) in url.query_pairs() {
        request = request.query(name.into_owned(), value.into_owned());
    }
    if let Some(audience) = audience {
        request = request.query("audience", audience);
    }
    let answer = send(cx, &site?, request.secret_header(AUTHORIZATION, "Bearer ", bearer)?).await?;
    match answer.status() {
        200..300 => {
            let Issued { value } = answer.json()?;
            Ok(value)
        }
        status @ (408 | 429 | 500..) => Err(later(
            &answer,
            FetchError::new(
                FetchErrorKind::Unavailable,
                format!("GitHub cannot issue an identity token now: `{}` answered {status}", answer.host()),
            )
            .help("try again later, or see GitHub's status page"),
        )),
        status => Err(unauthorized(format!(
            "GitHub refused to issue an identity token: `{}` answered {status}",
            answer.host()
        ))
        .help("give the job `permissions: {id-token: write}`, and run this while the job runs")),
    }
}

fn no_token(cx: &Context) -> FetchError {
    if variable(cx, "GITHUB_ACTIONS").is_some() {
        return unauthorized("this job of GitHub Actions may not ask for an identity token".to_owned())
            .help("add `permissions: {id-token: write}` to the job or the workflow");
    }
    if variable(cx, "GITLAB_CI").is_some() {
        return unauthorized("this job of GitLab CI has no identity token".to_owned()).help(format!(
            "add `id_tokens: {{{}: {{aud: …}}}}` to the job, or name its variable in `auth.token_env`",
            "INFISICAL_ID_TOKEN"
        ));
    }
    unauthorized(format!(
        "no identity token for `oidc`: neither `auth.jwt` nor `{}` is set",
        JWTS.join("`, `")
    ))
    .help("set `INFISICAL_JWT`, or name the variable that holds the token in `auth.token_env`")
}

fn unauthorized(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::Unauthenticated, format!("unauthorized: {message}"))
}
