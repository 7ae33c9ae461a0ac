//! One flat JSON object of strings.

use dsops_providers::contract::SecretValue;
use serde::ser::{SerializeMap, Serializer};

use super::Variable;
use super::error::{RenderError, RenderErrorKind};
use crate::transform::buffer::Buffer;

/// Renders the object, one variable a line.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    let texts = texts(variables)?;
    let size = variables.iter().map(|(name, value)| name.len() + value.len() * 2 + 16).sum();
    let mut json = Buffer::with_capacity(size);
    write(&texts, &mut json)
        .map_err(|_| vec![RenderError::new(RenderErrorKind::Format, "the JSON could not be written")])?;
    json.push(b'\n');
    Ok(json)
}

fn write(texts: &[(&str, &str)], json: &mut Buffer) -> serde_json::Result<()> {
    let mut serializer = serde_json::Serializer::pretty(json);
    let mut map = serializer.serialize_map(Some(texts.len()))?;
    for (name, text) in texts {
        map.serialize_entry(name, text)?;
    }
    map.end()
}

/// Returns the values as text, or every variable that is none.
pub(super) fn texts<'a>(variables: &[Variable<'a>]) -> Result<Vec<(&'a str, &'a str)>, Vec<RenderError>> {
    let mut texts = Vec::with_capacity(variables.len());
    let mut errors = Vec::new();
    for (name, value) in variables {
        match SecretValue::expose_str(value) {
            Some(text) => texts.push((*name, text)),
            None => errors.push(RenderError::not_text(name)),
        }
    }
    if errors.is_empty() { Ok(texts) } else { Err(errors) }
}
