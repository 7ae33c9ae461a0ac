//! Buildkite's agent, which masks and sets variables on request of a job.
//!
//! "buildkite-agent redactor" and "buildkite-agent env" in Buildkite's documentation: both read JSON from stdin, so that no
//! value is an argument. The agent program reaches the agent by a socket that `BUILDKITE_AGENT_JOB_API_SOCKET` names.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use dsops_providers::contract::{EnvSnapshot, SecretValue};

use super::mask::for_each_part;
use crate::transform::buffer::Buffer;

/// What the agent program is called.
const PROGRAM: &str = "buildkite-agent";

/// Why the agent did not do what it was asked for. Nothing that it wrote is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AgentError(String);

/// Asks the agent to mask values in the log of the job, and returns the names of variables that nothing can be masked of.
///
/// # Errors
///
/// [`AgentError`] where the program is missing or fails.
pub fn redact<'a>(
    env: &EnvSnapshot,
    variables: impl IntoIterator<Item = (&'a str, &'a SecretValue)>,
) -> Result<Vec<String>, AgentError> {
    let mut json = Buffer::default();
    json.push(b'{');
    let mut number = 0;
    let mut error = None;
    let unmasked = for_each_part(variables, |part| {
        let separator = if number == 0 { "" } else { "," };
        number += 1;
        // The names are of no use to the agent, which wants different ones.
        json.extend(format!("{separator}\"{number}\":").as_bytes());
        let text = String::from_utf8_lossy(part);
        error = serde_json::to_writer(&mut json, &text).err().or(error.take());
    });
    json.extend(b"}\n");
    if error.is_some() {
        return Err(AgentError("the values could not be written as JSON".to_owned()));
    }
    if number > 0 {
        run(env, &["redactor", "add", "--format", "json"], &json)?;
    }
    Ok(unmasked)
}

/// Asks the agent to set variables for the later phases of the job: lines of JSON objects, as `render` makes them.
///
/// # Errors
///
/// [`AgentError`] where the program is missing or fails.
pub fn set(env: &EnvSnapshot, json: &[u8]) -> Result<(), AgentError> {
    run(env, &["env", "set", "--input-format=json", "--output-format=quiet", "-"], json)
}

fn run(env: &EnvSnapshot, arguments: &[&str], input: &[u8]) -> Result<(), AgentError> {
    let shown = format!("{PROGRAM} {}", arguments.iter().take(2).copied().collect::<Vec<_>>().join(" "));
    let failed = |why: &str| AgentError(format!("`{shown}` {why}"));
    let is_its_own =
        |name: &str| name.starts_with("BUILDKITE") || matches!(name, "PATH" | "HOME" | "TMPDIR" | "LANG");
    let own = env.iter().filter(|(name, _)| name.to_str().is_some_and(is_its_own));
    let mut command = Command::new(PROGRAM);
    // What it writes may hold what it was given.
    command.args(arguments).env_clear().envs(own).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => failed("cannot be run: there is no such program on `PATH`"),
        _ => failed(&format!("cannot be run: {error}")),
    })?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing ends with an error, which says more.
        let _ = stdin.write_all(input);
    }
    let status = child.wait().map_err(|error| failed(&format!("cannot be waited for: {error}")))?;
    if status.success() { Ok(()) } else { Err(failed(&format!("failed: {status}"))) }
}
