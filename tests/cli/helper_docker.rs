//! `dsops helper docker`: the protocol of docker's credential helpers.

use std::os::unix::fs::symlink;

use crate::support::{Dsops, Output};

const NOT_FOUND: &str = "credentials not found in native keychain\n";

const CONFIG: &str = "\
secretStores:
  s: {type: literal, values: {USER: robot, PASSWORD: s3cret, EMPTY: '', LINES: \"{\\n}\\n\", BYTES: /wAK, COLON: 'a:b'}}
  away: {type: exec, command: ./no-such-program}
helpers:
  docker:
    ghcr.io: {username: {literal: me}, password: s/PASSWORD}
    ghcr.io/acme: {username: s/USER, password: s/PASSWORD}
    docker.io: {username: {literal: hub}, password: {literal: hub-s3cret}}
    token.example: {username: {literal: <token>}, password: s/PASSWORD}
    key.example: {username: {literal: _json_key}, password: s/LINES}
    empty.example: {username: {literal: me}, password: s/EMPTY}
    bytes.example: {username: {literal: me}, password: {from: s/BYTES, transform: base64_decode}}
    colon.example: {username: s/COLON, password: s/PASSWORD}
    absent.example: {username: {literal: me}, password: s/NONE}
    optional.example: {username: {literal: me}, password: {from: s/NONE, optional: true}}
    away.example: {username: {literal: me}, password: away/KEY}
";

fn helper(action: &str) -> Dsops {
    with(CONFIG, action)
}

fn with(config: &str, action: &str) -> Dsops {
    Dsops::new().file("../home/.config/dsops/dsops.yaml", config).args(["helper", "docker", action])
}

fn get(server: &str) -> Output {
    helper("get").stdin(server).run()
}

#[test]
fn the_login_of_a_registry_is_one_line_of_json() {
    let expected = "{\"ServerURL\":\"https://ghcr.io\",\"Username\":\"me\",\"Secret\":\"s3cret\"}\n";
    let _ = get("https://ghcr.io\n").code(0).stdout(expected).stderr_empty();
    let _ = get("https://ghcr.io").code(0).stdout(expected).stderr_empty();
}

#[test]
fn whatever_a_registry_is_asked_for_by_it_is_the_same() {
    for (server, username) in [
        ("GHCR.io/v2/", "me"),
        ("ghcr.io/other/app", "me"),
        ("ghcr.io/acme/app", "robot"),
        ("docker.io", "hub"),
        ("https://index.docker.io/v1/", "hub"),
        ("registry-1.docker.io", "hub"),
        ("token.example", "<token>"),
    ] {
        let answer = get(server).code(0).stderr_empty().json();
        assert_eq!(answer["Username"], username, "{server}");
        assert_eq!(answer["ServerURL"], server);
    }
}

#[test]
fn a_login_goes_in_the_clear_only_where_its_key_says_so() {
    for server in
        ["http://ghcr.io", "HTTP://ghcr.io/v2/", "http://ghcr.io/acme/app", "http://index.docker.io/v1/"]
    {
        let _ = get(server).code(1).stdout(NOT_FOUND).stderr_empty();
    }
    let config = CONFIG.replace("    ghcr.io:", "    http://ghcr.io:");
    for server in ["http://ghcr.io/v2/", "ghcr.io", "https://ghcr.io"] {
        let answer = with(&config, "get").stdin(server).run().code(0).json();
        assert_eq!(answer["Secret"], "s3cret", "{server}");
    }
}

#[test]
fn a_path_with_steps_is_below_no_key() {
    for server in [
        "ghcr.io/acme/../other",
        "ghcr.io/acme/./x",
        "https://ghcr.io/acme/..",
        "ghcr.io/acme//x",
        "ghcr.io/acme/%2e%2e/x",
        "ghcr.io/acme/..;/x",
    ] {
        let _ = get(server).code(1).stdout(NOT_FOUND).stderr_empty();
    }
}

#[test]
fn a_password_in_a_key_is_not_shown() {
    for (key, entry) in [
        ("me:hunter2secret@ghcr.io", "{username: {literal: me}, password: s/PASSWORD}"),
        ("https://me:hunter2secret@ghcr.io", "{password: s/PASSWORD}"),
        ("me:hunter2secret@ghcr.io", "{username: nowhere/A, password: nowhere/B}"),
    ] {
        let config = CONFIG.replace("  docker:\n", &format!("  docker:\n    \"{key}\": {entry}\n"));
        for action in ["get", "list", "store", "erase"] {
            let login = r#"{"ServerURL":"quay.io","Username":"a","Secret":"b"}"#;
            let output = with(&config, action).stdin(login).run().code(1).stderr_has("me:…@ghcr.io");
            let _ = output
                .stdout("dsops: helpers.docker: the configuration is wrong\n")
                .never_shows("hunter2secret");
        }
    }
}

#[test]
fn what_a_program_says_is_not_passed_on_where_callers_log_it() {
    let answer = r#"{"protocolVersion":1,"values":{},"errors":{"KEY":{"code":"UNAVAILABLE","message":"hunter2secret"}}}"#;
    let script = format!("#!/bin/sh\ncat > /dev/null\necho '{answer}'\n");
    let config = CONFIG.replace("./no-such-program", "./telling");
    let dsops = with(&config, "get").program("../home/.config/dsops/telling", script).stdin("away.example");
    let output = dsops.run().code(1);
    let stdout = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    assert_eq!(
        stdout, "dsops: helpers.docker.away.example: the store, or the request, cannot be read\n",
        "{output}"
    );
}

#[test]
fn a_password_may_have_line_breaks() {
    assert_eq!(get("key.example").code(0).json()["Secret"], "{\n}\n");
}

#[test]
fn a_registry_without_an_entry_gets_the_text_of_the_protocol() {
    for server in
        ["quay.io", "evil.ghcr.io", "ghcr.io:5000", "https://index.docker.io/v1/access-token", "ghcr.io@evil"]
    {
        let _ = get(server).code(1).stdout(NOT_FOUND).stderr_empty();
    }
    let _ = with("version: 1\n", "get").stdin("ghcr.io").run().code(1).stdout(NOT_FOUND).stderr_empty();
}

#[test]
fn an_optional_password_that_is_absent_is_no_entry() {
    let _ = get("optional.example").code(1).stdout(NOT_FOUND).stderr_empty();
}

#[test]
fn what_cannot_be_had_is_never_the_text_that_lets_the_caller_go_on() {
    for (server, told, says) in [
        ("absent.example", "the store has no such secret", "s/NONE"),
        ("away.example", "the store, or the request, cannot be read", "no-such-program"),
        ("empty.example", "a value is empty", "`helpers.docker.empty.example.password` is empty"),
        (
            "bytes.example",
            "a value cannot be given as it is",
            "`helpers.docker.bytes.example.password` is not text",
        ),
        (
            "colon.example",
            "a value cannot be given as it is",
            "`helpers.docker.colon.example.username` has a colon",
        ),
    ] {
        // Callers show stdout; docker's own pull shows stderr alone.
        let output = get(server).code(1).stderr_has(says).never_shows("s3cret");
        let output = output.stdout(format!("dsops: helpers.docker.{server}: {told}\n"));
        for stream in [output.stdout_bytes(), output.stderr_bytes()] {
            let text = String::from_utf8_lossy(stream);
            assert_eq!(text.lines().count(), 1, "{server}: {text}");
            assert!(!text.contains("native keychain"), "{server}: {text}");
        }
    }
}

#[test]
fn a_user_without_a_file_has_no_login_and_one_with_a_broken_file_is_told() {
    let run = |action: &str| Dsops::new().args(["helper", "docker", action]);
    let says = "no helper for this user: no file is named";
    let _ = run("get").stdin("ghcr.io").run().code(1).stdout(NOT_FOUND).stderr_has(says);
    let _ = run("erase").stdin("ghcr.io").run().code(1).stdout(NOT_FOUND).stderr_has(says);
    let _ = run("list").run().code(0).stdout("{}\n").stderr_has(says);
    let login = r#"{"ServerURL":"ghcr.io","Username":"a","Secret":"b"}"#;
    let _ = run("store").stdin(login).run().code(1).stdout_has("no logins are kept here");
    let wrong = "dsops: helpers.docker: the configuration is wrong\n";
    let broken = with("helpers: {docker: {x: {pasword: a}}}\n", "get").stdin("x").run().code(1);
    let _ = broken.stdout(wrong).stderr_has("pasword");
    let missing = run("get").env("DSOPS_CONFIG", "/nowhere/dsops.yaml").stdin("ghcr.io").run().code(1);
    let _ = missing.stdout(wrong).stderr_has("/nowhere/dsops.yaml");
}

#[test]
fn the_file_of_the_current_directory_is_not_read() {
    let config = "helpers: {docker: {ghcr.io: {username: {literal: a}, password: {literal: b}}}}\n";
    let _ = Dsops::new().config(config).args(["helper", "docker", "get"]).stdin("ghcr.io").run().code(1);
}

#[test]
fn keys_that_name_no_registry_or_the_same_one_and_logins_without_a_name_are_mistakes() {
    let login = "{username: {literal: a}, password: {literal: b}}";
    for (entries, says) in [
        (format!("{{docker.io: {login}, \"https://index.docker.io/v1/\": {login}}}"), "same registry"),
        (format!("{{\"*.example.com\": {login}}}"), "names no registry"),
        ("{quay.io: {password: {literal: b}}}".to_owned(), "`helpers.docker.quay.io` has no `username`"),
    ] {
        let config = format!("helpers:\n  docker: {entries}\n");
        let _ = Dsops::new().config(&config).args(["validate"]).run().code(3).stderr_has(says);
        for action in ["get", "list", "erase"] {
            let output = with(&config, action).stdin("quay.io").run().code(1).stderr_has(says);
            let output = output.stdout("dsops: helpers.docker: the configuration is wrong\n");
            assert!(!String::from_utf8_lossy(output.stdout_bytes()).contains("native keychain"));
        }
    }
}

#[test]
fn a_request_without_a_registry_or_without_an_end_is_refused() {
    for server in ["", "\n", "  "] {
        let _ = get(server).code(1).stdout("no credentials server URL\n").stderr_empty();
    }
    let _ = get(&"a".repeat(9_000)).code(1).stderr_has("no URL of a registry");
    let _ = helper("get").stdin([0xff, 0xfe]).run().code(1).stderr_has("no URL of a registry");
    let _ = helper("store").stdin("a".repeat(70_000)).run().code(1).stderr_has("not the JSON of a login");
    let _ = helper("nonsense").run().code(2).stdout_empty();
}

#[test]
fn a_login_that_the_entry_has_anyway_need_not_be_kept() {
    let login = r#"{"ServerURL":"https://ghcr.io","Username":"me","Secret":"s3cret"}"#;
    let _ = helper("store").stdin(login).run().code(0).stdout_empty().stderr_empty();
}

#[test]
fn every_other_login_is_refused_and_not_repeated() {
    for (server, says) in
        [("ghcr.io", "helpers.docker.ghcr.io"), ("quay.io", "add the registry to helpers.docker")]
    {
        let login = format!(r#"{{"ServerURL":"{server}","Username":"me","Secret":"typed-s3cret"}}"#);
        let output =
            helper("store").stdin(login).run().code(1).stdout_has("no logins are kept here").stdout_has(says);
        let _ = output.stderr_empty().never_shows("typed-s3cret");
    }
    for login in ["", "{}", "typed-s3cret", r#"{"ServerURL":"ghcr.io","Username":"typed-s3cret"}"#] {
        let output = helper("store").stdin(login).run().code(1).stderr_has("not the JSON of a login");
        let _ = output.never_shows("typed-s3cret");
    }
}

#[test]
fn an_erase_never_says_that_the_login_is_gone() {
    let refused = helper("erase").stdin("https://ghcr.io").run().code(1);
    let _ = refused.stdout_has("no logins are kept here").stderr_has("no logins are kept here");
    let _ = helper("erase").stdin("quay.io").run().code(1).stdout(NOT_FOUND).stderr_empty();
    let _ = helper("erase").stdin("\n").run().code(1).stdout("no credentials server URL\n");
}

#[test]
fn a_list_names_the_registries_and_asks_no_store() {
    let answer = helper("list").stdin("unused").run().code(0).stderr_empty().json();
    assert_eq!(answer["ghcr.io"], "me");
    assert_eq!(answer["https://index.docker.io/v1/"], "hub");
    // Only its store knows this name.
    assert_eq!(answer["ghcr.io/acme"], "");
    assert_eq!(answer["away.example"], "me");
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(11));
    let _ = with("version: 1\n", "list").run().code(0).stdout("{}\n").stderr_empty();
}

#[test]
fn the_version_is_that_of_dsops() {
    let _ = helper("version").run().code(0).stdout_has(env!("CARGO_PKG_VERSION")).stderr_empty();
}

#[test]
fn under_the_name_that_docker_looks_for_it_is_the_helper() {
    let dsops = Dsops::new().file("../home/.config/dsops/dsops.yaml", CONFIG);
    let name = dsops.path("docker-credential-dsops");
    symlink(env!("CARGO_BIN_EXE_dsops"), &name).expect("a link");
    let output = dsops.instead(name).args(["get"]).stdin("ghcr.io").run().code(0);
    assert_eq!(output.json()["Username"], "me");
}
