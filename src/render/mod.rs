//! Renders an environment as a file that another program reads.
//!
//! The text depends on the values alone: no dates, the order that is given, one newline at the end; only the delimiters of
//! `github` are random. What a format cannot
//! hold exactly is an error that names the variable; what some readers of a format would misread is a note.

mod azure;
mod buildkite;
mod docker;
mod dotenv;
mod error;
mod format;
mod github;
mod gitlab;
mod json;
mod k8s;
mod shell;
mod systemd;
pub mod systemd_creds;
mod template;
#[cfg(test)]
mod tests;
mod toml;
pub mod write;
mod yaml;

use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

pub use error::{RenderError, RenderErrorKind};
pub use format::{Format, Place};

use crate::statements::is_name;
use crate::transform::buffer::Buffer;

/// A variable of the environment: its name and its value.
pub type Variable<'a> = (&'a str, &'a SecretValue);

/// What a format needs beside the variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The text of the template, for [`Format::Template`] only.
    pub template: Option<&'a str>,
    /// The name of the Secret, for [`Format::K8s`] only.
    pub name: Option<&'a str>,
    /// The namespace of the Secret, for [`Format::K8s`] only.
    pub namespace: Option<&'a str>,
}

/// A file's content, and what is to be said about it.
pub struct Rendered {
    /// The content, overwritten on drop.
    pub text: Zeroizing<Vec<u8>>,
    /// What some readers will not read exactly.
    pub notes: Vec<Note>,
}

/// A limit of the format that a variable meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The variable; empty where it is about all of them.
    pub variable: String,
    /// What happens: a lowercase fragment without the value.
    pub message: String,
}

/// Renders variables in the order given.
///
/// # Errors
///
/// Every variable that the format cannot hold: [`RenderErrorKind::Name`] or [`RenderErrorKind::Value`]; for templates,
/// what is wrong with the template.
pub fn render(
    format: Format,
    variables: &[Variable<'_>],
    options: &Options<'_>,
) -> Result<Rendered, Vec<RenderError>> {
    let mut notes = Vec::new();
    let text = match format {
        Format::Dotenv => dotenv::render(variables, &mut notes)?,
        Format::Shell | Format::CircleCi => shell::render(variables)?,
        Format::Json => json::render(variables)?,
        Format::Yaml => yaml::render(variables)?,
        Format::Toml => toml::render(variables)?,
        Format::Docker => docker::render(variables)?,
        Format::K8s => k8s::render(variables, options.name, options.namespace)?,
        Format::Systemd => systemd::render(variables)?,
        Format::SystemdCreds => {
            let error =
                RenderError::new(RenderErrorKind::Format, "`systemd-creds` is many files and no text");
            return Err(vec![error.help("name a directory with `--out`")]);
        }
        Format::GitHub => github::render(variables)?,
        Format::GitLab => gitlab::render(variables, &mut notes)?,
        Format::Buildkite => buildkite::render(variables)?,
        Format::Azure => azure::render(variables)?,
        Format::Template => template::render(variables, options.template).map_err(|error| vec![error])?,
    };
    Ok(Rendered { text: text.into_bytes(), notes })
}

/// Writes each variable, and collects the errors of all.
pub(crate) fn each<'a>(
    variables: &[Variable<'a>],
    mut write: impl FnMut(&mut Buffer, Variable<'a>) -> Result<(), RenderError>,
) -> Result<Buffer, Vec<RenderError>> {
    let size = variables.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    let mut text = Buffer::with_capacity(size);
    let errors: Vec<RenderError> =
        variables.iter().filter_map(|variable| write(&mut text, *variable).err()).collect();
    if errors.is_empty() { Ok(text) } else { Err(errors) }
}

/// Returns a value as text without NUL, which is what formats of lines hold.
fn text_of<'a>(name: &str, value: &'a SecretValue) -> Result<&'a str, RenderError> {
    let value = value.expose_str().ok_or_else(|| RenderError::not_text(name))?;
    if value.contains('\0') { Err(RenderError::nul(name)) } else { Ok(value) }
}
