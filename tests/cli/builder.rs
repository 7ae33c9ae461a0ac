//! The builder that every other test relies on, tried with a shell in place of the program.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::Dsops;

fn shell(script: &str) -> Dsops {
    Dsops::new().instead("/bin/sh").args(["-c", script])
}

#[test]
fn the_real_binary_runs() {
    let _ = Dsops::new().args(["version"]).run().code(0);
}

#[test]
fn nothing_of_the_developers_environment_gets_in() {
    let output =
        shell("env | cut -d= -f1 | sort | grep -v -e ^_$ -e ^PWD$ -e ^OLDPWD$ -e ^SHLVL$").run().code(0);
    let _ = output.stdout("COLUMNS\nHOME\nPATH\n").stderr_empty();
}

#[test]
fn variables_are_set_and_taken_away() {
    let _ = shell("echo $A-${HOME:-none}").env("A", "one").without_env("HOME").run().stdout("one-none\n");
}

#[test]
fn home_is_an_empty_directory_beside_the_working_directory() {
    let _ = shell("ls -A ~; cd ..; ls").run().code(0).stdout("home\nwork\n");
}

#[test]
fn files_are_there_before_the_run_and_can_be_read_after_it() {
    let output =
        shell("cp a/b.txt c.txt; cat dsops.yaml").config("version: 1\n").file("a/b.txt", b"\xff\0").run();
    let output = output.code(0).stdout("version: 1\n");
    assert_eq!(output.read("c.txt"), b"\xff\0");
}

#[test]
fn a_program_is_executable() {
    let _ =
        shell("./bin/hello").program("bin/hello", "#!/bin/sh\necho hello\n").run().code(0).stdout("hello\n");
}

#[test]
fn stdin_is_at_its_end_unless_given() {
    let _ = shell("cat").run().code(0).stdout_empty();
    let _ = shell("cat").stdin(vec![0, 1, 255]).run().code(0).stdout([0, 1, 255]);
}

#[test]
fn unread_stdin_is_no_failure() {
    let _ = shell("exit 3").stdin(vec![b'x'; 1 << 20]).run().code(3);
}

#[test]
fn a_signal_counts_as_a_shell_shows_it() {
    let _ = shell("kill -TERM $$").run().code(143).killed_by(Signal::SIGTERM);
}

#[test]
fn a_running_program_can_be_waited_for_and_signalled() {
    let running = shell("trap 'echo bye; exit 7' INT; echo ready; while :; do read x <fifo; done");
    nix::unistd::mkfifo(&running.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let running = running.start();
    running.until_stdout("ready").signal(Signal::SIGINT);
    let _ = running.wait().code(7).stdout("ready\nbye\n");
}

#[test]
fn a_dropped_run_is_killed_with_what_it_started() {
    let running = shell("sleep 60 & echo $! >sleeper; echo; wait");
    let file = running.path("sleeper");
    let running = running.start();
    running.until_stdout("\n");
    let sleeper = fs::read_to_string(file).unwrap();
    drop(running);
    // Signals arrive a moment after they are sent. An orphan that nobody has reaped yet (`Z`) is dead as well.
    let deadline = Instant::now() + Duration::from_secs(10);
    let alive = || match fs::read_to_string(format!("/proc/{}/stat", sleeper.trim())) {
        Ok(state) => !state.contains(") Z "),
        Err(_) => false,
    };
    while alive() {
        assert!(Instant::now() < deadline, "process {} outlived its run", sleeper.trim());
        std::thread::yield_now();
    }
}

#[test]
fn json_and_raw_bytes_are_at_hand() {
    let output = shell("echo '{\"a\": 1}'; echo '{\"b\": 2}' >&2").run().code(0);
    assert_eq!(output.json()["a"], 1);
    assert_eq!(output.stderr_json()[0]["b"], 2);
    assert_eq!(output.stdout_bytes(), b"{\"a\": 1}\n");
    let _ = output.stderr_has("b").stderr_lacks("a").never_shows("secret");
}

#[test]
#[should_panic(expected = "exit code")]
fn a_wrong_exit_code_fails_the_test() {
    let _ = shell("exit 1").run().code(0);
}

#[test]
#[should_panic(expected = "was shown")]
fn a_value_on_stderr_fails_the_test() {
    let _ = shell("echo hunter2 >&2").run().never_shows("hunter2");
}
