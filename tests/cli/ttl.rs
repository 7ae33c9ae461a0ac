//! `render --ttl`: the file goes when its time is over, and no other file does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::support::{Dsops, Output};

const CONFIG: &str = "envs: {dev: {A: {literal: one}}}\n";

fn render(time: &str, args: &[&str]) -> Dsops {
    Dsops::new().config(CONFIG).args(["render", "--env", "dev", "--out", ".env", "--ttl", time]).args(args)
}

/// Returns the keepers of files whose directory is that of a run.
fn keepers(output: &Output) -> Vec<i32> {
    let directory = output.path("").canonicalize().expect("the working directory");
    let pids = fs::read_dir("/proc").expect("processes").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let keeps = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "dsops-keeper")
            && fs::read_link(format!("/proc/{pid}/fd/1")).is_ok_and(|path| path == directory)
    };
    pids.filter(keeps).collect()
}

#[track_caller]
fn until(what: &str, output: &Output, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "never: {what}\n{output}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn the_file_goes_when_its_time_is_over_and_so_does_the_keeper() {
    // Over a file that was there, and where none was.
    for before in [true, false] {
        let run = render("1500ms", &[]);
        let run = if before { run.file(".env", "OLD=1\n") } else { run };
        let output = run.run().code(0).stdout_empty().stderr_has(".env, which is deleted in 1.5s");
        assert_eq!(output.read(".env"), b"A=one\n");
        assert_eq!(fs::metadata(output.path(".env")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keepers(&output).len(), 1, "{output}");
        until("the file is gone", &output, || !output.path(".env").exists());
        until("the keeper is gone", &output, || keepers(&output).is_empty());
        assert!(output.path("dsops.yaml").exists());
    }
}

#[test]
fn a_file_that_was_put_in_its_place_stays() {
    let output = render("300ms", &[]).run().code(0);
    // The new one often gets the number of the old, where nobody holds on to that.
    fs::remove_file(output.path(".env")).unwrap();
    fs::write(output.path(".env"), "mine").unwrap();
    until("the keeper is gone", &output, || keepers(&output).is_empty());
    assert_eq!(output.read(".env"), b"mine");

    let output = render("300ms", &[]).run().code(0);
    fs::rename(output.path(".env"), output.path("moved")).unwrap();
    std::os::unix::fs::symlink("moved", output.path(".env")).unwrap();
    until("the keeper is gone", &output, || keepers(&output).is_empty());
    assert_eq!(output.read(".env"), b"A=one\n");
}

#[test]
fn a_file_that_is_gone_already_is_no_error() {
    let output = render("200ms", &[]).run().code(0);
    fs::remove_file(output.path(".env")).unwrap();
    until("the keeper is gone", &output, || keepers(&output).is_empty());
}

#[test]
fn the_end_of_the_shell_and_its_terminal_is_not_the_end_of_the_file() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let output = render("1h", &[]).run().code(0);
    let keeper = Pid::from_raw(keepers(&output)[0]);
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        kill(keeper, signal).expect("a keeper");
    }
    assert_eq!(nix::unistd::getsid(Some(keeper)).unwrap(), keeper);
    assert!(fs::read(format!("/proc/{keeper}/environ")).unwrap().is_empty());
    assert!(output.path(".env").exists());
    // This is how a system says that it ends.
    kill(keeper, Signal::SIGTERM).expect("a keeper");
    until("the file is gone", &output, || !output.path(".env").exists());
    until("the keeper is gone", &output, || keepers(&output).is_empty());
}

#[test]
fn a_later_file_has_its_own_time() {
    let first = render("300ms", &[]).run().code(0);
    let again = Dsops::new().instead("sh").directory(".").args([
        "-c",
        "cd \"$1\" && \"$0\" render --env dev --out .env --quiet",
        env!("CARGO_BIN_EXE_dsops"),
    ]);
    let _ = again.args([first.path("")]).run().code(0).stderr_empty();
    until("the keeper is gone", &first, || keepers(&first).is_empty());
    assert_eq!(first.read(".env"), b"A=one\n");
}

#[test]
fn what_is_no_file_has_no_time() {
    let run =
        |args: &[&str]| Dsops::new().config(CONFIG).args(["render", "--env", "dev"]).args(args).run().code(2);
    let _ = run(&["--ttl", "1m"]).stdout_empty().stderr_has("--out");
    let _ = run(&["--ttl", "1m", "--out", "-"]).stdout_empty().stderr_has("none is written");
    for time in ["0s", "soon", ""] {
        let _ = run(&["--ttl", time, "--out", ".env"]).stdout_empty();
    }
}

#[test]
fn a_file_that_cannot_be_written_leaves_no_keeper() {
    let output =
        Dsops::new().config(CONFIG).args(["render", "--env", "dev", "--ttl", "1h", "--out", "below/.env"]);
    let output = output.run().code(6).stderr_has("dsops::output");
    assert!(keepers(&output).is_empty());
}
