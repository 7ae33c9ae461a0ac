//! The `auth` section: which way to log in, with which options, and which of them go together.

use schemars::JsonSchema;
use serde::Deserialize;

use super::is_open;
use crate::contract::{Credential, DecodeError, Node};

/// How to log in to Infisical. What is left out is taken from the variables that Infisical's own clients
/// read, the whole section included.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfisicalAuth {
    /// The way to log in. Without it, the options that are given say it, and then the environment.
    pub method: Option<InfisicalMethod>,
    /// For `machine_identity`: the client id of the identity's Universal Auth. For `azure`: the client id
    /// of a managed identity, where the machine has more than one.
    pub client_id: Option<Credential>,
    /// For `machine_identity`: a client secret of the identity.
    pub client_secret: Option<Credential>,
    /// The id of the machine identity, a UUID, for all methods that prove who runs without a secret of
    /// Infisical's, and for `ldap`.
    pub identity_id: Option<String>,
    /// For `oidc`: the audience of the token that GitHub Actions issues. The default is GitHub's own, the
    /// address of the repository's owner.
    pub audience: Option<String>,
    /// For `oidc` and `jwt`: the JSON web token. `oidc` finds it by itself in GitHub Actions and GitLab CI.
    pub jwt: Option<Credential>,
    /// For `oidc`: the name of the variable that holds the token, as in `id_tokens` of a GitLab job.
    pub token_env: Option<String>,
    /// For `kubernetes`: the file with the service account's token, read anew at each login. The default
    /// is where Kubernetes puts it.
    pub service_account_token_path: Option<String>,
    /// For `gcp`: the JSON key file of a service account. Without it the machine's own service account
    /// is used.
    pub service_account_key_file: Option<String>,
    /// For `azure`: the resource that the managed identity's token is for. The default is
    /// `https://management.azure.com/`.
    pub resource: Option<String>,
    /// For `ldap`: the user's name.
    pub username: Option<Credential>,
    /// For `ldap`: the user's password.
    pub password: Option<Credential>,
    /// For `token_auth`: an access token. For `service_token`: the token, which begins with `st.`.
    pub token: Option<Credential>,
    /// The same as `token` for `service_token`, as older files spell it.
    pub service_token: Option<Credential>,
    /// For `api_key`: a user's API key. Only servers from before 2026 take one.
    pub api_key: Option<Credential>,
    /// The slug of a sub-organization to act in. Servers from before 2026 do not know it.
    pub organization_slug: Option<String>,
}

/// A way to log in to Infisical.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum InfisicalMethod {
    /// Universal Auth of a machine identity.
    #[serde(alias = "universal_auth", alias = "universal-auth")]
    MachineIdentity,
    /// An access token that is used as it is.
    TokenAuth,
    /// The identity token of a CI job.
    Oidc,
    /// The service account of a pod.
    Kubernetes,
    /// The AWS role or user that this runs as.
    AwsIam,
    /// The service account of Google Cloud that this runs as.
    Gcp,
    /// The managed identity of Azure that this runs as.
    Azure,
    /// A JSON web token of any issuer that the identity trusts.
    Jwt,
    /// A user of a directory.
    Ldap,
    /// A service token of one project.
    ServiceToken,
    /// A user's API key, on older servers.
    ApiKey,
}

