//! The least access that an identity needs, in Infisical's own words.

use serde_json::{Value, json};

use super::config::{InfisicalConfig, InfisicalMethod};
use super::plan::Ask;
use crate::contract::{Access, Grant, ListQuery, Locator, Rules};

/// The two rights that reading takes, as Infisical's pages call them.
const ACTIONS: &[&str] = &["Describe Secret", "Read Value"];

/// What stands for every folder below one.
const BELOW: &str = "/**";

/// Returns what a role of the project has to allow. The names of the two rights and the conditions are those
/// of Infisical's documentation, "Project Permissions", and of its Terraform provider (`permissions_v2`).
pub(super) fn access(config: &InfisicalConfig, locators: &[Locator], folders: &[ListQuery]) -> Access {
    let asks = locators.iter().filter_map(|locator| Ask::of(config, locator).ok());
    let secrets = asks.map(|ask| (ask.folder, ask.name));
    let whole = folders.iter().flat_map(|query| {
        let folder = config.folder(&query.folder);
        let below = query.recursive.then(|| format!("{}{BELOW}", folder.trim_end_matches('/')));
        std::iter::once(folder).chain(below)
    });
    let grants = Grant::by_folder(secrets, whole, ACTIONS);
    let environment = config.environment.clone().unwrap_or_default();
    let project = config.project_id.clone().or_else(|| config.project_slug.clone()).unwrap_or_default();
    let place = [("project", project), ("environment", environment.clone())].into_iter().collect();
    if config.method() == Some(InfisicalMethod::ServiceToken) {
        return Access {
            place,
            grants,
            notes: vec![
                "a service token knows no names: give it one scope for each folder, with the right to read alone",
            ],
            rules: None,
        };
    }
    let rules: Vec<Value> = grants.iter().map(|grant| rule(&environment, grant)).collect();
    let notes = vec![
        "nothing else is needed: no right on Secret Folders or Secret Imports, and none to create, edit or delete",
        "what a folder imports, and what a value refers to, has to be granted where it comes from",
        "with rules by name a server may refuse the list of a folder, and each name is then read alone; \
         leave `secretName` out to grant the folder",
    ];
    let into = "the permissions of a project role, as Infisical's API and its Terraform provider (`permissions_v2`) take them";
    Access { place, grants, notes, rules: Some(Rules { into, document: rules.into() }) }
}

fn rule(environment: &str, grant: &Grant) -> Value {
    let path = if grant.folder.ends_with(BELOW) { "$glob" } else { "$eq" };
    let mut conditions = json!({
        "environment": { "$eq": environment },
        "secretPath": { path: grant.folder },
    });
    if let (Some(names), Value::Object(conditions)) = (&grant.names, &mut conditions) {
        conditions.insert("secretName".to_owned(), json!({ "$in": names }));
    }
    json!({ "subject": "secrets", "action": ["describeSecret", "readValue"], "conditions": conditions })
}
