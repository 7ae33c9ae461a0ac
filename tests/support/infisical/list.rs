//! `GET /api/v3/secrets/raw` and `GET /api/v4/secrets`.

use serde_json::{Value, json};

use super::answer::{Answer, Answered, refuse, refuse_with};
use super::caller::Caller;
use super::expand::{Expander, Home, Scope};
use super::permission::Right;
use super::place::{Form, Place, Target};
use super::request::Asked;
use super::rows::{Shape, Shown};
use super::world::{Generation, Project, Secret, World, hash};

/// The flags of a list, after their defaults.
struct Flags {
    recursive: bool,
    imports: bool,
    expand: bool,
    view: bool,
}

impl Flags {
    fn of(asked: &Asked, form: Form) -> Result<Self, Box<Answer>> {
        let (imports, default) = match form {
            Form::V3 => ("include_imports", false),
            Form::V4 => ("includeImports", true),
        };
        Ok(Self {
            recursive: asked.flag("recursive", false)?,
            imports: asked.flag(imports, default)?,
            expand: asked.flag("expandSecretReferences", default)?,
            view: asked.flag("viewSecretValue", true)?,
        })
    }
}

impl World {
    pub(super) fn list(&self, caller: &Caller, asked: &Asked, form: Form) -> Answered {
        let flags = Flags::of(asked, form)?;
        let place = self.place(caller, asked, form, Target::List)?;
        let Some(folder) = place.folder.clone() else {
            return self.list_of_nowhere(&place);
        };
        if !self.allows(caller, Right::Describe, &place.environment, &folder) && !flags.recursive {
            return self.list_of_the_forbidden(caller);
        }
        let project = &self.projects[place.project];
        let found = self.readable(caller, project, &place, &folder, &flags)?;
        let scope = match (form, flags.imports) {
            (Form::V4, true) => Scope::FolderAndImports,
            _ => Scope::Folder,
        };
        let mut expander = Expander { world: self, project, caller, scope, refused: Vec::new() };
        let mut secrets = Vec::new();
        for secret in found.into_iter().filter(|secret| asked_for(secret, asked)) {
            let shown = if secret.path == folder { &place.shown } else { &secret.path };
            let value = match (flags.view, flags.expand) {
                (false, _) => Shown::Hidden,
                (true, false) => Shown::Value(secret.latest().value.clone()),
                (true, true) => Shown::Value(expander.expand(&secret.latest().value, &Home::of(secret))),
            };
            secrets.push(self.row(project, secret, secret.latest(), Shape::Row, shown, value));
        }
        let imports = match flags.imports {
            true => self.layers(&mut expander, &place, &folder, &flags, form),
            false => Vec::new(),
        };
        self.refuse_references(&expander)?;
        Ok(Answer::ok(json!({"secrets": secrets, "imports": imports})).with_content_tag(self.is_2026()))
    }

    /// The older server cannot tell an unknown folder from an empty one.
    fn list_of_nowhere(&self, place: &Place) -> Answered {
        match self.generation {
            Generation::June2025 => Ok(empty()),
            Generation::July2026 => Err(refuse(
                404,
                "SecretPathNotFound",
                format!(
                    "Folder with path '{}' in environment '{}' was not found. Please ensure the environment slug and \
                     secret path is correct.",
                    place.shown, place.environment
                ),
            )),
        }
    }

    /// Nothing tells a service token, or any caller on 2025, that it may not look. That 2026 refuses an identity
    /// follows from its source and was not seen.
    fn list_of_the_forbidden(&self, caller: &Caller) -> Answered {
        match (self.generation, caller) {
            (Generation::July2026, Caller::Identity(_)) => Err(self.denied(caller, Right::Describe)),
            _ => Ok(empty().with_content_tag(self.is_2026())),
        }
    }

