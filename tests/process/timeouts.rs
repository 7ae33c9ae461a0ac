//! A time limit does what timeout(1) does.

use crate::run::{BESIDE, Mode, Place, Run, end};
use crate::table::{Row, check};

#[test]
fn a_time_limit_does_what_the_program_of_that_name_does() {
    let killed =
        "timeout(1) ends with 137 where it had to kill; dsops ends with 124 whenever the time was up.";
    let rows = vec![
        row("ends in time", "exit 7"),
        row("does not end", "exec sleep 60"),
        row(
            "ends by `SIGTERM` with a code of its own",
            "trap 'echo asked; exit 3' TERM; while :; do sleep 0.02; done",
        ),
        row(
            "takes a moment to clean up after `SIGTERM`",
            "trap 'sleep 0.1; echo clean; exit' TERM; while :; do sleep 0.02; done",
        ),
        row("ignores `SIGTERM`", "trap '' TERM; while :; do sleep 0.02; done").differs(BESIDE, None, killed),
        row("has stopped", "kill -STOP $$; exec sleep 60"),
        row("has a child that keeps the output open", "sleep 60 & wait"),
    ];
    check("timeouts", "the command", &[Place::Apart], &rows);
}

fn row(name: &str, script: &'static str) -> Row {
    Row::new(name, move |mode, place| limited(mode, place, script)).modes(&[
        Mode::Alone,
        Mode::Supervise,
        Mode::Mask,
    ])
}

/// Runs a script for as long as it may, and says what it wrote and how the limit ended it.
fn limited(mode: Mode, place: Place, script: &str) -> String {
    let command = ["sh", "-c", script];
    let run = Run::new(mode, place);
    let output = match mode {
        Mode::Alone => run.start_by(&["timeout", "--kill-after", "3", "1"], &command),
        _ => run.options(&["--timeout", "1s", "--kill-after", "3s"]).start(&command),
    };
    let output = output.wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).trim_end().to_owned();
    format!("{shown}, {}", end(output.status())).trim_start_matches(", ").to_owned()
}
