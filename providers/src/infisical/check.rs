//! What `doctor` asks of an Infisical store: reach, login, project, environment.

use std::time::Instant;

use super::Infisical;
use super::config::InfisicalMethod;
use super::place::known_environments;
use crate::contract::{Context, FetchError, FetchErrorKind, Finding};
use crate::http::Route;

/// Takes the steps in order; what a failed one makes pointless is skipped.
pub(super) async fn check(store: &Infisical, cx: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let site = &store.site;
    let method = store.config.method();
    if site.tls().accept_any {
        findings.push(Finding::warning(
            "tls",
            "certificates are not checked: whoever is on the network can read every secret",
            "take `insecure_skip_verify` out, and name the server's authority in `ca_cert`",
        ));
    }
    if !site.is_encrypted() && site.route() == Route::Network {
        findings.push(Finding::warning(
            "tls",
            "plain http, as `allow_http` has it: whoever is on the network can read every secret",
            "serve Infisical over https, and take `allow_http` out",
        ));
    }
    let started = Instant::now();
    let reached = store.server().status(cx).await;
    let message = format!("`{}` answers", site.host());
    if !record(&mut findings, "reach", started, reached.map(|()| message)) {
        return skip(findings, &["login", "project", "environment"], "the server cannot be reached");
    }
    let started = Instant::now();
    let grant = store.session.grant(cx, site).await;
    let by = method.map_or("nothing", InfisicalMethod::name);
    // A kept token says nothing about the credential, which the reader may be here for.
    let message = grant.as_ref().map_err(Clone::clone).map(|grant| match grant.is_kept() {
        true => format!("the kept token of an earlier login by {by}"),
        false => format!("logged in by {by}"),
    });
    record(&mut findings, "login", started, message);
    let Ok(grant) = grant else {
        return skip(findings, &["project", "environment"], "there is no login");
    };
    if method == Some(InfisicalMethod::ApiKey) {
        findings.push(Finding::warning(
            "api_key",
            "an API key has all rights of a person, and servers since 2026 take none: it is for development",
            "log in as a machine identity: `method: machine_identity`",
        ));
    }
    let started = Instant::now();
    let api = match store.api(cx).await {
        Ok(api) => api,
        Err(error) => {
            record(&mut findings, "project", started, Err(error));
            return skip(findings, &["environment"], "the project cannot be read");
        }
    };
    let project = api.project(cx).await;
    let message = project.as_ref().map(|project| format!("project `{}`", project.name));
    if !record(&mut findings, "project", started, message.map_err(Clone::clone)) {
        return skip(findings, &["environment"], "the project cannot be read");
    }
    let started = Instant::now();
    let known = project.and_then(|project| {
        if project.environments.iter().any(|known| known.slug == api.environment) {
            return Ok(());
        }
        let message = format!("environment not found: `{}` in project `{}`", api.environment, project.name);
        Err(FetchError::new(FetchErrorKind::PlaceNotFound, message)
            .help(known_environments(project, &api.environment)))
    });
    // A service token may be for another environment, and the server would not say so.
    let known = known.and_then(|()| grant.admit_environment(&api.project, &api.environment));
    let message = format!("environment `{}`", api.environment);
    record(&mut findings, "environment", started, known.map(|()| message));
    findings
}

fn record(
    findings: &mut Vec<Finding>,
    step: &'static str,
    started: Instant,
    outcome: Result<String, FetchError>,
) -> bool {
    let finding = match &outcome {
        Ok(message) => Finding::ok(step, message),
        Err(error) => Finding::failed(step, error),
    };
    findings.push(finding.took(started.elapsed()));
    outcome.is_ok()
}

fn skip(mut findings: Vec<Finding>, steps: &[&'static str], why: &str) -> Vec<Finding> {
    findings.extend(steps.iter().map(|step| Finding::skipped(step, why)));
    findings
}
