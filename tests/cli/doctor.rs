//! `dsops doctor`: what it finds, what it says to do, and what it must not do to find out.

use std::time::Duration;

use serde_json::Value;

use crate::support::infisical::{Fault, Generation, Infisical, Server};
use crate::support::tls::Certificate;
use crate::support::{Dsops, Output};

const PROJECT: &str = "9cd41904-ea03-4da2-aff5-cafa69d1eadc";
const CLIENT_ID: &str = "4b2f1c7e-6d1f-4a52-8a6e-0f4c5d3b2a19";
const CLIENT_SECRET: &str = "client-secret-2f8e7d6c5b4a39281706f5e4d3c2b1a0";
const CANARY: &str = "canary-7b20e1";

/// Where nobody listens: port 1 of the loopback address is reserved (tcpmux) and unused.
const CLOSED: &str = "http://127.0.0.1:1";

fn server() -> Infisical {
    Infisical::new(Generation::July2026)
        .project(PROJECT, "payroll", &["dev", "prod"])
        .identity(CLIENT_ID, CLIENT_SECRET)
        .secret("dev", "/", "KEY", CANARY)
}

fn options(host: &str) -> String {
    options_with(host, "'${CLIENT_SECRET}'")
}

fn options_with(host: &str, client_secret: &str) -> String {
    format!(
        "type: infisical, host: '{host}', project_id: {PROJECT}, environment: dev, \
         auth: {{method: machine_identity, client_id: '${{CLIENT_ID}}', client_secret: {client_secret}}}"
    )
}

/// Prepares a run with credentials in its environment, on a file with these stores and environments.
fn dsops(stores: &[(&str, String)], environments: &str) -> Dsops {
    let stores: String = stores.iter().map(|(name, options)| format!("  {name}: {{{options}}}\n")).collect();
    Dsops::new()
        .config(format!("version: 1\nsecretStores:\n{stores}envs:\n{environments}\n"))
        .env("CLIENT_ID", CLIENT_ID)
        .env("CLIENT_SECRET", CLIENT_SECRET)
}

fn literal() -> (&'static str, String) {
    ("lit", format!("type: literal, values: {{A: {CANARY}}}"))
}

/// Checks that a run shows no value and nothing that opens a store.
#[track_caller]
fn discreet(output: Output, server: &Server) -> Output {
    let output = output.never_shows(CANARY).never_shows(CLIENT_SECRET);
    server.tokens().iter().fold(output, |output, token| output.never_shows(token))
}

/// Returns the finding of a step of a store.
#[track_caller]
fn finding<'a>(report: &'a Value, store: &str, step: &str) -> &'a Value {
    let stores = report["stores"].as_array().expect("stores");
    let store = stores.iter().find(|found| found["name"] == store).expect("the store");
    let findings = store["findings"].as_array().expect("findings");
    findings.iter().find(|found| found["step"] == step).unwrap_or_else(|| panic!("no {step}: {store:#}"))
}

/// Returns the lines of the table for a store.
fn rows<'a>(text: &'a str, store: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.split_whitespace().next() == Some(store)).collect()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout_bytes().to_vec()).expect("text")
}

#[test]
fn a_healthy_store_is_one_row() {
    let server = server().start();
    let output = dsops(&[("app", options(&server.url()))], "  dev: {}").args(["doctor"]).run().code(0);
    let output = discreet(output, &server).stderr_empty();
    let text = text(&output);
    let [row] = rows(&text, "app")[..] else { panic!("one row is due\n{text}") };
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words[..4], ["app", "infisical", "all", "ok"]);
    assert!(row.ends_with("reach, login, project, environment"), "{row}");
    assert!(!text.contains("what to do"), "{text}");
}

#[test]
fn verbose_shows_every_step_the_file_and_where_credentials_come_from() {
    let server = server().start();
    let stores = [("app", options(&server.url())), ("bare", options_with(CLOSED, "'${NOT_SET}'"))];
    let output = dsops(&stores, "  dev: {KEY: {from: app/KEY}}");
    let file = output.path("dsops.yaml");
    let output = output.args(["doctor", "--env", "dev", "--verbose"]).run().code(0);
    let output = discreet(output, &server).stdout_has(&format!("file: {}\n", file.display()));
    let output = output.stdout_has("CLIENT_ID is set\n").stdout_has("CLIENT_SECRET is set\n");
    let text = text(&output);
    assert_eq!(rows(&text, "app").len(), 4, "{text}");
    // The other store is not needed, so nothing is said of it.
    assert!(!text.contains("NOT_SET"), "{text}");
}

#[test]
fn verbose_says_which_credentials_are_not_set() {
    let stores = [("bare", options_with(CLOSED, "'${NOT_SET}'"))];
    let output = dsops(&stores, "  dev: {}").args(["doctor", "--verbose"]).run().code(1);
    let _ = output.stdout_has("NOT_SET is not set\n").stdout_has("CLIENT_ID is set\n");
}

