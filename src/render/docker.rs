//! `NAME=value` lines for `docker run --env-file`, which knows no quotes: all behind the `=` is the value.
//!
//! "docker container run", section "Set environment variables", in Docker's documentation; the reader is
//! `pkg/kvfile` in docker/cli. It takes each line as it is, so that no value can have two, and no line of 64 KiB.

use super::error::RenderError;
use super::{Variable, each, is_name, text_of};
use crate::transform::buffer::Buffer;

/// The longest line that is read, in bytes: `MaxScanTokenSize` of Go's bufio, with the end of the line.
const LONGEST_LINE: usize = 64 * 1024 - 1;

/// Renders the lines.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        let value = text_of(name, value)?;
        let instead = "run docker under `dsops exec` with `--env` and the name alone, or use the transform `base64_encode`";
        if value.contains('\n') {
            let why = format!("`{name}` has more than one line, which docker's env files cannot hold");
            return Err(RenderError::value(name, why).help(instead));
        }
        if value.ends_with('\r') {
            let why = format!("`{name}` ends with a carriage return, which docker takes away");
            return Err(RenderError::value(name, why).help(instead));
        }
        if name.len() + value.len() + 2 > LONGEST_LINE {
            let why = format!("`{name}` is longer than the 64 KiB that docker reads of a line");
            return Err(RenderError::value(name, why).help(instead));
        }
        text.extend(name.as_bytes());
        text.push(b'=');
        text.extend(value.as_bytes());
        text.push(b'\n');
        Ok(())
    })
}
