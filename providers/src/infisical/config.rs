//! The options of an Infisical store, and what can be checked about them offline.

mod auth;
mod environment;
mod login;

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::{Context, DecodeError, FetchError, FetchErrorKind, Node};
use crate::http::{AT_ONCE, Hosts, Site, Tls, TlsOptions};

pub(super) use auth::is_uuid;
pub use auth::{InfisicalAuth, InfisicalMethod};
pub(super) use environment::{ASK_AT, ASK_WITH, JWTS};
pub(super) use login::{IdToken, Identity, Login, Proof};

/// Infisical's cloud in the US.
const CLOUD: &str = "https://app.infisical.com";

/// A project and an environment of Infisical, cloud or self-hosted. What is left out is taken from the
/// variables that Infisical's own clients read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfisicalConfig {
    /// The server's address. The default is Infisical's US cloud; the EU's is
    /// `https://eu.infisical.com`. A trailing `/api` is ignored. Plain `http` is taken for loopback
    /// addresses and for names inside a Kubernetes cluster (`….svc`, `….cluster.local`); see `allow_http`.
    /// Left out: `INFISICAL_DOMAIN`, `INFISICAL_API_URL`.
    #[schemars(extend("default" = CLOUD))]
    pub host: Option<String>,
    /// The project's id, a UUID, from its settings. Neither its name nor its slug. Left out:
    /// `INFISICAL_PROJECT_ID`; a service token's project is known without it.
    pub project_id: Option<String>,
    /// The project's slug, in the place of its id. It costs a request more.
    pub project_slug: Option<String>,
    /// The environment's slug: `dev`, `staging`, `prod`. Left out: `INFISICAL_ENVIRONMENT`.
    pub environment: Option<String>,
    /// The folder that references start at. Left out: `INFISICAL_SECRET_PATH`, or the root.
    pub path: Option<String>,
    /// Let the server put the values of other secrets in the place of `${NAME}` in a value, as its
    /// own clients do; a reference to a secret that is not there is an error. Without it, values are as
    /// they are stored.
    #[serde(default = "yes")]
    #[schemars(extend("default" = true))]
    pub expand_references: bool,
    /// Let a user's own values (personal overrides) beat the shared ones. Machines have none.
    #[serde(default)]
    pub personal_overrides: bool,
    /// How to log in. Left out: as the environment says.
    pub auth: Option<InfisicalAuth>,
    /// A PEM file with certificate authorities to trust besides the system's. A relative path starts at
    /// the directory of `dsops.yaml`.
    pub ca_cert: Option<String>,
    /// Accept any certificate. Whoever is on the network can read and change every secret then: use
    /// `ca_cert` instead.
    #[serde(default)]
    pub insecure_skip_verify: bool,
    /// A client certificate, where the server asks for one.
    pub tls: Option<TlsOptions>,
    /// A host, or a list of hosts, to which plain `http` is allowed. Every secret can be read on the way:
    /// name only hosts behind a network that you trust.
    #[serde(default)]
    pub allow_http: Hosts,
    /// How many requests the server gets at once from one run. Stores of one server share the limit.
    #[serde(default = "at_once")]
    #[schemars(range(min = 1), extend("default" = AT_ONCE))]
    pub max_concurrent_requests: NonZeroU32,
    /// How many requests go before a login in this environment.
    #[serde(skip)]
    #[schemars(skip)]
    pub(super) proof_requests: usize,
}

fn at_once() -> NonZeroU32 {
    NonZeroU32::new(AT_ONCE).unwrap_or(NonZeroU32::MIN)
}

fn yes() -> bool {
    true
}

impl InfisicalConfig {
    /// Returns the server.
    pub(super) fn site(&self, cx: &Context) -> Result<Site, FetchError> {
        let ca_file = self.ca_cert.as_deref().map(|path| cx.resolve_path(path));
        let client = self.tls.as_ref().map(|tls| tls.files(cx));
        let tls = Tls { ca_file, accept_any: self.insecure_skip_verify, client };
        let host = origin(self.host.as_deref().unwrap_or(CLOUD));
        let site = Site::parse_allowing(host, tls, &self.allow_http)?;
        Ok(site.with_at_once(self.max_concurrent_requests.get()))
    }

    /// Returns the folder that a locator's folder means, as Infisical writes it.
    pub(super) fn folder(&self, folder: &str) -> String {
        let root = self.path.as_deref().unwrap_or_default();
        let segments: Vec<&str> =
            root.split('/').chain(folder.split('/')).filter(|segment| !segment.is_empty()).collect();
        format!("/{}", segments.join("/"))
    }

    /// Checks that the place is known, and returns the project's id where it is.
    ///
    /// # Errors
    ///
    /// `Unsupported` where neither the file nor the environment names what is needed.
    pub(super) fn place(&self, project_is_known: bool) -> Result<Option<String>, FetchError> {
        let missing = |option: &str, help: &str| {
            FetchError::new(FetchErrorKind::Unsupported, format!("`{option}` is missing")).help(help)
        };
        let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        if !given(&self.environment) {
            return Err(missing(
                "environment",
                "add `environment` to the store, or set `INFISICAL_ENVIRONMENT`",
            ));
        }
        if let Some(path) = &self.path {
            check_folder(path.trim_end_matches('/')).map_err(|why| {
                FetchError::new(FetchErrorKind::Unsupported, why)
                    .help("correct `path` or `INFISICAL_SECRET_PATH`")
            })?;
        }
        if given(&self.project_id) {
            return Ok(self.project_id.clone());
        }
        if given(&self.project_slug) || project_is_known {
            return Ok(None);
        }
        let help = "add `project_id` or `project_slug` to the store, or set `INFISICAL_PROJECT_ID`";
        Err(missing("project_id", help))
    }

    /// Checks what the types do not.
    pub(super) fn validate(&self, node: &Node) -> Result<(), DecodeError> {
        let at = |option: &str| node.get(option).unwrap_or(node).span;
        for (option, text, help) in [
            ("project_id", &self.project_id, "copy the id from the project's settings in Infisical"),
            ("project_slug", &self.project_slug, "copy the slug from the project's settings in Infisical"),
            ("environment", &self.environment, "name the environment by its slug, such as `dev` or `prod`"),
        ] {
            if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
                return Err(DecodeError::at(at(option), format!("`{option}` is empty")).help(help));
            }
        }
        if self.project_id.is_some() && self.project_slug.is_some() {
            let message = "`project_id` and `project_slug` both name the project";
            return Err(DecodeError::at(at("project_slug"), message).help("take one of them out"));
        }
        let is_open_somewhere = self.allow_http.0.iter().any(|host| is_open(host));
        if let Some(host) = self.host.as_deref().filter(|host| !is_open(host) && !is_open_somewhere) {
            Site::parse_allowing(origin(host), Tls::default(), &self.allow_http).map_err(|error| {
                DecodeError::at(at("host"), error.message())
                    .help(error.advice().unwrap_or("write it as `https://host`"))
            })?;
        }
        if let Some(path) = self.path.as_deref().filter(|path| !is_open(path)) {
            check_folder(path.trim_end_matches('/')).map_err(|why| DecodeError::at(at("path"), why))?;
        }
        match &self.auth {
            Some(auth) => auth.validate(node.get("auth").unwrap_or(node)),
            None => Ok(()),
        }
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
