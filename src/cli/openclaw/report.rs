//! What `dsops openclaw check` found, with one thing to do about each, as a table and as JSON.

use std::collections::BTreeSet;

use dsops::openclaw::{Failure, Id, Outcome};
use dsops_providers::contract::{Finding, Status};
use serde_json::{Value, json};

use super::Session;
use crate::cli::doctor;

/// What was found of one provider.
pub(super) struct Report {
    pub(super) provider: String,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn advice_for(failure: &Failure) -> &'static str {
    match failure {
        Failure::TimedOut(_) | Failure::Silent(_) => {
            "see `dsops doctor`; a higher `deadline` and `dsops openclaw install` make OpenClaw wait longer"
        }
        Failure::TooMuch(_) => "raise `maxOutputBytes`, or name with `allow` what OpenClaw may ask for",
        Failure::Code(_) => "see `dsops validate`, and the line that the program wrote",
        _ => "run `dsops openclaw install`, and see that its file system allows programs",
    }
}

/// Says what came of one id.
pub(super) fn came(id: &Id, outcome: &Outcome) -> Finding {
    let name = &id.id;
    let failed = |what: &str, help: &str| Finding {
        status: Status::Failed,
        ..Finding::warning("id", format!("{name}: {what}"), help)
    };
    match outcome {
        Outcome::Given => Finding::ok("id", name.clone()),
        Outcome::Refused(code) if code == "NOT_FOUND" && id.optional => Finding {
            help: None,
            ..Finding::warning("id", format!("{name}: NOT_FOUND, and it is optional"), "")
        },
        Outcome::Refused(code) => failed(code, advice_on(code)),
        Outcome::Missing => failed("neither a value nor an error", "run `dsops openclaw install`"),
        Outcome::Empty => failed("empty, which OpenClaw refuses", "give the secret a value in its store"),
        Outcome::NoText => failed("no text, which OpenClaw refuses", "run `dsops openclaw install`"),
        Outcome::Redacted => {
            failed("OpenClaw's mark for a hidden value", "give the secret its value in its store")
        }
    }
}

fn advice_on(code: &str) -> &'static str {
    match code {
        "NOT_FOUND" => {
            "store what is missing, or correct the id or the profile's `allow`; `dsops plan` shows what each means"
        }
        "INVALID_ID" => "use letters, digits and `._:/#-`, with a letter or digit at the start",
        "UNAUTHENTICATED" | "FORBIDDEN" | "HIDDEN" => {
            "see `dsops doctor`; the variables of the login have to be set for OpenClaw, and named in `passEnv`"
        }
        "TIMED_OUT" => {
            "raise `deadline` in the profile and run `dsops openclaw install` again, or see with `dsops doctor` why the store is slow"
        }
        "UNAVAILABLE" | "RATE_LIMITED" => "see `dsops doctor` for what keeps the store from answering",
        "EMPTY" | "PLACEHOLDER" => "give the secret its value in its store",
        "NOT_TEXT" => "add `transform: base64_encode` to the alias or variable",
        "TOO_LARGE" => "leave large values out, or ask for them from a provider of their own",
        "CONFIGURATION" => {
            "see `dsops validate`, and that every variable that the file names is in `passEnv`"
        }
        _ => "`dsops get --env NAME VARIABLE` tells the cause",
    }
}

pub(super) fn text(session: &Session, reports: &[Report]) -> String {
    let rows =
        reports.iter().flat_map(|report| report.findings.iter().map(|found| (&report.provider, found)));
    let rows = rows.map(|(provider, found)| {
        let latency =
            found.latency.map_or_else(String::new, |latency| format!("{} ms", doctor::millis(latency)));
        let word = doctor::word(found.status).to_owned();
        vec![provider.clone(), found.step.to_owned(), word, latency, found.message.clone()]
    });
    let table = session.output.table(&["provider", "step", "status", "latency", "found"], rows.collect());
    let mut lines = vec![session.output.coloured_column(&table, "STATUS", doctor::style)];
    let mut told = BTreeSet::new();
    for report in reports {
        let bad = report.findings.iter().filter(|found| found.status != Status::Ok);
        for help in bad.filter_map(|found| found.help.as_ref()) {
            if told.is_empty() {
                lines.extend([String::new(), "what to do:".to_owned()]);
            }
            let line = format!("  {}: {help}", report.provider);
            if told.insert(line.clone()) {
                lines.push(line);
            }
        }
    }
    lines.join("\n")
}

pub(super) fn document(reports: &[Report], is_ok: bool) -> Value {
    let providers = reports.iter().map(|report| {
        let findings = report.findings.iter().map(|found| {
            json!({
                "step": found.step,
                "status": found.status,
                "message": found.message,
                "help": found.help,
                "latency_ms": found.latency.map(doctor::millis),
            })
        });
        json!({ "name": report.provider, "findings": findings.collect::<Vec<_>>() })
    });
    json!({ "providers": providers.collect::<Vec<_>>(), "ok": is_ok })
}
