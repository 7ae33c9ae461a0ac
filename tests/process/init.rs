//! dsops as the first process of a PID namespace, as in a container.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::run::{BESIDE, Mode, Place, Run, Started, send};
use crate::support::terminal::{eventually, state};
use crate::table::{Row, check};

#[test]
fn the_first_process_of_a_container_reaps_and_passes_signals_on() {
    let Some(unshare) = unshare() else {
        println!("not run: neither root nor a user namespace may make a PID namespace here");
        return;
    };
    let deaf = "The kernel keeps from the first process what it does not catch. dsops catches all and passes it on, and ends with 128 and the number, since no signal can end it either.";
    let pid = "The first process is dsops.";
    let reaps = "dsops collects what is left to the first process.";
    let rows = vec![
        Row::new("the command is process 1", move |mode, _| first(unshare, mode)).differs(BESIDE, None, pid),
        Row::new("exit 7", move |mode, _| start(unshare, mode, &["sh", "-c", "exit 7"]).end()),
        Row::new("`SIGTERM`, caught", move |mode, _| caught(unshare, mode)),
        Row::new("`SIGTERM`, not caught", move |mode, _| not_caught(unshare, mode))
            .differs(BESIDE, None, deaf),
        Row::new("the command ends by a signal", move |mode, _| {
            start(unshare, mode, &["probe", "raise", "6"]).end()
        })
        .shown("goes on: exit 97")
        .differs(BESIDE, None, deaf),
        Row::new("orphans that end, under a command that collects none", move |mode, _| {
            orphans(unshare, mode)
        })
        .differs(BESIDE, None, reaps),
    ];
    check("init", "as the first process", &[Place::Apart], &rows);
}

const NAMESPACE: &[&str] = &["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
const USER_NAMESPACE: &[&str] =
    &["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// Returns how to make a PID namespace here, if it can be made.
fn unshare() -> Option<&'static [&'static str]> {
    [NAMESPACE, USER_NAMESPACE].into_iter().find(|words| {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("true").stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

fn start(unshare: &[&str], mode: Mode, command: &[&str]) -> Started {
    Run::new(mode, Place::Apart).start_by(unshare, command)
}

fn first(unshare: &[&str], mode: Mode) -> String {
    let output = start(unshare, mode, &["probe", "show", "pid"]).wait().code(0);
    if output.stdout_bytes() == b"1\n" { "yes".to_owned() } else { "no".to_owned() }
}

/// Sends `SIGTERM` to the first process, and says how it ended.
fn caught(unshare: &[&str], mode: Mode) -> String {
    let script = "trap 'exit 3' TERM; echo ready $$; while :; do sleep 0.02; done";
    let run = start(unshare, mode, &["sh", "-c", script]);
    run.until("ready");
    send(children(run.pid())[0], 15);
    run.end()
}

/// Does so under a command that catches the mark alone, which is sent after it, and says whether it went on.
fn not_caught(unshare: &[&str], mode: Mode) -> String {
    let run = start(unshare, mode, &["probe", "plain", "15"]);
    run.until("ready");
    let first = children(run.pid())[0];
    send(first, 15);
    send(first, 30);
    if !run.shows("got 30") {
        return run.end();
    }
    send(first, 30);
    format!("nothing, then {}", run.end())
}

fn orphans(unshare: &[&str], mode: Mode) -> String {
    // The shell in between ends at once, so that its children are left to the first process. The other one
    // becomes a program that waits for nobody.
    let orphan = "sh -c 'until test -e ../go; do sleep 0.01; done' &";
    let script = format!("sh -c \"{orphan} {orphan} {orphan}\"; exec \"$0\" catch");
    let run = start(unshare, mode, &["sh", "-c", &script, "probe"]);
    run.ready();
    let first = children(run.pid())[0];
    let command = usize::from(mode.stays());
    let left = || children(first).len() - command;
    eventually("three orphans", || left() == 3);
    fs::write(run.path("../go"), "").expect("a file");
    let zombies = || children(first).into_iter().filter(|child| state(*child) == Some('Z')).count();
    eventually("the end of the orphans", || zombies() == 3 || left() == 0);
    // Nobody is a zombie for long where somebody collects.
    let since = Instant::now();
    eventually("the end of the zombies", || left() == 0 || since.elapsed() > Duration::from_secs(3));
    let text = if left() == 0 { "are collected" } else { "stay as zombies" };
    send(first, 12);
    run.until("got 12");
    send(first, 12);
    format!("{text}, then {}", run.end())
}

fn children(parent: Pid) -> Vec<Pid> {
    let all = fs::read_dir("/proc").into_iter().flatten();
    let mut found: Vec<Pid> = all
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (_, fields) = stat.rsplit_once(") ")?;
            let ppid: i32 = fields.split(' ').nth(1)?.parse().ok()?;
            (ppid == parent.as_raw()).then_some(Pid::from_raw(pid))
        })
        .collect();
    found.sort();
    found
}
