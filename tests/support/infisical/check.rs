//! What a request must not do although the real server would take it without a word.

use serde_json::Value;

use super::login::is_uuid;
use super::proof::Method;
use super::request::Asked;
use super::routes::{Route, Version};

/// The query parameters that a route knows: those that a careful client always sends, and the others.
struct Known {
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

/// A list or get-one of v3.
const V3: &[&str] =
    &["environment", "secretPath", "include_imports", "expandSecretReferences", "viewSecretValue"];

/// The same of v4, whose first form had the older name for imports: both are sent.
const V4: &[&str] = &[
    "projectId",
    "environment",
    "secretPath",
    "includeImports",
    "include_imports",
    "expandSecretReferences",
    "viewSecretValue",
];

fn known(route: &Route) -> Known {
    let (required, optional): (&[&str], &[&str]) = match route {
        Route::List(Version::Old) => (
            V3,
            &["workspaceId", "workspaceSlug", "recursive", "includeImports", "tagSlugs", "metadataFilter"],
        ),
        Route::One(Version::Old, _) => {
            (V3, &["workspaceId", "workspaceSlug", "includeImports", "version", "type"])
        }
        Route::List(Version::New) => {
            (V4, &["recursive", "includePersonalOverrides", "tagSlugs", "metadataFilter"])
        }
        Route::One(Version::New, _) => (V4, &["version", "type"]),
        Route::Folders(Version::Old) => (&["workspaceId", "environment", "path", "recursive"], &[]),
        Route::Folders(Version::New) => (&["projectId", "environment", "path", "recursive"], &[]),
        _ => (&[], &[]),
    };
    Known { required, optional }
}

/// Lists what is wrong with a request, in sentences that begin with the request.
pub(super) fn complaints(route: &Route, asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    credentials(route, asked, &mut found);
    // Asking for a list with nothing at all is how a client finds out whether the route is there.
    let probe =
        matches!(route, Route::List(_)) && asked.query.is_empty() && asked.header("authorization").is_none();
    if !probe {
        query(route, asked, &mut found);
    }
    body(route, asked, &mut found);
    found.into_iter().map(|complaint| format!("{} {}: {complaint}", asked.method, asked.path())).collect()
}

fn credentials(route: &Route, asked: &Asked, found: &mut Vec<String>) {
    if asked.headers.contains_key("x-api-key") {
        found.push("sends `X-API-KEY`, which breaks every route".into());
    }
    let Some(authorization) = asked.header("authorization") else {
        return;
    };
    if route.is_open() {
        found.push("sends `Authorization`, which breaks this route once the token is stale".into());
    }
    if !authorization.starts_with("Bearer ") {
        found.push("the scheme of `Authorization` is not `Bearer`".into());
    }
    if authorization.starts_with("Bearer st.") && authorization.split('.').count() != 3 {
        found.push("sends more of the service token than its first three parts".into());
    }
}

fn query(route: &Route, asked: &Asked, found: &mut Vec<String>) {
    let known = known(route);
    for (index, (name, _)) in asked.query.iter().enumerate() {
        if !known.required.contains(&name.as_str()) && !known.optional.contains(&name.as_str()) {
            found.push(format!("`{name}` is no parameter of this route"));
        }
        if asked.query.iter().take(index).any(|(earlier, _)| earlier == name) {
            found.push(format!("`{name}` is sent twice"));
        }
    }
    for name in known.required.iter().filter(|name| asked.param(name).is_none()) {
        found.push(format!("`{name}` is left to its default"));
    }
    let list = matches!(route, Route::List(_));
    if list && asked.param("recursive").is_none() {
        found.push("`recursive` is left to its default".into());
    }
    let v3 = matches!(route, Route::List(Version::Old) | Route::One(Version::Old, _));
    if v3 && asked.param("workspaceId").is_some() == asked.param("workspaceSlug").is_some() {
        found.push("needs one of `workspaceId` and `workspaceSlug`".into());
    }
    for name in ["secretPath", "path"] {
        let odd = |path: &&str| {
            !path.starts_with('/') || path.contains("//") || (path.len() > 1 && path.ends_with('/'))
        };
        if let Some(path) = asked.param(name).filter(odd) {
            found.push(format!("`{name}={path}` is read differently by the two generations"));
        }
    }
    let imports = ["include_imports", "includeImports"].map(|name| asked.param(name));
    if let [Some(old), Some(new)] = imports
        && old != new
    {
        found.push("`include_imports` and `includeImports` differ".into());
    }
    if asked.param("version").is_some() && imports.contains(&Some("true")) {
        found.push("`version` with imports on can return the latest of another folder".into());
    }
}

fn body(route: &Route, asked: &Asked, found: &mut Vec<String>) {
    let fields: &[&str] = match route {
        Route::UniversalLogin => &["clientId", "clientSecret", "organizationSlug"],
        Route::Login(Method::Aws) => {
            &["identityId", "iamHttpRequestMethod", "iamRequestBody", "iamRequestHeaders", "organizationSlug"]
        }
        Route::Login(Method::Ldap) => &["identityId", "username", "password", "organizationSlug"],
        Route::Login(_) => &["identityId", "jwt", "organizationSlug"],
        Route::Revoke => &["accessToken"],
        Route::Renew => {
            found.push("renews a token, which the older server may answer by deleting it".into());
            return;
        }
        _ => {
            if !asked.body.is_empty() {
                found.push("has a body".into());
            }
            return;
        }
    };
    let json = asked.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if !json {
        found.push("`Content-Type` is not `application/json`".into());
    }
    let sent = serde_json::from_slice::<serde_json::Map<_, _>>(&asked.body).unwrap_or_default();
    if matches!(route, Route::Login(_))
        && !sent.get("identityId").and_then(Value::as_str).is_some_and(is_uuid)
    {
        found.push("`identityId` is no UUID, which the real server answers with 500".into());
    }
    for (name, value) in &sent {
        if value.as_str().is_none_or(|text| text.is_empty() || text.trim() != text) {
            found.push(format!("`{name}` is no text, is empty, or has white space around it"));
        }
    }
    for name in sent.keys().filter(|name| !fields.contains(&name.as_str())) {
        found.push(format!("`{name}` is no field of this route"));
    }
}
