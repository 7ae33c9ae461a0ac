//! From options to what opens the store: nothing is asked yet, and what is missing is said before anything is.

use super::auth::{COPY_ID, is_uuid};
use super::{InfisicalAuth, InfisicalConfig, InfisicalMethod};
use crate::contract::{Context, Credential, FetchError, FetchErrorKind, SecretValue};

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// What a managed identity's token is for where nothing else is said.
const AZURE_RESOURCE: &str = "https://management.azure.com/";

/// What opens the store. It has no `Debug`.
pub(in crate::infisical) enum Login {
    /// A login of a machine identity, which gives an access token.
    Identity(Identity),
    /// An access token as it is.
    AccessToken(SecretValue),
    /// A service token's three parts.
    ServiceToken(SecretValue),
    /// A user's API key.
    ApiKey(SecretValue),
}

/// A machine identity with what it logs in by.
pub(in crate::infisical) struct Identity {
    pub(in crate::infisical) method: InfisicalMethod,
    /// The identity's id; empty for Universal Auth, which has a client id in its place.
    pub(in crate::infisical) id: String,
    pub(in crate::infisical) proof: Proof,
    /// A sub-organization to act in.
    pub(in crate::infisical) organization: Option<String>,
}

/// What shows that the identity is ours. What changes with time is only named here, and read at each login.
pub(in crate::infisical) enum Proof {
    Universal { client_id: SecretValue, client_secret: SecretValue },
    Oidc(IdToken),
    Kubernetes { token_path: String },
    Aws,
    Gcp { key_file: Option<String> },
    Azure { resource: String, client_id: Option<SecretValue> },
    Jwt(SecretValue),
    Ldap { username: SecretValue, password: SecretValue },
}

/// Where the identity token of a CI job comes from.
pub(in crate::infisical) enum IdToken {
    /// It was given.
    Given(SecretValue),
    /// It is in a variable.
    Variable(String),
    /// It is asked for where the job runs.
    Job { audience: Option<String> },
}

impl InfisicalConfig {
    /// Returns the way to log in; `None` where neither the file nor the environment says one.
    pub(in crate::infisical) fn method(&self) -> Option<InfisicalMethod> {
        self.auth.as_ref().and_then(InfisicalAuth::stated_method)
    }

    /// Returns what opens the store.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` where something is missing or has not the form that it should have.
    pub(in crate::infisical) fn login(&self, cx: &Context) -> Result<Login, FetchError> {
        let (Some(auth), Some(method)) = (&self.auth, self.method()) else { return Err(no_method(cx)) };
        if let Some(option) = auth.given().into_iter().find(|option| !method.takes(option)) {
            // The file would have been refused: the method comes from the environment.
            let message =
                format!("`auth.{option}` is not used by `{}`, which the environment chooses", method.name());
            return Err(unauthorized(&message).help("set `auth.method`"));
        }
        let credential = |option, given: Option<&Credential>| needed(method, option, given);
        let token = || credential("token", auth.token.as_ref().or(auth.service_token.as_ref()));
        let proof = match method {
            InfisicalMethod::TokenAuth => return Ok(Login::AccessToken(access_token(token()?)?)),
            InfisicalMethod::ServiceToken => return Ok(Login::ServiceToken(three_parts(&token()?)?)),
            InfisicalMethod::ApiKey => {
                return Ok(Login::ApiKey(credential("api_key", auth.api_key.as_ref())?));
            }
            InfisicalMethod::MachineIdentity => Proof::Universal {
                client_id: credential("client_id", auth.client_id.as_ref())?,
                client_secret: credential("client_secret", auth.client_secret.as_ref())?,
            },
            InfisicalMethod::Oidc => Proof::Oidc(match (&auth.jwt, &auth.token_env) {
                (Some(jwt), _) => IdToken::Given(credential("jwt", Some(jwt))?),
                (None, Some(name)) => IdToken::Variable(name.clone()),
                (None, None) => IdToken::Job { audience: auth.audience.clone() },
            }),
            InfisicalMethod::Kubernetes => Proof::Kubernetes {
                token_path: auth
                    .service_account_token_path
                    .as_deref()
                    .unwrap_or(SERVICE_ACCOUNT_TOKEN)
                    .into(),
            },
            InfisicalMethod::AwsIam => Proof::Aws,
            InfisicalMethod::Gcp => Proof::Gcp { key_file: auth.service_account_key_file.clone() },
            InfisicalMethod::Azure => Proof::Azure {
                resource: auth.resource.clone().unwrap_or_else(|| AZURE_RESOURCE.to_owned()),
                client_id: auth.client_id.as_ref().map(trimmed).filter(|id| !id.is_empty()),
            },
            InfisicalMethod::Jwt => Proof::Jwt(credential("jwt", auth.jwt.as_ref())?),
            InfisicalMethod::Ldap => Proof::Ldap {
                username: credential("username", auth.username.as_ref())?,
                password: credential("password", auth.password.as_ref())?,
            },
        };
        let id = match method {
            InfisicalMethod::MachineIdentity => String::new(),
            _ => auth.identity(method)?,
        };
        let organization = auth.organization_slug.clone().filter(|slug| !slug.trim().is_empty());
        Ok(Login::Identity(Identity { method, id, proof, organization }))
    }
}

