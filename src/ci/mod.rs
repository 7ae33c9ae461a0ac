//! The CI systems that dsops may run in: which one it is, and how it is told what to mask in its log.

mod buildkite;
mod mask;

use dsops_providers::contract::EnvSnapshot;

pub use buildkite::{AgentError, redact, set};
pub use mask::{SHORTEST, mask_commands};

/// A CI system, as its runner makes itself known in the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Runner {
    /// GitHub Actions: `GITHUB_ACTIONS=true` ("Variables reference", GitHub Docs).
    GitHub,
    /// Azure Pipelines: `TF_BUILD=True` ("Use predefined variables", Azure Pipelines documentation).
    Azure,
    /// Buildkite: `BUILDKITE=true` ("Environment variables", Buildkite documentation).
    Buildkite,
    /// GitLab CI/CD: `GITLAB_CI=true` ("Predefined CI/CD variables reference", GitLab Docs).
    GitLab,
    /// CircleCI: `CIRCLECI=true` ("Project values and variables", CircleCI documentation).
    CircleCi,
}

impl Runner {
    /// Returns the runner that dsops was started by; none outside of CI and in other systems.
    #[must_use]
    pub fn detect(env: &EnvSnapshot) -> Option<Self> {
        let known = [
            ("GITHUB_ACTIONS", Self::GitHub),
            ("TF_BUILD", Self::Azure),
            ("BUILDKITE", Self::Buildkite),
            ("GITLAB_CI", Self::GitLab),
            ("CIRCLECI", Self::CircleCi),
        ];
        let is_set = |name| env.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        known.into_iter().find(|(name, _)| is_set(name)).map(|(_, runner)| runner)
    }

    /// Returns its name, as its vendor writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub Actions",
            Self::Azure => "Azure Pipelines",
            Self::Buildkite => "Buildkite",
            Self::GitLab => "GitLab CI/CD",
            Self::CircleCi => "CircleCI",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_is_known_by_its_variable_and_not_by_a_word_in_it() {
        let detect = |name: &str, value: &str| {
            Runner::detect(&[(name.to_owned(), value.to_owned())].into_iter().collect())
        };
        assert_eq!(detect("GITHUB_ACTIONS", "true"), Some(Runner::GitHub));
        assert_eq!(detect("TF_BUILD", "True"), Some(Runner::Azure));
        assert_eq!(detect("BUILDKITE", "true"), Some(Runner::Buildkite));
        assert_eq!(detect("GITLAB_CI", "true"), Some(Runner::GitLab));
        assert_eq!(detect("CIRCLECI", "true"), Some(Runner::CircleCi));
        assert_eq!(detect("GITHUB_ACTIONS", "false"), None);
        assert_eq!(detect("GITHUB_ACTIONS", ""), None);
        assert_eq!(detect("CI", "true"), None);
    }
}
