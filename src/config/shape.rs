//! The shape of `dsops.yaml`: the structs that decode it and that its schema is made from.

use std::borrow::Cow;
use std::fmt;

use dsops_providers::contract::Literal;
use indexmap::IndexMap;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::agents::AgentShape;
use super::helpers::HelpersShape;

/// Anything: parts of a file that are kept and not read yet, or decoded elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Any;

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Any {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Any".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

/// Stores, and for each environment the variables it needs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "dsops.yaml", rename = "File")]
#[expect(dead_code, reason = "decoded to check the shape; the parts are decoded from their nodes")]
pub(super) struct FileShape {
    /// The version of the format: 1. 0 is read too.
    pub(super) version: Option<u8>,
    /// The stores, by name.
    #[serde(rename = "secretStores", default)]
    #[schemars(schema_with = "stores_schema")]
    pub(super) secret_stores: Option<IndexMap<String, Any>>,
    /// The older name of `secretStores`.
    #[serde(default)]
    #[schemars(schema_with = "stores_schema")]
    pub(super) providers: Option<IndexMap<String, Any>>,
    /// For each environment, its variables.
    #[schemars(with = "Option<IndexMap<String, EnvironmentShape>>")]
    pub(super) envs: Option<IndexMap<String, Any>>,
    /// Chains of transforms, by name.
    #[schemars(with = "Option<IndexMap<String, TransformShape>>")]
    pub(super) transforms: Option<IndexMap<String, Any>>,
    /// What environments may use and where values may be written.
    #[schemars(with = "Option<PoliciesShape>")]
    pub(super) policies: Option<Any>,
    /// What programs may ask for that fetch secrets by running `dsops exec-provider`, by profile.
    #[schemars(with = "Option<IndexMap<String, AgentShape>>")]
    pub(super) agents: Option<IndexMap<String, Any>>,
    /// What programs get that ask dsops as a credential helper.
    #[schemars(with = "Option<HelpersShape>")]
    pub(super) helpers: Option<Any>,
    /// Targets of rotation. Kept, without effect yet.
    pub(super) services: Option<Any>,
    /// Kept, without effect yet.
    pub(super) notifications: Option<Any>,
    /// Kept, without effect yet.
    pub(super) metrics: Option<Any>,
    /// Kept, without effect yet.
    pub(super) templates: Option<Any>,
}

fn stores_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "propertyNames": { "pattern": "^[\\p{L}\\p{N}_.-]+$" },
        "additionalProperties": { "$ref": "#/$defs/Store" }
    })
}

fn version_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"] })
}

fn mode_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "pattern": "^0o?[0-7]{1,4}$" })
}

/// One environment. Every key but `extends` and `import` is a variable.
pub(super) struct EnvironmentShape;

impl JsonSchema for EnvironmentShape {
    fn schema_name() -> Cow<'static, str> {
        "Environment".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let variable = generator.subschema_for::<VariableShape>();
        let import = generator.subschema_for::<ImportShape>();
        json_schema!({
            "description": "The variables of one environment. `extends` and `import` are not variables.",
            "type": "object",
            "properties": {
                "extends": {
                    "description": "The environment, or environments, whose variables this one starts from; later ones win.",
                    "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
                },
                "import": {
                    "description": "Folders whose every key becomes a variable.",
                    "anyOf": [import, { "type": "array", "items": import }]
                }
            },
            "additionalProperties": variable
        })
    }
}

/// One variable: where its value comes from and what happens to it on the way.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Variable")]
#[expect(dead_code, reason = "some keys are decoded to check them, and read from their nodes")]
pub(super) struct VariableShape {
    /// The place of the value.
    pub(super) from: Option<FromShape>,
    /// The value itself, for what is no secret. It may be empty, and a number is the text in the file.
    pub(super) literal: Option<Literal>,
    /// Where to look next when the value is absent, in this order. Refusals and outages do not count as absent.
    pub(super) fallback: Option<OneOrMany<FromShape>>,
    /// The value to use when it is absent everywhere.
    pub(super) default: Option<Literal>,
    /// Whether the variable may be absent. It is then not set.
    #[serde(default)]
    pub(super) optional: bool,
    /// Whether an empty value is refused.
    #[serde(default)]
    pub(super) non_empty: bool,
    /// Whether `exec --mask` and `dsops mask` take the value out of what is printed.
    #[serde(default = "masked")]
    pub(super) mask: bool,
    /// What is done to the value, one step after another.
    #[schemars(with = "Option<TransformShape>")]
    pub(super) transform: Option<Any>,
    /// How the command of `exec` gets the value: `env`, as the variable itself, or `file`, as a file whose path the
    /// variable holds. `env` where absent.
    #[serde(rename = "type")]
    pub(super) delivery: Option<DeliveryShape>,
    /// With `type: file`: the permissions of the file, octal. `0400` where absent.
    #[serde(default)]
    #[schemars(schema_with = "mode_schema")]
    pub(super) mode: Option<String>,
    /// With `type: file`: the name of the file, where it lies in a directory. The variable's name where absent.
    pub(super) filename: Option<String>,
    /// Kept for rotation, without effect yet.
    pub(super) service: Option<Any>,
    /// Kept for rotation, without effect yet.
    pub(super) rotation: Option<Any>,
    /// Kept for rotation, without effect yet.
    pub(super) metadata: Option<Any>,
}

/// A value that stands for itself: a reference in any form, or a mapping with `from` or `literal` as for a variable.
pub(super) struct ValueShape;

