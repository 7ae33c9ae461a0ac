//! The judge of the runs is judged: every broken promise is noticed, and is called by its name.

use std::time::Duration;

use crate::run::{CLIENT_SECRET, Stage, prepared};
use crate::support::Dsops;
use crate::vault::{CANARY, ENVIRONMENT};
use crate::weather::Weather;

/// Returns what the judge says of a run over a server that holds something else than it believes.
fn verdict(stage: &Stage) -> String {
    stage.run().err().unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_run_that_keeps_every_promise_passes() {
    assert_eq!(verdict(&Stage::plain(Weather::calm())), "");
}

#[test]
fn a_wrong_value_is_noticed() {
    let stage = Stage::plain(Weather::calm());
    stage.server().change(|world| {
        world.secret(ENVIRONMENT, "/", "ONE", "another value");
    });
    assert!(verdict(&stage).starts_with("V_0 has the wrong value"), "{}", verdict(&stage));
}

#[test]
fn a_value_too_few_and_a_value_too_many_are_noticed() {
    let stage = Stage::plain(Weather::calm());
    stage.server().change(|world| {
        world.delete(ENVIRONMENT, "/", "TWO");
    });
    assert_eq!(verdict(&stage), "the child was started without V_1");
    let stage = Stage::plain(Weather::calm());
    stage.server().change(|world| {
        world.secret(ENVIRONMENT, "/", "THREE", "a value");
    });
    assert!(verdict(&stage).starts_with("the child got what nobody asked for"), "{}", verdict(&stage));
}

#[test]
fn a_failure_without_a_fault_is_noticed() {
    let stage = Stage::plain(Weather::calm());
    stage.server().change(|world| {
        world.hide(ENVIRONMENT, "/", "ONE");
    });
    assert!(verdict(&stage).starts_with("V_0 is called dsops::fetch::hidden"), "{}", verdict(&stage));
}

#[test]
fn whatever_else_a_program_could_do_wrong_is_noticed() {
    let leak = format!("echo {CANARY} >&2; exit 125");
    let secret = format!("echo {CLIENT_SECRET} >&2; exit 125");
    let cases = [
        (leak.as_str(), "a value stands on stderr"),
        (secret.as_str(), "the client secret stands on stderr"),
        ("echo thread main panicked at >&2; exit 101", "the program panicked"),
        ("echo dsops has a bug >&2; exit 70", "the program found a bug in itself"),
        ("exit 70", "ended with Some(70)"),
        ("kill -9 $$", "ended with None"),
        ("exit 0", "the child did not start, and the run succeeded"),
        ("exit 125", "the run failed and does not say why"),
        ("env -0", "the child was started without L"),
        ("env -0; exit 125", "the child was started and the run failed"),
        ("echo oops >&2; exit 125", "no JSON on stderr"),
        ("echo '{\"code\":\"dsops::fetch::malformed\"}' >&2; exit 125", "an error without advice"),
        (
            "echo '{\"code\":\"dsops::exec::failed\",\"help\":\"h\"}' >&2; exit 125",
            "an error of a kind that nothing calls for",
        ),
        (
            "echo '{\"code\":\"dsops::fetch::not_found\",\"help\":\"h\",\"variables\":[\"V_0\"]}' >&2; exit 125",
            "V_0 is called dsops::fetch::not_found",
        ),
        (
            "echo '{\"code\":\"dsops::fetch::malformed\",\"help\":\"h\",\"variables\":[\"V_0\"]}' >&2; exit 125",
            "nothing went wrong for more than a moment",
        ),
    ];
    let stage = Stage::plain(Weather::calm());
    for (script, broken) in cases {
        let output = Dsops::new().instead("/bin/sh").args(["-c", script]).run();
        let verdict = stage.judge(&output, Duration::ZERO, &[0]).err().unwrap_or_default();
        assert!(verdict.starts_with(broken), "{script}: {verdict:?}");
    }
}

#[test]
fn an_end_after_the_deadline_is_noticed() {
    let stage = Stage::plain(Weather::calm());
    let output = prepared(&stage.file(), None).run();
    let verdict = |seconds| stage.judge(&output, Duration::from_secs(seconds), &[0]).err();
    assert_eq!(verdict(4), None);
    assert_eq!(verdict(60), Some("the deadline passed".into()));
}

#[test]
fn a_refused_login_that_is_repeated_is_noticed() {
    let stage = Stage::plain(Weather::refusing());
    let first = prepared(&stage.file(), None).run();
    assert_eq!(stage.judge(&first, Duration::ZERO, &[0]).err(), None);
    let second = prepared(&stage.file(), None).run();
    let verdict = stage.judge(&second, Duration::ZERO, &[0]).err();
    assert_eq!(verdict, Some("a refused login was repeated".into()));
}
