//! The formats by name and by the name of the file.

use std::path::Path;

use super::error::{RenderError, RenderErrorKind};

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `NAME=value` lines, for shells, docker compose and the dotenv libraries.
    Dotenv,
    /// `export NAME='value'` lines, for `eval` and `source` in POSIX shells.
    Shell,
    /// One flat JSON object of strings.
    Json,
    /// One flat YAML mapping of strings.
    Yaml,
    /// One flat TOML table of strings.
    Toml,
    /// What a Jinja template makes of the variables.
    Template,
    /// `NAME=value` lines, for `docker run --env-file`.
    Docker,
    /// The manifest of a Kubernetes Secret.
    K8s,
    /// `NAME="value"` lines, for `EnvironmentFile=` of a unit.
    Systemd,
    /// An encrypted file for each variable, for `LoadCredentialEncrypted=` of a unit.
    SystemdCreds,
    /// What the file that `GITHUB_ENV` names takes.
    GitHub,
    /// A report of type dotenv for GitLab.
    GitLab,
    /// `export` lines, for the file that `BASH_ENV` names.
    CircleCi,
    /// Objects for Buildkite's agent.
    Buildkite,
    /// Commands to the agent of Azure Pipelines.
    Azure,
}

/// Where a format goes when no place is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Stdout.
    Stdout,
    /// At the end of the file that this variable names.
    EndOfFile(&'static str),
    /// To Buildkite's agent.
    Agent,
    /// Nowhere: a directory has to be named.
    Directory,
}

impl Format {
    /// All formats, in the order of the documents.
    pub const ALL: [Self; 15] = [
        Self::Dotenv,
        Self::Shell,
        Self::Json,
        Self::Yaml,
        Self::Toml,
        Self::Template,
        Self::Docker,
        Self::K8s,
        Self::Systemd,
        Self::SystemdCreds,
        Self::GitHub,
        Self::GitLab,
        Self::CircleCi,
        Self::Buildkite,
        Self::Azure,
    ];

    /// Returns the name, as `--format` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dotenv => "dotenv",
            Self::Shell => "shell",
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Template => "template",
            Self::Docker => "docker",
            Self::K8s => "k8s",
            Self::Systemd => "systemd",
            Self::SystemdCreds => "systemd-creds",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::CircleCi => "circleci",
            Self::Buildkite => "buildkite",
            Self::Azure => "azure",
        }
    }

    /// Returns where it goes when no place is named.
    #[must_use]
    pub fn place(self) -> Place {
        match self {
            Self::GitHub => Place::EndOfFile("GITHUB_ENV"),
            Self::CircleCi => Place::EndOfFile("BASH_ENV"),
            Self::Buildkite => Place::Agent,
            Self::SystemdCreds => Place::Directory,
            _ => Place::Stdout,
        }
    }

    /// Says whether what holds a variable's value in this format can be the content of a file as well. In the others a
    /// reader takes it for the path that the command of `exec` gets.
    #[must_use]
    pub fn holds_files(self) -> bool {
        matches!(self, Self::Template | Self::K8s | Self::SystemdCreds)
    }

    /// Returns the format of that name.
    ///
    /// # Errors
    ///
    /// [`RenderErrorKind::Format`] for any other name.
    pub fn from_name(name: &str) -> Result<Self, RenderError> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| {
            RenderError::new(RenderErrorKind::Format, format!("no format is named `{name}`"))
                .help(format!("use {}", names()))
        })
    }

    /// Returns the format that the name of a file stands for. A name without extension stands for dotenv, as do
    /// `.env`, `.env.local` and `app.env.production`.
    ///
    /// # Errors
    ///
    /// [`RenderErrorKind::Format`] for an extension that stands for nothing.
    pub fn of_path(path: &Path) -> Result<Self, RenderError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        match extension.as_str() {
            "json" => Ok(Self::Json),
            "yaml" | "yml" => Ok(Self::Yaml),
            "toml" => Ok(Self::Toml),
            "sh" | "bash" => Ok(Self::Shell),
            "tmpl" | "j2" | "jinja" | "jinja2" => Ok(Self::Template),
            "" => Ok(Self::Dotenv),
            _ if name.split('.').any(|part| part == "env") => Ok(Self::Dotenv),
            other => Err(RenderError::new(
                RenderErrorKind::Format,
                format!("the extension `.{other}` stands for no format"),
            )
            .help(format!("say which with `--format`: {}", names()))),
        }
    }
}

fn names() -> String {
    let ticked: Vec<String> = Format::ALL.iter().map(|format| format!("`{}`", format.name())).collect();
    ticked.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        for (path, format) in [
            ("out/.env", Format::Dotenv),
            (".env.docker", Format::Dotenv),
            ("app.env", Format::Dotenv),
            ("app.env.production", Format::Dotenv),
            ("secrets", Format::Dotenv),
            ("/dev/stdout", Format::Dotenv),
            ("a.json", Format::Json),
            (".env.json", Format::Json),
            ("a.YML", Format::Yaml),
            ("a.yaml", Format::Yaml),
            ("a.toml", Format::Toml),
            ("a.sh", Format::Shell),
            ("a.yaml.j2", Format::Template),
            ("a.tmpl", Format::Template),
        ] {
            assert_eq!(Format::of_path(Path::new(path)), Ok(format), "{path}");
        }
        assert!(Format::of_path(Path::new("a.xml")).is_err());
    }

    #[test]
    fn every_format_is_found_by_its_name() {
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Ok(format));
        }
        assert!(Format::from_name("xml").unwrap_err().help.unwrap().contains("`dotenv`"));
    }
}
