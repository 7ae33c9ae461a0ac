//! A request as the server sees it, and the record that tests get of it.

use axum::body::Bytes;
use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::answer::{Answer, not_among};

/// A request to be answered.
pub(super) struct Asked {
    pub(super) method: String,
    /// Path and query as sent.
    pub(super) address: String,
    /// The path's segments, decoded; empty ones at the end are dropped.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) body_too_large: bool,
}

/// The record of a request. It holds header names and never header values, so that a failing test shows no token.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The method.
    pub(crate) method: String,
    /// The path as sent, without the query.
    pub(crate) path: String,
    /// The route, such as `GET /api/v3/secrets/raw/{name}`; `none` for a route that is not there.
    pub(crate) route: &'static str,
    /// The query, decoded.
    pub(crate) query: Vec<(String, String)>,
    /// The names of the headers, in lower case.
    pub(crate) headers: Vec<String>,
    /// The status that was answered, unless a fault kept it from being.
    pub(crate) status: Option<u16>,
}

impl Seen {
    /// Returns a query parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Asked {
    pub(super) fn new(method: &str, address: &str, headers: HeaderMap, body: Option<Bytes>) -> Self {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let segments = path.trim_start_matches('/').trim_end_matches('/').split('/').map(decode).collect();
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        let body_too_large = body.is_none();
        let (method, address) = (method.into(), address.into());
        Self { method, address, segments, query, headers, body: body.unwrap_or_default(), body_too_large }
    }

    pub(super) fn path(&self) -> &str {
        self.address.split('?').next().unwrap_or_default()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Reads a boolean of the query: the words `true` and `false` only.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Box<Answer>> {
        match self.param(name) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(not_among(name, ["true", "false"], other)),
        }
    }

    pub(super) fn record(&self, route: &'static str) -> Seen {
        Seen {
            method: self.method.clone(),
            path: self.path().into(),
            route,
            query: self.query.clone(),
            headers: self.headers.keys().map(|name| name.as_str().into()).collect(),
            status: None,
        }
    }

    /// Reads the body the way the server's framework does.
    pub(super) fn fields(&self) -> Result<Value, Box<Answer>> {
        use super::answer::{refuse, something_went_wrong};
        let broken = || something_went_wrong("InternalServerError");
        if self.body_too_large {
            return Err(broken());
        }
        match self.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim() {
            "application/json" => serde_json::from_slice(&self.body).map_err(|_| broken()),
            "application/x-www-form-urlencoded" => {
                let text = String::from_utf8_lossy(&self.body);
                let form = Self::new("POST", &format!("/?{text}"), HeaderMap::new(), None);
                Ok(form.query.into_iter().map(|(key, value)| (key, Value::String(value))).collect())
            }
            _ => Err(refuse(
                422,
                "ValidationFailure",
                serde_json::json!([{"code": "invalid_type", "expected": "object", "received": "string", "path": [],
                                    "message": "Expected object, received string"}]),
            )),
        }
    }
}