    /// Returns the secrets that the caller gets to see, in the server's order.
    fn readable<'a>(
        &self,
        caller: &Caller,
        project: &'a Project,
        place: &Place,
        folder: &str,
        flags: &Flags,
    ) -> Result<Vec<&'a Secret>, Box<Answer>> {
        let below = format!("{}/", folder.trim_end_matches('/'));
        let within = |path: &str| path == folder || (flags.recursive && path.starts_with(&below));
        let candidates = project.secrets.iter().filter(|secret| !secret.deleted);
        let candidates =
            candidates.filter(|secret| secret.environment == place.environment && within(&secret.path));
        let mut found = Vec::new();
        for secret in candidates {
            if !self.allows(caller, Right::Describe, &secret.environment, &secret.path) {
                continue;
            }
            if !flags.view || self.allows(caller, Right::Read, &secret.environment, &secret.path) {
                found.push(secret);
            } else if secret.path == folder {
                // One unreadable value in the folder itself refuses the list; deeper ones are left out.
                return Err(self.denied(caller, Right::Read));
            }
        }
        self.sort(&mut found);
        Ok(found)
    }

    /// By name on 2026, where the order of equal names is nobody's promise; in no order at all before.
    fn sort(&self, secrets: &mut [&Secret]) {
        match self.generation {
            Generation::June2025 => secrets.sort_by_key(|secret| hash(&secret.id)),
            Generation::July2026 => secrets.sort_by(|a, b| (a.name(), &b.path).cmp(&(b.name(), &a.path))),
        }
    }

    /// Returns the import layers of the folders that are listed, lowest precedence first.
    fn layers(
        &self,
        expander: &mut Expander<'_>,
        place: &Place,
        folder: &str,
        flags: &Flags,
        form: Form,
    ) -> Vec<Value> {
        let project = &self.projects[place.project];
        let below = format!("{}/", folder.trim_end_matches('/'));
        let listed = |path: &str| path == folder || (flags.recursive && path.starts_with(&below));
        let imports =
            project.imports.iter().filter(|i| i.environment == place.environment && listed(&i.path));
        let mut layers = Vec::new();
        for import in imports {
            let (environment, path) = (&import.from_environment, &import.from_path);
            let right = if flags.view { Right::Read } else { Right::Describe };
            let mut found = Vec::new();
            project.reach(environment, path, &mut Vec::new(), &mut found);
            found.retain(|secret| self.allows(expander.caller, right, &secret.environment, &secret.path));
            self.sort(&mut found);
            let mut secrets = Vec::new();
            for secret in found {
                let value = &secret.latest().value;
                let shown = match (flags.view, form) {
                    (false, _) => Shown::Hidden,
                    // A v3 list expands imported references whatever the flag says, from where they stand.
                    (true, Form::V3) => Shown::Value(expander.expand(value, &Home::of(secret))),
                    (true, Form::V4) if flags.expand => {
                        let (environment, path) = (import.environment.clone(), import.path.clone());
                        let home = Home { environment, path, name: secret.name().into() };
                        Shown::Value(expander.expand(value, &home))
                    }
                    (true, Form::V4) => Shown::Value(value.clone()),
                };
                secrets.push(self.row(project, secret, secret.latest(), Shape::ImportRow, path, shown));
            }
            layers.push(json!({
                "secretPath": path, "environment": environment,
                "folderId": project.folder_id(environment, path), "secrets": secrets,
            }));
        }
        layers
    }

    /// 2026 refuses a list with a reference that leads where the caller may not read; 2025 left it as text.
    fn refuse_references(&self, expander: &Expander<'_>) -> Result<(), Box<Answer>> {
        if expander.refused.is_empty() || !self.is_2026() {
            return Ok(());
        }
        let details: Value =
            expander.refused.iter().map(|refused| Value::String(refused.message())).collect();
        Err(refuse_with(
            403,
            "ForbiddenError",
            "Failed to expand one or more secret references",
            Some(details),
        ))
    }

    /// Makes the refusal of a right, with the caller's rules.
    pub(super) fn denied(&self, caller: &Caller, right: Right) -> Box<Answer> {
        let message = format!("You are not allowed to {} on secrets", right.action());
        refuse_with(403, "PermissionDenied", message, Some(self.rule_details(caller, right)))
    }
}

impl Project {
    /// Collects what a folder shows: its own secrets, and those of its imports that it has no name for yet.
    pub(super) fn reach<'a>(
        &'a self,
        environment: &'a str,
        path: &'a str,
        visited: &mut Vec<(&'a str, &'a str)>,
        found: &mut Vec<&'a Secret>,
    ) {
        if visited.contains(&(environment, path)) {
            return;
        }
        visited.push((environment, path));
        for secret in self.in_folder(environment, path) {
            if !found.iter().any(|known| known.name() == secret.name()) {
                found.push(secret);
            }
        }
        let imports: Vec<_> = self.imports_of(environment, path).collect();
        for import in imports.into_iter().rev() {
            self.reach(&import.from_environment, &import.from_path, visited, found);
        }
    }
}

fn empty() -> Answer {
    Answer::ok(json!({"secrets": [], "imports": []}))
}

/// Applies `tagSlugs` and `metadataFilter`.
fn asked_for(secret: &Secret, asked: &Asked) -> bool {
    let tagged = match asked.param("tagSlugs").filter(|slugs| !slugs.is_empty()) {
        None => true,
        Some(slugs) => slugs.split(',').any(|slug| secret.tags.iter().any(|tag| tag == slug)),
    };
    let has_pair = |filter: &str| {
        let field =
            |name: &str| filter.split(',').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
        let (key, value) = (field("key="), field("value="));
        secret.metadata.iter().any(|(k, v)| k == key && (value.is_empty() || v == value))
    };
    let described = asked.param("metadataFilter").is_none_or(|filters| filters.split('|').all(has_pair));
    tagged && described
}