impl InfisicalMethod {
    /// Returns the name in the file.
    pub(in crate::infisical) const fn name(self) -> &'static str {
        match self {
            Self::MachineIdentity => "machine_identity",
            Self::TokenAuth => "token_auth",
            Self::Oidc => "oidc",
            Self::Kubernetes => "kubernetes",
            Self::AwsIam => "aws_iam",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
            Self::Jwt => "jwt",
            Self::Ldap => "ldap",
            Self::ServiceToken => "service_token",
            Self::ApiKey => "api_key",
        }
    }

    /// Returns the options that the method needs, from the file or from the environment.
    pub(in crate::infisical) const fn needs(self) -> &'static [&'static str] {
        match self {
            Self::MachineIdentity => &["client_id", "client_secret"],
            Self::TokenAuth | Self::ServiceToken => &["token"],
            Self::Oidc | Self::Kubernetes | Self::AwsIam | Self::Gcp | Self::Azure => &["identity_id"],
            Self::Jwt => &["identity_id", "jwt"],
            Self::Ldap => &["identity_id", "username", "password"],
            Self::ApiKey => &["api_key"],
        }
    }

    /// Returns the options that the method can do without.
    const fn may_have(self) -> &'static [&'static str] {
        match self {
            Self::MachineIdentity | Self::AwsIam | Self::Jwt | Self::Ldap => &["organization_slug"],
            Self::Oidc => &["audience", "jwt", "token_env", "organization_slug"],
            Self::Kubernetes => &["service_account_token_path", "organization_slug"],
            Self::Gcp => &["service_account_key_file", "organization_slug"],
            Self::Azure => &["resource", "client_id", "organization_slug"],
            Self::ServiceToken => &["service_token"],
            Self::TokenAuth | Self::ApiKey => &[],
        }
    }

    /// Says whether each use begins with a login that gives an access token.
    pub(in crate::infisical) fn logs_in(self) -> bool {
        !matches!(self, Self::TokenAuth | Self::ServiceToken | Self::ApiKey)
    }

    pub(super) fn takes(self, option: &str) -> bool {
        self.needs().contains(&option) || self.may_have().contains(&option)
    }
}

impl InfisicalAuth {
    /// Returns the names of the options that are given, but for the method.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let given = [
            ("client_id", self.client_id.is_some()),
            ("client_secret", self.client_secret.is_some()),
            ("identity_id", self.identity_id.is_some()),
            ("audience", self.audience.is_some()),
            ("jwt", self.jwt.is_some()),
            ("token_env", self.token_env.is_some()),
            ("service_account_token_path", self.service_account_token_path.is_some()),
            ("service_account_key_file", self.service_account_key_file.is_some()),
            ("resource", self.resource.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
            ("token", self.token.is_some()),
            ("service_token", self.service_token.is_some()),
            ("api_key", self.api_key.is_some()),
            ("organization_slug", self.organization_slug.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(option, _)| option).collect()
    }

    /// Returns the way to log in that the file says, if it does.
    pub(super) fn stated_method(&self) -> Option<InfisicalMethod> {
        // Only one of them means the same in every file that was ever written.
        self.method.or_else(|| self.client_secret.is_some().then_some(InfisicalMethod::MachineIdentity))
    }

    /// Checks which options go together. None is missing as long as the environment may give it.
    pub(super) fn validate(&self, section: &Node) -> Result<(), DecodeError> {
        let at = |option: &str| section.get(option).unwrap_or(section).span;
        let given = self.given();
        match self.stated_method() {
            Some(method) => {
                if let Some(option) = given.iter().find(|option| !method.takes(option)) {
                    let name = method.name();
                    let message = format!("`{option}` is not used by `method: {name}`");
                    return Err(DecodeError::at(at(option), message)
                        .help(format!("take it out, or set the `method` that uses `{option}`")));
                }
            }
            None => {
                let ambiguous = ["token", "service_token", "api_key", "jwt", "username", "password"];
                if let Some(option) = given.iter().find(|option| ambiguous.contains(option)) {
                    let message = format!("`auth.method` is missing, which says what `{option}` is for");
                    return Err(DecodeError::at(at(option), message)
                        .help(format!("add the `method` that uses `{option}`")));
                }
            }
        }
        for (one, other) in [("token", "service_token"), ("jwt", "token_env")] {
            if given.contains(&one) && given.contains(&other) {
                let message = format!("`{other}` and `{one}` are the same option");
                return Err(DecodeError::at(at(other), message).help("take one of them out"));
            }
        }
        // Not quoted: it may be a secret in the wrong place.
        if self.identity_id.as_deref().is_some_and(|id| !is_open(id) && !is_uuid(id)) {
            return Err(DecodeError::at(at("identity_id"), "`identity_id` is no UUID").help(COPY_ID));
        }
        Ok(())
    }
}

/// What to do about an id of an identity that is none.
pub(super) const COPY_ID: &str =
    "copy the id from the machine identity's page in Infisical; it is not the client id";

/// Says whether text has the form of a UUID: the server answers 500 to an identity whose id has not.
pub(in crate::infisical) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.trim().split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}
