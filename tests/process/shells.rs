//! Pipelines, scripts and job control of real shells, with dsops in front of the command.

use nix::unistd::Pid;

use crate::run::{Mode, Place, Run, Started, end, lives, parent, probe, send, until_stopped};
use crate::support::terminal::{Ctrl, eventually, state};
use crate::table::{Row, check};

const BASH: &[&str] = &["bash", "--norc", "--noediting", "-i"];
const DASH: &[&str] = &["dash", "-i"];

const PWR: i32 = 30;
const MASKED: &[Mode] = &[Mode::Mask];

#[test]
fn shells_do_with_it_what_they_do_without_dsops() {
    let unheard = "`SIGSTOP` cannot be passed on, and the command is in a session of its own. Its output waits, and Ctrl-Z or `kill -TSTP %1` stops both.";
    let own_terminal = "It reads from a terminal of its own, and waits there for what is typed once dsops is in the foreground.";
    let mut rows = Vec::new();
    for (name, shell) in [("bash", BASH), ("dash", DASH)] {
        rows.push(Row::new(format!("{name}: Ctrl-Z, `fg`"), move |mode, _| stopped(mode, shell, "fg", None)));
        rows.push(Row::new(format!("{name}: Ctrl-Z, `bg`, `fg`"), move |mode, _| {
            stopped(mode, shell, "bg", None)
        }));
        rows.push(Row::new(format!("{name}: Ctrl-Z twice, with `fg` after each"), move |mode, _| {
            stopped_twice(mode, shell)
        }));
        rows.push(
            Row::new(format!("{name}: `kill -STOP %1`, `fg`"), move |mode, _| {
                stopped(mode, shell, "fg", Some("kill -STOP %1"))
            })
            .differs(MASKED, None, unheard),
        );
        rows.push(Row::new(format!("{name}: `kill -TSTP %1`, `fg`"), move |mode, _| {
            stopped(mode, shell, "fg", Some("kill -TSTP %1"))
        }));
        rows.push(Row::new(format!("{name}: `&`, `fg`, Ctrl-C"), move |mode, _| background(mode, shell)));
        rows.push(Row::new(format!("{name}: `&`, `kill %1`, `wait`"), move |mode, _| killed(mode, shell)));
        rows.push(
            Row::new(format!("{name}: `&`, reads from the terminal"), move |mode, _| reads(mode, shell))
                .differs(MASKED, None, own_terminal),
        );
        rows.push(Row::new(format!("{name}: Ctrl-Z in a pipeline, `fg`"), move |mode, _| piped(mode, shell)));
        rows.push(Row::new(format!("{name}: Ctrl-Z in a script, `fg`"), move |mode, _| {
            in_a_script(mode, shell)
        }));
        rows.push(Row::new(
            format!("{name}: the modes after Ctrl-C, which `find … -exec …` ends by at once"),
            move |mode, _| modes_after(mode, shell),
        ));
        rows.push(Row::new(format!("{name}: the window closes with a job in it"), move |mode, _| {
            closed(mode, shell)
        }));
    }
    for shell in ["bash", "dash"] {
        rows.push(Row::new(
            format!("{shell} script: Ctrl-C ends the command and the script"),
            move |mode, _| script(mode, shell, "$CMD; echo went on $?", &["probe", "plain", "2"], Ctrl::C),
        ));
        rows.push(Row::new(format!("{shell} script: Ctrl-\\ ends the command"), move |mode, _| {
            script(mode, shell, "$CMD; echo went on $?", &["probe", "plain", "3"], Ctrl::Backslash)
        }));
        rows.push(Row::new(format!("{shell} script: Ctrl-C, which the command catches"), move |mode, _| {
            let command = "trap 'exit 0' INT; echo ready $$; while :; do sleep 0.02; done";
            script(mode, shell, "$CMD; echo went on $?", &["sh", "-c", command], Ctrl::C)
        }));
        rows.push(Row::new(format!("{shell} script: Ctrl-C ends a pipeline"), move |mode, _| {
            script(mode, shell, "$CMD | cat; echo went on $?", &["probe", "plain", "2"], Ctrl::C)
        }));
    }
    for (name, text, command) in [
        ("`$(…)`", "echo \"[$($CMD)]\"", &["echo", "text"][..]),
        ("`… | cat`", "$CMD | cat", &["echo", "text"]),
        ("`yes | …`", "yes | $CMD; echo end $?", &["head", "-n", "2"]),
        ("`… && …`, `… || …`", "$CMD && echo yes || echo no", &["false"]),
        ("`if …`", "if $CMD; then echo yes; fi", &["true"]),
        ("`… & wait $!`", "$CMD & wait $!; echo end $?", &["sh", "-c", "exit 9"]),
        (
            "`… & kill $!; wait $!`",
            "$CMD >../out & until grep -qs ready ../out; do :; done; kill $!; wait $! 2>/dev/null; echo end $?",
            &["probe", "plain", "15"],
        ),
        ("`nohup …`", "nohup $CMD 2>/dev/null | sed 's/[0-9]//g'", &["probe", "show", "name", "children"]),
        ("`timeout 0.2 …`", "timeout 0.2 $CMD; echo end $?", &["sleep", "60"]),
        (
            "`env -i PATH=… …`",
            "env -i PATH=\"$PATH\" HOME=/ $CMD | grep -v '^A=' | sort | cut -d= -f1",
            &["probe", "show", "environment"],
        ),
        ("`exec …`", "exec $CMD; echo never", &["sh", "-c", "exit 9"]),
        ("`xargs …`", "echo a b | xargs $CMD", &["echo", "got"]),
    ] {
        rows.push(Row::new(name, move |mode, place| in_script(mode, place, text, command)));
    }
    check("shells", "in a shell", &[Place::Terminal], &rows);
}

