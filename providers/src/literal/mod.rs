//! `literal`: values that stand in `dsops.yaml` itself.

mod config;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use indexmap::IndexMap;

pub use self::config::{LiteralConfig, NestedValues};
use crate::contract::{
    About, Answers, Backend, Context, DecodeError, Entry, FetchError, FetchErrorKind, Finding, Lister,
    Literal, Locator, LocatorError, LocatorPart, Node, Parts, Provider, SecretValue,
};

/// An opened `literal` store.
pub struct Literals {
    values: IndexMap<String, Literal>,
}

#[async_trait]
impl Provider for Literals {
    async fn fetch(&self, _: &Context, locators: &[Locator]) -> Answers {
        Answers::lookup(locators, |locator| match self.values.get(&locator.path) {
            Some(literal) => Ok(SecretValue::copy_of(literal.value().expose())),
            None => Err(FetchError::new(
                FetchErrorKind::NotFound,
                format!("`values` has no key `{}`", locator.path),
            )
            .help("add the key to the store's `values`, or correct the reference")),
        })
    }

    async fn check(&self, _: &Context) -> Vec<Finding> {
        vec![Finding::ok("read", format!("holds {} values", self.values.len()))]
    }

    fn lister(&self) -> Option<&dyn Lister> {
        Some(self)
    }
}

#[async_trait]
impl Lister for Literals {
    async fn list(&self, _: &Context, folder: &str) -> Result<Vec<Entry>, FetchError> {
        if !self.has_folder(folder) {
            return Err(FetchError::new(
                FetchErrorKind::NotFound,
                format!("`values` has no key below `{folder}/`"),
            )
            .help("correct the folder's name, or add keys that start with it"));
        }
        let mut entries: Vec<Entry> = self
            .values
            .iter()
            .map(|(path, literal)| (Locator::new(path), literal))
            .filter(|(locator, _)| locator.folder() == folder)
            .map(|(locator, literal)| Entry {
                name: locator.name().to_owned(),
                value: Ok(SecretValue::copy_of(literal.value().expose())),
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}

impl Literals {
    /// Says whether anything lies in the folder or below it; the root is always there.
    fn has_folder(&self, folder: &str) -> bool {
        folder.is_empty()
            || self
                .values
                .keys()
                .any(|path| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    }
}

impl Backend for Literals {
    type Config = LiteralConfig;

    const KIND: &'static str = "literal";

    const ABOUT: About = About {
        title: "Literal",
        summary: "values that stand in dsops.yaml itself",
        parts: Parts { folders: true, fields: false, versions: false },
        own_env: &[],
        example: "type: literal\nvalues:\n  GREETING: hello\n",
        readme: include_str!("README.md"),
    };

    fn validate(config: &LiteralConfig, node: &Node) -> Result<(), DecodeError> {
        match (&config.values, &config.config) {
            (Some(_), Some(_)) => {
                let span = node.get("config").map_or(node.span, |node| node.span);
                Err(DecodeError::at(span, "`config.values` beside `values`")
                    .help("move its keys to `values` and take `config` out"))
            }
            (None, None) => Err(DecodeError::at(node.span, "`values` is missing")
                .help("add `values: {KEY: text}` to the store")),
            _ => Ok(()),
        }
    }

    fn accept(_: &LiteralConfig, locator: &Locator) -> Result<(), LocatorError> {
        if locator.name().is_empty() {
            return Err(LocatorError {
                part: LocatorPart::Path,
                message: "no key".to_owned(),
                help: Some("name a key of the store's `values`".to_owned()),
            });
        }
        Ok(())
    }

    fn open(config: LiteralConfig, _: &Context) -> Result<Self, FetchError> {
        let values = config.values.or(config.config.map(|nested| nested.values)).unwrap_or_default();
        Ok(Self { values })
    }
}
