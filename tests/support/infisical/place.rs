//! Where a request looks: its project, environment and folder, and what a service token makes of them.

use super::answer::{Answer, not_found, refuse, required};
use super::caller::Caller;
use super::request::Asked;
use super::world::{Generation, Project, World};

/// Which form of the secrets interface was asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    V3,
    V4,
}

/// What is asked for; the two word a missing parameter differently.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    List,
    One,
}

/// A place in a project that the caller is in.
pub(super) struct Place {
    pub(super) project: usize,
    pub(super) environment: String,
    /// The path as the answer shows it.
    pub(super) shown: String,
    /// The path of the folder, if there is one.
    pub(super) folder: Option<String>,
}

impl World {
    /// Finds the place, refusing in the order in which the server does.
    pub(super) fn place(
        &self,
        caller: &Caller,
        asked: &Asked,
        form: Form,
        target: Target,
    ) -> Result<Place, Box<Answer>> {
        let (project, environment, path) = match self.fixed_scope(caller) {
            Some(fixed) => fixed,
            None => self.named_place(caller, asked, form, target)?,
        };
        self.enter(caller, &self.projects[project])?;
        if !path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/')) {
            let message =
                "Invalid secret path. Only alphanumeric characters, dashes, and underscores are allowed.";
            return Err(refuse(400, "BadRequest", message));
        }
        let shown = if path.len() > 1 { path.trim_end_matches('/').to_owned() } else { path };
        let folder = self.folder_path(&shown);
        let folder = folder.filter(|folder| self.projects[project].has_folder(&environment, folder));
        Ok(Place { project, environment, shown, folder })
    }

    /// A service token with one scope and no glob in it is answered for that scope, whatever is asked.
    fn fixed_scope(&self, caller: &Caller) -> Option<(usize, String, String)> {
        let Caller::Service(index) = caller else {
            return None;
        };
        let token = &self.service_tokens[*index];
        let [scope] = token.scopes.as_slice() else {
            return None;
        };
        let project = self.projects.iter().position(|project| Some(&project.id) == token.project.as_ref())?;
        scope.is_plain().then(|| (project, scope.environment.clone(), scope.path.clone()))
    }

    fn named_place(
        &self,
        caller: &Caller,
        asked: &Asked,
        form: Form,
        target: Target,
    ) -> Result<(usize, String, String), Box<Answer>> {
        let path = asked.param("secretPath").unwrap_or("/").to_owned();
        let id_name = if form == Form::V3 { "workspaceId" } else { "projectId" };
        if form == Form::V4 && target == Target::One && asked.param(id_name).is_none() {
            return Err(required(&["projectId"]));
        }
        let environment = asked.param("environment");
        if target == Target::One && environment.is_none() {
            return Err(bad_request("Missing environment"));
        }
        let slug = asked.param("workspaceSlug").filter(|_| form == Form::V3);
        let slug = slug.filter(|_| matches!(caller, Caller::Identity(_)));
        let project = match (asked.param(id_name), slug) {
            (Some(id), _) => {
                let position = self.projects.iter().position(|project| project.id == id);
                Some(position.ok_or_else(|| self.unknown_project(id)))
            }
            (None, Some(slug)) => {
                let position = self.projects.iter().position(|project| project.slug == slug);
                Some(position.ok_or_else(|| not_found(format!("Project with slug '{slug}' not found"))))
            }
            (None, None) => None,
        };
        match (project, environment) {
            (Some(project), Some(environment)) => Ok((project?, environment.to_owned(), path)),
            (None, _) => Err(bad_request(self.project_missing(caller, form, target))),
            (Some(_), None) => Err(bad_request(self.place_missing())),
        }
    }

    fn project_missing(&self, caller: &Caller, form: Form, target: Target) -> &'static str {
        match (self.generation, form, target, caller) {
            (Generation::July2026, Form::V3, _, Caller::Identity(_)) => {
                "You must provide projectSlug or workspaceId"
            }
            (Generation::June2025, _, Target::One, Caller::Identity(_)) => {
                "You must provide workspaceSlug or workspaceId"
            }
            _ => self.place_missing(),
        }
    }

    fn place_missing(&self) -> &'static str {
        match self.generation {
            Generation::June2025 => "Missing workspace id or environment",
            Generation::July2026 => "Missing project id or environment",
        }
    }

    fn unknown_project(&self, id: &str) -> Box<Answer> {
        not_found(format!(
            "Project with ID '{id}' not found during bot lookup. Are you sure you are using the correct project ID?"
        ))
    }

    /// Refuses a caller who is not in the project.
    pub(super) fn enter(&self, caller: &Caller, project: &Project) -> Result<(), Box<Answer>> {
        if self.is_member(caller, project) {
            return Ok(());
        }
        let id = &project.id;
        let (message, error) = match caller {
            Caller::Service(_) => {
                (format!("Service token not a part of the specified project with ID {id}"), "ForbiddenError")
            }
            Caller::Identity(_) if self.is_2026() => (
                format!(
                    "You are not a member of this project with ID {id}. Please assign this identity to the project \
                     with the appropriate permissions, then try again."
                ),
                "ProjectMembershipNotFound",
            ),
            Caller::Identity(_) => (
                format!("Identity is not a member of the specified project with ID '{id}'"),
                "ForbiddenError",
            ),
        };
        match self.generation {
            // The older server puts the useful text into `error`.
            Generation::June2025 => Err(refuse(403, &message, "You are not allowed to access this resource")),
            Generation::July2026 => Err(refuse(403, error, message)),
        }
    }

    /// Returns the path that the server looks a folder up by. The newer one forgives missing and doubled slashes.
    fn folder_path(&self, shown: &str) -> Option<String> {
        match self.generation {
            Generation::June2025 => Some(shown.to_owned()).filter(|path| path.starts_with('/')),
            Generation::July2026 => {
                let segments: Vec<&str> = shown.split('/').filter(|segment| !segment.is_empty()).collect();
                Some(format!("/{}", segments.join("/")))
            }
        }
    }
}

fn bad_request(message: &str) -> Box<Answer> {
    refuse(400, "BadRequest", message)
}