#[test]
fn the_first_step_that_fails_is_shown_with_its_cause_and_remedy() {
    let output = dsops(&[("app", options(CLOSED)), literal()], "  dev: {}").args(["doctor"]).run().code(1);
    let output = output.never_shows(CANARY).stderr_empty();
    let output = output.stdout_has("connection refused by `127.0.0.1:1`");
    let output = output.stdout_has("what to do:\n  app: check the store's address and port");
    let text = text(&output);
    assert_eq!(rows(&text, "app").len(), 1, "steps that were not tried are left out\n{text}");
    assert!(rows(&text, "lit")[0].contains(" ok "), "{text}");
}

#[test]
fn each_thing_that_is_wrong_with_a_store_fails_at_its_own_step() {
    let run = |server: &Server, change: &dyn Fn(String) -> String| {
        let run = dsops(&[("app", change(options(&server.url())))], "  dev: {}");
        let output = discreet(run.args(["doctor", "--json"]).run().code(1), server);
        output.json()
    };
    let same = |options: String| options;

    let html = server().fault("GET /api/status", Fault::html()).start();
    let report = run(&html, &same);
    assert_eq!(finding(&report, "app", "reach")["code"], "dsops::fetch::malformed");
    assert_eq!(finding(&report, "app", "login")["status"], "skipped");

    let locked = server().start();
    let report = run(&locked, &|options| options.replace("'${CLIENT_SECRET}'", "'${CLIENT_ID}'"));
    assert_eq!(finding(&report, "app", "reach")["status"], "ok");
    assert_eq!(finding(&report, "app", "login")["code"], "dsops::auth::refused");
    assert!(finding(&report, "app", "login")["help"].is_string(), "{report:#}");

    let report = run(&locked, &|options| options.replace("environment: dev", "environment: staging"));
    assert_eq!(finding(&report, "app", "project")["status"], "ok");
    assert_eq!(finding(&report, "app", "environment")["code"], "dsops::fetch::place_not_found");
    assert!(
        finding(&report, "app", "environment")["message"].as_str().is_some_and(|m| m.contains("staging"))
    );
}

