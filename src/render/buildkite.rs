//! What `buildkite-agent env set --input-format=json -` reads: a JSON object on each line.
//!
//! "buildkite-agent env", section "Setting environment variables", in Buildkite's documentation. The agent reads line by line, and
//! no line of 64 KiB, so each variable has its own.

use super::error::{RenderError, RenderErrorKind};
use super::{Variable, each, is_name, text_of};
use crate::transform::buffer::Buffer;

/// The longest line that the agent reads, in bytes: `MaxScanTokenSize` of Go's bufio, with the end of the line.
const LONGEST_LINE: usize = 64 * 1024 - 1;

/// Renders the objects.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        if name.to_ascii_uppercase().starts_with("BUILDKITE_") {
            let why = "and Buildkite keeps names that start with `BUILDKITE_` for itself";
            return Err(RenderError::name_because(name, why)
                .help("give the variable another name, or pass it with `dsops exec`"));
        }
        let value = text_of(name, value)?;
        let start = text.len();
        text.extend(format!("{{\"{name}\":").as_bytes());
        serde_json::to_writer(&mut *text, value)
            .map_err(|_| RenderError::new(RenderErrorKind::Format, "the JSON could not be written"))?;
        text.extend(b"}\n");
        if text.len() - start > LONGEST_LINE {
            let why = format!("`{name}` is longer than the 64 KiB that Buildkite's agent reads");
            return Err(RenderError::value(name, why).help("pass it with `dsops exec`"));
        }
        Ok(())
    })
}
