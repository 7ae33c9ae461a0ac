//! Looking around in a store: which projects, environments, folders and names there are, and never a value.

use async_trait::async_trait;
use serde::Serialize;

use super::{Context, FetchError};

/// A project that the caller can see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProjectEntry {
    /// What the file needs.
    pub id: String,
    /// The short name in addresses, where the store has one.
    pub slug: Option<String>,
    /// The name that people see.
    pub name: String,
    /// Its environments, in the store's order.
    pub environments: Vec<EnvironmentEntry>,
}

/// An environment of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnvironmentEntry {
    /// What the file needs.
    pub slug: String,
    /// The name that people see.
    pub name: String,
    /// The store's own id, where it has one.
    pub id: Option<String>,
}

/// A place to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The project's id.
    pub project: String,
    /// The environment's slug.
    pub environment: String,
    /// The folder, from the project's root: `/` or `/a/b`.
    pub folder: String,
}

/// How far to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What lies directly in the folder.
    Here,
    /// Everything below it.
    Below,
}

/// The name of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SecretName {
    /// The folder, from the project's root.
    pub folder: String,
    /// The name.
    pub name: String,
}

/// What a store's options name; empty where they do not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Configured<'a> {
    /// The project's id.
    pub project_id: &'a str,
    /// The project's slug, where it stands in the place of the id.
    pub project_slug: &'a str,
    /// The environment's slug.
    pub environment: &'a str,
}

/// A store that can be looked around in. Everything is sorted but projects' environments.
#[async_trait]
pub trait Explorer: Send + Sync {
    /// Returns the project and the environment that the store's options name.
    fn configured(&self) -> Configured<'_>;

    /// Returns the projects that the caller can see.
    ///
    /// # Errors
    ///
    /// As a fetch.
    async fn projects(&self, cx: &Context) -> Result<Vec<ProjectEntry>, FetchError>;

    /// Returns a project by its id, its slug or its name.
    ///
    /// # Errors
    ///
    /// `NotFound` where there is none, `Unsupported` where several have the name, and otherwise as a fetch.
    async fn project(&self, cx: &Context, which: &str) -> Result<ProjectEntry, FetchError>;

    /// Returns the folders below a folder, each with its whole path.
    ///
    /// # Errors
    ///
    /// `NotFound` where environment or folder is not there, and otherwise as a fetch.
    async fn folders(&self, cx: &Context, place: &Place, depth: Depth) -> Result<Vec<String>, FetchError>;

    /// Returns the names of the secrets in a folder. Those that the caller may not know of are left out.
    ///
    /// # Errors
    ///
    /// As [`Explorer::folders`].
    async fn secrets(&self, cx: &Context, place: &Place, depth: Depth)
    -> Result<Vec<SecretName>, FetchError>;
}
