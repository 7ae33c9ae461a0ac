//! The logins of a machine identity: one body for each kind of proof, and a proof that is fresh each time.

use serde::Serialize;

use super::super::config::{Identity, Proof};
use super::login::{Issued, log_in, text};
use super::{azure, gcp, oidc};
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::Site;

/// Universal Auth: a client id stands for the identity.
#[derive(Serialize)]
struct Universal<'a> {
    #[serde(rename = "clientId")]
    client_id: &'a str,
    #[serde(rename = "clientSecret")]
    client_secret: &'a str,
    #[serde(rename = "organizationSlug", skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
}

/// All others: the identity's id, and what proves it.
#[derive(Serialize)]
struct Body<'a, P> {
    #[serde(rename = "identityId")]
    identity: &'a str,
    #[serde(flatten)]
    proof: P,
    #[serde(rename = "organizationSlug", skip_serializing_if = "Option::is_none")]
    organization: Option<&'a str>,
}

#[derive(Serialize)]
struct Token<'a> {
    jwt: &'a str,
}

#[derive(Serialize)]
struct User<'a> {
    username: &'a str,
    password: &'a str,
}

/// Logs a machine identity in. Every login that gives an access token is one of these.
///
/// # Errors
///
/// Where the proof cannot be had, or the server refuses it.
pub(super) async fn issue(cx: &Context, site: &Site, identity: &Identity) -> Result<Issued, FetchError> {
    let name = identity.method.name();
    let organization = identity.organization.as_deref();
    match &identity.proof {
        Proof::Universal { client_id, client_secret } => {
            let body = Universal {
                client_id: text("client_id", client_id)?,
                client_secret: text("client_secret", client_secret)?,
                organization,
            };
            log_in(cx, site, "universal-auth", name, &body).await
        }
        Proof::Ldap { username, password } => {
            let user = User { username: text("username", username)?, password: text("password", password)? };
            let body = Body { identity: &identity.id, proof: user, organization };
            log_in(cx, site, "ldap-auth", name, &body).await
        }
        Proof::Aws => {
            #[cfg(feature = "aws")]
            {
                let proof = super::aws::caller_identity(cx).await?;
                let body = Body { identity: &identity.id, proof, organization };
                log_in(cx, site, "aws-auth", name, &body).await
            }
            #[cfg(not(feature = "aws"))]
            Err(FetchError::new(FetchErrorKind::ToolMissing, "this build cannot log in by `aws_iam`")
                .help("use a build that has the feature `aws`"))
        }
        Proof::Oidc(from) => with_jwt(cx, site, identity, "oidc-auth", &oidc::token(cx, from).await?).await,
        Proof::Kubernetes { token_path } => {
            let jwt = service_account_token(cx, token_path)?;
            with_jwt(cx, site, identity, "kubernetes-auth", &jwt).await
        }
        Proof::Gcp { key_file } => {
            let jwt = match key_file {
                Some(path) => gcp::signed_by_key(cx, path, &identity.id)?,
                None => gcp::of_machine(cx, &identity.id).await?,
            };
            with_jwt(cx, site, identity, "gcp-auth", &jwt).await
        }
        Proof::Azure { resource, client_id } => {
            let jwt = azure::managed_identity(cx, resource, client_id.as_ref()).await?;
            with_jwt(cx, site, identity, "azure-auth", &jwt).await
        }
        Proof::Jwt(jwt) => with_jwt(cx, site, identity, "jwt-auth", jwt).await,
    }
}

async fn with_jwt(
    cx: &Context,
    site: &Site,
    identity: &Identity,
    route: &str,
    jwt: &SecretValue,
) -> Result<Issued, FetchError> {
    let body = Body {
        identity: &identity.id,
        proof: Token { jwt: text("jwt", jwt)? },
        organization: identity.organization.as_deref(),
    };
    log_in(cx, site, route, identity.method.name(), &body).await
}

/// Reads the token of a pod's service account. Kubernetes replaces it about every hour.
pub(super) fn service_account_token(cx: &Context, path: &str) -> Result<SecretValue, FetchError> {
    let path = cx.resolve_path(path);
    let refuse = |why: String| {
        FetchError::new(
            FetchErrorKind::Unauthenticated,
            format!("unauthorized: the service account's token `{}` {why}", path.display()),
        )
        .help("run this in a pod that mounts its token, or set `auth.service_account_token_path`")
    };
    let token = crate::files::read(&path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    match token.trim_ascii() {
        [] => Err(refuse("is empty".to_owned())),
        token => Ok(SecretValue::copy_of(token)),
    }
}
