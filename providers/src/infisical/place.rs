//! Whether an answer is of the place that was asked for, and which part of a place is missing.

use super::answers::{Project, Secret};
use super::api::Place;
use super::error::{Failure, Refusal};
use super::read::{Folder, Miss};
use crate::contract::{FetchError, FetchErrorKind};

impl Folder<'_> {
    /// Says what a failure means, asking which of folder and environment is missing where the server
    /// does not tell. Without a name it is the list that failed.
    pub(super) async fn explain(&self, failure: Failure, name: Option<&str>) -> Miss {
        let refusal = match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Broken(error) => return Miss { error, of_folder: false },
        };
        if refusal.is_of_place() {
            return Miss { error: self.missing_place(&refusal).await, of_folder: true };
        }
        let what = name.map_or_else(|| self.place.to_string(), |name| self.what(name));
        if let Some(name) = name.filter(|_| refusal.is_of_secret()) {
            let error = FetchError::new(
                FetchErrorKind::NotFound,
                format!("secret not found: {}{}", self.what(name), refusal.said()),
            )
            .help("create the secret in Infisical, or correct the reference; case matters");
            return Miss { error, of_folder: false };
        }
        Miss { error: refusal.explain(&what), of_folder: refusal.is_of_project() }
    }

    /// Tells a missing folder, which is an absence of what is in it, from a missing environment, which is a
    /// mistake of the file.
    async fn missing_place(&self, refusal: &Refusal) -> FetchError {
        let Place { environment, .. } = &self.place;
        let said = refusal.said();
        let ambiguous = || {
            FetchError::new(
                FetchErrorKind::PlaceNotFound,
                format!("folder or environment not found: {}{said}", self.place),
            )
            .help("check `environment` and the reference's folder against the project")
        };
        let folder = || {
            FetchError::new(FetchErrorKind::NotFound, format!("folder not found: {}{said}", self.place))
                .help("create the folder in Infisical, or correct the reference; case matters")
        };
        let missing = |of: String, help: String| {
            let message = format!("environment not found: `{environment}` in project {of}{said}");
            FetchError::new(FetchErrorKind::PlaceNotFound, message).help(help)
        };
        let project = self.api.project(self.cx).await;
        if let Ok(project) = project
            && !project.environments.iter().any(|known| known.slug == *environment)
        {
            return missing(format!("`{}`", project.name), known_environments(project, environment));
        }
        let is_below_root = self.api.root != "/" && *environment == self.api.environment;
        if project.is_ok() && !is_below_root {
            return folder();
        }
        // Who may not see the project may be able to see its folders, and these know the environment.
        match self.api.folders(self.cx).await {
            Ok(folders) if is_below_root && !folders.contains(&self.api.root) => FetchError::new(
                FetchErrorKind::PlaceNotFound,
                format!("folder not found: `{}`, which the store's `path` names{said}", self.api.root),
            )
            .help("correct `path` on the store, or `INFISICAL_SECRET_PATH`; case matters"),
            Ok(_) => folder(),
            Err(Failure::Refused(refusal)) if refusal.is_of_environment() => missing(
                format!("`{}`", self.api.project),
                "write the slug of the environment, as it stands in the project's settings".to_owned(),
            ),
            Err(failure) => match failure.into_error("the list of folders") {
                // A moment later it can be told.
                passing if passing.is_temporary() => passing,
                _ => ambiguous(),
            },
        }
    }

    pub(super) fn is_here(&self, secret: &Secret) -> bool {
        secret.is_at(&self.place)
    }

    pub(super) fn check_project(&self, secret: &Secret) -> Result<(), FetchError> {
        match secret.project.as_deref() {
            Some(project) if !project.is_empty() && !project.eq_ignore_ascii_case(&self.api.project) => {
                Err(FetchError::new(
                    FetchErrorKind::Malformed,
                    format!("asked for project `{}` and got a secret of another", self.api.project),
                )
                .help("check which project the credentials under `auth` are for"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn elsewhere(&self, secret: &Secret) -> FetchError {
        let environment = secret.environment.as_deref().unwrap_or_default();
        let path = secret.path.as_deref().unwrap_or("?");
        FetchError::new(
            FetchErrorKind::Malformed,
            format!(
                "asked for {} and got folder `{}`, environment `{}`",
                self.place,
                path.escape_debug(),
                environment.escape_debug()
            ),
        )
        .help("check which folder and environment the credentials under `auth` are for")
    }

    pub(super) fn hidden(&self, name: &str) -> FetchError {
        FetchError::new(
            FetchErrorKind::Hidden,
            format!("the value of {} is hidden from this identity", self.what(name)),
        )
        .help("grant `Read Value` on this secret to the identity's role in the project")
    }

    /// Returns the error for a name that a truthful list does not show.
    pub(super) fn absent(&self, name: &str) -> FetchError {
        FetchError::new(FetchErrorKind::NotFound, format!("secret not found: {}", self.what(name)))
            .help("create the secret in Infisical, or correct the reference; case matters")
    }

    /// Returns the error for a name whose value the list does not prove and no single read can.
    pub(super) fn unproven(&self, name: &str) -> FetchError {
        FetchError::new(
            FetchErrorKind::Unsupported,
            format!("which import gives {} cannot be told from the list", self.what(name)),
        )
        .help("refer to the folder that the secret comes from, or give it a shorter name")
    }

    pub(super) fn what(&self, name: &str) -> String {
        format!("`{name}` in {}", self.place)
    }
}

/// Returns the advice for an environment that a project does not have.
pub(super) fn known_environments(project: &Project, wanted: &str) -> String {
    let slugs: Vec<&str> = project.environments.iter().map(|known| known.slug.as_str()).collect();
    if let Some(near) = slugs.iter().find(|slug| is_near(slug, wanted)) {
        return format!("did you mean `{near}`?");
    }
    if slugs.is_empty() {
        return "create the environment in the project's settings".to_owned();
    }
    format!("use the slug of one that the project has: `{}`", slugs.join("`, `"))
}

/// Says whether two names are the same but for case and punctuation, or one slip of the keyboard apart.
pub(super) fn is_near(one: &str, other: &str) -> bool {
    let folded = |name: &str| {
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<Vec<char>>()
    };
    let (one, other) = (folded(one), folded(other));
    let (shorter, longer) = if one.len() <= other.len() { (&one, &other) } else { (&other, &one) };
    let front = shorter.iter().zip(longer.iter()).take_while(|(a, b)| a == b).count();
    let back = shorter.iter().rev().zip(longer.iter().rev()).take_while(|(a, b)| a == b).count();
    let back = back.min(shorter.len() - front);
    let (left, right) = (shorter.len() - front - back, longer.len() - front - back);
    match (left, right) {
        (0, 0) => true,
        (0 | 1, 1) => shorter.len() > 2,
        (2, 2) => shorter.get(front) == longer.get(front + 1) && shorter.get(front + 1) == longer.get(front),
        _ => false,
    }
}
