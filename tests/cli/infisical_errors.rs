//! What a failing Infisical gets: the kind of failure, its place in the file, what to do, and no child.

use std::time::{Duration, Instant};

use super::lab::{
    AUTH, BOTH, CANARY, CLIENT_ID, CLIENT_SECRET, Exec, Expected, GET, LIST, LOGIN, ONE, PROJECT, against,
    discreet, dsops, fails, file, options, options_with, value, with_key,
};
use crate::support::infisical::{Fault, Generation, Identity, Infisical};
use crate::support::tls::Certificate;

fn options_of(project: &str, environment: &str, host: &str) -> String {
    format!(
        "type: infisical, host: '{host}', project_id: {project}, environment: {environment}, auth: {AUTH}"
    )
}

const PLACE: &str = "dsops::fetch::place_not_found";
const ABSENT: &str = "dsops::fetch::not_found";

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let options = format!("{}, timeout_ms: 300", options("http://127.0.0.1:9"));
    let run = || dsops().config(file(&options, ONE));
    let expected = Expected {
        exit: 6,
        code: "dsops::fetch::unavailable",
        says: &["connection refused", "127.0.0.1:9"],
        advises: "check the store's address",
    };
    fails(run, None, &expected);
}

#[test]
fn a_host_that_has_no_address_is_not_asked_again() {
    let started = Instant::now();
    let run = || dsops().config(file(&options("https://nowhere.invalid"), ONE));
    let expected =
        Expected { exit: 6, code: "dsops::fetch::unavailable", says: &["nowhere.invalid"], advises: "" };
    fails(run, None, &expected);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}

