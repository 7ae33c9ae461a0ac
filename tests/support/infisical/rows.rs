//! Secrets as JSON: each route shows another set of fields, and the generations differ.

use serde_json::{Map, Value, json};

use super::world::{Project, Secret, Version, World, id_of};

/// What stands in the place of a value that is not shown.
pub(super) const MASK: &str = "<hidden-by-infisical>";

/// When everything happened; no test depends on it.
pub(super) const DATE: &str = "2026-11-23T05:44:13.327Z";

/// Which route shows the secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// A row of a list.
    Row,
    /// A row of a list's import.
    ImportRow,
    /// Get-one that found the secret in the folder asked for.
    Single,
    /// Get-one that found it through an import.
    SingleImported,
    /// Get-one of a version.
    SingleVersion,
    /// Get by id.
    ById,
}

/// A value to show, or the mask.
pub(super) enum Shown {
    Value(String),
    Hidden,
}

impl World {
    /// Makes the JSON of one secret. `path` is the path as the answer echoes it.
    pub(super) fn row(
        &self,
        project: &Project,
        secret: &Secret,
        version: &Version,
        shape: Shape,
        path: &str,
        value: Shown,
    ) -> Value {
        let (value, hidden) = match value {
            Shown::Value(_) if secret.hidden => (MASK.to_owned(), true),
            Shown::Value(value) => (value, false),
            Shown::Hidden => (MASK.to_owned(), true),
        };
        let import = shape == Shape::ImportRow;
        let mut row = Map::new();
        let mut put = |name: &str, value: Value| row.insert(name.into(), value);
        put("id", secret.id.as_str().into());
        put("_id", secret.id.as_str().into());
        put("workspace", if import { "" } else { &project.id }.into());
        put("environment", secret.environment.as_str().into());
        put("version", version.number.into());
        put("type", "shared".into());
        put("secretKey", version.name.as_str().into());
        put("secretValue", value.into());
        put("secretComment", secret.comment.as_str().into());
        if !import {
            put("secretReminderNote", Value::Null);
            put("secretReminderRepeatDays", Value::Null);
        }
        put("skipMultilineEncoding", false.into());
        if !import {
            put("createdAt", DATE.into());
            put("updatedAt", DATE.into());
        }
        if self.shows_rotation(shape) {
            put("isRotatedSecret", false.into());
            put("rotationId", Value::Null);
        }
        if self.shows_path(shape) {
            put("secretPath", path.into());
        }
        if shape != Shape::ById {
            put("secretValueHidden", hidden.into());
        }
        if shape != Shape::SingleVersion {
            put("secretMetadata", self.metadata(secret));
            if !import {
                put("tags", tags(secret));
            }
        }
        Value::Object(row)
    }

    fn shows_rotation(&self, shape: Shape) -> bool {
        match shape {
            Shape::Row | Shape::ImportRow | Shape::SingleImported => true,
            Shape::Single | Shape::ById => self.is_2026(),
            Shape::SingleVersion => false,
        }
    }

    fn shows_path(&self, shape: Shape) -> bool {
        match shape {
            Shape::Row | Shape::ById => true,
            Shape::Single | Shape::SingleImported | Shape::SingleVersion => self.is_2026(),
            Shape::ImportRow => false,
        }
    }

    fn metadata(&self, secret: &Secret) -> Value {
        let entry = |(key, value): &(String, String)| match self.is_2026() {
            true => json!({"key": key, "value": value, "isEncrypted": false}),
            false => json!({"key": key, "value": value}),
        };
        secret.metadata.iter().map(entry).collect()
    }
}

fn tags(secret: &Secret) -> Value {
    let entry =
        |tag: &String| json!({"id": id_of(&("tag", tag)), "slug": tag, "color": "#ff0000", "name": tag});
    secret.tags.iter().map(entry).collect()
}
