//! Commands that do not end when they are asked to, that stop, that start others, and that leave others behind.

use nix::unistd::Pid;

use crate::run::{BESIDE, Mode, Place, Run, Started, lives, send, until_stopped};
use crate::support::terminal::eventually;
use crate::table::{Row, check};

const BOTH: &[Place] = &[Place::Apart, Place::Terminal];
const TERM: i32 = 15;

#[test]
fn what_a_command_starts_and_leaves_behind_is_treated_as_without_dsops() {
    let own_group = "Without a terminal the command leads a process group of its own, and what asks a job to end, stop or go on goes to all of it.";
    let own_group_there = "So it is on a terminal where the command is masked: a shell's `kill %1` reaches dsops and not the command's group, and cannot be told from a signal to dsops alone.";
    let unwaited =
        "Where no shell waits, dsops lets the command go on: on a terminal of its own nobody else could.";
    let watched = "Nobody is there to kill what is left: the command is dsops's child, and gets `SIGKILL` when dsops does.";
    let rows =
        vec![
            Row::new("stops itself, goes on after `SIGCONT` to the caller's process id", stops_itself)
                .differs(&[Mode::Mask], Place::Terminal, unwaited),
            Row::new("ignores `SIGTERM`", ignores_term),
            Row::new("`SIGKILL`: lives on", |mode, place| killed(mode, place, 9))
                .differs(BESIDE, None, watched),
            Row::new("has a child; `SIGTERM` to the caller's process id: the child", |mode, place| {
                child_after(mode, place, TERM)
            })
            .differs(BESIDE, Place::Apart, own_group)
            .differs(&[Mode::Mask], Place::Terminal, own_group_there),
            Row::new("has a child; `SIGUSR1` to the caller's process id: the child", |mode, place| {
                child_after(mode, place, 10)
            }),
            Row::new("ends, and leaves a daemon (a session of its own)", daemon),
            Row::new("ends, and leaves a daemon that keeps the output open", open_daemon),
            Row::new("ends, and leaves a child in its group", background),
        ];
    check("families", "the command", BOTH, &rows);
}

fn script(mode: Mode, place: Place, script: &str) -> Started {
    Run::new(mode, place).start(&["sh", "-c", script])
}

fn stops_itself(mode: Mode, place: Place) -> String {
    // A session's leader is of no job that could go on: only `SIGSTOP` stops it.
    let run = script(mode, place, "echo ready $$; kill -STOP $$; echo on; exit 5");
    let command = run.ready();
    if mode == Mode::Mask && place == Place::Terminal {
        return format!("goes on at once, {}", run.end());
    }
    until_stopped(command);
    send(run.pid(), 18);
    run.until("on");
    run.end()
}

fn ignores_term(mode: Mode, place: Place) -> String {
    let run = script(
        mode,
        place,
        "trap '' TERM; trap 'echo mark' WINCH; echo ready $$; while :; do sleep 0.02; done",
    );
    let command = run.ready();
    send(run.pid(), TERM);
    // Of signals that wait, that of the lowest number goes first: the one above has arrived when this one has.
    send(run.pid(), 28);
    run.until("mark");
    let lived = lives(command);
    send(command, 9);
    format!("{}, then {}", if lived { "lives on" } else { "ends" }, run.end())
}

fn killed(mode: Mode, place: Place, signal: i32) -> String {
    let run = script(mode, place, "echo ready $$; exec sleep 60");
    let command = run.ready();
    send(run.pid(), signal);
    eventually("the end", || !lives(command));
    let end = run.end();
    if mode.stays() { format!("dsops and the command: {end}") } else { end }
}

/// A child that a hang-up, which the end of a session's leader brings, does not end; it holds no stream.
const CHILD: &str = "sh -c 'trap \"\" HUP; echo ready $$; exec sleep 60 >/dev/null 2>&1 </dev/null' &";

/// Says what becomes of a command's child when a signal is sent to the process that the caller knows.
fn child_after(mode: Mode, place: Place, signal: i32) -> String {
    let run = script(
        mode,
        place,
        &format!("trap 'exit 4' USR1; trap 'exit 3' TERM; {CHILD} while :; do wait; done"),
    );
    let child = run.ready();
    send(run.pid(), signal);
    let end = run.end_of_caller();
    let ends = signal == TERM && (mode == Mode::Mask || mode.stays() && place == Place::Apart);
    format!("{}; the command: {end}", fate(child, ends))
}

/// Ends what is left, and says whether it was. What is to end may take a moment.
fn fate(child: Pid, ends: bool) -> &'static str {
    if ends {
        eventually("the end of the child", || !lives(child));
    }
    let left = lives(child);
    send(child, 9);
    if left { "lives on" } else { "ends" }
}

fn daemon(mode: Mode, place: Place) -> String {
    let run = script(
        mode,
        place,
        "setsid --fork sh -c 'echo $$ >../pid; exec sleep 60' >/dev/null 2>&1 </dev/null; \
         until test -s ../pid; do sleep 0.01; done; echo ready $(cat ../pid); exit 6",
    );
    let daemon = run.ready();
    let end = run.end();
    format!("{}; the command: {end}", fate(daemon, false))
}

fn open_daemon(mode: Mode, place: Place) -> String {
    let run = script(
        mode,
        place,
        "setsid --fork sh -c 'echo $$ >../pid; exec sleep 60'; \
         until test -s ../pid; do sleep 0.01; done; echo ready $(cat ../pid); exit 6",
    );
    let daemon = run.ready();
    let end = run.end_of_caller();
    format!("{}; the command: {end}", fate(daemon, false))
}

fn background(mode: Mode, place: Place) -> String {
    let run = script(mode, place, &format!("trap 'exit 6' USR1; {CHILD} while :; do wait; done"));
    let child = run.ready();
    send(run.pid(), 10);
    let end = run.end_of_caller();
    format!("{}; the command: {end}", fate(child, false))
}
