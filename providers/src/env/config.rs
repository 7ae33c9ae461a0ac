//! The options of an `env` store.

use schemars::JsonSchema;
use serde::Deserialize;

/// The environment that dsops was started with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvConfig {
    /// What is put before every key: with `APP_`, the reference `TOKEN` reads `APP_TOKEN`.
    #[serde(default)]
    pub prefix: String,
}
