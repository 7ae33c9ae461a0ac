//! What becomes of the process when `exec` starts a command, and when it watches over one.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::signal::Signal;

use crate::support::Dsops;
use crate::support::terminal::eventually;

fn exec(options: &[&str], command: &[&str]) -> Dsops {
    with(Dsops::new(), options, command)
}

fn with(dsops: Dsops, options: &[&str], command: &[&str]) -> Dsops {
    dsops
        .config("version: 1\nenvs: {dev: {A: {literal: one}}}")
        .args(["exec", "--env", "dev"])
        .args(options)
        .args(["--"])
        .args(command)
}

#[test]
fn the_command_has_the_process_of_dsops() {
    let running = exec(&[], &["sh", "-c", "echo $$"]).start();
    let pid = running.pid();
    let _ = running.wait().code(0).stdout(format!("{pid}\n"));
}

#[test]
fn the_command_gets_the_descriptors_of_the_caller_and_no_more() {
    let expected = Dsops::new().instead("ls").args(["/proc/self/fd"]).run().code(0);
    for options in [&[][..], &["--timeout", "1m"]] {
        let _ = exec(options, &["ls", "/proc/self/fd"]).run().code(0).stdout(expected.stdout_bytes());
    }
}

#[test]
fn the_command_ends_by_sigpipe_as_without_dsops() {
    for options in [&[][..], &["--timeout", "1m"]] {
        let _ = exec(options, &["sh", "-c", "kill -PIPE $$"]).run().killed_by(Signal::SIGPIPE);
    }
}

#[test]
fn the_command_gets_the_core_limits_of_the_caller() {
    let shown = |limit| if limit == RLIM_INFINITY { "unlimited".to_owned() } else { format!("{limit}") };
    let (soft, hard) = getrlimit(Resource::RLIMIT_CORE).unwrap();
    let expected = format!("{} {}\n", shown(soft), shown(hard));
    let print = "awk '/core/ { print $5, $6 }' /proc/self/limits";
    for options in [&[][..], &["--timeout", "1m"]] {
        let _ = exec(options, &["sh", "-c", print]).run().code(0).stdout(&expected);
    }
}

#[test]
fn a_script_without_an_interpreter_line_is_run_by_the_shell() {
    let _ = with(Dsops::new().program("plain", "echo \"$1 $A\"\n"), &[], &["./plain", "given"])
        .run()
        .code(0)
        .stdout("given one\n");
}

#[test]
fn a_program_for_no_machine_is_not_given_to_the_shell() {
    let _ = with(Dsops::new().program("broken", [0; 64]), &[], &["./broken"])
        .run()
        .code(126)
        .stdout_empty()
        .stderr_has("no program for this machine");
}

#[test]
fn a_missing_interpreter_is_named() {
    let _ = with(Dsops::new().program("script", "#!/nowhere/sh\n"), &[], &["./script"])
        .run()
        .code(126)
        .stderr_has("/nowhere/sh");
}

#[test]
fn the_command_is_looked_for_in_its_own_path() {
    let _ = Dsops::new()
        .config("version: 1\nenvs: {dev: {PATH: {literal: tools}}}")
        .program("tools/mine", "echo found\n")
        .args(["exec", "--env", "dev", "--", "mine"])
        .run()
        .code(0)
        .stdout("found\n");
}

#[test]
fn a_relative_command_starts_at_the_working_directory() {
    let _ = with(
        Dsops::new().program("below/mine", "pwd | sed 's,.*/,,'\n"),
        &["--working-dir", "below"],
        &["./mine"],
    )
    .run()
    .code(0)
    .stdout("below\n");
}

#[test]
fn a_command_whose_time_is_up_ends_with_all_that_it_started() {
    // In a session of its own dsops has no terminal, wherever the tests run. The output closes only
    // when nothing holds it any more.
    let _ = with(
        Dsops::new().instead("setsid").args(["--wait", env!("CARGO_BIN_EXE_dsops")]),
        &["--timeout", "200ms"],
        &["sh", "-c", "sleep 60 & sleep 60"],
    )
    .run()
    .code(124);
}

#[test]
fn a_watched_command_gets_each_signal_once() {
    // Not SIGHUP: a shell that is started with it ignored, as under nohup(1), cannot catch it.
    let script = "trap 'echo usr2' USR2; trap 'exit 3' USR1; echo up; while :; do sleep 0.05; done";
    let running = exec(&["--timeout", "1m"], &["sh", "-c", script]).start();
    running.until_stdout("up").signal(Signal::SIGUSR2).until_stdout("usr2").signal(Signal::SIGUSR1);
    let _ = running.wait().code(3).stdout("up\nusr2\n");
}

#[test]
fn a_watched_command_ends_dsops_as_it_ends() {
    let _ = exec(&["--timeout", "1m"], &["sh", "-c", "exit 7"]).run().code(7);
    let _ = exec(&["--timeout", "1m"], &["sh", "-c", "kill -TERM $$"]).run().killed_by(Signal::SIGTERM);
    let _ = exec(&["--timeout", "1m"], &["sh", "-c", "kill -KILL $$"]).run().killed_by(Signal::SIGKILL);
}

#[test]
fn an_interrupted_fetch_ends_the_program_that_it_waits_for() {
    let run = Dsops::new()
        .config("secretStores: {slow: {type: exec, command: ./slow}}\nenvs: {dev: {A: {from: slow/KEY}}}")
        .program("slow", "#!/bin/sh\necho $$ > started\nexec sleep 60\n")
        .args(["exec", "--env", "dev", "--", "true"]);
    let started = run.path("started");
    let running = run.start();
    let pid = || std::fs::read_to_string(&started).ok().and_then(|text| text.trim().parse::<i32>().ok());
    eventually("the start of the program", || pid().is_some());
    let program = pid().unwrap();
    running.signal(Signal::SIGTERM);
    let _ = running.wait().killed_by(Signal::SIGTERM);
    // The kernel takes a moment to bury what was killed.
    let alive = || {
        let state = std::fs::read_to_string(format!("/proc/{program}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    let started = std::time::Instant::now();
    while alive() {
        assert!(started.elapsed().as_secs() < 10, "the program outlived dsops");
        std::thread::yield_now();
    }
}
