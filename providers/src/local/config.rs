//! The options of a `type: local` store.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::Credential;

/// The encrypted file that `type: local` reads.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalConfig {
    /// The encrypted file. A relative path starts at the directory of `dsops.yaml`; `~/` is the
    /// home directory.
    #[serde(default = "default_path")]
    pub path: String,
    /// The file that holds your identity, or `keyring` for the one in the desktop's keyring.
    /// `DSOPS_LOCAL_IDENTITY` goes before it. Default: `identity.txt` in `~/.config/dsops`
    /// (`$XDG_CONFIG_HOME/dsops` where that is set), and then the keyring.
    pub identity: Option<String>,
    /// The passphrase of a file that is encrypted with one. Without it, dsops asks on the terminal.
    pub passphrase: Option<Credential>,
}

impl LocalConfig {
    /// Returns the options for a file, everything else by default.
    #[must_use]
    pub fn at(path: impl Into<String>) -> Self {
        Self { path: path.into(), identity: None, passphrase: None }
    }
}

impl Default for LocalConfig {
    fn default() -> Self {
        Self::at(default_path())
    }
}

fn default_path() -> String {
    "secrets.age".to_owned()
}