/// Waits until the terminal is the shell's or, with false, a job's.
#[track_caller]
fn until_foreground(run: &mut Started, shell: bool) {
    let terminal = run.terminal();
    eventually("the foreground", || (terminal.foreground() == terminal.pid()) == shell);
}

fn type_(run: &mut Started, text: &str) {
    run.terminal().type_(&format!("{text}\r"));
}

/// Ends the shell and says what it said of the job's end.
fn leave(mut run: Started, count: usize) -> String {
    until_foreground(&mut run, true);
    type_(&mut run, "echo result $?");
    run.until("result");
    type_(&mut run, "exit 0");
    let output = run.wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    let result = shown.split("result ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let got = shown.matches("got 30").count();
    assert_eq!(got, count, "{shown}");
    format!("{}, the shell {}", result.trim(), end(output.status()))
}

/// Stops a job by a key or a shell's command, lets it go on, and ends it by two marks.
fn stopped(mode: Mode, shell: &[&str], on: &str, stop: Option<&str>) -> String {
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["probe", "plain", "20"]);
    match stop {
        None => type_(&mut run, &typed),
        Some(_) => type_(&mut run, &format!("{typed} &")),
    }
    let command = run.ready();
    match stop {
        None => {
            until_foreground(&mut run, false);
            run.terminal().key(Ctrl::Z);
        }
        Some(kill) => type_(&mut run, kill),
    }
    let leader = leader(&run, command);
    until_stopped(leader);
    let mut without = "";
    if mode == Mode::Mask && stop.is_some_and(|kill| kill.contains("STOP")) {
        assert!(lives(command) && state(command) != Some('T'));
        without = "dsops alone stops, ";
    } else {
        until_stopped(command);
    }
    until_foreground(&mut run, true);
    type_(&mut run, on);
    if on == "bg" {
        eventually("the job to go on", || state(command) != Some('T'));
        type_(&mut run, "fg");
    }
    until_foreground(&mut run, false);
    send(command, PWR);
    run.until("got 30");
    send(command, PWR);
    format!("{without}{}", leave(run, 2))
}

/// Returns the process that the shell waits for: the command, or dsops.
fn leader(run: &Started, command: Pid) -> Pid {
    let mut pid = command;
    while parent(pid) != run.pid() {
        pid = parent(pid);
    }
    pid
}

fn stopped_twice(mode: Mode, shell: &[&str]) -> String {
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["probe", "plain", "20"]);
    type_(&mut run, &typed);
    let command = run.ready();
    for _ in 0..2 {
        until_foreground(&mut run, false);
        eventually("the job to go on", || state(command) != Some('T'));
        run.terminal().key(Ctrl::Z);
        until_stopped(command);
        until_foreground(&mut run, true);
        type_(&mut run, "fg");
    }
    until_foreground(&mut run, false);
    send(command, PWR);
    run.until("got 30");
    send(command, PWR);
    leave(run, 2)
}

fn background(mode: Mode, shell: &[&str]) -> String {
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["probe", "plain", "2"]);
    type_(&mut run, &format!("{typed} &"));
    run.ready();
    type_(&mut run, "fg");
    until_foreground(&mut run, false);
    run.terminal().key(Ctrl::C);
    leave(run, 0)
}

