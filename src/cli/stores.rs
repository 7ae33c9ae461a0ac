//! `dsops stores`: the stores of the file, and the types there are.

use clap::Args;
use dsops::exit;
use dsops_providers::ALL;
use serde_json::json;

use super::Outcome;
use super::session::Session;

/// List the stores of the file, or the types that this build has
#[derive(Args, Debug)]
pub(crate) struct Stores {
    /// List the types instead; needs no file
    #[arg(long)]
    types: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Stores {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let text = if self.types { self.types(session) } else { self.configured(session)? };
        session.output.line(&text)?;
        Ok(exit::OK)
    }

    fn types(&self, session: &Session) -> String {
        if self.json {
            let types = ALL.iter().map(|descriptor| {
                json!({
                    "type": descriptor.kind,
                    "aliases": descriptor.aliases,
                    "title": descriptor.about.title,
                    "summary": descriptor.about.summary,
                    "auth": descriptor.auth.iter().map(|method| method.name).collect::<Vec<_>>(),
                    "parts": descriptor.about.parts,
                })
            });
            return serde_json::Value::from_iter(types).to_string();
        }
        let rows = ALL.iter().map(|descriptor| {
            let auth: Vec<&str> = descriptor.auth.iter().map(|method| method.name).collect();
            vec![descriptor.kind.to_owned(), descriptor.about.summary.to_owned(), auth.join(", ")]
        });
        session.output.table(&["type", "what", "auth"], rows.collect())
    }

    fn configured(&self, session: &Session) -> Result<String, super::Stop> {
        let config = session.load()?;
        if self.json {
            let stores = config.stores.values().map(|store| {
                json!({
                    "name": store.name,
                    "type": store.descriptor.kind,
                    "timeout_ms": u64::try_from(store.timeout.as_millis()).unwrap_or(u64::MAX),
                    "credential_variables": store.credential_env,
                })
            });
            return Ok(serde_json::Value::from_iter(stores).to_string());
        }
        if config.stores.is_empty() {
            return Ok("no stores; see `dsops stores --types` for what there is".to_owned());
        }
        let rows = config.stores.values().map(|store| {
            let names: Vec<&str> = store.credential_env.iter().map(String::as_str).collect();
            vec![
                store.name.clone(),
                store.descriptor.kind.to_owned(),
                format!("{} s", store.timeout.as_secs_f32()),
                names.join(", "),
            ]
        });
        Ok(session.output.table(&["store", "type", "timeout", "credentials from"], rows.collect()))
    }
}
