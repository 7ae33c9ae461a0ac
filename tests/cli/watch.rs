//! `exec --watch`: a command that runs with the values of now.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use super::lab::{CANARY, GET, LOGIN, against, value, with_key};
use crate::support::Dsops;
use crate::support::infisical::{Fault, Generation};

/// Says its value, and ends with 3 when it is asked to end.
const SERVICE: &str =
    "trap 'exit 3' TERM; trap 'echo usr2' USR2; echo \"start $A\"; while :; do sleep 0.05; done";

const FILE: &str = "secretStores: {d: {type: dotenv, path: values.env}}\nenvs: {dev: {A: {from: d/A}}}";

/// A run whose values are in a file. Nothing is polled: what happens, happens because the file changed.
fn of_file(options: &[&str], script: &str) -> (Dsops, PathBuf) {
    let dsops = Dsops::new().config(FILE).file("values.env", "A=one\n");
    let path = dsops.path("values.env");
    let args = ["exec", "--env", "dev", "--watch", "--interval", "1h", "--debounce", "100ms"];
    (dsops.args(args).args(options).args(["--", "sh", "-c", script]), path)
}

/// Puts a new file in the place of one, as every careful writer does.
fn put(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(&new, path).unwrap();
}

#[test]
fn a_changed_value_starts_the_command_again() {
    let (run, values) = of_file(&[], SERVICE);
    let running = run.start();
    running.until_stdout("start one");
    put(&values, "A=two\n");
    running.until_stderr("changed: A; the command starts again").until_stdout("start two");
    running.signal(Signal::SIGTERM);
    let _ = running.wait().code(3).stdout("start one\nstart two\n");
}

#[test]
fn a_value_that_the_environment_does_not_use_restarts_nothing() {
    let (run, values) = of_file(&[], SERVICE);
    let running = run.start();
    running.until_stdout("start one");
    put(&values, "A=one\nOTHER=x\n");
    // The next change is seen after this one, so that this one has been looked at by then.
    put(&values, "A=one\nOTHER=y\n");
    put(&values, "A=two\n");
    running.until_stdout("start two").signal(Signal::SIGTERM);
    let _ = running.wait().code(3).stdout("start one\nstart two\n");
}

#[test]
fn values_that_cannot_be_had_leave_the_command_as_it_is() {
    let (run, values) = of_file(&[], SERVICE);
    let running = run.start();
    running.until_stdout("start one");
    fs::remove_file(&values).unwrap();
    running.until_stderr("the values cannot be looked at: `d/A`: ");
    running.until_stderr("the command goes on with those it has");
    fs::write(&values, "A=one\n").unwrap();
    running.until_stderr("the values can be looked at again").signal(Signal::SIGTERM);
    let _ = running.wait().code(3).stdout("start one\n");
}

#[test]
fn a_file_of_dsops_that_is_broken_meanwhile_leaves_the_command_as_it_is() {
    let (run, _) = of_file(&[], SERVICE);
    let config = run.path("dsops.yaml");
    let running = run.start();
    running.until_stdout("start one");
    put(&config, "envs: [");
    running.until_stderr("the command goes on with those it has");
    put(&config, "envs: {dev: {A: {literal: three}}}");
    running.until_stdout("start three").signal(Signal::SIGTERM);
    let _ = running.wait().code(3).stdout("start one\nstart three\n");
}

#[test]
fn a_command_that_ends_is_not_started_again() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7)] {
        let (run, _) = of_file(&[], script);
        let _ = run.run().code(code);
    }
    let (run, _) = of_file(&[], "kill -SEGV $$");
    let _ = run.run().killed_by(Signal::SIGSEGV);
}

#[test]
fn a_signal_instead_of_a_restart() {
    let (run, values) = of_file(&["--signal", "usr2"], SERVICE);
    let running = run.start();
    running.until_stdout("start one");
    put(&values, "A=two\n");
    running.until_stdout("usr2").signal(Signal::SIGTERM);
    let _ = running.wait().code(3).stdout("start one\nusr2\n").stderr_has("the command gets SIGUSR2");
}

