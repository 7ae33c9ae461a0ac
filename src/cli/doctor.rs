//! `dsops doctor`: what works, what does not, and what to do about it.

use std::time::Duration;

use clap::Args;
use dsops::config::Config;
use dsops::doctor::{self, ReadReport, Step, StoreReport};
use dsops::exit;
use dsops_providers::contract::{Finding, Status};
use owo_colors::Style;
use serde_json::{Value, json};

use super::Outcome;
use super::session::{Session, runtime};
use crate::diagnostics::Diagnostic;

/// How many names a row of the table holds; the rest are counted.
const MOST_NAMES: usize = 8;

/// Check the file and every store: reachability, login, project, environment
///
/// With --env, checks the stores that the environment needs, and really reads what it needs. No part of a
/// value is shown.
#[derive(Args, Debug)]
#[command(after_help = "Example: dsops doctor --env production\n\nExits with 1 where something failed.")]
pub(crate) struct Doctor {
    /// Check what this environment needs, and read it
    #[arg(long, short, env = "DSOPS_ENV", value_name = "NAME")]
    env: Option<String>,
    /// Show every step, and where credentials come from
    #[arg(long, short)]
    verbose: bool,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What was found, of whatever was asked.
struct Found<'a> {
    config: &'a Config,
    stores: &'a [StoreReport],
    /// The environment's name and its values, where one was named.
    read: Option<(&'a str, ReadReport)>,
}

impl Doctor {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _hardened = dsops::exec::harden();
        let config = session.load()?;
        let environment = self.env.as_ref().map(|name| session.environment(&config, name)).transpose()?;
        let (plan, reports) = match environment {
            Some(environment) => (session.plan(&config, environment)?, Vec::new()),
            None => doctor::plan_all(&config, &session.env)
                .map_err(|errors| session.mistakes(&config, &errors))?,
        };
        let cx = session.context(&config);
        let (checked, read) = runtime()?.block_on(dsops::exec::interruptible(async {
            let checked = doctor::check(&config, &plan, reports, &cx).await;
            let read = match environment {
                Some(environment) => {
                    Some((environment.name.as_str(), doctor::read(&config, &plan, &checked, &cx).await))
                }
                None => None,
            };
            (checked, read)
        }));
        let found = Found { config: &config, stores: &checked.reports, read };
        if self.json {
            session.output.line(&format!("{:#}", found.document()))?;
        } else {
            for warning in &config.warnings {
                session.output.diagnostic(&Diagnostic::warning(warning, &config.source));
            }
            session.output.line(&self.text(session, &found))?;
            found.failures().iter().for_each(|failure| session.output.diagnostic(failure));
        }
        Ok(if found.is_ok() { exit::OK } else { exit::PROBLEMS })
    }

    fn text(&self, session: &Session, found: &Found<'_>) -> String {
        let mut lines = Vec::new();
        if self.verbose {
            lines.push(format!("file: {}", found.config.source.path.display()));
            lines.extend(found.credentials(session));
            lines.push(String::new());
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        for store in found.stores {
            let shown = if self.verbose { all(store) } else { notable(store) };
            rows.extend(shown.iter().map(|finding| row(&store.name, store.kind, finding)));
        }
        if let Some((name, read)) = &found.read {
            rows.push(row(&format!("env {name}"), "", &read_finding(read)));
        }
        if rows.is_empty() {
            lines.push("no stores; nothing to check".to_owned());
            return lines.join("\n");
        }
        let table = session.output.table(&["store", "type", "step", "status", "latency", "found"], rows);
        lines.push(session.output.coloured_column(&table, "STATUS", style));
        let helps = found.helps();
        if !helps.is_empty() {
            lines.push(String::new());
            lines.push("what to do:".to_owned());
            lines.extend(helps.into_iter().map(|help| format!("  {help}")));
        }
        lines.join("\n")
    }
}

impl Found<'_> {
    fn is_ok(&self) -> bool {
        let read = self.read.as_ref().is_none_or(|(_, read)| read.failures.is_empty());
        read && !self.stores.iter().any(StoreReport::failed)
    }

    /// Says of each variable that a credential comes from whether it is set.
    fn credentials(&self, session: &Session) -> Vec<String> {
        let mut lines = Vec::new();
        for store in self.stores.iter().filter_map(|report| self.config.stores.get(&report.name)) {
            for variable in &store.credential_env {
                let set = if session.env.get_os(variable).is_some() { "set" } else { "not set" };
                lines.push(format!("credential of {}: {variable} is {set}", store.name));
            }
        }
        lines
    }