#[test]
fn a_store_that_cannot_be_opened_breaks_nothing_for_the_others() {
    let server = server().start();
    let missing = options(CLOSED).replace("environment: dev", "environment: '${NO_SUCH_PLACE}'");
    let stores = [
        ("unset", options_with(CLOSED, "'${NOT_SET}'")),
        ("placeless", missing),
        ("plain", options("${PLAIN}")),
        ("authority", format!("{}, ca_cert: none.pem", options("https://127.0.0.1:1"))),
        ("homeless", options_with(CLOSED, "{from: {store: 'lit/${NO_SUCH_KEY}'}}")),
        ("app", options(&server.url())),
        literal(),
    ];
    let run = dsops(&stores, "  dev: {}").env("PLAIN", "http://secrets.example");
    let output = discreet(run.args(["doctor", "--json"]).run().code(1), &server);
    let report = output.stderr_empty().json();

    for (store, variable) in
        [("unset", "NOT_SET"), ("placeless", "NO_SUCH_PLACE"), ("homeless", "NO_SUCH_KEY")]
    {
        let open = finding(&report, store, "open");
        assert_eq!(open["status"], "failed");
        assert_eq!(open["code"], "dsops::config::unset_variable");
        assert_eq!(open["message"], format!("`${{{variable}}}` is not set"));
        assert!(open["help"].as_str().is_some_and(|help| help.contains(variable)));
    }
    let open = finding(&report, "plain", "open");
    assert!(open["message"].as_str().is_some_and(|message| message.contains("plain http")), "{open}");
    assert!(report.to_string().contains("none.pem` cannot be read"), "{report:#}");
    for step in ["reach", "login", "project", "environment"] {
        assert_eq!(finding(&report, "app", step)["status"], "ok");
    }
    let names: Vec<&str> =
        report["stores"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(
        names,
        ["unset", "placeless", "plain", "authority", "homeless", "app", "lit"],
        "as in the file"
    );
    assert_eq!(report["ok"], false);
}

#[test]
fn a_credential_from_another_store_is_fetched_and_its_absence_is_the_finding() {
    let server = server().start();
    let keys = ("keys", format!("type: literal, values: {{SECRET: {CLIENT_SECRET}}}"));
    let stores = [
        ("chained", options_with(&server.url(), "{from: {store: keys/SECRET}}")),
        ("astray", options_with(&server.url(), "{from: {store: keys/NONE}}")),
        keys,
    ];
    let output = dsops(&stores, "  dev: {}").args(["doctor", "--json"]).run().code(1);
    let report = discreet(output, &server).json();
    assert_eq!(finding(&report, "chained", "environment")["status"], "ok");
    let open = finding(&report, "astray", "open");
    assert_eq!(open["code"], "dsops::auth::refused");
    assert!(open["message"].as_str().is_some_and(|m| m.contains("its credential is in `keys`")), "{open}");
}

#[test]
fn an_environment_is_read_from_the_stores_that_it_needs() {
    let server = server().start();
    let stores = [("app", options(&server.url())), ("other", options(CLOSED)), literal()];
    let environment = "  dev: {KEY: {from: app/KEY}, A: {from: lit/A}, L: {literal: plain-text}, \
                       GONE: {from: app/GONE, optional: true}, D: {from: app/D, default: x}}";
    let run = || dsops(&stores, environment);
    let output = run().args(["doctor", "--env", "dev"]).run().code(0);
    let output = discreet(output, &server).stderr_empty();
    let output = output.stdout_has("4 of 4 values read; absent and optional: GONE");
    assert!(rows(&text(&output), "other").is_empty(), "{output}");

    let report = run().args(["doctor", "--env", "dev", "--json"]).run().code(0).json();
    assert_eq!(report["environment"]["name"], "dev");
    let read = &report["environment"]["read"];
    assert_eq!(read["status"], "ok");
    assert_eq!((&read["present"], &read["expected"]), (&Value::from(4), &Value::from(4)));
    assert_eq!(read["absent"], serde_json::json!(["GONE"]));
    assert_eq!(report["ok"], true);
}

#[test]
fn values_that_are_missing_are_named_in_the_table_and_explained_with_their_lines() {
    let server = server().start();
    let environment =
        "  dev:\n    KEY: {from: app/KEY}\n    GONE: {from: app/GONE}\n    LOST: {from: app/none/LOST}";
    let run = || dsops(&[("app", options(&server.url()))], environment);
    let output = run().args(["doctor", "--env", "dev"]).run().code(1);
    let output = discreet(output, &server).stdout_has("1 of 3 values read; missing: GONE, LOST");
    let _ = output.stderr_has("dsops.yaml:7:18").stderr_has("dsops.yaml:8:18");

    let report = run().args(["doctor", "--env", "dev", "--json"]).run().code(1).stderr_empty().json();
    let read = &report["environment"]["read"];
    assert_eq!(read["status"], "failed");
    assert_eq!(read["missing"], serde_json::json!(["GONE", "LOST"]));
    assert_eq!(read["failures"][0]["code"], "dsops::fetch::not_found");
    assert_eq!(read["failures"][0]["line"], 7);
}

#[test]
fn one_login_serves_the_checks_the_read_and_the_credentials_of_others() {
    let server = server().secret("dev", "/", "SECOND", CLIENT_SECRET).start();
    let stores = [
        ("app", options(&server.url())),
        ("chained", options_with(&server.url(), "{from: {store: app/SECOND}}")),
    ];
    let environment = "  dev: {KEY: {from: app/KEY}, AGAIN: {from: chained/KEY}}";
    let output = dsops(&stores, environment).args(["doctor", "--env", "dev"]).run().code(0);
    let _ = discreet(output, &server).stdout_has("2 of 2 values read");
    assert_eq!(server.logins(), 1, "both stores log in as the same identity");
}

#[test]
fn a_store_that_refused_the_login_is_not_asked_again_for_its_values() {
    let server = server().start();
    let stores = [("app", options_with(&server.url(), "'${CLIENT_ID}'")), literal()];
    let environment = "  dev: {KEY: {from: app/KEY}, MORE: {from: app/MORE, optional: true}, A: {from: lit/A}, \
                       B: {from: lit/A, fallback: {store: app/B}}, import: [{store: app/folder}]}";
    let run = || dsops(&stores, environment);
    let output = run().args(["doctor", "--env", "dev"]).run().code(1);
    let output = discreet(output, &server).stderr_empty();
    assert_eq!(server.logins(), 1, "a refused login is never repeated: identities lock");
    let row = output.stdout_has("2 of 5 values read; not read, since their store failed: ");
    let _ = row.stdout_has("KEY, MORE, import of `app/folder`");

    let read = &run().args(["doctor", "--env", "dev", "--json"]).run().code(1).json()["environment"]["read"];
    assert_eq!(read["status"], "skipped");
    assert_eq!(read["failures"], serde_json::json!([]));
    assert_eq!(read["absent"], serde_json::json!([]), "what was not asked for is not said to be absent");
    assert_eq!(read["skipped"].as_array().map(Vec::len), Some(3), "{read:#}");
}

#[test]
fn an_import_from_a_failed_store_is_not_reported_as_read() {
    let output = dsops(&[("app", options(CLOSED))], "  dev: {import: [{store: app/folder}]}");
    let report = output.args(["doctor", "--env", "dev", "--json"]).run().code(1).json();
    assert_eq!(report["environment"]["read"]["status"], "skipped");
}

#[test]
fn the_stores_are_checked_at_the_same_time() {
    let slow = Duration::from_millis(400);
    let server = server().fault("GET /api/status", Fault::delay(slow)).start();
    let stores = ["a", "b", "c", "d"].map(|name| (name, options(&server.url())));
    let report = dsops(&stores, "  dev: {}").args(["doctor", "--json"]).run().code(0).json();
    for (name, _) in &stores {
        let latency = finding(&report, name, "reach")["latency_ms"].as_u64().expect("a latency");
        assert!(latency >= 400, "{latency} ms");
    }
    assert_eq!(server.most_at_once(), 4);
}

#[test]
fn a_silent_store_is_given_its_own_time_and_no_more() {
    let server = server().fault("GET /api/status", Fault::silence()).start();
    let stores = [("app", format!("{}, timeout: 300ms", options(&server.url()))), literal()];
    let report = dsops(&stores, "  dev: {}").args(["doctor", "--json"]).run().code(1).json();
    let failed = report["stores"][0]["findings"].as_array().unwrap().iter().find(|f| f["status"] == "failed");
    let failed = failed.expect("a failed step");
    assert_eq!(failed["code"], "dsops::fetch::timed_out");
    let help = failed["help"].as_str().expect("a remedy");
    assert!(help.contains("timeout") && !help.contains("doctor"), "{help}");
}

#[test]
fn a_warning_is_shown_with_its_remedy_and_fails_nothing() {
    let server = server().start_tls(&Certificate::loopback());
    let stores = [("app", format!("{}, insecure_skip_verify: true", options(&server.url())))];
    let output = dsops(&stores, "  dev: {}").args(["doctor"]).run().code(0);
    let output = discreet(output, &server).stdout_has("  app: take `insecure_skip_verify` out");
    let text = text(&output);
    let rows: Vec<Vec<&str>> =
        rows(&text, "app").iter().map(|row| row.split_whitespace().take(4).collect()).collect();
    assert_eq!(
        rows,
        [["app", "infisical", "tls", "warning"], ["app", "infisical", "others", "ok"]],
        "{text}"
    );
}

#[test]
fn a_file_with_mistakes_ends_it_as_any_command() {
    for args in [&["doctor"][..], &["doctor", "--json"]] {
        let run = Dsops::new().config("version: 1\nsecretStores: {a: {type: nope}}").args(args).run();
        let _ = run
            .code(3)
            .stdout_empty()
            .stderr_has("dsops::config::unknown_type")
            .stderr_has("dsops.yaml:2:26");
        let _ = Dsops::new().args(args).run().code(3).stdout_empty().stderr_has("dsops::config::not_found");
    }
    let run = dsops(&[literal()], "  dev: {}").args(["doctor", "--env", "nope"]).run();
    let _ = run.code(3).stdout_empty().stderr_has("no environment is named `nope`");
}

#[test]
fn remarks_on_the_file_are_shown_and_fail_nothing() {
    let config = "version: 1\nservices: {a: {type: x}}\n";
    let run = Dsops::new().config(config).args(["doctor"]).run().code(0);
    let _ = run.stdout("no stores; nothing to check\n").stderr_has("`services` has no effect yet");
    let report = Dsops::new().config(config).args(["doctor", "--json"]).run().code(0).stderr_empty().json();
    assert_eq!(report["warnings"][0], "`services` has no effect yet");
    assert_eq!(report["environment"], Value::Null);
}

#[test]
fn colours_move_no_column() {
    let stores = [("app", options(CLOSED)), literal()];
    let plain = dsops(&stores, "  dev: {}").args(["doctor"]).run();
    let coloured = dsops(&stores, "  dev: {}").args(["--color", "always", "doctor"]).run();
    let coloured = text(&coloured);
    assert!(coloured.contains("\u{1b}[31mfailed\u{1b}["), "{coloured:?}");
    assert!(coloured.contains("\u{1b}[32mok\u{1b}["), "{coloured:?}");
    let bare = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[39m", "\u{1b}[0m"]
        .iter()
        .fold(coloured.clone(), |text, code| text.replace(code, ""));
    // The latencies differ from run to run, so the columns are compared by their headers and status words.
    let columns = |text: &str| -> Vec<Option<usize>> {
        text.lines().map(|line| line.find("STATUS").or(line.find(" failed ")).or(line.find(" ok "))).collect()
    };
    assert_eq!(columns(&bare), columns(&text(&plain)), "{bare}");
    assert_eq!(bare.lines().next().map(str::trim_end), text(&plain).lines().next().map(str::trim_end));
}
