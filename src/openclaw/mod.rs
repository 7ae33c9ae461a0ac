//! What OpenClaw asks of a program that gives it secrets: its settings, its rules for the program's path, and how it runs
//! the program.
//!
//! Taken from OpenClaw 2026.9.6: `docs/gateway/secrets/secretref-contract.md` of its package, and what its `config
//! validate` and `secrets audit` do.

mod arguments;
mod copy;
mod exchange;
mod path;
mod profile;
mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::agent::MOST_IDS;
pub use arguments::{GLOBAL_OPTIONS, GlobalOption};
pub use copy::{Installed, directory, install, is_copy, private_directory};
pub use exchange::{Exchange, Failure, Outcome, exchange};
pub use path::{Breach, check_command, check_directories, check_file};
pub use profile::{Id, Needs, Profile, Unknown};
pub use settings::{ConfiguredProvider, Settings, SettingsError, document, is_passable};

/// The time that OpenClaw gives a program where `timeoutMs` is absent.
pub const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest `timeoutMs` that its settings take.
pub const MOST_TIMEOUT: Duration = Duration::from_secs(120);
/// What stdout and stderr may hold together where `maxOutputBytes` is absent.
pub const MAX_OUTPUT: usize = 1 << 20;
/// What stands in the settings that OpenClaw shows in the place of a value. As a value it is refused.
pub const REDACTED: &str = "__OPENCLAW_REDACTED__";
/// The profile of `agents` that is used where none is named.
pub const PROFILE: &str = "openclaw";
/// The command that answers.
pub const COMMAND: &str = "exec-provider";

/// A program that gives secrets, as `secrets.providers.<name>` describes it.
///
/// It has no `Debug`: `env` may hold values.
pub struct Provider {
    /// Its name, which references use.
    pub name: String,
    /// The program.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables that it gets.
    pub env: Vec<(OsString, OsString)>,
    /// Variables of OpenClaw's environment that it gets.
    pub pass_env: Vec<String>,
    /// When it is killed.
    pub timeout: Duration,
    /// After how long without a byte on stdout or stderr it is killed.
    pub silence: Duration,
    /// How many bytes it may write to stdout and stderr together.
    pub max_output: usize,
    /// Where the program has to lie; anywhere where this is empty.
    pub trusted_dirs: Vec<PathBuf>,
}

/// Says whether a text may be the name of a provider: `^[a-z][a-z0-9_-]{0,63}$`.
#[must_use]
pub fn is_provider_name(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_has_a_plain_name() {
        for name in ["dsops", "a", "a1_b-c", &"a".repeat(64)] {
            assert!(is_provider_name(name), "{name}");
        }
        for name in ["", "Dsops", "1a", "_a", "a.b", "a b", &"a".repeat(65)] {
            assert!(!is_provider_name(name), "{name}");
        }
    }
}
