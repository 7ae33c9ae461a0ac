//! What `doctor` learns from one step of checking a store.

use std::time::Duration;

use serde::Serialize;

use super::{FetchError, FetchErrorKind};

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, and will bite later.
    Warning,
    /// Does not work.
    Failed,
    /// Not tried, since an earlier step failed.
    Skipped,
}

/// One step of checking a store: `reach`, `login`, `project`, …
#[derive(Clone, Debug)]
pub struct Finding {
    /// The step, one word.
    pub step: &'static str,
    /// How it went.
    pub status: Status,
    /// What was found, as a lowercase fragment without values.
    pub message: String,
    /// The one thing to do about it.
    pub help: Option<String>,
    /// The kind of the failure, for the exit code.
    pub kind: Option<FetchErrorKind>,
    /// How long the step took.
    pub latency: Option<Duration>,
}

impl Finding {
    /// Returns a step that went well.
    #[must_use]
    pub fn ok(step: &'static str, message: impl Into<String>) -> Self {
        Self { step, status: Status::Ok, message: message.into(), help: None, kind: None, latency: None }
    }

    /// Returns a step that works, with something to mend.
    #[must_use]
    pub fn warning(step: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { status: Status::Warning, help: Some(help.into()), ..Self::ok(step, message) }
    }

    /// Returns a step that failed.
    #[must_use]
    pub fn failed(step: &'static str, error: &FetchError) -> Self {
        Self {
            status: Status::Failed,
            help: error.advice().map(str::to_owned),
            kind: Some(error.kind()),
            ..Self::ok(step, error.message())
        }
    }

    /// Returns a step that was not tried.
    #[must_use]
    pub fn skipped(step: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(step, message) }
    }

    /// Adds how long it took.
    #[must_use]
    pub fn took(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }
}
