//! `GET /api/v3/secrets/raw/{name}`, `GET /api/v4/secrets/{name}`, and the same by id.

use serde_json::json;

use super::answer::{Answer, Answered, not_among, not_found, refuse};
use super::caller::Caller;
use super::expand::{Expander, Home, Refused, Scope};
use super::permission::Right;
use super::place::{Form, Place, Target};
use super::request::Asked;
use super::rows::{Shape, Shown};
use super::world::{Generation, Project, Secret, Version, World};

/// A secret that answers to the name, and how it was come by.
struct Found<'a> {
    secret: &'a Secret,
    version: &'a Version,
    shape: Shape,
}

impl World {
    pub(super) fn get_one(&self, caller: &Caller, asked: &Asked, form: Form, name: &str) -> Answered {
        let (imports_name, default) = match form {
            Form::V3 => ("include_imports", false),
            Form::V4 => ("includeImports", true),
        };
        let imports = asked.flag(imports_name, default)?;
        let expand = asked.flag("expandSecretReferences", default)?;
        let view = asked.flag("viewSecretValue", true)?;
        let version = wanted_version(asked)?;
        let personal = is_personal(asked)?;
        let place = self.place(caller, asked, form, Target::One)?;
        let Some(folder) = place.folder.as_deref() else {
            let (path, environment) = (&place.shown, &place.environment);
            let message =
                format!("Folder with path '{path}' in environment with slug '{environment}' not found");
            return Err(refuse(404, "GetSecretByName", message));
        };
        if !self.allows(caller, Right::Describe, &place.environment, folder) {
            return Err(self.denied(caller, Right::Describe));
        }
        let missing = || not_found(format!("Secret with name '{name}' not found"));
        // Machines have no personal secrets.
        if personal {
            return Err(missing());
        }
        let project = &self.projects[place.project];
        let direct = self.direct(project, &place, folder, name, version);
        let imported = || self.imported(caller, project, &place, folder, name).filter(|_| imports);
        let found = direct.or_else(imported).ok_or_else(missing)?;
        let secret = found.secret;
        if view && !self.allows(caller, Right::Read, &secret.environment, &secret.path) {
            let what =
                if found.shape == Shape::SingleImported { "secret import value" } else { "secret value" };
            let message = format!("You do not have permission to view {what} on secret with name '{name}'");
            return Err(refuse(403, "ForbiddenReadSecretError", message));
        }
        let value = match (view, expand) {
            (false, _) => Shown::Hidden,
            (true, false) => Shown::Value(found.version.value.clone()),
            (true, true) => Shown::Value(self.expanded(caller, project, &found)?),
        };
        let path = if found.shape == Shape::SingleImported { &secret.path } else { &place.shown };
        Ok(Answer::ok(json!({"secret": self.row(project, secret, found.version, found.shape, path, value)})))
    }

