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

use async_trait::async_trait;
use futures::future::join_all;

use self::api::{Api, References};
use self::auth::Session;
use self::plan::{Ask, FolderPlan};
use self::read::{Folder, Values};
use self::references::Targets;
use crate::contract::{
    About, Access, Answers, AuthMethod, Backend, Context, Cost, DecodeError, Entry, Explorer, FetchError,
    FetchErrorKind, Finding, ListQuery, Lister, Listings, Locator, LocatorError, Node, Parts, Provider,
    SecretValue,
};

pub use config::{InfisicalAuth, InfisicalConfig, InfisicalMethod};

/// One environment of one project.
pub struct Infisical {
    config: InfisicalConfig,
    api: Api,
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
            "INFISICAL_LDAP_PASSWORD",
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
        AuthMethod {
            name: "machine_identity",
            summary: "a machine identity's Universal Auth; use it wherever you can",
            needs: InfisicalMethod::MachineIdentity.needs(),
        },
        AuthMethod {
            name: "service_token",
            summary: "a service token of one project, which Infisical keeps for older set-ups",
            needs: InfisicalMethod::ServiceToken.needs(),
        },
        AuthMethod {
            name: "api_key",
            summary: "a user's API key, which only servers from before 2026 take",
            needs: InfisicalMethod::ApiKey.needs(),
        },
    ];

    const LISTINGS: Listings = Listings { recursive: true, tags: true, metadata: 10 };

    fn validate(config: &InfisicalConfig, node: &Node) -> Result<(), DecodeError> {
        config.validate(node)
    }

    fn accept(config: &InfisicalConfig, locator: &Locator) -> Result<(), LocatorError> {
        Ask::of(config, locator).map(drop)
    }

    fn cost(config: &InfisicalConfig, locators: &[Locator], folders: &[String]) -> Cost {
        let asks = locators.iter().filter_map(|locator| Ask::of(config, locator).ok());
        let reads: usize =
            FolderPlan::group(asks).values().map(|plan| plan.requests(config.personal_overrides)).sum();
        let reads = reads + folders.len();
        match config.method() {
            _ if reads == 0 => Cost::default(),
            InfisicalMethod::MachineIdentity => Cost { logins: 1, requests: reads, processes: 0 },
            // The token's details, which say what it is for.
            InfisicalMethod::ServiceToken => Cost { logins: 0, requests: reads + 1, processes: 0 },
            InfisicalMethod::ApiKey => Cost { logins: 0, requests: reads, processes: 0 },
        }
    }

    fn access(config: &InfisicalConfig, locators: &[Locator], folders: &[ListQuery]) -> Access {
        access::access(config, locators, folders)
    }

    fn open(config: InfisicalConfig, cx: &Context) -> Result<Self, FetchError> {
        let site = config.site(cx)?;
        let session = Session::new(config.login()?);
        let project = config.project_id.clone().unwrap_or_default();
        let environment = config.environment.clone().unwrap_or_default();
        let references = if config.expand_references { References::Expanded } else { References::AsStored };
        let personal = config.personal_overrides;
        Ok(Self { api: Api::new(site, session, project, environment, references, personal), config })
    }
}

#[async_trait]
impl Provider for Infisical {
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        let asks = locators.iter().filter_map(|locator| Ask::of(&self.config, locator).ok());
        let plans = FolderPlan::group(asks);
        let targets = Targets::new(&self.api, cx);
        let folders: Vec<_> = plans
            .iter()
            .map(|(path, plan)| (path, plan, Folder { api: &self.api, cx, place: self.api.place(path) }))
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
        check::check(&self.api, cx, self.config.method().name()).await
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
        import::entries(&self.api, cx, &self.config.folder(folder), query).await
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
