//! A project on a fake Infisical, a file that reads it, and the checks that hold for every run.

use crate::support::infisical::{Generation, Infisical, Server};
use crate::support::{Dsops, Output};

pub(crate) const PROJECT: &str = "9cd41904-ea03-4da2-aff5-cafa69d1eadc";
pub(crate) const CLIENT_ID: &str = "4b2f1c7e-6d1f-4a52-8a6e-0f4c5d3b2a19";
pub(crate) const CLIENT_SECRET: &str = "client-secret-9f8e7d6c5b4a39281706f5e4d3c2b1a0";
pub(crate) const SERVICE_TOKEN: &str =
    "st.63811cad-7389-4c18-9bf4-43b637d6bbf2.00112233445566778899aabbccddeeff";
pub(crate) const BOTH: [Generation; 2] = [Generation::June2025, Generation::July2026];

/// Stands in every value, and must stand in nothing that a run writes to standard error.
pub(crate) const CANARY: &str = "canary-4c1d7a";

pub(crate) const LOGIN: &str = "POST /api/v1/auth/universal-auth/login";
pub(crate) const LIST: &str = "GET /api/v3/secrets/raw";
pub(crate) const GET: &str = "GET /api/v3/secrets/raw/{name}";
pub(crate) const DETAILS: &str = "GET /api/v2/service-token";

/// Returns a value that says whose it is.
pub(crate) fn value(of: &str) -> String {
    format!("{CANARY}-{of}")
}

/// Prepares a server with an empty project of two environments, and an identity that may do everything.
pub(crate) fn server(generation: Generation) -> Infisical {
    Infisical::new(generation)
        .project(PROJECT, "payroll", &["dev", "prod"])
        .identity(CLIENT_ID, CLIENT_SECRET)
}

/// Returns the options of a store that logs in as the identity.
pub(crate) fn options(host: &str) -> String {
    options_with(host, AUTH)
}

pub(crate) const AUTH: &str = "{method: machine_identity, client_id: '${INFISICAL_CLIENT_ID}', \
                               client_secret: '${INFISICAL_CLIENT_SECRET}'}";

/// Returns the options of a store that logs in by `auth`.
pub(crate) fn options_with(host: &str, auth: &str) -> String {
    format!("type: infisical, host: '{host}', project_id: {PROJECT}, environment: dev, auth: {auth}")
}

/// Returns a file with one store, `infisical`, and one environment, `dev`.
pub(crate) fn file(options: &str, variables: &str) -> String {
    let mut text = format!("version: 1\nsecretStores:\n  infisical: {{{options}}}\nenvs:\n  dev:\n");
    for line in variables.lines().map(str::trim).filter(|line| !line.is_empty()) {
        text.push_str(&format!("    {line}\n"));
    }
    text
}

/// Prepares a run with the identity's credentials in its environment.
pub(crate) fn dsops() -> Dsops {
    Dsops::new().env("INFISICAL_CLIENT_ID", CLIENT_ID).env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET)
}

/// Prepares a run against a server whose project has what `variables` name.
pub(crate) fn against(server: &Server, variables: &str) -> Dsops {
    dsops().config(file(&options(&server.url()), variables))
}

/// Prepares `exec` of a shell script.
pub(crate) trait Exec {
    fn exec(self, script: &str) -> Dsops;
    fn get(self, variable: &str) -> Dsops;
}

impl Exec for Dsops {
    fn exec(self, script: &str) -> Dsops {
        self.args(["exec", "--env", "dev", "--", "sh", "-c", script])
    }

    fn get(self, variable: &str) -> Dsops {
        self.args(["get", "--env", "dev", variable])
    }
}

/// Checks that standard error shows no value and nothing that opens the store.
#[track_caller]
pub(crate) fn discreet(output: Output, server: &Server) -> Output {
    let mut output = output.stderr_lacks(CANARY).stderr_lacks(CLIENT_SECRET);
    output = output.stderr_lacks("00112233445566778899aabbccddeeff");
    for token in server.tokens() {
        output = output.stderr_lacks(&token);
    }
    output
}

/// Returns the one error that the run wrote with `--error-format json`.
#[track_caller]
pub(crate) fn only_error(output: &Output) -> serde_json::Value {
    let mut errors = output.stderr_json();
    assert_eq!(errors.len(), 1, "one error is due\n{output}");
    errors.pop().expect("one error")
}

/// What a failure has to look like.
pub(crate) struct Expected<'a> {
    pub(crate) exit: i32,
    pub(crate) code: &'a str,
    /// Fragments of the message.
    pub(crate) says: &'a [&'a str],
    /// A fragment of the advice.
    pub(crate) advises: &'a str,
}

/// Runs `get` and `exec` over a file that cannot be resolved, and checks both.
#[track_caller]
pub(crate) fn fails(run: impl Fn() -> Dsops, server: Option<&Server>, expected: &Expected<'_>) {
    let output = run().args(["--error-format", "json"]).get("A").run().code(expected.exit).stdout_empty();
    let output = match server {
        Some(server) => discreet(output, server),
        None => output.stderr_lacks(CLIENT_SECRET),
    };
    let error = only_error(&output);
    let text = |key: &str| error.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    assert_eq!(text("code"), expected.code, "{error}");
    for says in expected.says {
        assert!(text("message").contains(says), "{says:?} is not in {error}");
    }
    assert!(
        !text("help").is_empty() && text("help").contains(expected.advises),
        "{:?} is not advised in {error}",
        expected.advises
    );
    assert_eq!(error["line"], 6, "{error}");
    assert_eq!(error["column"], 15, "{error}");

    let child = run().exec("touch started; echo $A");
    let started = child.path("started");
    let output = child.run().code(125).stdout_empty().stderr_has(expected.code);
    let _ = match server {
        Some(server) => discreet(output, server),
        None => output,
    };
    assert!(!started.exists(), "the child was started");
}

/// The environment of most of these tests: one variable, `A`, whose reference stands at line 6, column 15.
pub(crate) const ONE: &str = "A: {from: infisical/KEY}";

/// Prepares a server that has what [`ONE`] refers to.
pub(crate) fn with_key(generation: Generation) -> Infisical {
    server(generation).secret("dev", "/", "KEY", &value("key"))
}
