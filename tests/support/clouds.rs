//! What tells a program who it is: the token endpoint of a CI job, and the metadata services of three clouds.
//!
//! One server plays all of them, each at its own path, and is as strict as the real ones about the headers and
//! parameters that their documents require:
//!
//! - GitHub: "OpenID Connect reference", requesting the token by environment variables
//! - Google Cloud: "Verify the identity of a VM instance"
//! - Azure: "How to use managed identities ... to acquire an access token"; App Service: "REST endpoint reference"
//! - AWS: "Use the Instance Metadata Service", version 2

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::jwt;
use super::loopback::Loopback;

/// What GitHub's jobs ask with.
pub(crate) const REQUEST_TOKEN: &str = "canary-4c1d7a-request-token";
/// What programs in App Service ask with.
pub(crate) const IDENTITY_HEADER: &str = "canary-4c1d7a-identity-header";
/// The keys that the metadata of a machine in AWS gives.
pub(crate) const AWS_KEY: &str = "ASIAEXAMPLE";
pub(crate) const AWS_SECRET: &str = "canary-4c1d7a-aws-secret";
pub(crate) const AWS_SESSION: &str = "canary-4c1d7a-aws-session";

/// The issuers of the tokens.
pub(crate) const GITHUB: &str = "https://token.actions.githubusercontent.com";
pub(crate) const GOOGLE: &str = "https://accounts.google.com";
pub(crate) const AZURE: &str = "https://sts.windows.net/tenant/";

/// The surroundings of a machine. Dropping it stops the server.
pub(crate) struct Clouds {
    loopback: Loopback,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<String>>,
    refusal: Mutex<Option<u16>>,
    issued: Mutex<Vec<String>>,
}

impl Clouds {
    /// Starts the server.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        Self { loopback: Loopback::plain(router), shared }
    }

    /// Answers everything with this status from now on.
    pub(crate) fn refusing(self, status: u16) -> Self {
        *self.shared.refusal.lock().expect("no handler panics") = Some(status);
        self
    }

    /// Returns `http://127.0.0.1:<port>`.
    pub(crate) fn url(&self) -> String {
        self.loopback.url()
    }

    /// Returns the variables of a job that may ask for tokens.
    pub(crate) fn github(&self) -> Vec<(&'static str, String)> {
        let address = format!("{}/token/idtoken/plan?api-version=2.0", self.url());
        vec![
            ("GITHUB_ACTIONS", "true".into()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", address),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", REQUEST_TOKEN.into()),
        ]
    }

    /// Returns the paths that were asked for.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.shared.seen.lock().expect("no handler panics").clone()
    }

    /// Returns the tokens that were issued, so that a test can look for them where they must not be.
    pub(crate) fn issued(&self) -> Vec<String> {
        self.shared.issued.lock().expect("no handler panics").clone()
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let method = request.method().as_str().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let param = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        percent_encoding::percent_decode_str(&pair.replace('+', " "))
            .decode_utf8()
            .ok()
            .map(|text| text.into_owned())
    };
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let path = request.uri().path().to_owned();
    shared.seen.lock().expect("no handler panics").push(format!("{method} {path}"));
    if let Some(status) = *shared.refusal.lock().expect("no handler panics") {
        return reply(status, "application/json", r#"{"error":"canary-4c1d7a-refusal"}"#);
    }
    let issue = |issuer: &str, audience: &str, subject: &str| {
        let token = jwt::sign(&json!({"iss": issuer, "aud": audience, "sub": subject}), jwt::KEY_ID);
        shared.issued.lock().expect("no handler panics").push(token.clone());
        token
    };
    match (method.as_str(), path.as_str()) {
        ("GET", "/token/idtoken/plan") => {
            let asked = header("authorization") == format!("Bearer {REQUEST_TOKEN}");
            if !asked || param("api-version").as_deref() != Some("2.0") {
                return reply(401, "application/json", "{}");
            }
            let audience = param("audience").unwrap_or_else(|| "https://github.com/acme".into());
            let token = issue(GITHUB, &audience, "repo:acme/app:ref:refs/heads/main");
            reply(200, "application/json; charset=utf-8", &json!({"count": 1, "value": token}).to_string())
        }
        ("GET", "/computeMetadata/v1/instance/service-accounts/default/identity") => {
            match (param("audience"), param("format").as_deref(), header("metadata-flavor").as_str()) {
                (_, _, flavor) if flavor != "Google" => reply(403, "text/html", "no flavor"),
                (Some(audience), Some("full"), _) => {
                    reply(200, "text/html", &issue(GOOGLE, &audience, "103456789"))
                }
                _ => reply(400, "text/html", "non-empty audience parameter required"),
            }
        }
        ("GET", "/metadata/identity/oauth2/token") => {
            let good = header("metadata") == "true" && param("api-version").as_deref() == Some("2018-02-01");
            azure(good, param("resource"), param("client_id"), issue)
        }
        ("GET", "/msi/token") => {
            let good = header("x-identity-header") == IDENTITY_HEADER
                && param("api-version").as_deref() == Some("2019-08-01");
            azure(good, param("resource"), param("client_id"), issue)
        }
        ("PUT", "/latest/api/token") if !header("x-aws-ec2-metadata-token-ttl-seconds").is_empty() => {
            let mut answer = reply(200, "text/plain", "imds-session");
            let ttl = header("x-aws-ec2-metadata-token-ttl-seconds").parse().expect("seconds");
            answer.headers_mut().insert("x-aws-ec2-metadata-token-ttl-seconds", ttl);
            answer
        }
        ("GET", path) if path.starts_with("/latest/") => {
            if header("x-aws-ec2-metadata-token") != "imds-session" {
                return reply(401, "text/plain", "");
            }
            match path {
                "/latest/meta-data/placement/region" => reply(200, "text/plain", "eu-central-1"),
                "/latest/meta-data/iam/security-credentials/" => reply(200, "text/plain", "app-role"),
                "/latest/meta-data/iam/security-credentials/app-role" => {
                    let keys = json!({
                        "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": "2026-01-01T00:00:00Z",
                        "AccessKeyId": AWS_KEY, "SecretAccessKey": AWS_SECRET, "Token": AWS_SESSION,
                        "Expiration": "2099-01-01T00:00:00Z",
                    });
                    reply(200, "application/json", &keys.to_string())
                }
                _ => reply(404, "text/plain", ""),
            }
        }
        _ => reply(404, "text/plain", "no such path"),
    }
}

fn azure(
    good: bool,
    resource: Option<String>,
    client_id: Option<String>,
    issue: impl Fn(&str, &str, &str) -> String,
) -> Response {
    let Some(resource) = resource.filter(|_| good) else {
        return reply(400, "application/json", r#"{"error":"invalid_request"}"#);
    };
    let token = issue(AZURE, &resource, client_id.as_deref().unwrap_or("system"));
    let body =
        json!({"access_token": token, "expires_in": "3599", "resource": resource, "token_type": "Bearer"});
    reply(200, "application/json; charset=utf-8", &body.to_string())
}

fn reply(status: u16, kind: &str, body: &str) -> Response {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response.headers_mut().insert("content-type", kind.parse().expect("a header"));
    response
}
