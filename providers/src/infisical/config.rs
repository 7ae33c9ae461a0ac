//! The options of an Infisical store, and what can be checked about them offline.

mod auth;

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::{Context, DecodeError, FetchError, Node};
use crate::http::{AT_ONCE, Hosts, Site, Tls, TlsOptions};

pub(super) use auth::Login;
pub use auth::{InfisicalAuth, InfisicalMethod};

/// Infisical's cloud in the US.
const CLOUD: &str = "https://app.infisical.com";

/// A project and an environment of Infisical, cloud or self-hosted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InfisicalConfig {
    /// The server's address. The default is Infisical's US cloud; the EU's is
    /// `https://eu.infisical.com`. A trailing `/api` is ignored. Plain `http` is taken for loopback
    /// addresses and for names inside a Kubernetes cluster (`….svc`, `….cluster.local`); see `allow_http`.
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
    /// own clients do; a reference to a secret that is not there is an error. Without it, values are as
    /// they are stored.
    #[serde(default = "yes")]
    #[schemars(extend("default" = true))]
    pub expand_references: bool,
    /// Let a user's own values (personal overrides) beat the shared ones. Machines have none.
    #[serde(default)]
    pub personal_overrides: bool,
    /// How to log in.
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
}

fn at_once() -> NonZeroU32 {
    NonZeroU32::new(AT_ONCE).unwrap_or(NonZeroU32::MIN)
}

fn yes() -> bool {
    true
}

fn cloud() -> String {
    CLOUD.to_owned()
}

impl InfisicalConfig {
    /// Returns the server.
    pub(super) fn site(&self, cx: &Context) -> Result<Site, FetchError> {
        let ca_file = self.ca_cert.as_deref().map(|path| cx.resolve_path(path));
        let client = self.tls.as_ref().map(|tls| tls.files(cx));
        let tls = Tls { ca_file, accept_any: self.insecure_skip_verify, client };
        let site = Site::parse_allowing(origin(&self.host), tls, &self.allow_http)?;
        Ok(site.with_at_once(self.max_concurrent_requests.get()))
    }

    /// Returns the folder that a locator's folder means, as Infisical writes it.
    pub(super) fn folder(&self, folder: &str) -> String {
        let root = self.path.as_deref().unwrap_or_default();
        let segments: Vec<&str> =
            root.split('/').chain(folder.split('/')).filter(|segment| !segment.is_empty()).collect();
        format!("/{}", segments.join("/"))
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
        if !is_open(&self.host) && !self.allow_http.0.iter().any(|host| is_open(host)) {
            Site::parse_allowing(origin(&self.host), Tls::default(), &self.allow_http).map_err(|error| {
                DecodeError::at(at("host"), error.message())
                    .help(error.advice().unwrap_or("write it as `https://host`"))
            })?;
        }
        if let Some(path) = self.path.as_deref().filter(|path| !is_open(path)) {
            check_folder(path.trim_end_matches('/')).map_err(|why| DecodeError::at(at("path"), why))?;
        }
        self.validate_auth(node)
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
