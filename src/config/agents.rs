//! Reads `agents`: what programs that fetch secrets by running dsops may ask for, by profile.

use std::sync::Arc;
use std::time::Duration;

use dsops_providers::contract::{Key, NoExpansion, Node, NodeKind, Span, decode};
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::environments::Reader;
use super::error::{Code, ConfigError, Warning};
use super::model::{Environment, Variable};
use super::shape::{Any, ValueShape};
use super::stores::{is_in_range, parse_duration};
use crate::agent::is_id;
use crate::suggest::{and_ticked, did_you_mean};

/// What one program may ask for.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// The profile's name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// The environment whose variables may be asked for.
    pub env: Option<String>,
    /// Which of its variables, and which paths, may be. `None`: all.
    pub allow: Option<Vec<Allowed>>,
    /// Further ids, and what each means.
    pub ids: IndexMap<String, Arc<Variable>>,
    /// Whether an id may be a path in a store.
    pub raw: bool,
    /// When the answer is written at the latest, counted from the start.
    pub deadline: Option<Duration>,
}

impl Agent {
    /// Says whether a variable, or a path, is among those that may be asked for.
    #[must_use]
    pub fn allows(&self, id: &str) -> bool {
        self.allow.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| allowed.matches(id)))
    }
}

/// What `allow` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// A whole name.
    Name(String),
    /// How names start.
    Start(String),
}

impl Allowed {
    fn matches(&self, id: &str) -> bool {
        match self {
            Self::Name(name) => name == id,
            Self::Start(start) => id.starts_with(start.as_str()),
        }
    }
}

/// What a program that fetches secrets by running `dsops exec-provider` may ask for. An id is a variable of `env`, or
/// one of `ids`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Agent")]
#[expect(dead_code, reason = "some keys are decoded to check them, and read from their nodes")]
pub(super) struct AgentShape {
    /// The environment whose variables may be asked for.
    env: Option<String>,
    /// Which of its variables, and with `raw` which paths, may be: whole names, or a beginning and `*`. All where
    /// absent.
    allow: Option<Vec<String>>,
    /// Further ids: for each a reference, or a mapping with `from` or `literal` as for a variable.
    #[schemars(with = "Option<IndexMap<String, ValueShape>>")]
    ids: Option<IndexMap<String, Any>>,
    /// Whether an id may be a path such as `store/folder/KEY`; `#v3` or `:v3` at its end means version 3.
    #[serde(default)]
    #[schemars(schema_with = "switch_schema")]
    raw: Option<String>,
    /// When the answer is written at the latest: `4s`. What is missing by then is an error.
    #[serde(default)]
    #[schemars(schema_with = "time_schema")]
    deadline: Option<String>,
    /// Kept for the cache of values, without effect yet.
    #[serde(default)]
    #[schemars(schema_with = "time_schema")]
    stale: Option<String>,
}

fn switch_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["boolean", "string"], "enum": [true, false, "on", "off"] })
}

pub(super) fn time_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"] })
}

/// Reads the section. What it may name is read already.
pub(super) fn read(
    root: &Node,
    environments: &IndexMap<String, Environment>,
    mut reader: Reader<'_>,
) -> IndexMap<String, Agent> {
    let mut agents = IndexMap::new();
    for (key, node) in root.get("agents").into_iter().flat_map(Node::entries) {
        match decode::<AgentShape>(node, &NoExpansion) {
            // A mistake in shape has been found with the shape of the file.
            Err(error) => reader.errors.push(error.into()),
            Ok(shape) => {
                let agent = read_agent(key, node, &shape, environments, &mut reader);
                agents.insert(key.name.clone(), agent);
            }
        }
    }
    agents
}

