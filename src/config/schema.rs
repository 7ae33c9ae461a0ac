//! The JSON Schema of `dsops.yaml`, and the check that finds every mistake in shape at once.

use dsops_providers::ALL;
use dsops_providers::contract::{Descriptor, Key, Node, NodeKind, Scalar};
use schemars::JsonSchema as _;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::error::{Code, ConfigError};
use super::shape::{FileShape, FromShape};
use super::stores::{COMMON, wrong};
use crate::suggest::{and_ticked, did_you_mean};

/// Returns the schema (JSON Schema 2020-12) of `dsops.yaml` for the backends of this build.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut root = Value::from(FileShape::json_schema(&mut generator));
    let _ = generator.subschema_for::<FromShape>();
    let stores: Vec<(&Descriptor, Vec<&str>, Value)> = ALL
        .iter()
        .map(|descriptor| {
            let _ = (descriptor.schema)(&mut generator);
            let names = [descriptor.kind].into_iter().chain(descriptor.aliases.iter().copied()).collect();
            let options = (descriptor.schema)(&mut generator);
            (descriptor, names, Value::from(options))
        })
        .collect();
    let mut definitions = generator.take_definitions(true);
    let mut branches = Vec::new();
    let mut types = Vec::new();
    for (descriptor, names, options) in stores {
        let definition = store_definition(&options, &definitions, &names, !descriptor.auth.is_empty());
        let key = format!("Store.{}", descriptor.kind);
        branches.push(json!({
            "if": { "properties": { "type": { "enum": names } } },
            "then": { "$ref": format!("#/$defs/{key}") }
        }));
        types.extend(names);
        if let Some(reference) =
            options.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next())
        {
            definitions.remove(reference);
        }
        definitions.insert(key, definition);
    }
    definitions.insert(
        "Store".to_owned(),
        json!({
            "description": "A store: its type, and the options of that type.",
            "type": "object",
            "properties": { "type": { "description": "The type of the store.", "enum": types } },
            "required": ["type"],
            "allOf": branches
        }),
    );
    if let Value::Object(root) = &mut root {
        root.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    tidy(&mut root);
    root
}

/// Takes out what the structs say and the file does not take: an option that may be absent may not be
/// null. Descriptions lose the line breaks of the source.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(branches)) = object.get_mut("anyOf") {
                branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = branches.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    only.into_iter().for_each(|(key, value)| {
                        object.entry(key).or_insert(value);
                    });
                }
            }
            if let Some(Value::Array(values)) = object.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            if object.get("default") == Some(&Value::Null) {
                object.remove("default");
            }
            if let Some(Value::String(text)) = object.get_mut("description") {
                let paragraphs: Vec<String> =
                    text.split("\n\n").map(|text| text.replace('\n', " ")).collect();
                *text = paragraphs.join("\n\n");
            }
            object.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// Adds the options that the engine reads itself to those of a backend.
fn store_definition(
    options: &Value,
    definitions: &Map<String, Value>,
    names: &[&str],
    logs_in: bool,
) -> Value {
    let mut definition =
        match options.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
            Some(name) => definitions.get(name).cloned().unwrap_or_else(|| json!({ "type": "object" })),
            None => options.clone(),
        };
    if let Value::Object(definition) = &mut definition {
        let own = definition.remove("properties").unwrap_or_else(|| json!({}));
        let mut properties = Map::new();
        properties
            .insert("type".to_owned(), json!({ "description": "The type of the store.", "enum": names }));
        properties.extend(own.as_object().cloned().unwrap_or_default());
        properties.insert(
            "timeout".to_owned(),
            json!({
                "description": "The time that the store may take in one run, retries included: `500ms`, `30s`, `5m`. 30 s where absent.",
                "type": ["string", "integer"]
            }),
        );
        properties.insert(
            "timeout_ms".to_owned(),
            json!({ "description": "The same in milliseconds.", "type": "integer", "minimum": 1 }),
        );
        if logs_in {
            properties.insert(
                "token_cache".to_owned(),
            json!({
                "description": "Whether the token that a login gives is kept for the next run, sealed under the credential. True where absent.",
                "type": "boolean"
            }),
        );
        }
        properties.insert(
            "breaker".to_owned(),
            json!({
                "description": "For programs that resolve again and again through the library: when a store that keeps failing is left alone.",
                "type": "object",
                "properties": {
                    "failures": { "description": "After how many resolves in a row in which the store could not be had. 5 where absent.", "type": "integer", "minimum": 1 },
                    "half_open_after": { "description": "After how long one try finds out whether it is back: `60s`, `5m`. 60 s where absent.", "type": ["string", "integer"] }
                },
                "additionalProperties": false
            }),
        );
        definition.insert("properties".to_owned(), Value::Object(properties));
        definition.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    definition
}

/// Finds every mistake in the shape of a file. Slow, and run only for files that have one.
pub(super) fn check(root: &Node) -> Vec<ConfigError> {
    let schema = schema();
    let mut walk = Walk { root: &schema, errors: Vec::new() };
    walk.node(root, &schema);
    walk.errors
}

struct Walk<'a> {
    root: &'a Value,
    errors: Vec<ConfigError>,
}

