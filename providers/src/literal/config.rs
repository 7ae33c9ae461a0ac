//! The options of a `literal` store.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::Literal;

/// Values that stand in the file itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiteralConfig {
    /// The values by their references: `GREETING: hello`, `team/GREETING: hello`.
    pub values: Option<IndexMap<String, Literal>>,
    /// The older place of `values`.
    pub config: Option<NestedValues>,
}

/// The older form, one level deeper.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NestedValues {
    /// The values by their references.
    pub values: IndexMap<String, Literal>,
}
