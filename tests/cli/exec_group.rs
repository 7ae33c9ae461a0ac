//! `dsops exec --supervise` in the group of a job: what is sent to all of it, and to dsops alone.

use nix::unistd::Pid;

use crate::support::Dsops;
use crate::support::terminal::{Terminal, eventually, state};

/// An interactive shell with job control on a terminal.
fn shell() -> Terminal {
    let run = Dsops::new().config("envs: {dev: {A: {literal: one}}}").instead("/bin/bash").args([
        "--norc",
        "--noediting",
        "-i",
    ]);
    let terminal = Terminal::start_silent(run.env("PS1", "outer> ").env("D", env!("CARGO_BIN_EXE_dsops")));
    let _ = terminal.until("outer> ");
    terminal
}

/// Counts the signals that it gets in a file, and says so when it is up and when it has had one.
const COUNTS: &str = "sh -c 'trap \"echo x >> got\" USR1 INT; trap \"exit 0\" TERM; echo u\"\"p; while :; do sleep 0.05; done'";

#[test]
fn a_job_that_is_signalled_hears_it_once() {
    let terminal = shell();
    let _ = terminal.type_(&format!("$D exec --env dev --supervise -- {COUNTS} &\r")).until("up\r\n");
    // To the group by the shell, and to dsops alone; each is handled before the next.
    for (command, expected) in
        [("kill -USR1 %1", 1), ("kill -USR1 $!", 2), ("kill -INT %1", 3), ("kill -INT $!", 4)]
    {
        let wait =
            format!("{command}; until [ $(wc -l < got) -ge {expected} ]; do sleep 0.05; done; sleep 0.2; ");
        let asked = terminal.type_(&format!("touch got; {wait}echo \"<$(wc -l < got)>\"\r"));
        let _ = asked.until(&format!("<{expected}>"));
    }
    let _ = terminal.type_("kill %1; wait; echo \"<end $?>\"\r").until("<end ");
}

#[test]
fn the_third_member_of_the_group_ends_with_dsops() {
    let terminal = shell();
    let script = "$D exec --env dev --supervise -- sh -c 'echo \"<$PPID>\"; read x'\r";
    let shown = terminal.type_(script).until(">\r\n");
    let dsops: i32 =
        shown.rsplit('<').next().and_then(|text| text.split('>').next()).unwrap().parse().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{dsops}/task/{dsops}/children")).unwrap();
    let children: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(children.len(), 2, "the command and the witness");
    for pid in &children {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!words.starts_with(b"dsops\0__witness") || environment.is_empty());
    }
    let _ = terminal.type_("\r").until("outer> ");
    for pid in children {
        eventually("the end", || state(Pid::from_raw(pid)).is_none_or(|state| state == 'Z'));
    }
}
