//! A server that answers as a test says and keeps what it was asked, and a small project to serve.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::super::Infisical;
use crate::contract::{
    Backend as _, Context, Entry, FetchError, Key, Lister as _, Locator, NoExpansion, Node, NodeKind,
    Provider as _, Scalar, Span, decode,
};

pub(super) const PROJECT: &str = "d2f964f8-a151-4d02-8d5e-07f5213a02b6";
pub(super) const LOGIN: &str = "/api/v1/auth/universal-auth/login";
pub(super) const LIST: &str = "/api/v3/secrets/raw";
pub(super) const DETAILS: &str = "/api/v2/service-token";
pub(super) const SERVICE_TOKEN: &str =
    "st.63811cad-7389-4c18-9bf4-43b637d6bbf2.00112233445566778899aabbccddeeff";

/// One request as it arrived.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Undecoded.
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Seen {
    pub(super) fn asks(&self, name: &str) -> &str {
        self.query.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The name in the path of a single read.
    pub(super) fn name(&self) -> Option<String> {
        let name = self.path.strip_prefix(LIST)?.strip_prefix('/')?;
        Some(percent_encoding::percent_decode_str(name).decode_utf8().unwrap().into_owned())
    }
}

/// One answer to give.
pub(super) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Duration,
}

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json; charset=utf-8".to_owned())];
        Self { status, headers, body: body.to_string(), after: Duration::ZERO }
    }

    pub(super) fn text(status: u16, content_type: &str, body: &str) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status, headers, body: body.to_owned(), after: Duration::ZERO }
    }

    pub(super) fn refusal(status: u16, error: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({"reqId": "req-JUedW9563iCQQY", "statusCode": status, "message": message, "error": error}),
        )
    }

    pub(super) fn no_route(seen: &Seen) -> Self {
        let message = format!("Route {}:{} not found", seen.method, seen.path);
        Self::json(404, &json!({"message": message, "error": "Not Found", "statusCode": 404}))
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn after(mut self, pause: Duration) -> Self {
        self.after = pause;
        self
    }
}

/// A server on a port of its own, until the test ends.
pub(super) struct Server {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (record, answer) = (Arc::clone(&seen), Arc::new(answer));
        let router = axum::Router::new().fallback(move |request: Request| {
            let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
            async move {
                let arrived = arrived(request).await;
                record.lock().unwrap().push(arrived.clone());
                let reply = answer(&arrived);
                tokio::time::sleep(reply.after).await;
                respond(reply)
            }
        });
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen }
    }

    /// Serves a project as it is.
    pub(super) async fn of(project: Project) -> Self {
        Self::start(move |seen| project.answer(seen)).await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Every request as method and path, in order.
    pub(super) fn log(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }

    pub(super) fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path == path).count()
    }

    /// Opens a store by machine identity.
    pub(super) fn store(&self) -> Store {
        self.store_with(&machine_identity(), "dev")
    }

    pub(super) fn store_with(&self, auth: &Value, environment: &str) -> Store {
        Store::open(&json!({
            "host": self.address, "project_id": PROJECT, "environment": environment, "auth": auth,
        }))
        .unwrap()
    }
}

pub(super) fn machine_identity() -> Value {
    json!({"client_id": "fe47cdcc-de16-4839-be03-e0b37137fb08", "client_secret": "canary-client-secret"})
}

async fn arrived(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned()
    };
    let query = parts.uri.query().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: pairs.map(|(name, value)| (decoded(name), decoded(value))).collect(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    }
}

