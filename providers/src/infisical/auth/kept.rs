//! The token of a login, or the one that an earlier run's login gave.

use super::super::config::{ASK_WITH, IdToken, Identity, Proof};
use super::identity::{issue, service_account_token};
use super::login::Issued;
use crate::contract::{Context, FetchError, HeldToken, SecretValue, Token, TokenKey};
use crate::http::Site;

/// Returns a token of the identity, which is not the one that was refused.
///
/// # Errors
///
/// Those of the login.
pub(super) async fn identity_token(
    cx: &Context,
    site: &Site,
    identity: &Identity,
    refused: Option<&SecretValue>,
) -> Result<HeldToken, FetchError> {
    let login = Box::pin(async {
        let Issued { token, lifetime } = issue(cx, site, identity).await?;
        Ok(Token { value: token, lifetime })
    });
    let Some(credential) = sealing(cx, identity) else { return login.await.map(HeldToken::fresh) };
    let who = match &identity.proof {
        Proof::Universal { client_id, .. } => client_id.expose_str().unwrap_or_default(),
        _ => &identity.id,
    };
    let organization = identity.organization.as_deref().unwrap_or_default();
    let place = format!("infisical\n{site}\n{}\n{who}\n{organization}", identity.method.name());
    cx.tokens().obtain(cx, &TokenKey { place, credential: &credential }, refused, login).await
}

/// Returns the credential that a kept token is sealed under; `None` where nothing is kept: a person's password
/// can be guessed, and what a cloud's metadata service or a chain of credentials gives anew each time opens
/// nothing again.
fn sealing(cx: &Context, identity: &Identity) -> Option<SecretValue> {
    match &identity.proof {
        Proof::Universal { client_secret: secret, .. } | Proof::Jwt(secret) => {
            Some(SecretValue::copy_of(secret.expose()))
        }
        Proof::Oidc(IdToken::Given(token)) => Some(SecretValue::copy_of(token.expose())),
        Proof::Oidc(IdToken::Variable(name)) => variable(cx, name),
        // What a job of GitHub Actions asks for its identity tokens with is the same in all of its steps.
        Proof::Oidc(IdToken::Job { .. }) => variable(cx, ASK_WITH),
        // It may not be there, which the login says better.
        Proof::Kubernetes { token_path } => service_account_token(cx, token_path).ok(),
        Proof::Aws | Proof::Gcp { .. } | Proof::Azure { .. } | Proof::Ldap { .. } => None,
    }
}

fn variable(cx: &Context, name: &str) -> Option<SecretValue> {
    cx.env().get(name).filter(|value| !value.is_empty()).map(SecretValue::from)
}
