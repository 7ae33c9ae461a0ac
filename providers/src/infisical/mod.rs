//! Infisical: one list per folder, every answer checked, one login for the process.

mod access;
mod answers;
mod api;
mod auth;
mod check;
mod config;
mod discover;
mod error;
mod expand;
mod import;
mod merge;
mod place;
mod plan;
mod read;
mod references;
mod routes;
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
use self::plan::{Ask, FolderPlan};
use self::read::{Folder, Values};
use self::references::Targets;
use crate::contract::{
    About, Access, Answers, AuthMethod, Backend, Context, Cost, DecodeError, Entry, EnvSnapshot, Explorer,
    FetchError, FetchErrorKind, Finding, ListQuery, Lister, Listings, Locator, LocatorError, Node, Parts,
    Provider, SecretValue,
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

    const LISTINGS: Listings = Listings { recursive: true, tags: true, metadata: 10 };

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
        let reads: usize =
            FolderPlan::group(asks).values().map(|plan| plan.requests(config.personal_overrides)).sum();
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

    fn access(config: &InfisicalConfig, locators: &[Locator], folders: &[ListQuery]) -> Access {
        access::access(config, locators, folders)
    }

    fn open(config: InfisicalConfig, cx: &Context) -> Result<Self, FetchError> {
        let site = config.site(cx)?;
        let session = Arc::new(Session::new(config.login(cx)?));
        Ok(Self { config, session, site, api: OnceCell::new() })
    }
}

impl Infisical {
    fn api_of(&self, project: String) -> Api {
        let config = &self.config;
        let environment = config.environment.clone().unwrap_or_default();
        let references = if config.expand_references { References::Expanded } else { References::AsStored };
        let (site, session) = (self.site.clone(), Arc::clone(&self.session));
        Api::new(
            site,
            session,
            project,
            environment,
            references,
            config.personal_overrides,
            config.folder(""),
        )
    }

    /// Returns the client for the project, asking once which one it is where the file names no id.
    async fn api(&self, cx: &Context) -> Result<&Api, FetchError> {
        let found = async || {
            // A service token says itself which project it is for.
            let known = self.config.place(self.config.method() == Some(InfisicalMethod::ServiceToken))?;
            Ok(self.api_of(match known {
                Some(project) => project,
                None => self.find_project(cx).await?,
            }))
        };
        self.api.get_or_try_init(found).await
    }

    /// Returns the client for what is asked of no one project.
    fn server(&self) -> Api {
        self.api_of(String::new())
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
        let plans = FolderPlan::group(asks);
        let api = match self.api(cx).await {
            Ok(api) => api,
            Err(error) => return Answers::all_failed(locators, &error),
        };
        let targets = Targets::new(api, cx);
        let folders: Vec<_> = plans
            .iter()
            .map(|(path, plan)| (path, plan, Folder { api, cx, place: api.place(path) }))
            .collect();
        // All folders as they are stored first, so that what one list shows need not be read for another's
        // references.
        let reads = folders.iter().map(|(_, plan, folder)| folder.read(plan, &targets));
        let stored = join_all(reads.collect::<Vec<_>>()).await;
        let expanded = folders.iter().zip(stored).map(|((path, _, folder), stored)| {
            let targets = &targets;
            async move { (path.as_str(), folder.expand(stored, targets).await) }
        });
        let values: HashMap<&str, Values> =
            join_all(expanded.collect::<Vec<_>>()).await.into_iter().collect();
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

    fn explorer(&self) -> Option<&dyn Explorer> {
        Some(self)
    }
}

#[async_trait]
impl Lister for Infisical {
    async fn list(&self, cx: &Context, folder: &str) -> Result<Vec<Entry>, FetchError> {
        self.list_by(cx, &ListQuery::of(folder)).await
    }

    async fn list_by(&self, cx: &Context, query: &ListQuery) -> Result<Vec<Entry>, FetchError> {
        let folder = query.folder.trim_end_matches('/');
        config::check_folder(folder)
            .map_err(|why| FetchError::new(FetchErrorKind::Unsupported, why).help("correct the folder"))?;
        import::entries(self.api(cx).await?, cx, &self.config.folder(folder), query).await
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
