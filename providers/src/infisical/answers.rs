//! The shapes of Infisical's answers, as far as they are read.

use std::collections::HashMap;

use serde::Deserialize;

use super::api::Place;
use crate::contract::{FetchError, FetchErrorKind, SecretValue};

/// What stands in for a value that the caller may not see.
const MASK: &[u8] = b"<hidden-by-infisical>";

/// A listed folder.
#[derive(Deserialize)]
pub(super) struct Listing {
    pub(super) secrets: Vec<Secret>,
    imports: Option<Vec<Layer>>,
}

impl Listing {
    /// Returns the folder's imports, the weakest first, and leaves none behind.
    pub(super) fn take_imports(&mut self) -> Vec<Layer> {
        self.imports.take().unwrap_or_default()
    }

    /// Returns every secret, imported ones too, by id.
    pub(super) fn by_id(mut self) -> HashMap<String, Secret> {
        let layers = self.take_imports();
        let secrets = layers.into_iter().flat_map(|layer| layer.secrets).chain(self.secrets);
        secrets.map(|secret| (secret.id.clone(), secret)).collect()
    }
}

/// What one import brings.
#[derive(Deserialize)]
pub(super) struct Layer {
    environment: String,
    #[serde(rename = "secretPath")]
    path: String,
    pub(super) secrets: Vec<Secret>,
}

impl Layer {
    /// Returns the folder that is imported.
    pub(super) fn place(&self) -> Place {
        Place { environment: self.environment.clone(), path: self.path.clone() }
    }
}

/// The answer to a single read.
#[derive(Deserialize)]
pub(super) struct One {
    pub(super) secret: Secret,
}

/// One secret of an answer. It has no `Debug`.
#[derive(Deserialize)]
pub(super) struct Secret {
    pub(super) id: String,
    #[serde(rename = "secretKey")]
    pub(super) key: String,
    #[serde(rename = "secretValue")]
    pub(super) value: Option<SecretValue>,
    #[serde(rename = "secretValueHidden", default)]
    pub(super) hidden: bool,
    pub(super) version: Option<u64>,
    pub(super) environment: Option<String>,
    #[serde(rename = "secretPath")]
    pub(super) path: Option<String>,
    #[serde(rename = "workspace")]
    pub(super) project: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(rename = "secretMetadata", default)]
    metadata: Vec<Pair>,
}

impl Secret {
    /// Says whether it is a user's own override, which a user gets beside the shared one.
    pub(super) fn is_personal(&self) -> bool {
        self.kind.as_deref() == Some("personal")
    }

    /// Says whether it stands in a folder, as far as the answer tells.
    pub(super) fn is_at(&self, place: &Place) -> bool {
        self.environment.as_ref().is_none_or(|environment| *environment == place.environment)
            && self.path.as_ref().is_none_or(|path| *path == place.path)
    }

    /// Returns where it stands, where the answer tells: single reads of 2025 leave the folder out.
    pub(super) fn place(&self) -> Option<Place> {
        Some(Place { environment: self.environment.clone()?, path: self.path.clone()? })
    }

    /// Says whether the value is kept from the caller.
    pub(super) fn is_hidden(&self) -> bool {
        self.hidden || self.value.as_ref().is_some_and(|value| value.expose() == MASK)
    }

    /// Returns the value where there is one and it is not kept from the caller.
    pub(super) fn shown_value(self) -> Option<SecretValue> {
        if self.is_hidden() { None } else { self.value }
    }

    /// Says whether it has one of the tags and all of the pairs. A pair whose value is encrypted counts by
    /// its key.
    pub(super) fn matches(&self, tags: &[String], metadata: &[(String, String)]) -> bool {
        let tagged = tags.is_empty() || self.tags.iter().any(|tag| tags.contains(&tag.slug));
        let has = |(key, value): &(String, String)| {
            self.metadata.iter().any(|pair| {
                pair.key == *key && (pair.encrypted || pair.value.as_deref() == Some(value.as_str()))
            })
        };
        tagged && metadata.iter().all(has)
    }
}

#[derive(Deserialize)]
struct Tag {
    slug: String,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    value: Option<String>,
    #[serde(rename = "isEncrypted", default)]
    encrypted: bool,
}

/// A project, as far as messages need it.
#[derive(Deserialize)]
pub(super) struct Project {
    pub(super) name: String,
    pub(super) slug: Option<String>,
    #[serde(default)]
    pub(super) environments: Vec<Environment>,
}

/// A project by its slug, which neither route wraps.
#[derive(Deserialize)]
pub(super) struct Slugged {
    pub(super) id: String,
}

/// An environment of a project.
#[derive(Deserialize)]
pub(super) struct Environment {
    pub(super) slug: String,
}

/// The older route wraps in `workspace`, the newer one in `project`.
#[derive(Deserialize)]
pub(super) struct Wrapped {
    workspace: Option<Project>,
    project: Option<Project>,
}

impl Wrapped {
    /// Returns the project, from whichever wrapping.
    pub(super) fn project(self) -> Result<Project, FetchError> {
        self.workspace.or(self.project).ok_or_else(|| {
            FetchError::new(FetchErrorKind::Malformed, "the answer holds no project")
                .help("check `host`, and what stands before the server")
        })
    }
}

/// Every folder of an environment.
#[derive(Deserialize)]
pub(super) struct Folders {
    pub(super) folders: Vec<FolderRow>,
}

/// A folder, with its path from where the question started.
#[derive(Deserialize)]
pub(super) struct FolderRow {
    #[serde(rename = "relativePath")]
    pub(super) path: String,
}
