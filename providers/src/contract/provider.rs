//! The traits that an opened store implements.

use std::path::PathBuf;

use async_trait::async_trait;

use super::{Answers, Context, Explorer, FetchError, FetchErrorKind, Finding, Locator, SecretValue};

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

    /// Returns the files that the values are in: where one of them changes, values may have.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Forgets what was read of its files: the store is still open, and is asked in another run.
    fn renew(&self) {}

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

/// What is asked of a listed folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// The folder; `""` is the root.
    pub folder: String,
    /// Whether what lies in the folders below is asked for too.
    pub recursive: bool,
    /// Tags, one of which a secret has to have; none asks for all.
    pub tags: Vec<String>,
    /// Keys and values, all of which a secret has to have; none asks for all.
    pub metadata: Vec<(String, String)>,
}

impl ListQuery {
    /// Asks for everything that lies directly in a folder.
    #[must_use]
    pub fn of(folder: impl Into<String>) -> Self {
        Self { folder: folder.into(), ..Self::default() }
    }

    /// Says whether only some secrets are asked for.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        !self.tags.is_empty() || !self.metadata.is_empty()
    }

    /// Says whether the folder is all that is said.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        !self.recursive && !self.is_filtered()
    }
}

/// What a store can do for an `import` beyond listing one folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listings {
    /// Whether folders below can be listed along.
    pub recursive: bool,
    /// Whether secrets can be chosen by tags.
    pub tags: bool,
    /// How many pairs of metadata secrets can be chosen by; 0 where they cannot.
    pub metadata: usize,
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

    /// As [`Lister::list`], for all that a query can ask. The names are sorted, and none stands twice.
    ///
    /// # Errors
    ///
    /// As [`Lister::list`], and `Unsupported` where the store cannot choose so.
    async fn list_by(&self, cx: &Context, query: &ListQuery) -> Result<Vec<Entry>, FetchError> {
        if query.is_plain() {
            return self.list(cx, &query.folder).await;
        }
        Err(FetchError::new(
            FetchErrorKind::Unsupported,
            "this store lists a whole folder, and neither those below it nor a choice of secrets",
        )
        .help("take `recursive`, `tags` and `metadata` out of the import"))
    }
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
