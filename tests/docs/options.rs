//! Makes tables of options from the schema, whose descriptions are the doc comments of the structs that decode them.

use serde_json::Value;

use crate::generated::between;

/// One option, for a row of a table.
struct Row {
    name: String,
    kind: String,
    default: String,
    description: String,
}

/// Returns the table of a definition, nested objects with a dot, or nothing where it has no options.
pub(crate) fn table(root: &Value, definition: &Value, hidden: &[&str]) -> String {
    let mut rows = Vec::new();
    collect(root, definition, "", hidden, &mut rows);
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::from("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for Row { name, kind, default, description } in rows {
        text.push_str(&format!("| `{name}` | {kind} | {default} | {description} |\n"));
    }
    text
}

fn collect(root: &Value, definition: &Value, prefix: &str, hidden: &[&str], rows: &mut Vec<Row>) {
    let required: Vec<&str> =
        definition["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in definition["properties"].as_object().into_iter().flatten() {
        if hidden.contains(&name.as_str()) {
            continue;
        }
        let target = follow(root, property);
        let described = [property, target].into_iter().find_map(|schema| schema["description"].as_str());
        let default = match property.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(Value::Null) | None => String::new(),
            Some(Value::Array(list)) => {
                list.iter().map(|item| format!("`{}`", plain(item))).collect::<Vec<_>>().join(" ")
            }
            Some(Value::Object(_)) => "empty".to_owned(),
            Some(value) => format!("`{}`", plain(value)),
        };
        let name = format!("{prefix}{name}");
        let description = described.unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        let nested = if target["properties"].is_object() { Some(format!("{name}.")) } else { None };
        rows.push(Row { name, kind: kind(root, property), default, description });
        if let Some(prefix) = nested {
            collect(root, target, &prefix, hidden, rows);
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Follows a reference, also one that stands in an `anyOf` with null.
fn follow<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(path) = schema["$ref"].as_str() {
        return root.pointer(path.trim_start_matches('#')).unwrap_or(schema);
    }
    let branches = schema["anyOf"].as_array().into_iter().flatten();
    let mut real = branches.filter(|branch| branch["type"] != "null");
    match (real.next(), real.next()) {
        (Some(only), None) => follow(root, only),
        _ => schema,
    }
}

/// Says in words what a value has to be.
fn kind(root: &Value, schema: &Value) -> String {
    let target = follow(root, schema);
    if let Some(names) = target["enum"].as_array() {
        return names.iter().map(|name| format!("`{}`", plain(name))).collect::<Vec<_>>().join(", ");
    }
    if let Some(variants) = target["oneOf"].as_array()
        && variants.iter().all(|variant| variant["const"].is_string())
    {
        return variants
            .iter()
            .map(|variant| format!("`{}`", plain(&variant["const"])))
            .collect::<Vec<_>>()
            .join(", ");
    }
    let name = schema["$ref"].as_str().or_else(|| {
        let branches = schema["anyOf"].as_array()?;
        branches.iter().find_map(|branch| branch["$ref"].as_str())
    });
    match name.and_then(|path| path.rsplit('/').next()) {
        Some("Credential") => return "credential".to_owned(),
        Some("Literal") => return "text".to_owned(),
        _ => {}
    }
    if let Some(branches) = target["anyOf"].as_array() {
        let mut kinds: Vec<String> = branches
            .iter()
            .filter(|branch| branch["type"] != "null")
            .map(|branch| kind(root, branch))
            .collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    match &target["type"] {
        Value::String(one) => word(root, target, one),
        Value::Array(many) => {
            let words = many.iter().filter_map(Value::as_str).filter(|name| *name != "null");
            words.map(|name| word(root, target, name)).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn word(root: &Value, schema: &Value, name: &str) -> String {
    match name {
        "array" => format!("list of {}", kind(root, &schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("mapping to {}", kind(root, &schema["additionalProperties"]))
        }
        "object" => "mapping".to_owned(),
        "boolean" => "true or false".to_owned(),
        "integer" => "whole number".to_owned(),
        _ => "text".to_owned(),
    }
}

/// Fills the generated tables of the configuration's page.
pub(crate) fn fill(page: &str) -> String {
    let schema = dsops::config::schema();
    let of = |name: &str| table(&schema, &schema["$defs"][name], &[]);
    let mut page = between(page, "file", &table_of_keys(&schema, &schema));
    for (mark, definition) in [
        ("variable", "Variable"),
        ("import", "Import"),
        ("reference", "FromParts"),
        ("agents", "Agent"),
        ("helpers", "Helpers"),
        ("policies", "Policies"),
        ("environment rules", "EnvironmentRules"),
    ] {
        page = match mark {
            "variable" | "helpers" => {
                between(&page, mark, &table_of_keys(&schema, &schema["$defs"][definition]))
            }
            _ => between(&page, mark, &of(definition)),
        };
    }
    page
}

/// Returns a table of the keys of one level only.
fn table_of_keys(root: &Value, definition: &Value) -> String {
    let mut text = String::from("| key | meaning |\n| --- | --- |\n");
    for (name, property) in definition["properties"].as_object().into_iter().flatten() {
        let described =
            [property, follow(root, property)].into_iter().find_map(|schema| schema["description"].as_str());
        text.push_str(&format!("| `{name}` | {} |\n", described.unwrap_or_default().replace('\n', " ")));
    }
    text
}
