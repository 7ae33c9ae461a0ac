//! `dsops plan`: what an environment would fetch, without asking any store.

mod policy;

use clap::Args;
use dsops::exit;

use super::session::Session;
use super::{Outcome, Stop};
use crate::diagnostics::Diagnostic;

/// Show what an environment would fetch, without asking any store
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  dsops plan --env production\n  dsops plan --env production --policy")]
pub(crate) struct Plan {
    /// The environment
    #[arg(long, short, env = "DSOPS_ENV", value_name = "NAME")]
    env: String,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
    /// Print the least access that the environment needs at its stores instead
    #[arg(long)]
    policy: bool,
}

impl Plan {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let config = session.load()?;
        let environment = session.environment(&config, &self.env)?;
        let plan = session.plan(&config, environment)?;
        if self.policy {
            let policies = dsops::policy::policy(&config, &plan, &session.env)
                .map_err(|errors| session.mistakes(&config, &errors))?;
            let text = match self.json {
                true => json(&policies)?,
                false => policy::text(session.output, &policies),
            };
            session.output.line(&text)?;
            return Ok(exit::OK);
        }
        if self.json {
            session.output.line(&json(&plan.view(&config))?)?;
            return Ok(exit::OK);
        }
        session.output.line(&self.text(session, &config, &plan))?;
        Ok(exit::OK)
    }

    fn text(&self, session: &Session, config: &dsops::config::Config, plan: &dsops::plan::Plan) -> String {
        let mut rows: Vec<Vec<String>> = plan
            .imports
            .iter()
            .map(|planned| {
                let import = &planned.import;
                let absent = if import.optional { "left out" } else { "an error" };
                vec![
                    format!("{}*", import.prefix),
                    format!("{}/{}{}", import.store, import.query.folder, choice(&import.query)),
                    String::new(),
                    absent.to_owned(),
                    String::new(),
                ]
            })
            .collect();
        rows.extend(plan.variables.iter().map(|planned| {
            let variable = &planned.variable;
            let places: Vec<&str> =
                planned.candidates.iter().map(|candidate| candidate.reference.as_str()).collect();
            let source = if places.is_empty() { "literal".to_owned() } else { places.join(", then ") };
            let absent = match (&variable.default, variable.optional, places.is_empty()) {
                (_, _, true) => "",
                (Some(_), _, _) => "the default",
                (None, true, _) => "left out",
                (None, false, _) => "an error",
            };
            vec![
                variable.name.clone(),
                source,
                variable.transform.names().collect::<Vec<_>>().join(", "),
                absent.to_owned(),
                variable
                    .file
                    .as_ref()
                    .map(|file| format!("{}, {}", file.name, file.mode_text()))
                    .unwrap_or_default(),
            ]
        }));
        let mut header = vec!["variable", "source", "transform", "if absent", "file"];
        if plan.files().is_empty() {
            header.pop();
            rows.iter_mut().for_each(|row| row.truncate(header.len()));
        }
        let table = session.output.table(&header, rows);
        let mut lines = vec![table, String::new()];
        for planned in &plan.stores {
            let kind = config.stores.get(&planned.name).map_or("", |store| store.descriptor.kind);
            lines.push(format!("{} ({kind}): {}", planned.name, cost(planned.cost)));
        }
        lines.push(format!(
            "{} variables{}, {}",
            plan.variables.len(),
            if plan.imports.is_empty() { "" } else { " and what the imports hold" },
            cost(plan.cost())
        ));
        lines.join("\n")
    }
}

fn json(document: &impl serde::Serialize) -> Result<String, Stop> {
    serde_json::to_string_pretty(document)
        .map_err(|error| Diagnostic::new("dsops::bug", exit::BUG, error.to_string()).into())
}

/// Says what of a folder an import takes, where that is not simply all that lies in it.
fn choice(query: &dsops_providers::contract::ListQuery) -> &'static str {
    match (query.recursive, query.is_filtered()) {
        (false, false) => "",
        (true, false) => " and below",
        (false, true) => ", chosen",
        (true, true) => " and below, chosen",
    }
}

/// Says what a cost is, in words.
pub(crate) fn cost(cost: dsops_providers::contract::Cost) -> String {
    let requests = cost.requests + cost.logins;
    let mut parts = vec![format!("{requests} request{}", plural(requests))];
    if cost.logins > 0 {
        parts.push(format!("{} of them a login", cost.logins));
    }
    if cost.processes > 0 {
        parts.push(format!("{} process{}", cost.processes, if cost.processes == 1 { "" } else { "es" }));
    }
    parts.join(", ")
}

/// Returns the ending of a counted noun.
pub(crate) fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}
