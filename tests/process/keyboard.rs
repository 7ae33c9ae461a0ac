//! What a user does at the terminal: keys, another window size, hanging up.

use crate::run::{Mode, Place, Run, end};
use crate::support::Output;
use crate::support::terminal::Ctrl;
use crate::table::{Row, check};

const MASKED: &[Mode] = &[Mode::Mask];

#[test]
fn keys_and_the_window_do_what_they_do_without_dsops() {
    let own_terminal = "The command sets the modes of a terminal of its own. That of dsops is raw meanwhile, and has its modes back at the end.";
    let rows = [
        Row::new("Ctrl-C, caught", |mode, _| typed(mode, &[(Ctrl::C, 2)])),
        Row::new("Ctrl-C twice, caught", |mode, _| typed(mode, &[(Ctrl::C, 2), (Ctrl::C, 2)])),
        Row::new("Ctrl-C ten times, caught", |mode, _| typed(mode, &[(Ctrl::C, 2); 10])),
        Row::new("Ctrl-C, not caught", |mode, _| default(mode, Ctrl::C)),
        Row::new("Ctrl-\\, caught", |mode, _| typed(mode, &[(Ctrl::Backslash, 3)])),
        Row::new("Ctrl-\\, not caught", |mode, _| default(mode, Ctrl::Backslash)),
        Row::new("Ctrl-Z, caught", |mode, _| typed(mode, &[(Ctrl::Z, 20)])),
        Row::new("another window size, caught", |mode, _| resized(mode)),
        Row::new("another window size, then asked for", |mode, _| size_after(mode)),
        Row::new("hang-up, caught", |mode, _| hung_up(mode, "catch")),
        Row::new("hang-up, not caught", |mode, _| hung_up(mode, "plain")),
        Row::new("the modes of the terminal after the command set them", |mode, _| modes(mode)).differs(
            MASKED,
            None,
            own_terminal,
        ),
        Row::new("the modes of the terminal after the command left other ones", |mode, _| modes_left(mode))
            .differs(MASKED, None, own_terminal),
        Row::new("Ctrl-C, where the command took it for a key like others", |mode, _| raw(mode)),
        Row::new("Ctrl-V, Ctrl-C", |mode, _| quoted(mode)),
        Row::new("a password is read without an echo", |mode, _| password(mode)),
    ];
    check("keyboard", "at the terminal", &[Place::Terminal], &rows);
}

/// Presses keys, one after the arrival of the other, and counts what arrived.
fn typed(mode: Mode, keys: &[(Ctrl, usize)]) -> String {
    let mut run = Run::new(mode, Place::Terminal).start(&["probe", "catch"]);
    run.ready();
    for (at, (key, signal)) in keys.iter().enumerate() {
        run.terminal().key(*key);
        run.until_count(&format!("got {signal:02}"), at + 1);
    }
    arrived(run)
}

fn resized(mode: Mode) -> String {
    let mut run = Run::new(mode, Place::Terminal).start(&["probe", "catch"]);
    run.ready();
    run.terminal().resize(30, 100);
    run.until_count("got 28", 1);
    run.terminal().resize(31, 100);
    run.until_count("got 28", 2);
    arrived(run)
}

/// Ends a probe that catches all with two marks, and says what it had caught before.
fn arrived(run: crate::run::Started) -> String {
    let pid = run.pid();
    crate::run::send(pid, 30);
    run.until_count("got 30", 1);
    crate::run::send(pid, 12);
    run.until_count("got 12", 1);
    crate::run::send(pid, 12);
    let output = run.wait();
    format!("{}, then {}", caught(&output), end(output.status()))
}

