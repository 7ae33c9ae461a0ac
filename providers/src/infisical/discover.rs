//! Which projects, environments, folders and secrets there are: names only, for finding what the file needs.

use async_trait::async_trait;
use serde::Deserialize;

use super::Infisical;
use super::api::success;
use super::config::{InfisicalMethod, is_uuid};
use super::error::{Failure, Refusal};
use super::place::is_near;
use super::routes::Routes;
use crate::contract::{
    Configured, Context, Depth, EnvironmentEntry, Explorer, FetchError, FetchErrorKind, Place, ProjectEntry,
    SecretName,
};
use crate::http::{Answer, Request, segment};

#[derive(Deserialize)]
struct Projects {
    #[serde(alias = "workspaces")]
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct OneProject {
    #[serde(alias = "workspace")]
    project: Project,
}

#[derive(Deserialize)]
struct Project {
    id: String,
    name: String,
    slug: Option<String>,
    /// What the project is for. Only one kind has secrets; servers before 2025 had no other.
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    environments: Vec<Environment>,
}

#[derive(Deserialize)]
struct Environment {
    slug: String,
    name: String,
    id: Option<String>,
}

impl Project {
    fn has_secrets(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| kind == "secret-manager")
    }

    fn into_entry(self) -> ProjectEntry {
        let environments = self.environments.into_iter();
        let environments =
            environments.map(|Environment { slug, name, id }| EnvironmentEntry { slug, name, id }).collect();
        ProjectEntry { id: self.id, slug: self.slug, name: self.name, environments }
    }
}

#[derive(Deserialize)]
struct Folders {
    folders: Vec<Folder>,
}

#[derive(Deserialize)]
struct Folder {
    #[serde(rename = "relativePath")]
    path: String,
}

#[derive(Deserialize)]
struct Names {
    secrets: Vec<Name>,
}

/// A row of a list. What stands in the place of the value is not even decoded.
#[derive(Deserialize)]
struct Name {
    #[serde(rename = "secretKey")]
    key: String,
    #[serde(rename = "secretPath")]
    path: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[async_trait]
impl Explorer for Infisical {
    fn configured(&self) -> Configured<'_> {
        fn given(option: Option<&String>) -> &str {
            option.map_or("", |text| text.trim())
        }
        Configured {
            project_id: given(self.config.project_id.as_ref()),
            project_slug: given(self.config.project_slug.as_ref()),
            environment: given(self.config.environment.as_ref()),
        }
    }

    async fn projects(&self, cx: &Context) -> Result<Vec<ProjectEntry>, FetchError> {
        if self.config.method() == Some(InfisicalMethod::ServiceToken) {
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                "a service token cannot list projects: it belongs to one",
            )
            .help("log in as a machine identity, or name the project by its id"));
        }
        let (old, new) = (Request::get("/api/v1/workspace"), Request::get("/api/v1/projects"));
        let answer = self.either(cx, old, new).await?;
        let found: Projects = decoded(&answer, "the list of projects")?;
        let with_secrets = found.projects.into_iter().filter(Project::has_secrets);
        let mut entries: Vec<ProjectEntry> = with_secrets.map(Project::into_entry).collect();
        entries.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(entries)
    }

    async fn project(&self, cx: &Context, which: &str) -> Result<ProjectEntry, FetchError> {
        if is_uuid(which) {
            let old = Request::get(format!("/api/v1/workspace/{}", segment(which)));
            let new = Request::get(format!("/api/v1/projects/{}", segment(which)));
            let answer = self.either(cx, old, new).await?;
            return Ok(decoded::<OneProject>(&answer, "the project")?.project.into_entry());
        }
        let projects = self.projects(cx).await?;
        let of = |text: Option<&str>| text.is_some_and(|text| text == which);
        if let Some(project) =
            projects.iter().find(|project| of(project.slug.as_deref()) || project.id == which)
        {
            return Ok(project.clone());
        }
        let mut named = projects.iter().filter(|project| project.name == which);
        match (named.next(), named.next()) {
            (Some(project), None) => Ok(project.clone()),
            (Some(_), Some(_)) => Err(FetchError::new(
                FetchErrorKind::Unsupported,
                format!("several projects have the name `{which}`"),
            )
            .help("name the project by its slug or id; see `dsops infisical projects`")),
            (None, _) => Err(no_project(&projects, which)),
        }
    }

    async fn folders(&self, cx: &Context, place: &Place, depth: Depth) -> Result<Vec<String>, FetchError> {
        // Always from the root: a folder that is not there answers as an empty one does.
        let ask = |path: &str, project: &'static str| {
            Request::get(path)
                .query(project, &place.project)
                .query("environment", &place.environment)
                .query("path", "/")
                .query("recursive", "true")
        };
        let (old, new) = (ask("/api/v1/folders", "workspaceId"), ask("/api/v2/folders", "projectId"));
        let answer = self.either(cx, old, new).await?;
        let found: Folders = match success(&answer) {
            Ok(answer) => answer.json()?,
            Err(Failure::Refused(refusal)) if refusal.is_of_environment() => {
                return Err(self.no_environment(cx, place, &refusal).await);
            }
            Err(failure) => return Err(failure.into_error("the list of folders")),
        };
        let mut paths: Vec<String> =
            found.folders.into_iter().map(|folder| format!("/{}", folder.path.trim_matches('/'))).collect();
        paths.sort();
        if place.folder != "/" && !paths.contains(&place.folder) {
            return Err(no_folder(place, &paths));
        }
        let below = format!("{}/", place.folder.trim_end_matches('/'));
        paths.retain(|path| {
            let rest = path.strip_prefix(&below).unwrap_or_default();
            !rest.is_empty() && (depth == Depth::Below || !rest.contains('/'))
        });
        Ok(paths)
    }

    async fn secrets(
        &self,
        cx: &Context,
        place: &Place,
        depth: Depth,
    ) -> Result<Vec<SecretName>, FetchError> {
        let grant = self.session.grant(cx, &self.site).await?;
        grant.admit(&place.project, &place.environment, &place.folder)?;
        let answer = self.server().by_generation(cx, |routes| names(routes, place, depth)).await?;
        let found: Names = match success(&answer) {
            Ok(answer) => answer.json()?,
            Err(Failure::Refused(refusal)) if refusal.is_of_place() => {
                // Either is missing, and this says which.
                self.folders(cx, place, Depth::Here).await?;
                return Err(no_folder(place, &[]));
            }
            Err(failure) => return Err(failure.into_error("the list of secrets")),
        };
        let shared = found.secrets.into_iter().filter(|name| name.kind.as_deref() != Some("personal"));
        let mut names: Vec<SecretName> = shared
            .map(|name| SecretName {
                folder: name.path.unwrap_or_else(|| place.folder.clone()),
                name: name.key,
            })
            .collect();
        if names.is_empty() {
            // An older server lists what is not there as empty.
            self.folders(cx, place, Depth::Here).await?;
        }
        names.sort();
        names.dedup();
        Ok(names)
    }
}

