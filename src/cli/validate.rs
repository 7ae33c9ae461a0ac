//! `dsops validate`: everything that can be known about the file without asking anybody.

use clap::Args;
use dsops::exit;

use super::Outcome;
use super::plan::plural;
use super::session::Session;
use crate::diagnostics::Diagnostic;

/// Check the file without asking any store: every mistake at once, with its line
#[derive(Args, Debug)]
pub(crate) struct Validate {
    /// Fail on remarks too
    #[arg(long)]
    strict: bool,
}

impl Validate {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let config = session.load()?;
        for warning in &config.warnings {
            session.output.diagnostic(&Diagnostic::warning(warning, &config.source));
        }
        let (stores, environments) = (config.stores.len(), config.environments.len());
        session.output.line(&format!(
            "{}: {stores} store{}, {environments} environment{}, {}",
            config.source.path.display(),
            plural(stores),
            plural(environments),
            match config.warnings.len() {
                0 => "no mistakes".to_owned(),
                count => format!("{count} remark{}", plural(count)),
            }
        ))?;
        let failed = self.strict && !config.warnings.is_empty();
        Ok(if failed { exit::PROBLEMS } else { exit::OK })
    }
}