/// Lists what was caught, with the number of times.
fn caught(output: &Output) -> String {
    let shown = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    let numbers: Vec<i32> = shown
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("got ")?.parse().ok())
        .filter(|number| ![12, 30].contains(number))
        .collect();
    let mut listed: Vec<String> = Vec::new();
    for number in &numbers {
        let count = numbers.iter().filter(|other| *other == number).count();
        let text = format!("{} × {count}", crate::run::name(*number));
        if !listed.contains(&text) {
            listed.push(text);
        }
    }
    if listed.is_empty() { "nothing".to_owned() } else { listed.join(", ") }
}

fn default(mode: Mode, key: Ctrl) -> String {
    let mut run = Run::new(mode, Place::Terminal).start(&["probe", "plain", "2"]);
    run.ready();
    run.terminal().key(key);
    run.end()
}

fn size_after(mode: Mode) -> String {
    let mut run = Run::new(mode, Place::Terminal).start(&[
        "sh",
        "-c",
        "stty size; echo ready; read line; stty size; test -t 0 -a -t 1 -a -t 2",
    ]);
    run.until("ready");
    run.terminal().resize(31, 101);
    run.terminal().type_("\r");
    let output = run.wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).replace("\r\n", ", ");
    format!("{shown}{}", end(output.status()))
}

/// Hangs up; what a command that catches it does then is asked of its exit code, since nobody can read it.
fn hung_up(mode: Mode, how: &str) -> String {
    let script = if how == "catch" { "trap 'exit 3' HUP; " } else { "" };
    let script = format!("{script}echo ready; while :; do sleep 0.02; done");
    let mut run = Run::new(mode, Place::Terminal).start(&["sh", "-c", &script]);
    run.until("ready");
    run.terminal().hang_up();
    run.end()
}

fn modes(mode: Mode) -> String {
    let mut run = Run::new(mode, Place::Terminal).start(&[
        "sh",
        "-c",
        "echo ready; read line; stty raw -echo; echo done; read line",
    ]);
    run.until("ready");
    let before = run.terminal().modes();
    run.terminal().type_("\r");
    run.until("done");
    let between = run.terminal().modes();
    run.terminal().type_("\n");
    let end = run.end();
    let changed = if before == between { "not changed" } else { "as the command set them" };
    format!("{changed}, {end}")
}

/// Says whether modes outlive the command that set them.
fn modes_left(mode: Mode) -> String {
    let script = "stty icanon; $CMD; stty -a | grep -o -e '-*icanon'";
    let run = Run::new(mode, Place::Terminal).start_script(&["sh", "-c"], script, &["stty", "-icanon"]);
    let output = run.wait();
    String::from_utf8_lossy(output.stdout_bytes()).replace("\r\n", ", ") + &end(output.status())
}

/// Presses Ctrl-C at a command that reads it, in a script that would end by the signal.
fn raw(mode: Mode) -> String {
    let command =
        "stty -isig -icanon; echo ready; dd bs=1 count=1 2>/dev/null | od -An -tx1; stty isig icanon";
    at_a_script(mode, command, "\u{3}")
}

fn quoted(mode: Mode) -> String {
    at_a_script(mode, "echo ready; read -r line; printf %s \"$line\" | od -An -tx1", "\u{16}\u{3}\r")
}

/// Types to a command that a script goes on behind.
fn at_a_script(mode: Mode, command: &str, keys: &str) -> String {
    let run = Run::new(mode, Place::Terminal);
    let mut run = run.start_script(&["sh", "-c"], "$CMD; echo went on", &["sh", "-c", command]);
    run.until("ready");
    run.terminal().type_(keys);
    let output = run.wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).replace("\r\n", ",");
    format!("{shown} {}", end(output.status()))
}

fn password(mode: Mode) -> String {
    let script = "stty echo; stty -echo; echo prompt; read line; stty echo; echo got-$line";
    let mut run = Run::new(mode, Place::Terminal).start(&["sh", "-c", script]);
    run.until("prompt");
    run.terminal().type_("word\r");
    let output = run.wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).replace("\r\n", ", ");
    format!("{shown}{}", end(output.status()))
}
