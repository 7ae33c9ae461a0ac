//! The `auth` section: which way to log in, and with what.

use schemars::JsonSchema;
use serde::Deserialize;

use super::InfisicalConfig;
use crate::contract::{Credential, DecodeError, FetchError, FetchErrorKind, Node, SecretValue};

/// How to log in to Infisical.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfisicalAuth {
    /// The way to log in.
    #[serde(default)]
    pub method: InfisicalMethod,
    /// For `machine_identity`: the client id of the identity's Universal Auth.
    pub client_id: Option<Credential>,
    /// For `machine_identity`: a client secret of the identity.
    pub client_secret: Option<Credential>,
    /// For `service_token`: the token, which begins with `st.`.
    pub token: Option<Credential>,
    /// The same as `token`, as older files spell it.
    pub service_token: Option<Credential>,
    /// For `api_key`: a user's API key. Only servers from before 2026 take one.
    pub api_key: Option<Credential>,
}

/// A way to log in to Infisical.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InfisicalMethod {
    /// Universal Auth of a machine identity.
    #[default]
    MachineIdentity,
    /// A service token of one project.
    ServiceToken,
    /// A user's API key, on older servers.
    ApiKey,
}

impl InfisicalMethod {
    /// Returns the name in the file.
    pub(in crate::infisical) fn name(self) -> &'static str {
        match self {
            Self::MachineIdentity => "machine_identity",
            Self::ServiceToken => "service_token",
            Self::ApiKey => "api_key",
        }
    }

    /// Returns the options that the method needs.
    pub(in crate::infisical) const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::MachineIdentity => &["client_id", "client_secret"],
            Self::ServiceToken => &["token"],
            Self::ApiKey => &["api_key"],
        }
    }

    fn takes(self, option: &str) -> bool {
        self.needs().contains(&option) || (self == Self::ServiceToken && option == "service_token")
    }
}

/// What opens the store. It has no `Debug`.
pub(in crate::infisical) enum Login {
    MachineIdentity { client_id: SecretValue, client_secret: SecretValue },
    ServiceToken(SecretValue),
    ApiKey(SecretValue),
}

impl InfisicalAuth {
    fn given(&self) -> [(&'static str, Option<&Credential>); 5] {
        [
            ("client_id", self.client_id.as_ref()),
            ("client_secret", self.client_secret.as_ref()),
            ("token", self.token.as_ref()),
            ("service_token", self.service_token.as_ref()),
            ("api_key", self.api_key.as_ref()),
        ]
    }
}

impl InfisicalConfig {
    /// Returns the way to log in.
    pub(in crate::infisical) fn method(&self) -> InfisicalMethod {
        self.auth.as_ref().map(|auth| auth.method).unwrap_or_default()
    }

    /// Returns what opens the store.
    pub(in crate::infisical) fn login(&self) -> Result<Login, FetchError> {
        let credential = |option: &str, given: Option<&Credential>| {
            let value = given.map(trimmed).filter(|value| !value.is_empty());
            value.ok_or_else(|| {
                FetchError::new(
                    FetchErrorKind::Unauthenticated,
                    format!("unauthorized: `auth.{option}` is empty"),
                )
                .help(format!("set the variable that `auth.{option}` names"))
            })
        };
        let Some(auth) = &self.auth else {
            return Err(FetchError::new(FetchErrorKind::Unauthenticated, "unauthorized: `auth` is missing")
                .help("add `auth` with `method: machine_identity`, `client_id` and `client_secret`"));
        };
        Ok(match auth.method {
            InfisicalMethod::MachineIdentity => Login::MachineIdentity {
                client_id: credential("client_id", auth.client_id.as_ref())?,
                client_secret: credential("client_secret", auth.client_secret.as_ref())?,
            },
            InfisicalMethod::ServiceToken => Login::ServiceToken(three_parts(&credential(
                "token",
                auth.token.as_ref().or(auth.service_token.as_ref()),
            )?)?),
            InfisicalMethod::ApiKey => Login::ApiKey(credential("api_key", auth.api_key.as_ref())?),
        })
    }

    pub(super) fn validate_auth(&self, node: &Node) -> Result<(), DecodeError> {
        let Some(auth) = &self.auth else {
            return Err(DecodeError::at(node.span, "`auth` is missing")
                .help("add `auth` with `method: machine_identity`, `client_id` and `client_secret`"));
        };
        let section = node.get("auth").unwrap_or(node);
        let method = auth.method.name();
        for (option, _) in auth.given().iter().filter(|(_, given)| given.is_some()) {
            if !auth.method.takes(option) {
                let span = section.get(option).unwrap_or(section).span;
                return Err(DecodeError::at(span, format!("`{option}` is not used by `method: {method}`"))
                    .help(format!("take it out, or set the `method` that uses `{option}`")));
            }
        }
        if auth.token.is_some() && auth.service_token.is_some() {
            let span = section.get("service_token").unwrap_or(section).span;
            return Err(DecodeError::at(span, "`service_token` and `token` are the same option")
                .help("take one of them out"));
        }
        for needed in auth.method.needs() {
            let given = auth.given().into_iter().any(|(option, given)| {
                given.is_some() && (option == *needed || (*needed == "token" && option == "service_token"))
            });
            if !given {
                return Err(DecodeError::at(section.span, format!("`auth.{needed}` is missing"))
                    .help(format!("`method: {method}` needs `{}`", auth.method.needs().join("` and `"))));
            }
        }
        Ok(())
    }
}

/// Copies a credential without the white space that files and pasted variables end with. No
/// credential of Infisical has any.
fn trimmed(credential: &Credential) -> SecretValue {
    SecretValue::copy_of(credential.value().expose().trim_ascii())
}

/// Returns the part of a service token that the server needs: `st.<id>.<secret>`. A fourth part is
/// the client's own old key and must not travel.
fn three_parts(token: &SecretValue) -> Result<SecretValue, FetchError> {
    let malformed = || {
        FetchError::new(
            FetchErrorKind::Unauthenticated,
            "unauthorized: `auth.token` is no service token, which is `st.`, an id and a secret with dots between",
        )
        .help("copy the whole service token, or log in as a machine identity: `method: machine_identity`")
    };
    let bytes = token.expose();
    let mut parts = bytes.split(|byte| *byte == b'.');
    let (Some(b"st"), Some(id), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed());
    };
    if id.is_empty() || secret.is_empty() {
        return Err(malformed());
    }
    let end = "st..".len() + id.len() + secret.len();
    bytes.get(..end).map(SecretValue::copy_of).ok_or_else(malformed)
}
