//! The commands that set secret variables in Azure Pipelines, for the agent to read from stdout.
//!
//! "Logging commands", sections "SetVariable" and "Escape sequences", and "Set variables in scripts", in the documentation of Azure
//! Pipelines. A variable set so is masked from then on, and is not in the environment of later steps: a step names it as
//! `env: {NAME: $(NAME)}`.

use super::error::RenderError;
use super::{Variable, each, is_name, text_of};
use crate::transform::buffer::Buffer;

/// Names that start so are not available to tasks and scripts ("Define variables", section "Variable names").
const RESERVED: [&str; 5] = ["endpoint", "input", "path", "secret", "securefile"];

/// Renders the commands.
pub(super) fn render(variables: &[Variable<'_>]) -> Result<Buffer, Vec<RenderError>> {
    each(variables, |text, (name, value)| {
        if !is_name(name) {
            return Err(RenderError::name(name));
        }
        if RESERVED.iter().any(|start| name.to_ascii_lowercase().starts_with(start)) {
            let why = "and Azure Pipelines keeps names that start with `endpoint`, `input`, `path`, `secret` or `securefile` for itself";
            return Err(RenderError::name_because(name, why)
                .help("give the variable another name, or pass it with `dsops exec`"));
        }
        let value = text_of(name, value)?;
        if value.contains(['\n', '\r']) {
            let why = format!("`{name}` has more than one line, and Azure Pipelines refuses secrets that do");
            return Err(RenderError::value(name, why));
        }
        text.extend(format!("##vso[task.setvariable variable={name};issecret=true]").as_bytes());
        for byte in value.bytes() {
            match byte {
                b'%' => text.extend(b"%AZP25"),
                other => text.push(other),
            }
        }
        text.push(b'\n');
        Ok(())
    })
}