impl Infisical {
    /// Asks by the older route, and by the newer one where that is gone.
    async fn either(&self, cx: &Context, old: Request, new: Request) -> Result<Answer, FetchError> {
        let server = self.server();
        let (first, second) = if server.is_v4(cx) { (new, old) } else { (old, new) };
        let answer = server.call(cx, &first).await?;
        let is_missing = |answer: &Answer| {
            Ok::<_, FetchError>(answer.status() == 404 && Refusal::read(answer)?.is_route_missing())
        };
        if !is_missing(&answer)? {
            return Ok(answer);
        }
        let other = server.call(cx, &second).await?;
        Ok(if is_missing(&other)? { answer } else { other })
    }

    async fn no_environment(&self, cx: &Context, place: &Place, refusal: &Refusal) -> FetchError {
        let wanted = &place.environment;
        let message = format!("environment not found: `{wanted}`{}", refusal.said());
        let error = FetchError::new(FetchErrorKind::NotFound, message);
        let Ok(project) = self.project(cx, &place.project).await else {
            return error.help("name the environment by its slug; see `dsops infisical environments`");
        };
        let slugs: Vec<&str> = project.environments.iter().map(|known| known.slug.as_str()).collect();
        match slugs.iter().find(|slug| is_near(slug, wanted)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("use the slug of one that the project has: `{}`", slugs.join("`, `"))),
        }
    }
}

/// Asks for names alone: the server masks the values.
fn names(routes: Routes, place: &Place, depth: Depth) -> Request {
    let request = Request::get(routes.root())
        .query("environment", &place.environment)
        .query("secretPath", &place.folder)
        .query("recursive", if depth == Depth::Below { "true" } else { "false" })
        .query("viewSecretValue", "false")
        .query("expandSecretReferences", "false")
        .query("include_imports", "false");
    match routes {
        Routes::V3 => request.query("workspaceId", &place.project),
        Routes::V4 => request
            .query("projectId", &place.project)
            .query("includeImports", "false")
            .query("includePersonalOverrides", "false"),
    }
}

fn decoded<'a, T: Deserialize<'a>>(answer: &'a Answer, what: &str) -> Result<T, FetchError> {
    success(answer).map_err(|failure| failure.into_error(what))?.json()
}

fn no_project(projects: &[ProjectEntry], which: &str) -> FetchError {
    let error = FetchError::new(
        FetchErrorKind::NotFound,
        format!("project not found: `{which}` is no id, slug or name of one that the identity is in"),
    );
    let words = projects.iter().flat_map(|project| project.slug.iter().chain([&project.name]));
    match words.into_iter().find(|word| is_near(word, which)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if projects.is_empty() => error.help("add the identity to the project, under Access Control"),
        None => error.help(
            "see `dsops infisical projects`, and add the identity to the project, under Access Control",
        ),
    }
}

fn no_folder(place: &Place, known: &[String]) -> FetchError {
    let error = FetchError::new(
        FetchErrorKind::NotFound,
        format!("folder not found: `{}` in environment `{}`", place.folder, place.environment),
    );
    match known.iter().find(|path| is_near(path, &place.folder)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help("see `dsops infisical folders --recursive`; case matters"),
    }
}
