//! `dsops plan --policy`: what has to be granted at each store, as text.

use dsops::policy::StorePolicy;
use dsops_providers::contract::Grant;

use crate::cli::output::Output;

/// Returns the text for all stores.
pub(super) fn text(output: Output, policies: &[StorePolicy<'_>]) -> String {
    if policies.is_empty() {
        return "no store of this environment has folders to grant access to".to_owned();
    }
    policies.iter().map(|policy| one(output, policy)).collect::<Vec<_>>().join("\n\n")
}

fn one(output: Output, policy: &StorePolicy<'_>) -> String {
    let access = &policy.access;
    let place: Vec<String> = access.place.iter().map(|(what, name)| format!("{what} `{name}`")).collect();
    let place = if place.is_empty() { String::new() } else { format!(", in {}", place.join(", ")) };
    let mut lines = vec![format!("{} ({}){place}:", policy.store, policy.kind), String::new()];
    lines.push(output.table(&["folder", "secrets", "rights"], access.grants.iter().map(row).collect()));
    if !access.notes.is_empty() {
        lines.push(String::new());
    }
    lines.extend(access.notes.iter().map(|note| format!("- {note}")));
    if let Some(rules) = &access.rules {
        lines.extend([String::new(), format!("For {}:", rules.into), String::new()]);
        lines.push(serde_json::to_string_pretty(&rules.document).unwrap_or_default());
    }
    lines.join("\n")
}

fn row(grant: &Grant) -> Vec<String> {
    let folder = if grant.folder.is_empty() { "/" } else { &grant.folder };
    let names = match &grant.names {
        None => "every secret".to_owned(),
        Some(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    vec![folder.to_owned(), names, grant.actions.join(", ")]
}
