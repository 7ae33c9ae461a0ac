//! dsops at both ends: an `exec` store whose program is `dsops exec-provider`.

use std::fmt::Write as _;

use crate::exec_provider_values::odd_values;
use crate::lab::{CLIENT_ID, CLIENT_SECRET, options, server, value};
use crate::support::Dsops;
use crate::support::infisical::{Fault, Generation, Identity, Server};

/// Prepares a run whose store `chain` asks a dsops over the file `inner`.
fn chain(inner: &str, more: &str, variables: &str) -> Dsops {
    let run = Dsops::new().file("inner/dsops.yaml", inner);
    let yaml = format!(
        "secretStores:\n  chain:\n    type: exec\n    command: ['{}', exec-provider, --config, '{}', --timeout, 15s]\n    \
         pass_env: [INFISICAL_*, DSOPS_TOKEN_CACHE]\n{more}envs:\n  dev:\n{variables}",
        env!("CARGO_BIN_EXE_dsops"),
        run.path("inner/dsops.yaml").display(),
    );
    run.config(yaml).env("DSOPS_TOKEN_CACHE", "off")
}

const PROFILE: &str = "agents:\n  openclaw: {env: dev}\n";

#[test]
fn values_come_through_exact_to_the_byte() {
    use base64::Engine as _;
    let values = odd_values();
    let (mut inner, mut outer) = ("envs:\n  dev:\n".to_owned(), String::new());
    for (number, value) in values.iter().enumerate() {
        let text = base64::prelude::BASE64_STANDARD.encode(value);
        let _ = writeln!(inner, "    V{number}: {{literal: \"{text}\", transform: base64_decode}}");
        let _ = writeln!(outer, "    V{number}: {{from: chain/V{number}}}");
    }
    inner.push_str(PROFILE);
    for (number, value) in values.iter().enumerate() {
        let variable = format!("V{number}");
        let run = chain(&inner, "", &outer).args(["get", "--env", "dev", &variable]).run();
        let _ = run.code(0).stdout(value).stderr_empty();
    }
    // All at once by one process, as a command gets them.
    let script = "printf '%s\\0' \"$V0\" \"$V3\" \"$V11\"; exit 0";
    let run =
        chain(&inner, "", &outer).args(["exec", "--env", "dev", "--stats", "--", "sh", "-c", script]).run();
    let expected = format!("{}\0{}\0{}\0", values[0], values[3], values[11]);
    let _ = run.code(0).stdout(expected).stderr_has("1 outside program");
}

#[test]
fn more_ids_than_a_request_holds_come_through() {
    let (mut inner, mut outer) = ("envs:\n  dev:\n".to_owned(), String::new());
    for number in 0..600 {
        let _ = writeln!(inner, "    V{number}: {{literal: value {number}}}");
        let _ = writeln!(outer, "    V{number}: {{from: chain/V{number}}}");
    }
    inner.push_str(PROFILE);
    let script = "printf '%s,' \"$V0\" \"$V511\" \"$V512\" \"$V599\"";
    let run =
        chain(&inner, "", &outer).args(["exec", "--env", "dev", "--stats", "--", "sh", "-c", script]).run();
    let _ = run.code(0).stdout("value 0,value 511,value 512,value 599,").stderr_has("2 outside programs");
}

/// Runs `get` for a key that the inner dsops takes from a store, and checks its end.
#[track_caller]
fn ends(server: &Server, auth_more: &str, key: &str, code: i32, says: &str) {
    let inner = format!(
        "secretStores:\n  infisical: {{{}{auth_more}}}\nenvs:\n  dev:\n    GOOD: {{from: infisical/GOOD}}\n    \
         A: {{from: infisical/{key}}}\n{PROFILE}",
        options(&server.url())
    );
    let run = chain(&inner, "    timeout: 8s\n", "    A: {from: chain/A}\n    GOOD: {from: chain/GOOD}\n")
        .env("INFISICAL_CLIENT_ID", CLIENT_ID)
        .env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET)
        .args(["get", "--env", "dev", "A"])
        .run();
    let _ = run.code(code).stdout_empty().stderr_has(says).stderr_lacks(CLIENT_SECRET).stderr_lacks("canary");
}

