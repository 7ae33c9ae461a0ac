//! Infisical: one list per folder, every answer checked, one login for the process.

mod api;
mod auth;
mod check;
mod config;
mod error;
mod place;
mod plan;
mod read;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::OnceCell;

use self::api::{Api, References};
use self::auth::Session;
use self::config::Login;
use self::plan::{Ask, FolderPlan};
use self::read::{Folder, Values};
use crate::contract::{
    About, Answers, AuthMethod, Backend, Context, Cost, DecodeError, Entry, EnvSnapshot, FetchError,
    FetchErrorKind, Finding, Lister, Locator, LocatorError, Node, Parts, Provider, SecretValue,
};

use crate::http::Site;

pub use config::{InfisicalAuth, InfisicalConfig, InfisicalMethod};

/// One environment of one project.
pub struct Infisical {
    config: InfisicalConfig,
    session: Arc<Session>,
    site: Site,
    api: OnceCell<Api>,
}

const fn way(method: InfisicalMethod, summary: &'static str) -> AuthMethod {
    AuthMethod { name: method.name(), summary, needs: method.needs() }
}

impl Backend for Infisical {
    type Config = InfisicalConfig;

    const KIND: &'static str = "infisical";

    const ABOUT: About = About {
        title: "Infisical",
        summary: "a project of Infisical, cloud or self-hosted",
        parts: Parts { folders: true, fields: false, versions: true },
        own_env: &[
            "INFISICAL_TOKEN",
            "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET",
            "INFISICAL_UNIVERSAL_AUTH_ACCESS_TOKEN",
            "INFISICAL_ACCESS_TOKEN",
            "INFISICAL_JWT",
            "INFISICAL_OIDC_AUTH_JWT",
            "INFISICAL_AUTH_JWT",
            "INFISICAL_ID_TOKEN",
            "INFISICAL_LDAP_PASSWORD",
            "INFISICAL_LDAP_AUTH_PASSWORD",
        ],
        example: "\
type: infisical
project_id: 00000000-0000-0000-0000-000000000000
environment: dev
auth:
  method: machine_identity
  client_id: ${INFISICAL_CLIENT_ID}
  client_secret: ${INFISICAL_CLIENT_SECRET}
",
        readme: include_str!("README.md"),
    };

    const AUTH: &'static [AuthMethod] = &[
        way(
            InfisicalMethod::MachineIdentity,
            "a machine identity's Universal Auth: a client id and a client secret",
        ),
        way(
            InfisicalMethod::Oidc,
            "the identity token of a CI job, found by itself in GitHub Actions and GitLab CI: no secret to keep",
        ),
        way(InfisicalMethod::Kubernetes, "the service account of a pod"),
        way(InfisicalMethod::AwsIam, "the role or user of AWS that this runs as"),
        way(
            InfisicalMethod::Gcp,
            "the service account of Google Cloud that this runs as, or a key file of one",
        ),
        way(InfisicalMethod::Azure, "the managed identity of Azure that this runs as"),
        way(InfisicalMethod::Jwt, "a JSON web token of any issuer that the identity trusts"),
        way(InfisicalMethod::Ldap, "a user of a directory"),
        way(InfisicalMethod::TokenAuth, "an access token of an identity, used as it is"),
        way(
            InfisicalMethod::ServiceToken,
            "a service token of one project, which Infisical keeps for older set-ups",
        ),
        way(InfisicalMethod::ApiKey, "a user's API key, for development, on servers from before 2026 only"),
    ];

    fn validate(config: &InfisicalConfig, node: &Node) -> Result<(), DecodeError> {
        config.validate(node)
    }

    fn settle(config: &mut InfisicalConfig, env: &EnvSnapshot) {
        config.fill_from(env);
    }

    fn credential_variables(config: &InfisicalConfig) -> Vec<String> {
        let auth = config.auth.as_ref();
        auth.and_then(|auth| auth.token_env.clone()).into_iter().collect()
    }

    fn accept(config: &InfisicalConfig, locator: &Locator) -> Result<(), LocatorError> {
        Ask::of(config, locator).map(drop)
    }

    fn cost(config: &InfisicalConfig, locators: &[Locator], folders: &[String]) -> Cost {
        let asks = locators.iter().filter_map(|locator| Ask::of(config, locator).ok());
        let reads: usize = FolderPlan::group(asks).values().map(FolderPlan::requests).sum();
        let reads = reads + folders.len();
        if reads == 0 {
            return Cost::default();
        }
        // Where nothing says how to log in yet, it will most likely be by a login.
        let method = config.method().unwrap_or(InfisicalMethod::MachineIdentity);
        let before = match method {
            // The token's details, which say what it is for.
            InfisicalMethod::ServiceToken => 1,
            _ => config.proof_requests,
        };
        let slug = usize::from(config.project_slug.is_some());
        Cost { logins: usize::from(method.logs_in()), requests: reads + before + slug, processes: 0 }
    }

    fn open(config: InfisicalConfig, cx: &Context) -> Result<Self, FetchError> {
        let site = config.site(cx)?;
        if config.insecure_skip_verify {
            tracing::warn!(store = cx.store(), host = site.host(), "certificates are not checked");
        }
        let login = config.login(cx)?;
        // A service token says itself which project it is for.
        let project = config.place(matches!(login, Login::ServiceToken(_)))?;
        let session = Arc::new(Session::new(login));
        let store = Self { config, session, site, api: OnceCell::new() };
        if let Some(project) = project {
            let _ = store.api.set(store.api_of(project));
        }
        Ok(store)
    }
}

