//! Signals that a process sends to the process id that it knows: each reaches the command, once.

use crate::run::{BESIDE, Mode, Place, Run, end, name, send};
use crate::support::terminal::{eventually, state};
use crate::table::{Row, check};

/// All that a process can catch, without the real-time ones.
const CATCHABLE: [i32; 29] = [
    1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    31,
];

/// From the C library's first to the last; it keeps 32 and 33 for itself.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

const KILL: i32 = 9;
const USR2: i32 = 12;
const CONT: i32 = 18;
const STOP: i32 = 19;
/// The highest of the ordinary ones that the probe uses as a mark: of those that wait, the lowest comes first.
const PWR: i32 = 30;

#[test]
fn each_signal_arrives_once_at_a_command_that_catches_it() {
    let mut rows: Vec<Row> = CATCHABLE
        .iter()
        .map(|&signal| Row::new(name(signal), move |mode, place| caught(mode, place, &[signal])))
        .collect();
    rows.push(Row::new("each of 34 to 64", |mode, place| {
        caught(mode, place, &REAL_TIME.collect::<Vec<_>>())
    }));
    check("signals-caught", "sent", &[Place::Apart, Place::Terminal], &rows);
}

#[test]
fn each_signal_does_what_it_does_to_a_command_that_does_not_catch_it() {
    let mut rows: Vec<Row> = CATCHABLE
        .iter()
        .chain(&[KILL, STOP])
        .map(|&signal| {
            let row = Row::new(name(signal), move |mode, place| left_at_default(mode, place, signal));
            if signal != STOP {
                return row;
            }
            let why = "`SIGSTOP` cannot be caught, so it cannot be passed on; `SIGTSTP` stops the command.";
            row.differs(BESIDE, None, why)
        })
        .collect();
    rows.push(Row::new("each of 34 to 64", |mode, place| {
        let ends: Vec<String> = REAL_TIME
            .map(|signal| left_at_default(mode, place, signal).replace(&name(signal), "it"))
            .collect();
        let odd = ends.iter().find(|end| *end != "ends by it");
        odd.map_or_else(|| "ends by it".to_owned(), |odd| format!("at least once: {odd}"))
    }));
    check("signals-default", "sent", &[Place::Apart, Place::Terminal], &rows);
}

/// Says how often each signal arrived at a command that catches all.
fn caught(mode: Mode, place: Place, signals: &[i32]) -> String {
    let run = Run::new(mode, place).start(&["probe", "catch"]);
    let pid = run.pid();
    run.ready();
    for &signal in signals {
        send(pid, signal);
        // What is sent after it arrives after it, where it is of a higher number.
        if signal < PWR {
            send(pid, PWR);
            let _ = run.shows("got 30");
        } else {
            let _ = run.shows(&format!("got {signal}"));
        }
    }
    send(pid, USR2);
    let _ = run.shows("got 12");
    send(pid, USR2);
    let output = run.wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    let count = |signal: i32| shown.lines().filter(|line| *line == format!("got {signal:02}")).count();
    let mut counts = signals.iter().map(|&signal| count(signal) - usize::from(signal == USR2));
    let first = counts.next().unwrap_or(0);
    let times = match first {
        _ if counts.any(|count| count != first) => "not each once".to_owned(),
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        more => format!("{more} times"),
    };
    match end(output.status()).as_str() {
        "exit 7" => times,
        other => format!("{times}, then {other}"),
    }
}

/// Says what a signal does to a command that catches none but the mark.
fn left_at_default(mode: Mode, place: Place, signal: i32) -> String {
    let run = Run::new(mode, place).start(&["probe", "plain", &signal.to_string()]);
    let pid = run.pid();
    let command = run.ready();
    send(pid, signal);
    // Those that may do nothing are told by the mark that is sent after them.
    if !matches!(signal, 17..=23 | 28) {
        return run.end();
    }
    send(pid, PWR);
    // The kernel stops no leader of a session. Where that is another process, dsops lets the command go on.
    if mode == Mode::Mask && place == Place::Terminal && signal != STOP {
        run.until("got 30");
    }
    let stopped = |pid| state(pid) == Some('T');
    eventually("the mark or a stop", || {
        run.seen().contains("got 30") || stopped(command) || (signal == STOP && stopped(pid))
    });
    let first = match (stopped(command), stopped(pid)) {
        (true, _) => "stops",
        (false, true) => "dsops stops, the command does not",
        (false, false) => "nothing",
    };
    send(pid, CONT);
    run.until("got 30");
    send(pid, PWR);
    match run.end().as_str() {
        "exit 7" => first.to_owned(),
        other => format!("{first}, then {other}"),
    }
}
