//! Pinned versions. A number does not name one thing: deleted secrets' versions still answer, some
//! servers do not look at the number, and an import steps in where there is none.

use super::answers::Secret;
use super::error::Failure;
use super::read::{Folder, Found, Origin};
use crate::contract::{FetchError, FetchErrorKind};

impl Folder<'_> {
    /// Decides on a version from its own read and the latest of the same name.
    pub(super) fn pinned(
        &self,
        name: &str,
        version: u64,
        read: Result<Secret, Failure>,
        newest: Option<&Result<Found, FetchError>>,
    ) -> Result<Found, FetchError> {
        let newest = match newest {
            Some(Ok(newest)) => newest,
            Some(Err(error)) => return Err(self.without_newest(name, version, error, read.is_ok())),
            None => return Err(self.absent(name)),
        };
        let not_found = |why: &str, help: &str| {
            FetchError::new(
                FetchErrorKind::VersionNotFound,
                format!("version {version} of {} not found: {why}", self.what(name)),
            )
            .help(help)
        };
        if newest.origin == Origin::Import {
            return Err(not_found(
                "the secret comes through an import, and Infisical serves only its latest version",
                "pin the version in a reference to the folder that it comes from",
            ));
        }
        let secret = match read {
            Ok(secret) => secret,
            Err(Failure::Refused(refusal)) if refusal.is_of_secret() => {
                let latest = newest.version.map_or_else(String::new, |latest| format!(" (latest: {latest})"));
                let why = format!("the server has no such version{latest}{}", refusal.id_said());
                return Err(not_found(&why, "pin a version that the secret's history shows"));
            }
            Err(Failure::Refused(refusal)) => return Err(refusal.explain(&self.what(name))),
            Err(Failure::Broken(error)) => return Err(error),
        };
        if secret.version != Some(version) {
            let got = secret.version.map_or_else(|| "none".to_owned(), |got| got.to_string());
            return Err(FetchError::new(
                FetchErrorKind::Malformed,
                format!("asked for version {version} of {} and got version {got}", self.what(name)),
            )
            .help("update the server: those from before April 2025 do not look at the version"));
        }
        if !self.is_here(&secret) {
            return Err(self.elsewhere(&secret));
        }
        self.check_project(&secret)?;
        if secret.id != newest.id {
            return Err(not_found(
                "what the server has under this number is of a deleted secret of the same name",
                "pin a version that the present secret's history shows",
            ));
        }
        Ok(self.found(secret, Origin::Here, Some(self.place.clone())))
    }

    /// Returns the error for a version whose secret has no latest version.
    fn without_newest(&self, name: &str, version: u64, error: &FetchError, answered: bool) -> FetchError {
        if error.kind() == FetchErrorKind::NotFound && answered {
            return FetchError::new(
                FetchErrorKind::NotFound,
                format!(
                    "secret not found: {} was deleted or renamed; the server still answers for version {version}, which is not used",
                    self.what(name)
                ),
            )
            .help("refer to the secret's new name, or restore it in Infisical");
        }
        error.clone()
    }

    /// Decides on a version of a name that only lists show.
    pub(super) fn pinned_of_list(
        &self,
        name: &str,
        version: u64,
        newest: Option<&Result<Found, FetchError>>,
    ) -> Result<Found, FetchError> {
        match newest {
            None => Err(self.absent(name)),
            Some(Err(error)) => Err(error.clone()),
            Some(Ok(newest)) if newest.version == Some(version) && newest.origin == Origin::Here => {
                Ok(newest.copy())
            }
            Some(Ok(_)) => Err(FetchError::new(
                FetchErrorKind::Unsupported,
                format!("Infisical has no route to older versions of {}", self.what(name)),
            )
            .help("use the latest version, or give the secret a shorter name")),
        }
    }
}
