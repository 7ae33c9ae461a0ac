//! `${NAME}`, `${env.NAME}` and `${env.folder.NAME}` inside values.

use super::caller::Caller;
use super::permission::Right;
use super::world::{Generation, Project, Secret, World};

/// Where a value is read from, so that a bare `${NAME}` has a home.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Home {
    pub(super) environment: String,
    pub(super) path: String,
    pub(super) name: String,
}

impl Home {
    pub(super) fn of(secret: &Secret) -> Self {
        Self {
            environment: secret.environment.clone(),
            path: secret.path.clone(),
            name: secret.name().into(),
        }
    }
}

/// Whether a bare `${NAME}` is also looked for in what the folder imports; a v4 list does that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Folder,
    FolderAndImports,
}

/// A reference whose target the caller may not read.
pub(super) struct Refused {
    pub(super) target: Home,
    pub(super) by: Home,
}

/// The references of one answer.
pub(super) struct Expander<'a> {
    pub(super) world: &'a World,
    pub(super) project: &'a Project,
    pub(super) caller: &'a Caller,
    pub(super) scope: Scope,
    pub(super) refused: Vec<Refused>,
}

/// A reference leads back to where it came from.
struct Circle;

impl Expander<'_> {
    /// Expands the references of a value that is read as `home`.
    pub(super) fn expand(&mut self, value: &str, home: &Home) -> String {
        self.walk(value, home, &mut vec![home.clone()]).unwrap_or_else(|Circle| value.to_owned())
    }

    fn walk(&mut self, value: &str, home: &Home, trail: &mut Vec<Home>) -> Result<String, Circle> {
        let mut expanded = String::new();
        let mut rest = value;
        while let Some(start) = rest.find("${") {
            let Some(length) = rest[start..].find('}') else {
                break;
            };
            let (before, reference) = (&rest[..start], &rest[start..=start + length]);
            if !is_name(&reference[2..length]) {
                expanded.push_str(&rest[..start + 2]);
                rest = &rest[start + 2..];
                continue;
            }
            expanded.push_str(before);
            match self.follow(&reference[2..length], home, trail) {
                Ok(Some(text)) => expanded.push_str(&text),
                Ok(None) => expanded.push_str(reference),
                // The newer server leaves the outermost reference of a circle, the older one the innermost.
                Err(Circle) if self.world.is_2026() && trail.len() > 1 => return Err(Circle),
                Err(Circle) => expanded.push_str(reference),
            }
            rest = &rest[start + length + 1..];
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    /// Returns the text for a reference, or none to leave it in place.
    fn follow(
        &mut self,
        reference: &str,
        home: &Home,
        trail: &mut Vec<Home>,
    ) -> Result<Option<String>, Circle> {
        let target = target_of(reference, home);
        if trail.contains(&target) {
            return Err(Circle);
        }
        if !self.world.allows(self.caller, Right::Read, &target.environment, &target.path) {
            self.refused.push(Refused { target, by: home.clone() });
            return Ok(None);
        }
        let Some(secret) = self.find(&target) else {
            return Ok(match self.world.generation {
                Generation::June2025 => None,
                Generation::July2026 => Some(String::new()),
            });
        };
        let value = secret.latest().value.clone();
        trail.push(target.clone());
        let expanded = self.walk(&value, &target, trail);
        trail.pop();
        expanded.map(Some)
    }

    fn find(&self, target: &Home) -> Option<&Secret> {
        let direct = self.project.find(&target.environment, &target.path, &target.name);
        if direct.is_some() || self.scope == Scope::Folder {
            return direct;
        }
        let imports: Vec<_> = self.project.imports_of(&target.environment, &target.path).collect();
        let from = |import: &&super::world::Import| {
            self.project.find(&import.from_environment, &import.from_path, &target.name)
        };
        imports.iter().rev().find_map(from)
    }
}

/// The server's pattern is `\$\{([a-zA-Z0-9-_.]+)\}`; other text between braces stays as it is.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn target_of(reference: &str, home: &Home) -> Home {
    let parts: Vec<&str> = reference.split('.').collect();
    match parts.as_slice() {
        [environment, folders @ .., name] => {
            let path = format!("/{}", folders.join("/"));
            Home { environment: (*environment).into(), path, name: (*name).into() }
        }
        _ => Home { name: reference.into(), ..home.clone() },
    }
}