impl InfisicalAuth {
    fn identity(&self, method: InfisicalMethod) -> Result<String, FetchError> {
        let id = self.identity_id.as_deref().map(str::trim).unwrap_or_default();
        if id.is_empty() {
            return Err(missing(method, "identity_id", self.identity_id.is_some()));
        }
        if !is_uuid(id) {
            return Err(unauthorized("`auth.identity_id` is no UUID").help(COPY_ID));
        }
        Ok(id.to_owned())
    }
}

fn unauthorized(message: &str) -> FetchError {
    FetchError::new(FetchErrorKind::Unauthenticated, format!("unauthorized: {message}"))
}

fn no_method(cx: &Context) -> FetchError {
    if cx.env().get("INFISICAL_AUTH_METHOD").is_some_and(|name| !name.trim().is_empty()) {
        return unauthorized("`INFISICAL_AUTH_METHOD` is no way to log in that dsops knows").help(
            "set it to `universal-auth`, `oidc-auth`, `kubernetes`, `aws-iam`, `gcp-id-token`, `gcp-iam`, `azure`, \
             `jwt-auth` or `ldap-auth`, or set `auth.method`",
        );
    }
    unauthorized("neither `auth` nor the environment says how to log in").help(
        "add `auth` with a `method`, or set `INFISICAL_TOKEN`, or `INFISICAL_UNIVERSAL_AUTH_CLIENT_ID` and \
         `INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET`",
    )
}

fn needed(
    method: InfisicalMethod,
    option: &str,
    given: Option<&Credential>,
) -> Result<SecretValue, FetchError> {
    let value = given.map(trimmed).filter(|value| !value.is_empty());
    value.ok_or_else(|| missing(method, option, given.is_some()))
}

/// Returns the error for an option that has no value: both ways to give it are named.
fn missing(method: InfisicalMethod, option: &str, is_empty: bool) -> FetchError {
    if is_empty {
        return unauthorized(&format!("`auth.{option}` is empty"))
            .help(format!("set the variable that `auth.{option}` names"));
    }
    let error = unauthorized(&format!("`auth.{option}` is missing, which `{}` needs", method.name()));
    match method.variables(option).first() {
        Some(variable) => error.help(format!("add `auth.{option}`, or set `{variable}`")),
        None => error.help(format!("add `auth.{option}`")),
    }
}

/// Copies a credential without the white space that files and pasted variables end with. No
/// credential of Infisical has any.
fn trimmed(credential: &Credential) -> SecretValue {
    SecretValue::copy_of(credential.value().expose().trim_ascii())
}

/// Refuses a service token in the place of an access token: what it is for would go unchecked.
fn access_token(token: SecretValue) -> Result<SecretValue, FetchError> {
    if token.expose().starts_with(b"st.") {
        return Err(unauthorized("`auth.token` is a service token, and no access token")
            .help("set `method: service_token`"));
    }
    Ok(token)
}

/// Returns the part of a service token that the server needs: `st.<id>.<secret>`. A fourth part is
/// the client's own old key and must not travel.
fn three_parts(token: &SecretValue) -> Result<SecretValue, FetchError> {
    let bytes = token.expose();
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'.').collect();
    let (id, secret) = match parts.as_slice() {
        [b"st", id, secret] | [b"st", id, secret, _] if !id.is_empty() && !secret.is_empty() => (id, secret),
        _ => return Err(no_service_token(&parts)),
    };
    let end = "st..".len() + id.len() + secret.len();
    bytes.get(..end).map(SecretValue::copy_of).ok_or_else(|| no_service_token(&parts))
}

/// Says which other thing was given in the place of a service token.
fn no_service_token(parts: &[&[u8]]) -> FetchError {
    let refuse =
        |what: &str, help: &str| unauthorized(&format!("`auth.token` is no service token{what}")).help(help);
    match parts {
        // The base64 of every JSON object starts so.
        [head, _, _] if head.starts_with(b"eyJ") => {
            refuse(", but a JSON web token", "set `method: token_auth` for the access token of an identity")
        }
        [first] if first.starts_with(b"{") => {
            refuse(" but a JSON document, a form that servers no longer take", CREATE)
        }
        [b"st", ..] => refuse(": it is `st.`, an id and a secret, with dots between", COPY),
        [first] if first.starts_with(b"st") => {
            refuse(": without dots it is of a form that servers no longer take", CREATE)
        }
        _ => refuse(", which is `st.`, an id and a secret, with dots between", COPY),
    }
}

const COPY: &str =
    "copy the whole service token, or log in as a machine identity: `method: machine_identity`";
const CREATE: &str =
    "create a new service token, or log in as a machine identity: `method: machine_identity`";
