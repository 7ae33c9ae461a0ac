//! The part of a reference that lies within one store.

use std::fmt;

use serde::Serialize;

/// Names one value inside a store: a path, perhaps a field of what is found there, perhaps a version.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Locator {
    /// The whole path as written, without a leading slash that the reference's syntax put there.
    pub path: String,
    /// The part after `#`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The version asked for; `@v3` is `3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl Locator {
    /// Returns a locator of just a path.
    #[must_use]
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), field: None, version: None }
    }

    /// Adds a version.
    #[must_use]
    pub fn at_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Returns what stands before the last slash, empty where there is none.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Returns what stands after the last slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit_once('/').map_or(self.path.as_str(), |(_, name)| name)
    }
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(field) = &self.field {
            write!(f, "#{field}")?;
        }
        if let Some(version) = &self.version {
            write!(f, "@v{version}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_at_its_last_slash() {
        let deep = Locator::new("a/b/KEY");
        assert_eq!((deep.folder(), deep.name()), ("a/b", "KEY"));
        let root = Locator::new("KEY");
        assert_eq!((root.folder(), root.name()), ("", "KEY"));
    }
}