    fn helps(&self) -> Vec<String> {
        let mut helps = Vec::new();
        for store in self.stores {
            let findings = store.steps.iter().map(|step| &step.finding);
            let bad = findings.filter(|finding| finding.status != Status::Ok);
            helps.extend(bad.filter_map(|bad| Some(format!("{}: {}", store.name, bad.help.as_ref()?))));
        }
        helps
    }

    fn failures(&self) -> Vec<Diagnostic> {
        let failures = self.read.iter().flat_map(|(_, read)| &read.failures);
        failures.map(|failure| Diagnostic::failure(failure, &self.config.source)).collect()
    }

    fn document(&self) -> Value {
        let stores = self.stores.iter().map(|store| {
            let findings: Vec<Value> = store.steps.iter().map(step_json).collect();
            json!({ "name": store.name, "type": store.kind, "ok": !store.failed(), "findings": findings })
        });
        let environment = self.read.as_ref().map(|(name, read)| {
            let failures: Vec<Value> = self.failures().iter().map(Diagnostic::to_json).collect();
            json!({
                "name": name,
                "read": {
                    "status": read.status(),
                    "present": read.present,
                    "expected": read.expected(),
                    "missing": read.missing().collect::<Vec<_>>(),
                    "skipped": read.skipped,
                    "absent": read.absent,
                    "latency_ms": millis(read.took),
                    "failures": failures,
                },
            })
        });
        json!({
            "file": self.config.source.path.display().to_string(),
            "warnings": self.config.warnings.iter().map(|warning| &warning.message).collect::<Vec<_>>(),
            "stores": stores.collect::<Vec<_>>(),
            "environment": environment,
            "ok": self.is_ok(),
        })
    }
}

fn all(store: &StoreReport) -> Vec<Finding> {
    store.steps.iter().map(|step| step.finding.clone()).collect()
}

/// What is wrong, step by step; the steps of a usable store that went well share a row.
fn notable(store: &StoreReport) -> Vec<Finding> {
    let is = |status| move |finding: &&Finding| finding.status == status;
    let findings = || store.steps.iter().map(|step| &step.finding);
    let mut shown: Vec<Finding> = findings()
        .filter(|finding| matches!(finding.status, Status::Failed | Status::Warning))
        .cloned()
        .collect();
    let well: Vec<&Finding> = findings().filter(is(Status::Ok)).collect();
    if store.failed() || well.is_empty() {
        return shown;
    }
    let step = if shown.is_empty() { "all" } else { "others" };
    let names: Vec<&str> = well.iter().map(|finding| finding.step).collect();
    let latency = well.iter().filter_map(|finding| finding.latency).reduce(|sum, latency| sum + latency);
    shown.push(Finding { latency, ..Finding::ok(step, names.join(", ")) });
    shown
}

fn read_finding(read: &ReadReport) -> Finding {
    let mut found = format!("{} of {} values read", read.present, read.expected());
    let missing: Vec<&str> = read.missing().collect();
    if !missing.is_empty() {
        found.push_str(&format!("; missing: {}", listed(&missing)));
    }
    if !read.skipped.is_empty() {
        found.push_str(&format!("; not read, since their store failed: {}", listed(&read.skipped)));
    }
    if !read.absent.is_empty() {
        found.push_str(&format!("; absent and optional: {}", listed(&read.absent)));
    }
    Finding { status: read.status(), ..Finding::ok("read", found).took(read.took) }
}

fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(MOST_NAMES).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn row(store: &str, kind: &str, finding: &Finding) -> Vec<String> {
    let latency = finding.latency.map_or_else(String::new, |latency| format!("{} ms", millis(latency)));
    vec![
        store.to_owned(),
        kind.to_owned(),
        finding.step.to_owned(),
        word(finding.status).to_owned(),
        latency,
        finding.message.clone(),
    ]
}

pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Failed => "failed",
        Status::Skipped => "skipped",
    }
}

pub(super) fn style(word: &str) -> Option<Style> {
    match word {
        "ok" => Some(Style::new().green()),
        "warning" => Some(Style::new().yellow()),
        "failed" => Some(Style::new().red()),
        "skipped" => Some(Style::new().dimmed()),
        _ => None,
    }
}

fn step_json(step: &Step) -> Value {
    json!({
        "step": step.finding.step,
        "status": step.finding.status,
        "message": step.finding.message,
        "help": step.finding.help,
        "code": step.code,
        "latency_ms": step.finding.latency.map(millis),
    })
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
