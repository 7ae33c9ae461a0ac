//! `dsops doctor`: what works, what does not, and what to do about it.

use std::time::Duration;

use clap::Args;
use dsops::config::Config;
use dsops::doctor::{self, ReadReport, StoreReport};
use dsops::exit;
use dsops::plan::Plan;
use dsops::resolve::fetch_code;
use dsops_providers::contract::{Finding, Status};
use owo_colors::Style;
use serde_json::{Value, json};

use super::Outcome;
use super::session::{Session, runtime};
use crate::diagnostics::Diagnostic;

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

impl Doctor {
    pub(crate) fn run(&self, session: &Session) -> Outcome {
        let _hardened = dsops::exec::harden();
        let config = session.load()?;
        let environment = self.env.as_ref().map(|name| session.environment(&config, name)).transpose()?;
        let plan = match environment {
            Some(environment) => session.plan(&config, environment)?,
            None => {
                session.planned(&config, Plan::for_stores(&config, config.stores.values(), &session.env))?
            }
        };
        let cx = session.context(&config);
        let (stores, read) = runtime()?.block_on(dsops::exec::interruptible(async {
            let stores = doctor::check(&config, &plan, &cx).await;
            let read = match environment {
                Some(environment) => Some(doctor::read(&config, environment, &plan, &stores, &cx).await),
                None => None,
            };
            (stores, read)
        }));
        let read = read.transpose().map_err(|errors| session.mistakes(&config, &errors))?;
        let ok = !stores.iter().any(StoreReport::failed)
            && read.as_ref().is_none_or(|read| read.failures.is_empty());
        if self.json {
            session.output.line(&format!("{:#}", self.document(&config, &stores, read.as_ref(), ok)))?;
        } else {
            session.output.line(&self.text(session, &config, &stores, read.as_ref()))?;
            let failures = read.iter().flat_map(|read| &read.failures);
            failures
                .for_each(|failure| session.output.diagnostic(&Diagnostic::failure(failure, &config.source)));
        }
        Ok(if ok { exit::OK } else { exit::PROBLEMS })
    }

    fn text(
        &self,
        session: &Session,
        config: &Config,
        stores: &[StoreReport],
        read: Option<&ReadReport>,
    ) -> String {
        let mut lines = Vec::new();
        if self.verbose {
            lines.push(format!("file: {}", config.source.path.display()));
            for (name, store) in &config.stores {
                for variable in &store.credential_env {
                    let set = if session.env.get_os(variable).is_some() { "set" } else { "not set" };
                    lines.push(format!("credential of {name}: {variable} is {set}"));
                }
            }
            lines.push(String::new());
        }
        let mut rows: Vec<Vec<String>> = Vec::new();
        for store in stores {
            rows.extend(
                self.steps(store).into_iter().map(|finding| row(session, &store.name, store.kind, &finding)),
            );
        }
        if let Some(read) = read {
            let finding = read_finding(read);
            rows.push(row(session, &format!("env {}", read.environment), "", &finding));
        }
        if rows.is_empty() {
            lines.push("no stores; nothing to check".to_owned());
            return lines.join("\n");
        }
        lines.push(session.output.table(&["store", "type", "step", "status", "latency", "found"], rows));
        let helps = stores.iter().flat_map(|store| {
            let bad = store.findings.iter().filter(|finding| finding.status != Status::Ok);
            bad.filter_map(|finding| Some(format!("{}: {}", store.name, finding.help.as_ref()?)))
        });
        let helps: Vec<String> = helps.collect();
        if !helps.is_empty() {
            lines.push(String::new());
            lines.push("what to do:".to_owned());
            lines.extend(helps.into_iter().map(|help| format!("  {help}")));
        }
        lines.join("\n")
    }

    /// A healthy store is one row; what is wrong is shown step by step.
    fn steps(&self, store: &StoreReport) -> Vec<Finding> {
        let bad: Vec<Finding> =
            store.findings.iter().filter(|finding| finding.status != Status::Ok).cloned().collect();
        if self.verbose || store.findings.is_empty() {
            return store.findings.clone();
        }
        if !bad.is_empty() {
            return bad;
        }
        let latency: Duration = store.findings.iter().filter_map(|finding| finding.latency).sum();
        let steps: Vec<&str> = store.findings.iter().map(|finding| finding.step).collect();
        vec![Finding::ok("all", steps.join(", ")).took(latency)]
    }

    fn document(
        &self,
        config: &Config,
        stores: &[StoreReport],
        read: Option<&ReadReport>,
        ok: bool,
    ) -> Value {
        let stores: Vec<Value> = stores
            .iter()
            .map(|store| {
                let findings: Vec<Value> = store.findings.iter().map(finding_json).collect();
                json!({ "name": store.name, "type": store.kind, "ok": !store.failed(), "findings": findings })
            })
            .collect();
        let environment = read.map(|read| {
            let failures: Vec<Value> = read
                .failures
                .iter()
                .map(|failure| Diagnostic::failure(failure, &config.source).to_json())
                .collect();
            json!({
                "name": read.environment,
                "present": read.present,
                "absent": read.absent,
                "skipped": read.skipped,
                "latency_ms": millis(read.took),
                "failures": failures,
            })
        });
        json!({
            "file": config.source.path.display().to_string(),
            "warnings": config.warnings.iter().map(|warning| &warning.message).collect::<Vec<_>>(),
            "stores": stores,
            "environment": environment,
            "ok": ok,
        })
    }
}

fn read_finding(read: &ReadReport) -> Finding {
    let missing: usize = read.failures.iter().map(|failure| failure.variables.len()).sum();
    let mut found = format!("{} of {} values read", read.present, read.present + missing + read.skipped);
    if read.skipped > 0 {
        found.push_str(&format!("; not asked for, since their store failed: {}", read.skipped));
    }
    if !read.absent.is_empty() {
        found.push_str(&format!("; absent and optional: {}", read.absent.join(", ")));
    }
    let finding = Finding::ok("read", found).took(read.took);
    match (read.failures.is_empty(), read.skipped) {
        (true, 0) => finding,
        (true, _) => Finding { status: Status::Skipped, ..finding },
        (false, _) => Finding { status: Status::Failed, ..finding },
    }
}

fn row(session: &Session, store: &str, kind: &str, finding: &Finding) -> Vec<String> {
    let (word, style) = match finding.status {
        Status::Ok => ("ok", Style::new().green()),
        Status::Warning => ("warning", Style::new().yellow()),
        Status::Failed => ("failed", Style::new().red()),
        Status::Skipped => ("skipped", Style::new().dimmed()),
    };
    let latency = finding.latency.map_or_else(String::new, |latency| format!("{} ms", millis(latency)));
    vec![
        store.to_owned(),
        kind.to_owned(),
        finding.step.to_owned(),
        session.output.coloured(word, style),
        latency,
        finding.message.clone(),
    ]
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "step": finding.step,
        "status": finding.status,
        "message": finding.message,
        "help": finding.help,
        "code": finding.kind.map(fetch_code),
        "latency_ms": finding.latency.map(millis),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
