//! Where a variable's value comes from, as `dsops.yaml` writes it: for advice that can be pasted.

use dsops::config::Origin;
use dsops::plan::Plan;
use dsops::resolve::Resolution;

/// Returns the keys of a variable's entry, such as `from: store/KEY`; none for one that the environment does not have.
pub(crate) fn source(plan: &Plan, resolution: &Resolution, name: &str) -> Option<String> {
    if let Some(planned) = plan.variables.iter().find(|planned| planned.variable.name == name) {
        let variable = &planned.variable;
        let from = match (&variable.origin, planned.candidates.first()) {
            (Origin::Reference(_), Some(candidate)) => format!("from: {}", quoted(&candidate.reference)),
            _ => "literal: …".to_owned(),
        };
        let others = [
            (!variable.fallback.is_empty()).then_some("fallback: …"),
            variable.default.is_some().then_some("default: …"),
            variable.optional.then_some("optional: true"),
            variable.non_empty.then_some("non_empty: true"),
            variable.transform.names().next().map(|_| "transform: …"),
        ];
        let keys: Vec<&str> = [from.as_str()].into_iter().chain(others.into_iter().flatten()).collect();
        return Some(keys.join(", "));
    }
    let folder = &resolution.values.get(name)?.source;
    plan.imports.iter().find_map(|planned| {
        let import = &planned.import;
        let key = name.strip_prefix(&import.prefix)?;
        let is_from = format!("{}/{}", import.store, import.query.folder) == *folder;
        is_from.then(|| format!("from: {}", quoted(&format!("{}/{key}", folder.trim_end_matches('/')))))
    })
}

/// Quotes what YAML would read otherwise inside `{}`.
fn quoted(reference: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'.');
    match reference.bytes().all(plain) {
        true => reference.to_owned(),
        false => format!("'{}'", reference.replace('\'', "''")),
    }
}
