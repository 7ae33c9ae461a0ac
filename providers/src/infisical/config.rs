//! The options of an Infisical store, and what can be checked about them offline.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::{Context, Credential, DecodeError, FetchError, FetchErrorKind, Node, SecretValue};
use crate::http::{Site, Tls};

/// Infisical's cloud in the US.
const CLOUD: &str = "https://app.infisical.com";

/// A project and an environment of Infisical, cloud or self-hosted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfisicalConfig {
    /// The server's address. The default is Infisical's US cloud; the EU's is
    /// `https://eu.infisical.com`. A trailing `/api` is ignored, and plain `http` is taken for loopback
    /// addresses only.
    #[serde(default = "cloud")]
    #[schemars(extend("default" = CLOUD))]
    pub host: String,
    /// The project's id, a UUID, from its settings. Neither its name nor its slug.
    pub project_id: Option<String>,
    /// The environment's slug: `dev`, `staging`, `prod`.
    pub environment: Option<String>,
    /// The folder that references start at. The default is the root.
    pub path: Option<String>,
    /// Let the server put the values of other secrets in the place of `${NAME}` in a value, as its
    /// own clients do. Without it, values are as they are stored.
    #[serde(default = "yes")]
    #[schemars(extend("default" = true))]
    pub expand_references: bool,
    /// How to log in.
    pub auth: Option<InfisicalAuth>,
    /// A PEM file with certificate authorities to trust besides the system's. A relative path starts at
    /// the directory of `dsops.yaml`.
    pub ca_cert: Option<String>,
    /// Accept any certificate. Whoever is on the network can read and change every secret then: use
    /// `ca_cert` instead.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MachineIdentity => "machine_identity",
            Self::ServiceToken => "service_token",
            Self::ApiKey => "api_key",
        }
    }

    /// Returns the options that the method needs.
    pub(super) const fn needs(self) -> &'static [&'static str] {
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
pub(super) enum Login {
    MachineIdentity { client_id: SecretValue, client_secret: SecretValue },
    ServiceToken(SecretValue),
    ApiKey(SecretValue),
}

fn yes() -> bool {
    true
}

fn cloud() -> String {
    CLOUD.to_owned()
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
    /// Returns the server.
    pub(super) fn site(&self, cx: &Context) -> Result<Site, FetchError> {
        let ca_file = self.ca_cert.as_deref().map(|path| cx.resolve_path(path));
        Site::parse(origin(&self.host), Tls { ca_file, accept_any: self.insecure_skip_verify })
    }

    /// Returns the folder that a locator's folder means, as Infisical writes it.
    pub(super) fn folder(&self, folder: &str) -> String {
        let root = self.path.as_deref().unwrap_or_default();
        let segments: Vec<&str> =
            root.split('/').chain(folder.split('/')).filter(|segment| !segment.is_empty()).collect();
        format!("/{}", segments.join("/"))
    }

    /// Returns the way to log in.
    pub(super) fn method(&self) -> InfisicalMethod {
        self.auth.as_ref().map(|auth| auth.method).unwrap_or_default()
    }

    /// Returns what opens the store.
    pub(super) fn login(&self) -> Result<Login, FetchError> {
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

    /// Checks what the types do not.
    pub(super) fn validate(&self, node: &Node) -> Result<(), DecodeError> {
        let missing = |option: &str, help: &str| {
            DecodeError::at(node.span, format!("`{option}` is missing")).help(help.to_owned())
        };
        if self.project_id.as_deref().is_none_or(str::is_empty) {
            return Err(missing("project_id", "copy the id from the project's settings in Infisical"));
        }
        if self.environment.as_deref().is_none_or(str::is_empty) {
            return Err(missing("environment", "name the environment by its slug, such as `dev` or `prod`"));
        }
        let at = |option: &str| node.get(option).unwrap_or(node).span;
        if !is_open(&self.host) {
            Site::parse(origin(&self.host), Tls::default()).map_err(|error| {
                DecodeError::at(at("host"), error.message())
                    .help(error.advice().unwrap_or("write it as `https://host`"))
            })?;
        }
        if let Some(path) = self.path.as_deref().filter(|path| !is_open(path)) {
            check_folder(path.trim_end_matches('/')).map_err(|why| DecodeError::at(at("path"), why))?;
        }
        self.validate_auth(node)
    }

    fn validate_auth(&self, node: &Node) -> Result<(), DecodeError> {
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

/// Says whether text still holds a variable, so that nothing can be said about it yet.
fn is_open(text: &str) -> bool {
    text.contains("${")
}

/// Returns the address without the `/api` that people's settings for other clients end with.
fn origin(host: &str) -> &str {
    let host = host.trim().trim_end_matches('/');
    host.strip_suffix("/api").unwrap_or(host).trim_end_matches('/')
}

/// Says why a folder cannot be asked for, if it cannot.
pub(super) fn check_folder(folder: &str) -> Result<(), String> {
    let folder = folder.strip_prefix('/').unwrap_or(folder);
    if folder.is_empty() {
        return Ok(());
    }
    match folder.split('/').find(|s| matches!(*s, "" | "." | "..")) {
        None => Ok(()),
        Some("") => Err("a folder without a name".to_owned()),
        Some(segment) => Err(format!("`{segment}` in a folder, which Infisical does not take")),
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