#[test]
fn missing_denied_hidden_and_unreachable_stay_apart() {
    let start = || server(Generation::July2026).secret("dev", "/", "GOOD", &value("good"));
    ends(&start().start(), "", "GONE", 5, "dsops::fetch::not_found");

    let hidden = start().secret("dev", "/", "SECRET", &value("x")).hidden("dev", "/", "SECRET").start();
    ends(&hidden, "", "SECRET", 9, "dsops::fetch::hidden");

    let wrong = start().start();
    wrong.fault(
        "POST /api/v1/auth/universal-auth/login",
        Fault::refusal(401, "Unauthorized", "Invalid credentials"),
    );
    ends(&wrong, "", "GOOD", 4, "dsops::auth::refused");

    let failing = start().start();
    failing.fault("*", Fault::status(503));
    ends(&failing, ", timeout: 1s", "GOOD", 6, "dsops::fetch::");

    let gone = start().start();
    let url = gone.url();
    drop(gone);
    let inner = format!(
        "secretStores:\n  infisical: {{{}, timeout: 1s}}\nenvs: {{dev: {{A: {{from: infisical/GOOD}}}}}}\n{PROFILE}",
        options(&url)
    );
    let run = chain(&inner, "    timeout: 8s\n", "    A: {from: chain/A}\n")
        .env("INFISICAL_CLIENT_ID", CLIENT_ID)
        .env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET)
        .args(["get", "--env", "dev", "A"])
        .run();
    let _ = run.code(6).stdout_empty().stderr_has("dsops::fetch::unavailable");
}

#[test]
fn a_caller_that_may_not_read_is_told_so() {
    let server = crate::support::infisical::Infisical::new(Generation::July2026)
        .project(crate::lab::PROJECT, "payroll", &["dev", "prod"])
        .identity_with(Identity::new(CLIENT_ID, CLIENT_SECRET).member_of(&[]))
        .secret("dev", "/", "GOOD", &value("good"))
        .start();
    ends(&server, "", "GOOD", 4, "dsops::auth::denied");
}

#[test]
fn only_an_absence_lets_a_default_stand_in() {
    let inner = "envs:\n  dev: {BROKEN: {literal: x, transform: base64_decode}, EMPTY: {literal: ''}}\nagents:\n  openclaw: {env: dev}\n";
    let variables = "    GONE: {from: chain/GONE, default: stands in}\n    BROKEN: {from: chain/BROKEN, default: stands in}
    EMPTY: {from: chain/EMPTY, default: stands in}\n    INVALID: {from: 'chain/a b', default: stands in}\n";
    let get = |name: &str| chain(inner, "", variables).args(["get", "--env", "dev", name]).run();
    let _ = get("GONE").code(0).stdout("stands in");
    let _ = get("BROKEN").code(6).stdout_empty().stderr_has("dsops::fetch::malformed");
    let _ = get("EMPTY").code(6).stdout_empty().stderr_has("dsops::fetch::malformed");
    let _ = get("INVALID").code(6).stdout_empty().stderr_has("dsops::fetch::unsupported");
}

#[test]
fn a_mistake_in_a_stores_options_is_no_absence() {
    let server = server(Generation::July2026).secret("dev", "/", "GOOD", &value("good")).start();
    let options = options(&server.url()).replace("environment: dev", "environment: nowhere");
    let inner = format!(
        "secretStores:\n  infisical: {{{options}}}\nenvs: {{dev: {{A: {{from: infisical/GOOD}}}}}}\n{PROFILE}"
    );
    let run = chain(&inner, "", "    A: {from: chain/A, default: stands in}\n")
        .env("INFISICAL_CLIENT_ID", CLIENT_ID)
        .env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET)
        .args(["get", "--env", "dev", "A"])
        .run();
    let _ = run.code(6).stdout_empty().stderr_has("dsops::fetch::unsupported");
}

#[test]
fn line_feeds_keep_a_limit_of_silence_from_firing() {
    let slow = "#!/bin/sh\nread -r request\nsleep 4.5\nprintf '{\"protocolVersion\":1,\"values\":{\"X\":\"late\"}}'\n";
    let inner = format!(
        "secretStores:\n  slow: {{type: exec, command: ./slow, pass_env: [], env: {{PATH: '/usr/bin:/bin'}}}}\n\
         envs: {{dev: {{A: {{from: slow/X}}}}}}\n{PROFILE}"
    );
    let run = chain(&inner, "    silence: 3s\n", "    A: {from: chain/A}\n").program("inner/slow", slow);
    let _ = run.args(["get", "--env", "dev", "A"]).run().code(0).stdout("late");
}
