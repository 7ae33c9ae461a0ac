//! What the file that `GITHUB_ENV` names takes: `NAME<<DELIMITER`, the value, `DELIMITER`.
//!
//! "Workflow commands for GitHub Actions", section "Multiline strings"; the runner's reader is
//! `FileCommandManager.cs` in actions/runner. Whoever knows the delimiter and a part of a value could set other variables, so
//! each value has a random one of its own that does not stand in it.

use super::error::RenderError;
use super::{Variable, each, is_name, text_of};
use crate::transform::buffer::Buffer;

/// Renders the lines.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        if let Some(why) = refused(name) {
            return Err(RenderError::name_because(name, why)
                .help("give the variable another name, or pass it with `dsops exec`"));
        }
        let value = text_of(name, value)?;
        let delimiter = delimiter(name, value)?;
        text.extend(format!("{name}<<{delimiter}\n").as_bytes());
        text.extend(value.as_bytes());
        text.extend(format!("\n{delimiter}\n").as_bytes());
        Ok(())
    })
}

/// Why GitHub does not take a variable of that name ("Variables reference"; `NODE_OPTIONS` since version 2.309 of the runner).
fn refused(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    if upper == "NODE_OPTIONS" {
        Some("which GitHub does not let `GITHUB_ENV` set")
    } else if upper.starts_with("GITHUB_") || upper.starts_with("RUNNER_") {
        Some("and GitHub keeps names that start with `GITHUB_` or `RUNNER_` for itself")
    } else {
        None
    }
}

fn delimiter(name: &str, value: &str) -> Result<String, RenderError> {
    for _ in 0..4 {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| RenderError::no_random(name))?;
        let letters: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let delimiter = format!("dsops_{letters}");
        if !value.contains(&delimiter) {
            return Ok(delimiter);
        }
    }
    Err(RenderError::no_random(name))
}
