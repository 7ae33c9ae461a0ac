//! Service tokens: what one is for, read once, since a request for another place is not refused.

use serde::Deserialize;

use super::Grant;
use super::login::refused;
use crate::contract::{Context, FetchError, FetchErrorKind};
use crate::http::{Request, Site, send};

/// What a service token is for.
pub(super) struct Scope {
    project: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    environment: String,
    #[serde(rename = "secretPath")]
    path: String,
}

/// The few fields that are needed of an answer that also carries a password hash and the creator's
/// mail address.
#[derive(Deserialize)]
struct ServiceToken {
    scopes: Vec<Rule>,
    #[serde(rename = "projectId")]
    project: Option<String>,
    workspace: Option<String>,
}

pub(super) async fn service_token_scope(
    cx: &Context,
    site: &Site,
    grant: &Grant,
) -> Result<Scope, FetchError> {
    let answer = send(cx, site, grant.sign(Request::get("/api/v2/service-token"))?).await?;
    if !answer.is_success() {
        return Err(refused(&answer, "service_token"));
    }
    let token: ServiceToken = answer.json()?;
    Ok(Scope { project: token.project.or(token.workspace), rules: token.scopes })
}

impl Scope {
    /// Returns the id of the project that the token is for.
    pub(super) fn project(&self) -> Option<&str> {
        self.project.as_deref()
    }

    pub(super) fn admit(
        &self,
        project: &str,
        environment: &str,
        folder: Option<&str>,
    ) -> Result<(), FetchError> {
        let refuse = |what: String| {
            Err(FetchError::new(FetchErrorKind::Forbidden, what)
                .help("create a service token for this place, or log in as a machine identity"))
        };
        if let Some(own) = self.project.as_deref().filter(|own| !own.eq_ignore_ascii_case(project)) {
            return refuse(format!("the service token is for project `{own}`, not for `{project}`"));
        }
        // A token of one plain scope gets that scope's secrets whatever it asks for, and nothing says so.
        let [rule] = self.rules.as_slice() else { return Ok(()) };
        if rule.path.contains(['*', '?', '[', ']', '{', '}']) {
            return Ok(());
        }
        let own = format!("/{}", rule.path.trim_matches('/'));
        if rule.environment == environment && folder.is_none_or(|folder| own == folder) {
            return Ok(());
        }
        let folder = folder.unwrap_or("/");
        refuse(format!(
            "the service token is for folder `{own}` of environment `{}` only, not for folder `{folder}` of `{environment}`",
            rule.environment
        ))
    }
}