#[test]
fn a_command_that_ignores_sigterm_is_killed_before_it_starts_again() {
    let script = "trap '' TERM; echo \"start $A\"; while :; do sleep 0.05; done";
    let (run, values) = of_file(&["--kill-after", "200ms"], script);
    let running = run.start();
    running.until_stdout("start one");
    put(&values, "A=two\n");
    running.until_stdout("start two").signal(Signal::SIGINT);
    let _ = running.wait().killed_by(Signal::SIGINT);
}

#[test]
fn whoever_ends_dsops_during_a_restart_means_the_command() {
    let script = "trap 'echo asked; sleep 1; exit 4' TERM; echo \"start $A\"; while :; do sleep 0.05; done";
    let (run, values) = of_file(&[], script);
    let running = run.start();
    running.until_stdout("start one");
    put(&values, "A=two\n");
    running.until_stdout("asked").signal(Signal::SIGTERM);
    let _ = running.wait().code(4);
}

#[test]
fn a_command_that_cannot_start_again_goes_on() {
    let config = "secretStores: {d: {type: dotenv, path: values.env}}\nenvs: {dev: {PATH: {from: d/P}}}";
    let dsops = Dsops::new().config(config).file("values.env", "P=/bin:/usr/bin\n");
    let values = dsops.path("values.env");
    let args = ["exec", "--env", "dev", "--watch", "--interval", "1h", "--debounce", "100ms", "--"];
    let running =
        dsops.args(args).args(["sh", "-c", "trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"]);
    let running = running.start();
    running.until_stdout("up");
    put(&values, "P=/nowhere\n");
    running.until_stderr("the command cannot start again and goes on as it is: `sh` is in no directory");
    running.signal(Signal::SIGTERM);
    let _ = running.wait().code(3).stdout("up\n");
}

#[test]
fn a_store_is_asked_again_and_again_with_one_login() {
    let server = with_key(Generation::July2026).start();
    let run = against(&server, "A: {from: infisical/KEY}");
    let args = ["exec", "--env", "dev", "--watch", "--interval", "100ms", "--debounce", "50ms"];
    let running = run.args(args).args(["--", "sh", "-c", SERVICE]).start();
    running.until_stdout(&format!("start {}", value("key")));
    let new = value("new");
    server.change(|world| {
        let _ = world.secret("dev", "/", "KEY", &new);
    });
    running.until_stdout(&format!("start {new}"));
    // An outage, told once, and its end.
    server.fault(GET, Fault::status(503));
    running.until_stderr("the command goes on with those it has");
    server.heal();
    running.until_stderr("the values can be looked at again").signal(Signal::SIGTERM);
    let output = running.wait().code(3).never_shows("secret-9f8e");
    assert!(!String::from_utf8_lossy(output.stderr_bytes()).contains(CANARY), "{output}");
    assert!(server.count(LOGIN) <= 2, "{} logins", server.count(LOGIN));
}

#[test]
fn a_refused_login_is_not_tried_again_at_each_look() {
    let server = with_key(Generation::July2026).start();
    let run = against(&server, "A: {from: infisical/KEY}").env("DSOPS_TOKEN_CACHE", "off");
    let args = ["exec", "--env", "dev", "--watch", "--interval", "100ms", "--"];
    let running = run.args(args).args(["sh", "-c", SERVICE]).start();
    running.until_stdout("start ");
    server.fault(LOGIN, Fault::refusal(401, "UnauthorizedError", "Invalid credentials"));
    server.change(|world| {
        let _ = world.revoke_tokens();
    });
    running.until_stderr("the command goes on with those it has");
    let refused = server.count(LOGIN);
    // The next looks are some time after this one; a look that asks would be a login more.
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(1);
    while std::time::Instant::now() < limit {
        assert_eq!(server.count(LOGIN), refused);
        std::thread::yield_now();
    }
    running.signal(Signal::SIGTERM);
    let _ = running.wait().code(3);
}

