//! `dsops version`: which build this is.

use clap::Args;
use dsops::exit;

use super::Outcome;
use super::session::Session;

/// Print the version, and the types of store in this build
#[derive(Args, Debug)]
pub(crate) struct Version {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Version {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let version = env!("CARGO_PKG_VERSION");
        let kinds: Vec<&str> = dsops_providers::ALL.iter().map(|descriptor| descriptor.kind).collect();
        let text = if self.json {
            serde_json::json!({ "version": version, "stores": kinds }).to_string()
        } else {
            format!("dsops {version}\nstores: {}", kinds.join(", "))
        };
        session.output.line(&text)?;
        Ok(exit::OK)
    }
}
