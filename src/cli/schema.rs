//! `dsops schema`: the JSON Schema of `dsops.yaml`, for editors.

use clap::Args;
use dsops::exit;

use super::Outcome;
use super::session::Session;

/// Print the JSON Schema of `dsops.yaml`, with which editors complete and check
#[derive(Args, Debug)]
#[command(
    after_help = "Put `# yaml-language-server: $schema=dsops.schema.json` on the first line of dsops.yaml."
)]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        session.output.line(&format!("{:#}", dsops::config::schema()))?;
        Ok(exit::OK)
    }
}
