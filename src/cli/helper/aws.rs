//! `dsops helper aws`: keys for a program of AWS, as its `credential_process`.

use std::sync::Arc;

use clap::Args;
use dsops::exit;
use dsops::helper::aws::{Keys, answer};
use dsops::helper::shown_key;

use super::credential::{absent_report, expiration, misfit_report, unknown_report};
use crate::cli::Outcome;
use crate::cli::session::Session;

/// Give a program of AWS its keys, from `helpers.aws`
///
/// For `credential_process` in ~/.aws/config. With `refresh` in the entry the program asks again after that time;
/// without it, it keeps the keys for as long as it runs.
#[derive(Args, Debug)]
#[command(
    after_help = "Example, in ~/.aws/config:\n  credential_process = /usr/local/bin/dsops helper aws deploy"
)]
pub(super) struct Aws {
    /// The entry of `helpers.aws`
    #[arg(value_name = "NAME")]
    name: String,
}

impl Aws {
    pub(super) fn run(&self, session: &Session) -> Outcome {
        let config = session.load()?;
        let Some(entry) = config.helpers.aws.get(&self.name) else {
            let message = format!("`helpers.aws` has no `{}`", shown_key(&self.name));
            let known = config.helpers.aws.keys().map(String::as_str);
            return Err(unknown_report("helpers.aws", &message, Some(&self.name), known).into());
        };
        let place = format!("helpers.aws.{}", shown_key(&self.name));
        let mut wanted = vec![Arc::clone(&entry.access_key_id), Arc::clone(&entry.secret_access_key)];
        wanted.extend(entry.session_token.clone());
        let values = session.values_of(&config, &wanted)?;
        let value = |part, name: &str| values.get(name).ok_or_else(|| absent_report(&place, part));
        let session_token = entry.session_token.as_ref().and_then(|token| values.get(&token.name));
        let keys = Keys {
            access_key_id: value("access_key_id", &entry.access_key_id.name)?,
            secret_access_key: value("secret_access_key", &entry.secret_access_key.name)?,
            session_token: session_token.map(AsRef::as_ref),
        };
        let until = expiration(&place, entry.refresh)?;
        let line = answer(keys, until.as_deref()).map_err(|misfit| misfit_report(&place, misfit))?;
        session.output.stdout(&line)?;
        Ok(exit::OK)
    }
}
