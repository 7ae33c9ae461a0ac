//! The addresses and flags of calls about secrets and folders, in the two generations of routes.

use super::api::{Api, Imports, ListFlags, Place, References};
use crate::http::{Request, segment};

/// The two generations of routes.
#[derive(Clone, Copy)]
pub(super) enum Routes {
    /// Every server up to 2026.
    V3,
    /// Servers since the autumn of 2025, in two forms that differ in names and defaults.
    V4,
}

impl Routes {
    pub(super) fn list(self, api: &Api, place: &Place, flags: &ListFlags<'_>) -> Request {
        let request = Request::get(self.root()).query("recursive", "false");
        let request = request.query("viewSecretValue", word(flags.values));
        let request = self.common(request, api, place, flags.imports, flags.references);
        let request = match self {
            Self::V3 => request,
            Self::V4 => request.query("includePersonalOverrides", word(api.personal)),
        };
        let request = match flags.tags {
            [] => request,
            tags => request.query("tagSlugs", tags.join(",")),
        };
        match flags.metadata {
            [] => request,
            pairs => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(key, value)| format!("key={key},value={value}")).collect();
                request.query("metadataFilter", pairs.join("|"))
            }
        }
    }

    pub(super) fn get(
        self,
        api: &Api,
        place: &Place,
        name: &str,
        version: Option<u64>,
        imports: Imports,
        references: References,
    ) -> Request {
        let request = Request::get(format!("{}/{}", self.root(), segment(name)))
            .query("type", "shared")
            .query("viewSecretValue", "true");
        let request = self.common(request, api, place, imports, references);
        match version {
            Some(version) => request.query("version", version.to_string()),
            None => request,
        }
    }

    /// Asks for every folder of an environment. From the root, so that the paths of the answer are whole.
    pub(super) fn folders(self, api: &Api) -> Request {
        let (path, project) = match self {
            Self::V3 => ("/api/v1/folders", "workspaceId"),
            Self::V4 => ("/api/v2/folders", "projectId"),
        };
        Request::get(path)
            .query(project, &api.project)
            .query("environment", &api.environment)
            .query("path", "/")
            .query("recursive", "true")
    }

    pub(super) fn root(self) -> &'static str {
        match self {
            Self::V3 => "/api/v3/secrets/raw",
            Self::V4 => "/api/v4/secrets",
        }
    }

    /// Adds what every call says. No flag is left to a default: they differ between servers, and a
    /// misspelt one is dropped without a word.
    fn common(
        self,
        request: Request,
        api: &Api,
        place: &Place,
        imports: Imports,
        references: References,
    ) -> Request {
        let imports = word(imports == Imports::On);
        let request = request
            .query("environment", &place.environment)
            .query("secretPath", &place.path)
            .query("expandSecretReferences", word(references == References::Expanded))
            .query("include_imports", imports);
        match self {
            Self::V3 => request.query("workspaceId", &api.project),
            Self::V4 => request.query("projectId", &api.project).query("includeImports", imports),
        }
    }
}

/// The server takes these two words for a flag, and no others.
fn word(flag: bool) -> &'static str {
    if flag { "true" } else { "false" }
}