impl JsonSchema for ValueShape {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let properties = |schema: Schema| {
            let properties = schema.get("properties").and_then(serde_json::Value::as_object);
            properties.cloned().unwrap_or_default()
        };
        let mut known = properties(VariableShape::json_schema(generator));
        FILE_KEYS.iter().for_each(|key| {
            known.remove(*key);
        });
        known.extend(properties(FromParts::json_schema(generator)));
        json_schema!({
            "description": "A reference: `store/folder/KEY@vN`, `store://store/path#field?version=V`, or its parts; or a mapping with `from` or `literal` as for a variable.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                { "type": "object", "properties": known, "additionalProperties": false }
            ]
        })
    }
}

/// The keys of a variable that say how a command gets it, which means nothing where no command is started.
pub(super) const FILE_KEYS: &[&str] = &["type", "mode", "filename", "mask"];

/// How the command gets a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum DeliveryShape {
    Env,
    File,
}

fn masked() -> bool {
    true
}

/// A folder whose every key becomes a variable.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Import")]
pub(super) struct ImportShape {
    /// The store, and the folder behind it: `infisical/payments`.
    pub(super) store: String,
    /// Put before each key to make the variable's name.
    pub(super) prefix: Option<String>,
    /// Whether the folders below count too. A name that two folders have is an error.
    #[serde(default)]
    pub(super) recursive: bool,
    /// Take only what has one of these tags, written by their slugs. Infisical only; what its imports bring has
    /// none.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// Take only what has all of these pairs in its metadata, 10 at most. Infisical only.
    #[serde(default)]
    pub(super) metadata: IndexMap<String, String>,
    /// Whether the folder may be absent.
    #[serde(default)]
    pub(super) optional: bool,
}

/// One item, or a list of them.
#[derive(Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one item or a list")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let item = T::deserialize(serde::de::IntoDeserializer::into_deserializer(text))?;
                Ok(OneOrMany(vec![item]))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(OneOrMany(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(OneOrMany(list))
            }
        }

        deserializer.deserialize_any(Items(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [item, { "type": "array", "items": item }] })
    }
}

/// A reference, as text or in parts.
#[derive(Clone, Debug)]
pub(super) enum FromShape {
    Text(String),
    Parts(Box<FromParts>),
}

/// The parts that the mapping forms of a reference can have.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FromParts {
    /// The store, alone or with the rest of the reference behind it: `name/folder/KEY@v2`.
    pub(super) store: Option<String>,
    /// The older name of `store`.
    pub(super) provider: Option<String>,
    /// The secret's key within the store, or the field where `path` is given too.
    pub(super) key: Option<String>,
    /// The same as `key`.
    pub(super) name: Option<String>,
    /// The secret's path within the store.
    pub(super) path: Option<String>,
    /// The part of the secret that is wanted.
    pub(super) field: Option<String>,
    /// The version that is wanted.
    #[serde(default)]
    #[schemars(schema_with = "version_schema")]
    pub(super) version: Option<String>,
    /// 1Password: the vault.
    pub(super) vault: Option<String>,
    /// 1Password: the item.
    pub(super) item: Option<String>,
    /// A rotation target; it holds no secrets.
    #[schemars(skip)]
    pub(super) service: Option<String>,
}

impl<'de> Deserialize<'de> for FromShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = FromShape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reference such as `store/folder/KEY`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<FromShape, E> {
                Ok(FromShape::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FromShape, A::Error> {
                let parts = FromParts::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FromShape::Parts(Box::new(parts)))
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl JsonSchema for FromShape {
    fn schema_name() -> Cow<'static, str> {
        "From".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let parts = generator.subschema_for::<FromParts>();
        json_schema!({
            "description": "A reference: `store/folder/KEY@vN`, `store://store/path#field?version=V`, or its parts.",
            "anyOf": [{ "type": "string", "minLength": 1 }, parts]
        })
    }
}

/// One chain of transforms.
pub(super) struct TransformShape;

impl JsonSchema for TransformShape {
    fn schema_name() -> Cow<'static, str> {
        "Transform".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let step = serde_json::json!({
            "anyOf": [
                { "type": "string" },
                {
                    "type": "object",
                    "properties": { "type": { "type": "string" } },
                    "required": ["type"],
                    "additionalProperties": { "type": ["string", "number", "boolean"] }
                }
            ]
        });
        json_schema!({
            "description": "A chain as text (`json_extract:.password, trim`), or a list of steps.",
            "anyOf": [{ "type": "string" }, { "type": "array", "items": step }]
        })
    }
}

/// What environments may use and where values may be written. Only what is enforced is accepted.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Policies")]
pub(super) struct PoliciesShape {
    /// The types of store that may be used; all where this is absent.
    pub(super) allowed_providers: Option<Vec<String>>,
    /// The types of store that may not be used.
    pub(super) blocked_providers: Option<Vec<String>>,
    /// Further rules for single environments.
    pub(super) environment_rules: Option<IndexMap<String, EnvironmentRulesShape>>,
    /// Where `render` may write.
    pub(super) output_restrictions: Option<OutputShape>,
}

/// The rules of one environment.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EnvironmentRules")]
pub(super) struct EnvironmentRulesShape {
    /// The types of store that may be used.
    pub(super) allowed_providers: Option<Vec<String>>,
    /// The types of store that may not be used.
    pub(super) blocked_providers: Option<Vec<String>>,
    /// How many variables the environment may have, imports included.
    pub(super) max_secrets: Option<u32>,
}

/// Where `render` may write: regular expressions on the absolute path.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OutputRestrictions")]
pub(super) struct OutputShape {
    /// One of these must match.
    pub(super) allowed_paths: Option<Vec<String>>,
    /// None of these may match.
    pub(super) blocked_paths: Option<Vec<String>>,
}
