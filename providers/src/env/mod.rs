//! `env`: the environment that dsops was started with.

mod config;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use std::ffi::OsStr;

use async_trait::async_trait;

pub use self::config::EnvConfig;
use crate::contract::{
    About, Answers, Backend, Context, DecodeError, FetchError, FetchErrorKind, Finding, Locator,
    LocatorError, LocatorPart, Node, Parts, Provider, SecretValue,
};

/// An opened `env` store.
pub struct Env {
    prefix: String,
}

#[async_trait]
impl Provider for Env {
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers {
        Answers::lookup(locators, |locator| {
            let name = format!("{}{}", self.prefix, locator.path);
            match cx.env().get_os(&name) {
                Some(value) => bytes_of(&name, value),
                None => Err(FetchError::new(FetchErrorKind::NotFound, format!("`{name}` is not set"))
                    .help("set the variable before dsops starts")),
            }
        })
    }

    async fn check(&self, cx: &Context) -> Vec<Finding> {
        let prefix = self.prefix.as_bytes();
        let count = cx.env().iter().filter(|(name, _)| name.as_encoded_bytes().starts_with(prefix)).count();
        vec![match (self.prefix.as_str(), count) {
            ("", _) => Finding::ok("read", format!("{count} variables are set")),
            (prefix, 0) => Finding::warning(
                "read",
                format!("no variable starts with `{prefix}`"),
                "set the variables before dsops starts, or correct `prefix`",
            ),
            (prefix, _) => Finding::ok("read", format!("{count} variables start with `{prefix}`")),
        }]
    }
}

#[cfg(unix)]
fn bytes_of(_: &str, value: &OsStr) -> Result<SecretValue, FetchError> {
    use std::os::unix::ffi::OsStrExt as _;

    Ok(SecretValue::copy_of(value.as_bytes()))
}

/// Elsewhere a variable is 16-bit units, which are bytes for us only where they are text.
#[cfg(not(unix))]
fn bytes_of(name: &str, value: &OsStr) -> Result<SecretValue, FetchError> {
    value.to_str().map(SecretValue::from).ok_or_else(|| {
        FetchError::new(FetchErrorKind::Unsupported, format!("`{name}` is not text"))
            .help("set the variable to text, and encode bytes as base64")
    })
}

impl Backend for Env {
    type Config = EnvConfig;

    const KIND: &'static str = "env";

    const ABOUT: About = About {
        title: "Environment",
        summary: "the environment that dsops was started with",
        parts: Parts { folders: false, fields: false, versions: false },
        own_env: &[],
        example: "type: env\n",
        readme: include_str!("README.md"),
    };

    fn validate(config: &EnvConfig, node: &Node) -> Result<(), DecodeError> {
        if is_name_text(&config.prefix) {
            return Ok(());
        }
        let span = node.get("prefix").map_or(node.span, |node| node.span);
        Err(DecodeError::at(span, "a prefix that no variable can have")
            .help("leave `=` and NUL out of the prefix"))
    }

    fn accept(_: &EnvConfig, locator: &Locator) -> Result<(), LocatorError> {
        if !locator.path.is_empty() && is_name_text(&locator.path) {
            return Ok(());
        }
        Err(LocatorError {
            part: LocatorPart::Path,
            message: "not the name of a variable".to_owned(),
            help: Some("name a variable, without `=` and NUL".to_owned()),
        })
    }

    fn open(config: EnvConfig, _: &Context) -> Result<Self, FetchError> {
        Ok(Self { prefix: config.prefix })
    }
}

/// Says whether text can be part of a variable's name (POSIX.1-2024, base definitions, section 8.1).
fn is_name_text(text: &str) -> bool {
    !text.contains(['=', '\0'])
}