#[test]
fn options_of_watching_need_it() {
    for option in [["--interval", "5s"], ["--debounce", "5s"], ["--signal", "HUP"]] {
        let _ = Dsops::new()
            .config(FILE)
            .args(["exec", "--env", "dev"])
            .args(option)
            .args(["--", "true"])
            .run()
            .code(125)
            .stderr_has("--watch");
    }
    // The mask would be that of the old values.
    let both = ["exec", "--env", "dev", "--watch", "--mask", "--signal", "HUP", "--", "true"];
    let _ = Dsops::new().config(FILE).args(both).run().code(125).stderr_has("cannot be used with");
}

#[test]
fn a_rendered_file_is_written_again() {
    let dsops = Dsops::new().config(FILE).file("values.env", "A=one\n");
    let (values, out) = (dsops.path("values.env"), dsops.path("out.env"));
    let args =
        ["render", "--env", "dev", "--out", "out.env", "--watch", "--interval", "1h", "--debounce", "100ms"];
    let running = dsops.args(args).start();
    running.until_stderr("wrote 1 variable");
    assert_eq!(fs::read_to_string(&out).unwrap(), "A=one\n");
    fs::remove_file(&values).unwrap();
    running.until_stderr("the file stays as it is");
    put(&values, "A=two\n");
    running.until_stderr("changed: A");
    assert_eq!(fs::read_to_string(&out).unwrap(), "A=two\n");
    running.signal(Signal::SIGINT);
    let _ = running.wait().killed_by(Signal::SIGINT);
    for option in [&["--ttl", "1m", "--out", "x"][..], &["--out", "-"], &[]] {
        let args = ["render", "--env", "dev", "--watch"];
        let _ = Dsops::new().config(FILE).file("values.env", "A=1").args(args).args(option).run().code(2);
    }
}

#[test]
fn files_hold_the_new_values_when_the_signal_comes() {
    let config = "secretStores: {d: {type: dotenv, path: values.env}}\n\
                  envs: {dev: {A: {from: d/A, type: file}}}";
    let dsops = Dsops::new().config(config).file("values.env", "A=one\n").file("files/keep", "");
    let values = dsops.path("values.env");
    let args =
        ["exec", "--env", "dev", "--watch", "--interval", "1h", "--debounce", "100ms", "--signal", "USR2"];
    let script =
        "trap 'echo $(cat $A)' USR2; trap 'exit 3' TERM; echo $(cat $A); while :; do sleep 0.05; done";
    let running = dsops.args(args).args(["--files-dir", "files", "--", "sh", "-c", script]).start();
    running.until_stdout("one");
    put(&values, "A=two\n");
    running.until_stdout("two\n").signal(Signal::SIGTERM);
    let output = running.wait().code(3).stdout("one\ntwo\n");
    assert_eq!(fs::read_dir(output.path("files")).unwrap().count(), 1, "no file of a value is left");
}

#[test]
fn whoever_ends_dsops_while_the_last_output_comes_means_the_command() {
    let chat = "i=0; while [ $i -lt 60 ]; do echo chat; sleep 0.05; i=$((i + 1)); done";
    let script = format!(
        "trap 'setsid sh -c \"{}\" & exit 0' TERM; echo \"start $B\"; while :; do sleep 0.05; done",
        chat.replace('$', "\\$")
    );
    // The value that changes is masked, and the one that tells the runs apart is not.
    let config = "secretStores: {d: {type: dotenv, path: values.env}}\n\
                  envs: {dev: {A: {from: d/A}, B: {from: d/B, mask: false}}}";
    let dsops = Dsops::new().config(config).file("values.env", "A=secret-one\nB=one\n");
    let values = dsops.path("values.env");
    let args = ["exec", "--env", "dev", "--mask", "--watch", "--interval", "1h", "--debounce", "100ms"];
    let running = dsops.args(args).args(["--", "sh", "-c", &script]).start();
    running.until_stdout("start one");
    put(&values, "A=secret-two\nB=two\n");
    // In the middle of the restart, or just before or after it: dsops ends in any case.
    running.until_stdout("chat").signal(Signal::SIGTERM);
    let output = running.wait();
    assert!(output.exit_code().is_none_or(|code| code == 0), "{output}");
}