fn read_agent(
    key: &Key,
    node: &Node,
    shape: &AgentShape,
    environments: &IndexMap<String, Environment>,
    reader: &mut Reader<'_>,
) -> Agent {
    let span = |name: &str| node.get(name).map_or(key.span, |node| node.span);
    let environment = shape.env.as_deref().and_then(|name| environments.get(name));
    if let Some(name) = shape.env.as_deref().filter(|_| environment.is_none()) {
        let known = || environments.keys().map(String::as_str);
        let help =
            did_you_mean(name, known()).unwrap_or_else(|| format!("the file has {}", and_ticked(known())));
        let message = format!("no environment is named `{name}`");
        reader.errors.push(ConfigError::at(Code::UnknownEnvironment, span("env"), message).help(help));
    }
    let mut ids = IndexMap::new();
    for (id, node) in node.get("ids").into_iter().flat_map(Node::entries) {
        if let Err(error) = check_alias(id, environment) {
            reader.errors.push(error);
        }
        if let Some(variable) = reader.read_value(id.name.clone(), id.span, node) {
            ids.insert(id.name.clone(), variable);
        }
    }
    let raw = shape.raw.as_deref().map_or(Some(false), read_switch).unwrap_or_else(|| {
        let error = ConfigError::at(Code::Invalid, span("raw"), "`raw` is neither on nor off");
        reader.errors.push(error.help("write `raw: on` or `raw: off`"));
        false
    });
    let allow = shape.allow.as_ref().map(|names| {
        let names = names.iter().zip(items(node.get("allow")));
        names.filter_map(|(name, node)| read_allowed(name, node.span, environment, raw, reader)).collect()
    });
    if shape.allow.as_ref().is_some_and(Vec::is_empty) {
        let error = ConfigError::at(Code::Invalid, span("allow"), "this chooses nothing");
        reader.errors.push(error.help("name what may be asked for, or take `allow` out for all"));
    }
    if shape.env.is_none() && !raw {
        let useless = match (&allow, ids.is_empty()) {
            (Some(_), _) => {
                Some(("allow", "`allow` without `env` and without `raw`, so that it chooses among nothing"))
            }
            (None, true) => {
                Some(("", "this profile gives nothing: it has neither `env`, nor `ids`, nor `raw`"))
            }
            (None, false) => None,
        };
        // An id that could not be read has been told.
        let was_read = ids.len() == node.get("ids").map_or(0, |ids| ids.entries().len());
        if let Some((part, message)) = useless.filter(|_| was_read) {
            let error = ConfigError::at(Code::Invalid, span(part), message);
            reader
                .errors
                .push(error.help("add `env: NAME`, the environment whose variables may be asked for"));
        }
    }
    let mut time = |name: &str, text: Option<&str>| {
        let parsed = text.map(|text| parse_duration(text).filter(|time| !time.is_zero()));
        if parsed == Some(None) {
            let error = ConfigError::at(Code::Invalid, span(name), "not a length of time");
            reader.errors.push(error.help(format!("write `{name}: 4s`; the units are ms, s, m and h")));
        }
        parsed.flatten()
    };
    let deadline = time("deadline", shape.deadline.as_deref());
    time("stale", shape.stale.as_deref());
    if deadline.is_some_and(|deadline| !is_in_range(deadline) || deadline < Duration::from_millis(100)) {
        let error =
            ConfigError::at(Code::Invalid, span("deadline"), "a deadline is from 100 ms to an hour away");
        reader.errors.push(error.help("write `deadline: 4s`"));
    }
    if shape.stale.is_some() {
        let message = "`stale` has no effect yet".to_owned();
        let place = node.entries().iter().find(|(key, _)| key.name == "stale");
        let span = place.map_or(key.span, |(key, _)| key.span);
        reader.warnings.push(Warning { message, span });
    }
    Agent { name: key.name.clone(), span: key.span, env: shape.env.clone(), allow, ids, raw, deadline }
}

fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.kind) {
        Some(NodeKind::List(items)) => items,
        _ => &[],
    }
}

/// Reads a truth value in the words that people use for a switch.
fn read_switch(text: &str) -> Option<bool> {
    match text {
        "on" | "true" => Some(true),
        "off" | "false" => Some(false),
        _ => None,
    }
}

/// Checks that an id can be asked for, and means one thing.
fn check_alias(id: &Key, environment: Option<&Environment>) -> Result<(), ConfigError> {
    if !is_id(&id.name) {
        let message = "nobody can ask for this id";
        return Err(ConfigError::at(Code::Invalid, id.span, message).help(
            "an id has letters, digits and `._:/#-`, starts with a letter or digit, has no part `.` or `..`, and at most 256 bytes",
        ));
    }
    match environment.filter(|environment| environment.variables.contains_key(&id.name)) {
        Some(environment) => {
            let message = format!("`{}` is a variable of `{}` too", id.name, environment.name);
            Err(ConfigError::at(Code::Invalid, id.span, message)
                .help("give the id another name, or take it out to give the variable"))
        }
        None => Ok(()),
    }
}

/// Reads one entry of `allow`.
fn read_allowed(
    name: &str,
    span: Span,
    environment: Option<&Environment>,
    raw: bool,
    reader: &mut Reader<'_>,
) -> Option<Allowed> {
    let invalid = |message: &str, help: &str| Some(ConfigError::at(Code::Invalid, span, message).help(help));
    let (start, is_start) = name.strip_suffix('*').map_or((name, false), |start| (start, true));
    let error = if start.contains('*') {
        invalid("a `*` that is not at the end", "write a whole name, or a beginning and `*`")
    } else if start.is_empty() {
        invalid(
            "this chooses nothing or everything",
            "name what may be asked for, or take `allow` out for all",
        )
    } else {
        // Imports and stores may bring any name; else what the environment lacks is a slip of the keys.
        environment.filter(|environment| environment.imports.is_empty() && !raw).and_then(|environment| {
            let known = || environment.variables.keys().map(String::as_str);
            let is_there = known().any(|known| known == name || is_start && known.starts_with(start));
            if is_there {
                return None;
            }
            let help = did_you_mean(start, known())
                .unwrap_or_else(|| format!("`{}` has {}", environment.name, and_ticked(known())));
            let message = format!("`{}` has no variable of this name", environment.name);
            Some(ConfigError::at(Code::Invalid, span, message).help(help))
        })
    };
    if let Some(error) = error {
        reader.errors.push(error);
        return None;
    }
    Some(if is_start { Allowed::Start(start.to_owned()) } else { Allowed::Name(name.to_owned()) })
}