fn respond(reply: Reply) -> Response {
    let mut response = reply.body.into_response();
    *response.status_mut() = reply.status.try_into().unwrap();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// One stored secret.
pub(super) fn secret(environment: &str, path: &str, name: &str, value: &str) -> Value {
    json!({
        "id": format!("id-of-{environment}-{path}-{name}"), "_id": "x", "workspace": PROJECT,
        "environment": environment, "version": 3, "type": "shared", "secretKey": name, "secretValue": value,
        "secretComment": "", "secretPath": path, "secretValueHidden": false, "secretMetadata": [], "tags": [],
        "skipMultilineEncoding": false, "createdAt": "2026-11-23T05:44:13.327Z",
    })
}

pub(super) fn list(secrets: &[Value], imports: &[Value]) -> Reply {
    Reply::json(200, &json!({"secrets": secrets, "imports": imports}))
}

pub(super) fn one(secret: &Value) -> Reply {
    Reply::json(200, &json!({"secret": secret}))
}

/// An import's layer; its secrets name no project, as seen.
pub(super) fn layer(environment: &str, path: &str, secrets: &[(&str, &str)]) -> Value {
    let secrets: Vec<Value> = secrets
        .iter()
        .map(|(name, value)| {
            let mut secret = secret(environment, path, name, value);
            secret["workspace"] = json!("");
            secret
        })
        .collect();
    json!({"secretPath": path, "environment": environment, "folderId": "f", "secrets": secrets})
}

pub(super) fn logged_in(token: &str) -> Reply {
    let seconds = 2_592_000;
    Reply::json(
        200,
        &json!({"accessToken": token, "expiresIn": seconds, "accessTokenMaxTTL": seconds, "tokenType": "Bearer"}),
    )
}

/// A project whose environment `dev` has folders of secrets, served as in July 2026 or, with lists that
/// are silently empty, as in June 2025.
#[derive(Clone, Default)]
pub(super) struct Project {
    folders: BTreeMap<String, Vec<(String, String)>>,
    silent_lists: bool,
}

impl Project {
    pub(super) fn with(mut self, folder: &str, secrets: &[(&str, &str)]) -> Self {
        let owned = secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.folders.entry(folder.to_owned()).or_default().extend(owned);
        self
    }

    /// Lists unknown places as empty, as in June 2025.
    pub(super) fn silent(mut self) -> Self {
        self.silent_lists = true;
        self
    }

    pub(super) fn answer(&self, seen: &Seen) -> Reply {
        match seen.path.as_str() {
            LOGIN => logged_in("token-1"),
            "/api/status" => Reply::json(200, &json!({"date": "2026-11-23T05:49:05.582Z", "message": "Ok"})),
            path if path == format!("/api/v1/workspace/{PROJECT}") => project(),
            LIST => self.list(seen),
            _ => match seen.name() {
                Some(name) => self.get(seen, &name),
                None => Reply::no_route(seen),
            },
        }
    }

    fn list(&self, seen: &Seen) -> Reply {
        let path = seen.asks("secretPath");
        match self.folders.get(path).filter(|_| seen.asks("environment") == "dev") {
            Some(folder) => {
                let rows: Vec<Value> =
                    folder.iter().map(|(name, value)| secret("dev", path, name, value)).collect();
                list(&rows, &[])
            }
            None if self.silent_lists => list(&[], &[]),
            None => Reply::refusal(
                404,
                "SecretPathNotFound",
                &format!("Folder with path '{path}' in environment 'x' was not found. Please ensure."),
            ),
        }
    }

    fn get(&self, seen: &Seen, name: &str) -> Reply {
        let path = seen.asks("secretPath");
        let Some(folder) = self.folders.get(path).filter(|_| seen.asks("environment") == "dev") else {
            return Reply::refusal(404, "GetSecretByName", &format!("Folder with path '{path}' not found"));
        };
        match folder.iter().find(|(known, _)| known == name) {
            Some((name, value)) => one(&secret("dev", path, name, value)),
            None => Reply::refusal(404, "NotFound", &format!("Secret with name '{name}' not found")),
        }
    }
}

pub(super) fn project() -> Reply {
    Reply::json(
        200,
        &json!({"workspace": {"id": PROJECT, "name": "Resolver Lab", "slug": "resolver-lab", "environments": [
            {"name": "Development", "slug": "dev", "id": "1"},
            {"name": "Staging", "slug": "staging", "id": "2"},
            {"name": "Production", "slug": "prod", "id": "3"},
        ]}}),
    )
}

/// An opened store and what it works with.
pub(super) struct Store {
    pub(super) infisical: Infisical,
    pub(super) cx: Context,
}

impl Store {
    pub(super) fn open(options: &Value) -> Result<Self, FetchError> {
        let cx = Context::builder().build().for_store("infisical", Some(Duration::from_secs(20)));
        let config = decode(&node(options), &NoExpansion).unwrap();
        Ok(Self { infisical: Infisical::open(config, &cx)?, cx })
    }

    pub(super) async fn fetch(&self, locators: &[Locator]) -> Vec<Result<String, FetchError>> {
        let answers = self.infisical.fetch(&self.cx, locators).await.into_vec();
        answers.into_iter().map(|answer| answer.map(|value| value.expose_str().unwrap().to_owned())).collect()
    }

    pub(super) async fn values(&self, paths: &[&str]) -> Vec<String> {
        let locators: Vec<Locator> = paths.iter().map(|path| Locator::new(*path)).collect();
        self.fetch(&locators).await.into_iter().map(|answer| answer.unwrap()).collect()
    }

    pub(super) async fn error(&self, locator: Locator) -> FetchError {
        self.fetch(&[locator]).await.remove(0).unwrap_err()
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Vec<(String, String)>, FetchError> {
        let entries = self.infisical.list(&self.cx, folder).await?;
        let shown = |entry: Entry| {
            (entry.name, entry.value.map_or_else(|e| e.to_string(), |v| v.expose_str().unwrap().to_owned()))
        };
        Ok(entries.into_iter().map(shown).collect())
    }
}

/// Writes JSON as a tree of nodes, all in one place.
pub(super) fn node(value: &Value) -> Node {
    let scalar = |text: String, plain| NodeKind::Scalar(Scalar { text, plain });
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::String(text) => scalar(text.clone(), false),
        Value::Array(items) => NodeKind::List(items.iter().map(node).collect()),
        Value::Object(entries) => {
            let key = |name: &String| Key { name: name.clone(), span: Span::default() };
            NodeKind::Map(entries.iter().map(|(name, value)| (key(name), node(value))).collect())
        }
        other => scalar(other.to_string(), true),
    };
    Node { span: Span::default(), kind }
}