#[test]
fn plain_http_beyond_this_machine_is_refused_before_anything_is_sent() {
    let output =
        dsops().config(file(&options("http://192.0.2.1"), ONE)).get("A").run().code(3).stdout_empty();
    let _ = output.stderr_has("http").stderr_has("dsops.yaml:3:");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_and_a_ca_file_mends_it() {
    let certificate = Certificate::loopback();
    let server = with_key(Generation::July2026).start_tls(&certificate);
    let run = || against(&server, ONE);
    let expected =
        Expected { exit: 6, code: "dsops::fetch::unavailable", says: &["certificate"], advises: "ca_cert" };
    fails(run, Some(&server), &expected);
    assert_eq!(server.total(), 0, "nothing was sent");

    let trusting = format!("{}, ca_cert: ca.pem", options(&server.url()));
    let run = dsops().config(file(&trusting, ONE)).file("ca.pem", certificate.pem());
    let _ = run.get("A").run().code(0).stdout(value("key"));
    // Where the system vouches for nobody, the file alone does.
    let run = dsops().config(file(&trusting, ONE)).file("ca.pem", certificate.pem());
    let run = run.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
    let _ = run.get("A").run().code(0).stdout(value("key"));
}

#[test]
fn wrong_credentials_are_tried_once() {
    for generation in BOTH {
        let server = with_key(generation).start();
        let run = || against(&server, ONE).env("INFISICAL_CLIENT_SECRET", "wrong");
        let expected = Expected {
            exit: 4,
            code: "dsops::auth::refused",
            says: &["unauthorized", "Invalid credentials"],
            advises: "credentials",
        };
        fails(run, Some(&server), &expected);
        assert_eq!(server.count(LOGIN), 2, "one login for each of the two runs");
    }
}

#[test]
fn a_refused_login_of_each_kind_is_final() {
    let identity = || Identity::new(CLIENT_ID, CLIENT_SECRET);
    for (identity, says) in [
        (identity().with_expired_secret(), "expired"),
        (identity().with_refused_address(), "IP"),
        (identity().logins(0), "usage limit"),
    ] {
        let server = Infisical::new(Generation::July2026).project(PROJECT, "p", &["dev"]);
        let server = server.secret("dev", "/", "KEY", &value("key")).identity_with(identity).start();
        let output = against(&server, ONE).get("A").run().code(4).stdout_empty();
        let _ = discreet(output, &server).stderr_has(says);
        assert_eq!(server.count(LOGIN), 1, "{says}");
    }
}

#[test]
fn a_locked_identity_is_told_to_wait() {
    let identity = Identity::new(CLIENT_ID, CLIENT_SECRET).lockout_after(1);
    let server = Infisical::new(Generation::July2026).project(PROJECT, "p", &["dev"]).identity_with(identity);
    let server = server.secret("dev", "/", "KEY", &value("key")).start();
    let _ = against(&server, ONE).env("INFISICAL_CLIENT_SECRET", "wrong").get("A").run().code(4);
    let output = against(&server, ONE).get("A").run().code(4).stdout_empty();
    let _ = discreet(output, &server).stderr_has("locked");
}

#[test]
fn a_missing_project_environment_folder_or_secret_is_named() {
    for generation in BOTH {
        let server = with_key(generation).folder("dev", "/db").start();
        let url = server.url();
        let other = "00000000-0000-4000-8000-000000000000";
        let cases = [
            (options_of(other, "dev", &url), ONE, PLACE, "project not found", other),
            (options_of(PROJECT, "staging", &url), ONE, PLACE, "environment not found", "staging"),
            (options(&url), "A: {from: infisical/nope/KEY}", ABSENT, "folder not found", "/nope"),
            (options(&url), "A: {from: infisical/KYE}", ABSENT, "secret not found", "KYE"),
            (options(&url), "A: {from: infisical/db/KEY}", ABSENT, "secret not found", "KEY"),
        ];
        for (options, variable, code, says, name) in cases {
            let run = || dsops().config(file(&options, variable));
            let expected = Expected { exit: 5, code, says: &[says, name], advises: "" };
            fails(run, Some(&server), &expected);
        }
    }
}

#[test]
fn a_wrong_project_or_environment_is_no_absence() {
    let two = "A: {from: infisical/KEY, default: d}\nB: {from: infisical/OTHER, optional: true}";
    let one = "A: {from: infisical/KEY, optional: true, default: d, fallback: [infisical/OTHER]}";
    let import = "import: {store: infisical, optional: true}";
    for generation in BOTH {
        let server = with_key(generation).start();
        for (project, environment) in [("00000000-0000-4000-8000-000000000000", "dev"), (PROJECT, "Dev")] {
            for variables in [one, two, import] {
                let options = options_of(project, environment, &server.url());
                let run = dsops().config(file(&options, variables)).exec("touch started");
                let started = run.path("started");
                let _ = discreet(run.run().code(125).stdout_empty(), &server).stderr_has(PLACE);
                assert!(!started.exists());
                let run = dsops().config(file(&options, variables));
                let run = run.args(["exec", "--env", "dev", "--allow-missing", "--", "true"]).run();
                let _ = discreet(run.code(125), &server).stderr_has(PLACE);
            }
        }
    }
}

#[test]
fn a_version_that_is_not_there_is_no_other_version() {
    for generation in BOTH {
        let server = with_key(generation).start();
        let run = || against(&server, "A: {from: infisical/KEY@v7}");
        let expected =
            Expected { exit: 5, code: "dsops::fetch::version_not_found", says: &["7"], advises: "" };
        fails(run, Some(&server), &expected);
    }
}

#[test]
fn a_hidden_value_is_not_its_mask() {
    for generation in BOTH {
        let server = with_key(generation).hidden("dev", "/", "KEY").start();
        let run = || against(&server, ONE);
        let expected = Expected { exit: 9, code: "dsops::fetch::hidden", says: &["KEY"], advises: "" };
        fails(run, Some(&server), &expected);
    }
}

#[test]
fn what_is_no_answer_of_infisical_is_no_value() {
    let malformed = "dsops::fetch::malformed";
    for (fault, code, says) in [
        (Fault::html(), malformed, "HTML"),
        (Fault::content_type("text/plain"), malformed, ""),
        (Fault::cut(), malformed, ""),
        (Fault::empty(), malformed, "empty"),
        (Fault::body("{\"secret\": 5}"), malformed, ""),
        (Fault::reset(), "dsops::fetch::unavailable", ""),
        (Fault::status(500), "dsops::fetch::unavailable", "500"),
        (Fault::status(503), "dsops::fetch::unavailable", "503"),
    ] {
        let server = with_key(Generation::July2026).fault(GET, fault).start();
        // What may pass is waited for, here not for long.
        let options = format!("{}, timeout_ms: 800", options(&server.url()));
        let run = || dsops().config(file(&options, ONE));
        fails(run, Some(&server), &Expected { exit: 6, code, says: &[says], advises: "" });
        assert!(server.count(GET) > 0);
    }
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let server = with_key(Generation::July2026).fault(GET, Fault::silence()).start();
    let options = format!("{}, timeout_ms: 700", options(&server.url()));
    let run = || dsops().config(file(&options, ONE));
    let started = Instant::now();
    let expected = Expected { exit: 6, code: "dsops::fetch::timed_out", says: &[], advises: "timeout" };
    fails(run, Some(&server), &expected);
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[test]
fn what_passes_is_waited_for() {
    for fault in [
        Fault::status(500),
        Fault::status(502),
        Fault::status(503),
        Fault::status(504),
        Fault::reset(),
        Fault::cut(),
        Fault::rate_limited(None),
    ] {
        for route in [LOGIN, GET] {
            let server = with_key(Generation::July2026).fault(route, fault.clone().times(1)).start();
            let _ = against(&server, ONE).get("A").run().code(0).stdout(value("key"));
            assert_eq!(server.count(route), 2, "{route}");
        }
    }
}

#[test]
fn the_pause_that_a_server_asks_for_is_kept() {
    let folder = "A: {from: infisical/KEY}\nB: {from: infisical/OTHER}";
    let server = with_key(Generation::July2026).secret("dev", "/", "OTHER", &value("other"));
    let server = server.fault(LIST, Fault::rate_limited(Some(1)).times(1)).start();
    let started = Instant::now();
    let _ = against(&server, folder).exec("true").run().code(0);
    assert!(started.elapsed() >= Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(server.count(LIST), 2);
    assert_eq!(server.logins(), 1);
}

#[test]
fn a_token_that_is_refused_costs_one_new_login() {
    for generation in BOTH {
        for fault in [Fault::expiry(), Fault::revocation()] {
            let server = with_key(generation).fault(GET, fault.times(1)).start();
            let output = against(&server, ONE).get("A").run().code(0).stdout(value("key"));
            let _ = discreet(output, &server);
            assert_eq!((server.logins(), server.count(GET)), (2, 2));
        }
    }
}

#[test]
fn a_token_that_is_refused_again_and_again_is_given_up() {
    let server = with_key(Generation::July2026).fault(GET, Fault::expiry()).start();
    let output = against(&server, ONE).get("A").run().code(4).stdout_empty();
    let _ = discreet(output, &server);
    assert_eq!(server.logins(), 2, "one login in its place, and no more");
}

#[test]
fn a_stranger_to_the_project_is_denied() {
    for generation in BOTH {
        let identity = Identity::new(CLIENT_ID, CLIENT_SECRET).member_of(&[]);
        let server = Infisical::new(generation).project(PROJECT, "p", &["dev"]).identity_with(identity);
        let server = server.secret("dev", "/", "KEY", &value("key")).start();
        let run = || against(&server, ONE);
        let expected =
            Expected { exit: 4, code: "dsops::auth::denied", says: &[PROJECT], advises: "identity" };
        fails(run, Some(&server), &expected);
    }
}

#[test]
fn a_value_that_the_role_does_not_show_is_hidden() {
    for generation in BOTH {
        let identity = Identity::new(CLIENT_ID, CLIENT_SECRET).may_read("dev", "/open");
        let server = Infisical::new(generation).project(PROJECT, "p", &["dev"]).identity_with(identity);
        let server = server.secret("dev", "/closed", "KEY", &value("key")).start();
        let run = || against(&server, "A: {from: infisical/closed/KEY}");
        let expected =
            Expected { exit: 9, code: "dsops::fetch::hidden", says: &["/closed"], advises: "Read Value" };
        fails(run, Some(&server), &expected);
    }
}

#[test]
fn nothing_but_absence_is_optional() {
    let variables =
        "A: {from: infisical/KEY, optional: true, default: d, fallback: [{store: infisical/OTHER}]}";
    for fault in [Fault::status(500), Fault::html(), Fault::expiry()] {
        let server = with_key(Generation::July2026).secret("dev", "/", "OTHER", &value("other"));
        let server = server.fault(GET, fault).start();
        let options = format!("{}, timeout_ms: 300", options(&server.url()));
        let run = dsops().config(file(&options, variables)).exec("touch started");
        let started = run.path("started");
        let _ = discreet(run.run().code(125).stdout_empty(), &server);
        assert!(!started.exists());
    }
}

#[test]
fn every_failure_is_told_once_and_all_are_told() {
    let server = with_key(Generation::July2026).start();
    let variables = "A: {from: infisical/ONE}\nB: {from: infisical/TWO}\nC: {from: infisical/KEY}";
    let output = against(&server, variables).args(["--error-format", "json"]).exec("true").run().code(125);
    let errors = discreet(output, &server).stderr_json();
    let variables: Vec<_> = errors.iter().map(|error| error["variables"].to_string()).collect();
    assert_eq!(variables, ["[\"A\"]", "[\"B\"]"]);

    let many: String = (0..50).map(|index| format!("V{index}: {{from: infisical/K{index}}}\n")).collect();
    let options = format!("{}, timeout_ms: 300", options("http://127.0.0.1:9"));
    let run = dsops().config(file(&options, &many)).args(["--error-format", "json"]);
    let errors = run.exec("true").run().code(125).stderr_json();
    assert_eq!(errors.len(), 1, "one cause, said once");
    assert_eq!(errors[0]["variables"].as_array().map(Vec::len), Some(50));
}

#[test]
fn an_api_key_is_refused_with_the_reason() {
    let server = with_key(Generation::July2026).lenient().start();
    let options = options_with(&server.url(), "{method: api_key, api_key: '${KEY}'}");
    let output = dsops().env("KEY", "ak.secret-key-1234").config(file(&options, ONE)).get("A").run().code(4);
    let _ = output
        .stdout_empty()
        .stderr_has("current servers")
        .stderr_lacks("secret-key-1234")
        .stderr_lacks(CANARY);
}

#[test]
fn a_wrong_path_of_the_store_is_no_absence() {
    for generation in BOTH {
        let server = with_key(generation).folder("dev", "/app").start();
        let read = |path: &str| {
            let options = format!("{}, path: {path}", options(&server.url()));
            let variables = "A: {from: infisical/KEY, default: substitute}
                B: {from: infisical/below/OTHER, optional: true}";
            dsops().config(file(&options, variables)).get("A").run()
        };
        let output = discreet(read("/ap"), &server).code(5).stdout_empty();
        let _ = output.stderr_has("dsops::fetch::place_not_found").stderr_has("the store's `path` names");
        // The folder is there, and only what was asked for in it is not.
        let _ = discreet(read("/app"), &server).code(0).stdout("substitute");
    }
}

#[test]
fn a_life_without_measure_is_a_long_one() {
    let body = r#"{"accessToken":"TOKEN","expiresIn":18446744073709551615,"tokenType":"Bearer"}"#;
    let server = with_key(Generation::July2026).fault(LOGIN, Fault::body(body)).start();
    let output = against(&server, ONE).get("A").run().stdout_empty();
    let _ = output.stderr_lacks("bug").code(4);
}
