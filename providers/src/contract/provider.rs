//! The traits that an opened store implements.

use async_trait::async_trait;

use super::{Answers, Context, Explorer, FetchError, Finding, Locator, SecretValue};

/// A store that can answer references. The engine calls it once per run, with everything it needs.
///
/// A provider never prompts, prints, sleeps, spawns threads or reads the process environment: it
/// gets all that from [`Context`]. It holds no loops over attempts: the engine asks again for the
/// locators whose error is temporary.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Answers every locator. One locator's failure is its own answer and no other's.
    async fn fetch(&self, cx: &Context, locators: &[Locator]) -> Answers;

    /// Checks reachability, login and place without reading a secret, one finding a step.
    async fn check(&self, cx: &Context) -> Vec<Finding>;

    /// Returns the side that lists folders, for `import`.
    fn lister(&self) -> Option<&dyn Lister> {
        None
    }

    /// Returns the side that can be looked around in.
    fn explorer(&self) -> Option<&dyn Explorer> {
        None
    }

    /// Returns the side that writes.
    fn writer(&self) -> Option<&dyn Writer> {
        None
    }
}

/// One secret of a listed folder.
#[derive(Debug)]
pub struct Entry {
    /// The secret's own name, without its folder.
    pub name: String,
    /// The value, or why this one cannot be had.
    pub value: Result<SecretValue, FetchError>,
}

/// A store that can say what a folder holds.
#[async_trait]
pub trait Lister: Send + Sync {
    /// Returns the secrets that lie directly in a folder (`""` is the root), sorted by name.
    ///
    /// # Errors
    ///
    /// `NotFound` where the store says that there is no such folder, and otherwise as a fetch.
    async fn list(&self, cx: &Context, folder: &str) -> Result<Vec<Entry>, FetchError>;
}

/// A store that can be written to.
#[async_trait]
pub trait Writer: Send + Sync {
    /// Creates the secret, or gives it a new value.
    ///
    /// # Errors
    ///
    /// As a fetch; nothing has changed then.
    async fn put(&self, cx: &Context, locator: &Locator, value: SecretValue) -> Result<(), FetchError>;

    /// Removes the secret.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none, and otherwise as a fetch.
    async fn delete(&self, cx: &Context, locator: &Locator) -> Result<(), FetchError>;
}