fn killed(mode: Mode, shell: &[&str]) -> String {
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["probe", "plain", "15"]);
    type_(&mut run, &format!("{typed} &"));
    run.ready();
    type_(&mut run, "kill %1; wait %1");
    leave(run, 0)
}

fn reads(mode: Mode, shell: &[&str]) -> String {
    let script = "echo ready $$; read line; echo read $line; exit 4";
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["sh", "-c", script]);
    type_(&mut run, &format!("{typed} &"));
    let command = run.ready();
    let mut does = "waits";
    if mode != Mode::Mask {
        until_stopped(command);
        does = "stops";
    }
    if mode == Mode::Supervise {
        // A shell wakes only jobs that it knows to have stopped: those whose every process that it started has.
        until_stopped(parent(command));
    }
    type_(&mut run, "fg");
    until_foreground(&mut run, false);
    eventually("the job to go on", || state(command) != Some('T'));
    type_(&mut run, "word");
    run.until("read word");
    format!("{does}, {}", leave(run, 0))
}

fn piped(mode: Mode, shell: &[&str]) -> String {
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["probe", "plain", "20"]);
    type_(&mut run, &format!("{typed} | cat"));
    let command = run.ready();
    until_foreground(&mut run, false);
    run.terminal().key(Ctrl::Z);
    until_stopped(command);
    until_foreground(&mut run, true);
    type_(&mut run, "fg");
    until_foreground(&mut run, false);
    send(command, PWR);
    run.until("got 30");
    send(command, PWR);
    leave(run, 2)
}

/// Stops a script by the key, with the command that it waits for.
fn in_a_script(mode: Mode, shell: &[&str]) -> String {
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["probe", "plain", "20"]);
    std::fs::write(run.path("script"), format!("{typed}; exit $?")).expect("a file");
    type_(&mut run, "sh ./script");
    let command = run.ready();
    until_foreground(&mut run, false);
    run.terminal().key(Ctrl::Z);
    until_stopped(command);
    until_foreground(&mut run, true);
    type_(&mut run, "fg");
    until_foreground(&mut run, false);
    send(command, PWR);
    run.until("got 30");
    send(command, PWR);
    leave(run, 2)
}

/// Starts the command from a program that ends by the key before the command has, which leaves the terminal to the shell.
fn modes_after(mode: Mode, shell: &[&str]) -> String {
    let command = "trap 'until test -e ../go; do sleep 0.01; done; exit 3' INT; echo ready $$; \
                   while :; do sleep 0.02; done";
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["sh", "-c", command]);
    type_(&mut run, &format!("stty -a >before; find . -prune -exec {typed} ';'"));
    let command = run.ready();
    until_foreground(&mut run, false);
    run.terminal().key(Ctrl::C);
    until_foreground(&mut run, true);
    type_(&mut run, "stty -a >after; touch ../go; cmp before after");
    eventually("the end of the command", || !lives(command));
    leave(run, 0)
}

/// Hangs up with a job in the foreground of a shell.
fn closed(mode: Mode, shell: &[&str]) -> String {
    let (mut run, typed) = Run::new(mode, Place::Terminal).start_shell(shell, &["probe", "plain", "1"]);
    type_(&mut run, &typed);
    let command = run.ready();
    until_foreground(&mut run, false);
    run.terminal().hang_up();
    eventually("the end of the job", || !crate::run::lives(command));
    "the command ends".to_owned()
}

fn script(mode: Mode, shell: &str, text: &str, command: &[&str], key: Ctrl) -> String {
    let mut run = Run::new(mode, Place::Terminal).start_script(&[shell, "-c"], text, command);
    run.ready();
    run.terminal().key(key);
    let output = run.wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    let on = shown.lines().find(|line| line.starts_with("went on")).unwrap_or("does not go on");
    format!("{}, {}", on.trim(), end(output.status()))
}

fn in_script(mode: Mode, place: Place, text: &str, command: &[&str]) -> String {
    let output = Run::new(mode, place).start_script(&["bash", "-c"], text, command).wait();
    let shown = String::from_utf8_lossy(output.stdout_bytes()).replace("\r\n", "\n");
    let root = output.root().to_string_lossy().into_owned();
    let shown = shown.trim_end().replace(&root, "ROOT").replace('\n', " ");
    let shown = shown.replace(&probe().to_string_lossy().into_owned(), "probe");
    format!("{shown}, {}", end(output.status())).trim_start_matches(", ").to_owned()
}