impl Infisical {
    fn api_of(&self, project: String) -> Api {
        let config = &self.config;
        let environment = config.environment.clone().unwrap_or_default();
        let references = if config.expand_references { References::Expanded } else { References::AsStored };
        Api::new(self.site.clone(), Arc::clone(&self.session), project, environment, references)
    }

    /// Returns the client for the project, asking once which one it is where the file names no id.
    async fn api(&self, cx: &Context) -> Result<&Api, FetchError> {
        self.api.get_or_try_init(|| async { Ok(self.api_of(self.find_project(cx).await?)) }).await
    }

    async fn find_project(&self, cx: &Context) -> Result<String, FetchError> {
        let grant = self.session.grant(cx, &self.site).await?;
        let slug = self.config.project_slug.as_deref().map(str::trim);
        let Some(own) = grant.project() else {
            return self.api_of(String::new()).project_id(cx, slug.unwrap_or_default()).await;
        };
        // The routes by slug take no service token, but its own project can be looked at.
        if let Some(slug) = slug {
            let api = self.api_of(own.to_owned());
            let project = api.project(cx).await?;
            if project.slug.as_deref() != Some(slug) {
                return Err(FetchError::new(
                    FetchErrorKind::Forbidden,
                    format!("the service token is for project `{}`, not for `{slug}`", project.name),
                )
                .help("create a service token for this project, or log in as a machine identity"));
            }
        }
        Ok(own.to_owned())
    }
}

#[async_trait]
impl Provider for Infisical {
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        let asks = locators.iter().filter_map(|locator| Ask::of(&self.config, locator).ok());
        let folders = FolderPlan::group(asks);
        let api = match self.api(cx).await {
            Ok(api) => api,
            Err(error) => return Answers::lookup(locators, |_| Err(error.clone())),
        };
        let reads = folders.iter().map(|(path, plan)| {
            let folder = Folder { api, cx, path };
            async move { (path.as_str(), folder.read(plan).await) }
        });
        let values: HashMap<&str, Values> = join_all(reads.collect::<Vec<_>>()).await.into_iter().collect();
        Answers::lookup(locators, |locator| {
            let ask = Ask::of(&self.config, locator).map_err(unusable)?;
            answer(&values, ask)
        })
    }

    async fn check(&self, cx: &Context) -> Vec<Finding> {
        check::check(self, cx).await
    }

    fn lister(&self) -> Option<&dyn Lister> {
        Some(self)
    }
}

#[async_trait]
impl Lister for Infisical {
    async fn list(&self, cx: &Context, folder: &str) -> Result<Vec<Entry>, FetchError> {
        let folder = folder.trim_end_matches('/');
        config::check_folder(folder)
            .map_err(|why| FetchError::new(FetchErrorKind::Unsupported, why).help("correct the folder"))?;
        Folder { api: self.api(cx).await?, cx, path: &self.config.folder(folder) }.entries().await
    }
}

fn answer(values: &HashMap<&str, Values>, ask: Ask) -> Result<SecretValue, FetchError> {
    let folder = values.get(ask.folder.as_str());
    match folder.and_then(|values| values.get(&(ask.name, ask.version))) {
        // Copied, since two locators may name the same secret.
        Some(Ok(value)) => Ok(SecretValue::copy_of(value.expose())),
        Some(Err(error)) => Err(error.clone()),
        None => Err(FetchError::new(FetchErrorKind::Malformed, "the secret was not asked for")),
    }
}

fn unusable(error: LocatorError) -> FetchError {
    let unsupported = FetchError::new(FetchErrorKind::Unsupported, error.message);
    match error.help {
        Some(help) => unsupported.help(help),
        None => unsupported,
    }
}
