//! The least access that an environment needs at its stores, for whoever grants it. Asks nobody.

use dsops_providers::contract::{Access, EnvSnapshot};
use serde::Serialize;

use crate::config::{Config, ConfigError, PlanExpander};
use crate::plan::Plan;

/// What has to be granted at one store.
#[derive(Debug, Serialize)]
pub struct StorePolicy<'a> {
    /// Its name in the file.
    pub store: &'a str,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The access.
    #[serde(flatten)]
    pub access: Access,
}

/// Returns what has to be granted for a plan, fallbacks included, at every store whose type has folders.
///
/// # Errors
///
/// As for planning.
pub fn policy<'a>(
    config: &'a Config,
    plan: &'a Plan,
    env: &EnvSnapshot,
) -> Result<Vec<StorePolicy<'a>>, Vec<ConfigError>> {
    let expand = PlanExpander(env);
    let mut policies = Vec::new();
    for planned in &plan.stores {
        let Some(store) = config.stores.get(&planned.name) else { continue };
        if !store.descriptor.about.parts.folders {
            continue;
        }
        let access = (store.descriptor.access)(&store.options, &expand, &planned.locators, &planned.folders)
            .map_err(|error| vec![ConfigError::from(error)])?;
        policies.push(StorePolicy { store: &planned.name, kind: store.descriptor.kind, access });
    }
    Ok(policies)
}
