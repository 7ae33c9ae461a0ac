//! `dsops local list|history`: names, versions and dates, never a value.

use clap::Args;
use dsops::exit;
use dsops_providers::local::{Content, Document};
use serde_json::{Value, json};

use super::{Opened, failed};
use crate::cli::Outcome;
use crate::cli::session::{Session, runtime};

/// List the secrets, of one folder or of all
#[derive(Args, Debug)]
pub(super) struct List {
    /// Only what is in or below this folder
    #[arg(value_name = "FOLDER", default_value = "", hide_default_value = true)]
    folder: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let document =
            runtime()?.block_on(opened.store.document(&opened.cx)).map_err(|error| failed(&error))?;
        let folder = self.folder.trim_matches('/');
        if !folder.is_empty() {
            document.list(folder).map_err(|error| failed(&error))?;
        }
        let text = if self.json { json_text(&document, folder) } else { table(session, &document, folder) };
        if !text.is_empty() {
            session.output.line(&text)?;
        }
        Ok(exit::OK)
    }
}

fn is_in(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn json_text(document: &Document, folder: &str) -> String {
    let secrets = document.secrets().filter(|(path, _)| is_in(path, folder)).map(|(path, version)| {
        json!({
            "name": path,
            "version": version.number,
            "created": version.created.to_string(),
            "comment": version.comment,
        })
    });
    format!("{:#}", Value::from_iter(secrets))
}

fn table(session: &Session, document: &Document, folder: &str) -> String {
    let rows: Vec<Vec<String>> = document
        .secrets()
        .filter(|(path, _)| is_in(path, folder))
        .map(|(path, version)| {
            vec![
                path.to_owned(),
                version.number.to_string(),
                version.created.to_string(),
                version.comment.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if rows.is_empty() {
        session.output.remark("no secrets yet; `dsops local set KEY` adds one");
        return String::new();
    }
    session.output.table(&["secret", "version", "set", "comment"], rows)
}

/// List the versions of a secret
#[derive(Args, Debug)]
pub(super) struct History {
    /// The secret
    #[arg(value_name = "KEY")]
    key: String,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl History {
    pub(super) fn run(&self, session: &Session, opened: &Opened) -> Outcome {
        let document =
            runtime()?.block_on(opened.store.document(&opened.cx)).map_err(|error| failed(&error))?;
        let versions = document.history(&self.key).map_err(|error| failed(&error))?;
        let deleted = |content: &Content| match content {
            Content::Value(_) => None,
            Content::Deleted(when) => Some(when.to_string()),
        };
        let text = if self.json {
            let versions = versions.iter().map(|version| {
                json!({
                    "version": version.number,
                    "created": version.created.to_string(),
                    "deleted": deleted(&version.content),
                    "comment": version.comment,
                })
            });
            format!("{:#}", Value::from_iter(versions))
        } else {
            let rows = versions.iter().map(|version| {
                vec![
                    version.number.to_string(),
                    version.created.to_string(),
                    deleted(&version.content).unwrap_or_default(),
                    version.comment.clone().unwrap_or_default(),
                ]
            });
            session.output.table(&["version", "set", "deleted", "comment"], rows.collect())
        };
        session.output.line(&text)?;
        Ok(exit::OK)
    }
}