    /// Looks in the folder itself: for the latest by its name of today, for a version by its name of then.
    fn direct<'a>(
        &self,
        project: &'a Project,
        place: &Place,
        folder: &str,
        name: &str,
        version: Option<u32>,
    ) -> Option<Found<'a>> {
        let Some(number) = version else {
            let secret = project.find(&place.environment, folder, name)?;
            return Some(Found { secret, version: secret.latest(), shape: Shape::Single });
        };
        // Versions of deleted secrets answer too. Of two secrets that had this name and number, the older server
        // returned the old one and the newer server the new one.
        let here = project.secrets.iter().filter(|s| s.environment == place.environment && s.path == folder);
        let is_wanted = |version: &&Version| version.number == number && version.name == name;
        let mut matching = here.filter_map(|secret| {
            let version = secret.versions.iter().find(is_wanted)?;
            Some(Found { secret, version, shape: Shape::SingleVersion })
        });
        match self.generation {
            Generation::June2025 => matching.next(),
            Generation::July2026 => matching.next_back(),
        }
    }

    /// Looks through the imports, the last one first. It is always the latest version that they have.
    fn imported<'a>(
        &self,
        caller: &Caller,
        project: &'a Project,
        place: &'a Place,
        folder: &'a str,
        name: &str,
    ) -> Option<Found<'a>> {
        let imports: Vec<_> = project.imports_of(&place.environment, folder).collect();
        imports.into_iter().rev().find_map(|import| {
            let mut reachable = Vec::new();
            project.reach(&import.from_environment, &import.from_path, &mut Vec::new(), &mut reachable);
            let secret = reachable.into_iter().find(|secret| secret.name() == name)?;
            self.allows(caller, Right::Describe, &secret.environment, &secret.path).then(|| Found {
                secret,
                version: secret.latest(),
                shape: Shape::SingleImported,
            })
        })
    }

    fn expanded(&self, caller: &Caller, project: &Project, found: &Found<'_>) -> Result<String, Box<Answer>> {
        let mut expander =
            Expander { world: self, project, caller, scope: Scope::Folder, refused: Vec::new() };
        let value = expander.expand(&found.version.value, &Home::of(found.secret));
        let Some(refused) = expander.refused.first() else {
            return Ok(value);
        };
        let message = match self.generation {
            Generation::June2025 => refused.older_message(),
            Generation::July2026 => refused.message(),
        };
        Err(refuse(403, "ForbiddenError", message))
    }

    /// `GET .../id/{id}`: identities only; says the path on both generations.
    pub(super) fn get_by_id(&self, caller: &Caller, asked: &Asked, id: &str) -> Answered {
        if let Caller::Service(_) = caller {
            return Err(wrong_kind(asked));
        }
        let holds =
            |project: &&Project| project.secrets.iter().any(|secret| secret.id == id && !secret.deleted);
        let missing = || refuse(404, "GetSecretById", format!("Secret with ID '{id}' not found"));
        let project = self.projects.iter().find(holds).ok_or_else(missing)?;
        self.enter(caller, project)?;
        let secret = project.secrets.iter().find(|secret| secret.id == id).ok_or_else(missing)?;
        if !self.allows(caller, Right::Read, &secret.environment, &secret.path) {
            return Err(self.denied(caller, Right::Read));
        }
        let value = Shown::Value(secret.latest().value.clone());
        let row = self.row(project, secret, secret.latest(), Shape::ById, &secret.path, value);
        Ok(Answer::ok(json!({"secret": row})))
    }
}

impl Refused {
    /// The words of 2026.
    pub(super) fn message(&self) -> String {
        let (target, by) = (&self.target, &self.by);
        format!(
            "You do not have permission to read secret '{}' in environment '{}' at path '{}', which is referenced by \
             secret '{}' in environment '{}' at path '{}'.",
            target.name, target.environment, target.path, by.name, by.environment, by.path
        )
    }

    /// The words of 2025.
    fn older_message(&self) -> String {
        let target = &self.target;
        format!(
            "You are attempting to reference secret named {} from environment {} in path {} which you do not have \
             access to read value on.",
            target.name, target.environment, target.path
        )
    }
}

/// Makes the refusal of a credential of a kind that the route does not take.
pub(super) fn wrong_kind(asked: &Asked) -> Box<Answer> {
    let error = format!("Forbidden access to {}", asked.address);
    refuse(403, &error, "You are not allowed to access this resource")
}

/// An empty number is 0, which no version has.
fn wanted_version(asked: &Asked) -> Result<Option<u32>, Box<Answer>> {
    let Some(text) = asked.param("version") else {
        return Ok(None);
    };
    match text.trim().parse::<f64>() {
        _ if text.trim().is_empty() => Ok(Some(0)),
        Ok(number) => Ok(Some(format!("{number}").parse().unwrap_or(0))),
        Err(_) => Err(refuse(
            422,
            "ValidationFailure",
            json!([{"code": "invalid_type", "expected": "number", "received": "nan", "path": ["version"],
                    "message": "Expected number, received nan"}]),
        )),
    }
}

fn is_personal(asked: &Asked) -> Result<bool, Box<Answer>> {
    match asked.param("type") {
        None | Some("shared") => Ok(false),
        Some("personal") => Ok(true),
        Some(other) => Err(not_among("type", ["shared", "personal"], other)),
    }
}
