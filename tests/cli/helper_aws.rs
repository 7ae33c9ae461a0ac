//! `dsops helper aws`: the `credential_process` of the programs of AWS.

use std::process::Command;

use crate::support::{Dsops, Output};

const CONFIG: &str = "\
secretStores:
  s: {type: literal, values: {ID: AKIAEXAMPLE, KEY: 'wJalr+/s3cret', TOKEN: 'IQoJ//s3cret==', EMPTY: '', LINE: \"s3cret\\n\", BYTES: /wAK}}
  away: {type: exec, command: ./no-such-program}
helpers:
  aws:
    deploy: {access_key_id: s/ID, secret_access_key: s/KEY}
    session: {access_key_id: s/ID, secret_access_key: s/KEY, session_token: s/TOKEN, refresh: 15m}
    perhaps: {access_key_id: s/ID, secret_access_key: s/KEY, session_token: {from: s/NONE, optional: true}}
    unset: {access_key_id: {from: s/NONE, optional: true}, secret_access_key: s/KEY}
    empty: {access_key_id: s/EMPTY, secret_access_key: s/KEY}
    line: {access_key_id: s/ID, secret_access_key: s/LINE}
    bytes: {access_key_id: s/ID, secret_access_key: s/KEY, session_token: {from: s/BYTES, transform: base64_decode}}
    absent: {access_key_id: s/ID, secret_access_key: s/NONE}
    away: {access_key_id: s/ID, secret_access_key: away/KEY}
    trimmed: {access_key_id: s/ID, secret_access_key: {from: s/LINE, transform: trim}}
";

fn helper(args: &[&str]) -> Output {
    let dsops = Dsops::new().file("../home/.config/dsops/dsops.yaml", CONFIG);
    dsops.args(["helper", "aws"]).args(args).run()
}

#[test]
fn the_keys_are_one_line_of_json_without_an_end() {
    let expected = "{\"Version\":1,\"AccessKeyId\":\"AKIAEXAMPLE\",\"SecretAccessKey\":\"wJalr+/s3cret\"}\n";
    let _ = helper(&["deploy"]).code(0).stdout(expected).stderr_empty();
    let _ = helper(&["perhaps"]).code(0).stdout(expected).stderr_empty();
}

/// Returns the seconds since 1970 of a date, as `date` of the system reads it.
fn seconds(date: &str) -> i64 {
    let output = Command::new("date").args(["-u", "-d", date, "+%s"]).output().expect("date");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("seconds")
}

#[test]
fn refresh_says_when_to_ask_again() {
    let before = seconds("now");
    let answer = helper(&["session"]).code(0).stderr_empty().json();
    let after = seconds("now");
    assert_eq!(answer["SessionToken"], "IQoJ//s3cret==");
    let until = answer["Expiration"].as_str().expect("an end");
    assert!(until.ends_with('Z') && until.len() == "2026-03-01T09:05:00Z".len(), "{until}");
    let until = seconds(until);
    assert!((before + 900..=after + 901).contains(&until), "{before} {until} {after}");
}

#[test]
fn an_unknown_name_is_one_line_with_the_names_that_there_are() {
    let output = helper(&["deplyo"]).code(3).stdout_empty().stderr_has("`helpers.aws` has no `deplyo`");
    let output = output.stderr_has("`deploy`").stderr_has("`trimmed`");
    assert_eq!(String::from_utf8_lossy(output.stderr_bytes()).lines().count(), 1, "{output}");
    let none = Dsops::new().file("../home/.config/dsops/dsops.yaml", "version: 1\n");
    let _ =
        none.args(["helper", "aws", "x"]).run().code(3).stdout_empty().stderr_has("`helpers.aws` has no `x`");
}

#[test]
fn a_value_that_no_key_has_is_refused_and_not_shown() {
    for (name, code, says) in [
        ("empty", 8, "`helpers.aws.empty.access_key_id` is empty"),
        ("line", 7, "`helpers.aws.line.secret_access_key` has white space"),
        ("bytes", 7, "`helpers.aws.bytes.session_token` is not text"),
        ("unset", 5, "`helpers.aws.unset.access_key_id` is optional, and absent"),
        ("absent", 5, "s/NONE"),
        ("away", 6, "no-such-program"),
    ] {
        let output = helper(&[name]).code(code).stdout_empty().stderr_has(says).never_shows("s3cret");
        assert_eq!(String::from_utf8_lossy(output.stderr_bytes()).lines().count(), 1, "{output}");
    }
    assert_eq!(helper(&["trimmed"]).code(0).json()["SecretAccessKey"], "s3cret");
}

#[test]
fn a_name_is_needed() {
    let _ = helper(&[]).code(2).stdout_empty();
}
