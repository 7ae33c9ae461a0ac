//! The options of a `dotenv` store.

use schemars::JsonSchema;
use serde::Deserialize;

/// A file of `KEY=value` lines.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DotenvConfig {
    /// The file, relative to `dsops.yaml`.
    #[serde(default = "path")]
    pub path: String,
    /// Whether `${NAME}` and `${NAME:-default}` in the file are replaced.
    #[serde(default)]
    pub expand: bool,
}

fn path() -> String {
    ".env".to_owned()
}
