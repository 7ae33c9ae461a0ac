//! A program that asks `dsops exec-provider`, as OpenClaw does: how requests are written and answers are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::support::{Dsops, Output};

/// The most that stdout and stderr may have together, by default.
pub(crate) const MOST_OUTPUT: usize = 1 << 20;
/// The most that stderr may have.
const MOST_STDERR: usize = 4 << 10;
/// The largest request.
pub(crate) const MOST_REQUEST: usize = 256 << 10;

/// The codes that an error may have.
const CODES: &[&str] = &[
    "NOT_FOUND",
    "INVALID_ID",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "HIDDEN",
    "RATE_LIMITED",
    "UNAVAILABLE",
    "TIMED_OUT",
    "MALFORMED",
    "UNSUPPORTED",
    "TOOL_MISSING",
    "CONFIGURATION",
    "POLICY",
    "TRANSFORM",
    "EMPTY",
    "PLACEHOLDER",
    "NOT_TEXT",
    "TOO_LARGE",
];

/// Prepares a run over this file, which lies elsewhere than where the run is. `HOME` and `PATH` are not set.
pub(crate) fn provider(yaml: &str) -> Dsops {
    let run = Dsops::new().file("../config/dsops.yaml", yaml).without_env("PATH").without_env("HOME");
    let path = fs::canonicalize(run.path("../config/dsops.yaml")).expect("the file");
    run.without_env("COLUMNS").args(["exec-provider", "--config"]).args([path])
}

/// Returns a request for these ids.
pub(crate) fn request<I: AsRef<str>>(ids: &[I]) -> Vec<u8> {
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    json!({ "protocolVersion": 1, "provider": "dsops", "ids": ids }).to_string().into_bytes()
}

/// Asks for ids, and reads what every answer has to be.
#[track_caller]
pub(crate) fn ask<I: AsRef<str>>(run: Dsops, ids: &[I]) -> Answer {
    Answer::of(run.stdin(request(ids)).run(), ids)
}

/// One answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) errors: BTreeMap<String, (String, String)>,
    /// As they stand in the answer, to the byte.
    pub(crate) raw: String,
}

impl Answer {
    /// Reads an answer, which speaks of each id once and of no other, within its bounds, and ends well.
    #[track_caller]
    pub(crate) fn of<I: AsRef<str>>(output: Output, ids: &[I]) -> Self {
        let output = output.code(0);
        let (stdout, stderr) = (output.stdout_bytes(), output.stderr_bytes());
        assert!(stdout.len() + stderr.len() <= MOST_OUTPUT, "{} and {} bytes", stdout.len(), stderr.len());
        assert!(stderr.len() <= MOST_STDERR, "{} bytes on stderr\n{output}", stderr.len());
        let raw = std::str::from_utf8(stdout).expect("text").to_owned();
        let parsed = output.json();
        let object = parsed.as_object().unwrap_or_else(|| panic!("no object\n{output}"));
        assert_eq!(object.get("protocolVersion"), Some(&json!(1)), "{output}");
        let known = ["protocolVersion", "values", "errors"];
        assert!(object.keys().all(|key| known.contains(&key.as_str())), "{output}");
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
        let values = object.get("values").and_then(Value::as_object).expect("`values` is always there");
        let values: BTreeMap<_, _> = values.iter().map(|(id, value)| (id.clone(), text(value))).collect();
        let errors = object.get("errors").and_then(Value::as_object).cloned().unwrap_or_default();
        let errors: BTreeMap<_, _> = errors
            .iter()
            .map(|(id, error)| {
                let code = text(&error["code"]);
                assert!(CODES.contains(&code.as_str()), "{error}");
                assert_eq!(error.as_object().map(serde_json::Map::len), Some(2), "{error}");
                (id.clone(), (code, text(&error["message"])))
            })
            .collect();
        let told: Vec<&str> = values.keys().chain(errors.keys()).map(String::as_str).collect();
        let asked: BTreeSet<&str> = ids.iter().map(AsRef::as_ref).collect();
        assert_eq!(told.len(), asked.len(), "each id once, and no other");
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), asked);
        // One text for each code, which no id and no store changes.
        let mut messages: BTreeMap<&str, &str> = BTreeMap::new();
        for (code, message) in errors.values() {
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
            assert_eq!(messages.entry(code).or_insert(message), message, "two texts for {code}");
        }
        Self { values, errors, raw }
    }

    /// Returns the value of an id.
    #[track_caller]
    pub(crate) fn value(&self, id: &str) -> &str {
        match self.values.get(id) {
            Some(value) => value,
            None => panic!("no value for {id}: {:?}", self.errors.get(id)),
        }
    }

    /// Returns the code of an id's error.
    #[track_caller]
    pub(crate) fn code(&self, id: &str) -> &str {
        match self.errors.get(id) {
            Some((code, _)) => code,
            None => panic!("no error for {id}, whose value is {:?}", self.values.get(id)),
        }
    }
}

/// Checks a refusal of the whole request: a code, one line that says why, and no answer.
#[track_caller]
pub(crate) fn refused(output: Output, code: i32) -> Output {
    let output = output.code(code);
    // While it waits for the rest of a request it may say that it lives.
    assert!(output.stdout_bytes().trim_ascii().is_empty(), "an answer\n{output}");
    let stderr = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
    assert_eq!(stderr.lines().count(), 1, "one line is due\n{output}");
    assert!(stderr.len() <= MOST_STDERR && stderr.ends_with('\n'), "{output}");
    output
}
