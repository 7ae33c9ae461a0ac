//! The recorded exchanges, and how an answer is made comparable with them.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use crate::support::infisical::Generation;

/// The exchanges of one subject with one server.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Transcript {
    pub(crate) server: String,
    pub(crate) generation: String,
    pub(crate) group: String,
    pub(crate) exchanges: Vec<Exchange>,
}

/// A request and what was compared of its answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Exchange {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) retry_after: Option<String>,
    pub(crate) answer: Value,
}

impl Transcript {
    /// Reads all of them, in order.
    pub(crate) fn all() -> Vec<Self> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/transcripts");
        let mut paths: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            serde_json::from_slice(&std::fs::read(path).unwrap())
                .unwrap_or_else(|error| panic!("{path:?}: {error}"))
        };
        paths.iter().map(read).collect()
    }

    pub(crate) fn generation(&self) -> Generation {
        match self.generation.as_str() {
            "2025-06" => Generation::June2025,
            "2026-07" => Generation::July2026,
            other => panic!("no such generation: {other}"),
        }
    }
}

/// Fields that differ from run to run.
const VOLATILE: &[&str] = &[
    "id",
    "_id",
    "folderId",
    "createdAt",
    "updatedAt",
    "date",
    "reqId",
    "accessToken",
    "orgId",
    "envId",
    "parentId",
    "lastSecretModified",
    "createdBy",
    "kmsSecretManagerKeyId",
    "secretHash",
    "devices",
];

/// Takes out what differs from run to run: ids, dates, tokens; UUIDs inside texts as well.
pub(crate) fn normalise(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| {
                let value = if VOLATILE.contains(&name.as_str()) { "*".into() } else { normalise(value) };
                (name.clone(), value)
            };
            fields.iter().map(field).collect()
        }
        Value::Array(items) => items.iter().map(normalise).collect(),
        Value::String(text) => Value::String(without_ids(text)),
        other => other.clone(),
    }
}

fn without_ids(text: &str) -> String {
    static ID: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").expect("a pattern")
    });
    ID.replace_all(text, "<id>").into_owned()
}

/// Puts arrays in an order of our own, and object fields too: the older server's order means nothing.
pub(crate) fn unordered(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: std::collections::BTreeMap<_, _> = fields.iter().collect();
            sorted.into_iter().map(|(name, value)| (name.clone(), unordered(value))).collect()
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(unordered).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        other => other.clone(),
    }
}

/// Lists where two values differ, by path.
pub(crate) fn differences(expected: &Value, actual: &Value, at: &str, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(left), Value::Object(right)) => {
            for name in left.keys().filter(|name| !right.contains_key(*name)) {
                found.push(format!("{at}.{name} is missing"));
            }
            for name in right.keys().filter(|name| !left.contains_key(*name)) {
                found.push(format!("{at}.{name} is too much"));
            }
            for (name, left) in left {
                if let Some(right) = right.get(name) {
                    differences(left, right, &format!("{at}.{name}"), found);
                }
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(left, right, &format!("{at}[{index}]"), found);
            }
        }
        (left, right) if left != right => found.push(format!("{at}: recorded {left}, answered {right}")),
        _ => {}
    }
}
