//! What GitLab takes as a report of type dotenv, whose variables later jobs get.
//!
//! "GitLab CI/CD artifacts reports types", section `artifacts:reports:dotenv`; the reader is `ParseDotenvArtifactService` in GitLab's
//! source. It knows neither quotes nor escapes, trims each value, and the runner then expands `$NAME` in it. The file may
//! hold less than 5 KB, and as many variables as the plan allows.

use super::error::{RenderError, RenderErrorKind};
use super::{Note, Variable, each, is_name};
use crate::transform::buffer::Buffer;

/// A file of this many bytes is too large ("Instance limits": `dotenv_size`).
const TOO_LARGE: usize = 5 * 1024;

/// How many variables the smallest plan takes ("Instance limits": `dotenv_variables`).
const FEWEST_VARIABLES: usize = 50;

/// Renders the lines.
pub(super) fn render(variables: &[Variable<'_>], notes: &mut Vec<Note>) -> Result<Buffer, Vec<RenderError>> {
    let text = each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        let value = value.expose_str().ok_or_else(|| RenderError::not_text(name))?;
        if let Some(why) = misread(value) {
            return Err(RenderError::value(name, format!("`{name}` {why}")));
        }
        text.extend(name.as_bytes());
        text.push(b'=');
        text.extend(value.as_bytes());
        text.push(b'\n');
        Ok(())
    })?;
    if text.len() >= TOO_LARGE {
        let largest = variables.iter().max_by_key(|(_, value)| value.len()).map_or("", |(name, _)| *name);
        let message =
            format!("the variables come to more than the 5 KB that GitLab takes; the largest is `{largest}`");
        let error = RenderError::new(RenderErrorKind::Value, message)
            .help("run the later job under `dsops exec`, which has no such limit");
        return Err(vec![RenderError { variable: Some(largest.to_owned()), ..error }]);
    }
    if variables.len() > FEWEST_VARIABLES {
        let message = format!(
            "GitLab takes {FEWEST_VARIABLES} variables in the free plan and up to 150 in others: these are {}",
            variables.len()
        );
        notes.push(Note { variable: String::new(), message });
    }
    Ok(text)
}

fn misread(value: &str) -> Option<&'static str> {
    let is_trimmed = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b;
    let ends = [value.bytes().next(), value.bytes().next_back()];
    if value.contains('\0') {
        Some("holds a NUL byte, which this format cannot")
    } else if value.contains(['\n', '\r']) {
        Some("has more than one line, which GitLab's dotenv reports cannot hold")
    } else if ends.into_iter().flatten().any(is_trimmed) {
        Some("starts or ends with white space, which GitLab takes away")
    } else if value.contains('$') {
        Some("has a `$`, which GitLab expands")
    } else {
        None
    }
}