impl<'a> Walk<'a> {
    fn node(&mut self, node: &Node, schema: &'a Value) {
        let schema = self.follow(schema);
        if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
            let fitting: Vec<&Value> = branches
                .iter()
                .map(|branch| self.follow(branch))
                .filter(|branch| fits(node, branch))
                .collect();
            // Of several forms of mapping the one is meant whose keys are there.
            match (fitting.iter().find(|branch| has_required(node, branch)), fitting.as_slice()) {
                (Some(branch), _) | (None, [branch]) => self.node(node, branch),
                (None, []) => self.errors.push(wrong(node, &needed(schema))),
                (None, several) => self.of_no_form(node, several),
            }
            return;
        }
        if !fits(node, schema) {
            self.errors.push(wrong(node, &needed(schema)));
            return;
        }
        match &node.kind {
            NodeKind::Map(entries) => self.mapping(entries, schema),
            NodeKind::List(items) => {
                if let Some(schema) = schema.get("items") {
                    items.iter().for_each(|item| self.node(item, schema));
                }
            }
            NodeKind::Scalar(_) | NodeKind::Null => {}
        }
    }

    /// Reports the keys of a mapping that has the keys of none of its forms.
    fn of_no_form(&mut self, node: &Node, forms: &[&'a Value]) {
        let properties = forms.iter().filter_map(|form| form.get("properties")?.as_object());
        let known: Map<String, Value> = properties.flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        let unknown = node.entries().iter().filter(|(key, _)| !known.contains_key(&key.name));
        self.errors.extend(unknown.map(|(key, _)| unknown_key(key, Some(&known))));
    }

    fn mapping(&mut self, entries: &[(Key, Node)], schema: &'a Value) {
        let schema = self.branch(entries, schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        for (key, node) in entries {
            match (properties.and_then(|properties| properties.get(&key.name)), additional) {
                (Some(property), _) => self.node(node, property),
                (None, Some(Value::Bool(false))) => self.errors.push(unknown_key(key, properties)),
                (None, Some(schema)) => self.node(node, schema),
                (None, None) => {}
            }
        }
    }

    /// Returns the schema of the store's own type, where the mapping is a store.
    fn branch(&self, entries: &[(Key, Node)], schema: &'a Value) -> &'a Value {
        let Some(branches) = schema.get("allOf").and_then(Value::as_array) else { return schema };
        let kind = entries.iter().find(|(key, _)| key.name == "type").and_then(|(_, node)| node.text());
        let matching = branches.iter().find(|branch| {
            let names = branch.pointer("/if/properties/type/enum").and_then(Value::as_array);
            names.is_some_and(|names| names.iter().any(|name| name.as_str() == kind))
        });
        matching.and_then(|branch| branch.get("then")).map_or(schema, |then| self.follow(then))
    }

    fn follow(&self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }
}

fn unknown_key(key: &Key, properties: Option<&Map<String, Value>>) -> ConfigError {
    let known = || properties.into_iter().flat_map(Map::keys).map(String::as_str);
    let help = did_you_mean(&key.name, known()).unwrap_or_else(|| {
        format!(
            "known here: {}",
            and_ticked(known().filter(|name| !COMMON.contains(name) || *name == "type"))
        )
    });
    ConfigError::at(Code::UnknownField, key.span, format!("unknown key `{}`", key.name)).help(help)
}

/// Says whether a node has every key that a schema requires.
fn has_required(node: &Node, schema: &Value) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.into_iter().flatten().filter_map(Value::as_str).all(|name| node.get(name).is_some())
}

/// Says whether a node has one of the types that a schema asks for.
fn fits(node: &Node, schema: &Value) -> bool {
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => return !matches!(node.kind, NodeKind::Null) || schema.as_bool() == Some(true),
    };
    types.iter().any(|wanted| match (&node.kind, *wanted) {
        (NodeKind::Map(_), "object") | (NodeKind::List(_), "array") => true,
        (NodeKind::Scalar(scalar), wanted) => scalar_fits(scalar, wanted),
        _ => false,
    })
}

fn scalar_fits(scalar: &Scalar, wanted: &str) -> bool {
    // `${…}` may become anything; it is checked when the store is opened.
    let open = scalar.text.contains("${");
    match wanted {
        "string" => true,
        "boolean" => open || matches!(scalar.text.as_str(), "true" | "false"),
        "integer" => open || scalar.text.parse::<i64>().is_ok(),
        "number" => open || scalar.text.parse::<f64>().is_ok(),
        _ => false,
    }
}

fn needed(schema: &Value) -> String {
    if let Some(branches) = schema.get("anyOf").and_then(Value::as_array) {
        let forms: Vec<String> = branches.iter().map(needed).collect();
        return forms.join(" or ");
    }
    let word = |name: &str| match name {
        "object" => "a mapping",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        _ => "text",
    };
    match schema.get("type") {
        Some(Value::String(one)) => word(one).to_owned(),
        Some(Value::Array(many)) => {
            let words: Vec<&str> =
                many.iter().filter_map(Value::as_str).filter(|name| *name != "null").map(word).collect();
            words.join(" or ")
        }
        _ => "another value".to_owned(),
    }
}
