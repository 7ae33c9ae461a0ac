//! What a command inherits: all that a process has, as if dsops had not been there.

use std::collections::BTreeSet;

use crate::run::{BESIDE, Mode, Place, Run};
use crate::table::{Row, check};

const PLACES: &[Place] = &[Place::Apart, Place::Terminal];

#[test]
fn signals_arrive_ignored_and_blocked_as_they_were_given() {
    let rows = [
        Row::new("nothing", |mode, place| show(mode, place, &[], "signals"))
            .shown("all at default, none blocked"),
        Row::new("`SIGHUP` ignored, as by nohup(1)", given(&["-i", "1"], "signals")).shown("ignored"),
        Row::new("`SIGINT` and `SIGQUIT` ignored, as by `&`", given(&["-i", "2", "-i", "3"], "signals"))
            .shown("ignored"),
        Row::new("`SIGPIPE` ignored", given(&["-i", "13"], "signals")).shown("ignored"),
        Row::new("`SIGPIPE` at its default", given(&["-d", "13"], "signals")).shown("default"),
        Row::new("`SIGCHLD` ignored", given(&["-i", "17"], "signals")).shown("ignored"),
        Row::new(
            "`SIGTERM`, `SIGUSR1`, `SIGTSTP`, 40 ignored",
            given(&["-i", "15", "-i", "10", "-i", "20", "-i", "40"], "signals"),
        )
        .shown("ignored"),
        Row::new("every signal ignored", |mode, place| show(mode, place, &every("-i"), "signals"))
            .shown("ignored"),
        Row::new("`SIGUSR1` blocked", given(&["-b", "10"], "signals")).shown("blocked"),
        Row::new(
            "`SIGCHLD`, `SIGTERM`, `SIGPIPE`, 64 blocked",
            given(&["-b", "17", "-b", "15", "-b", "13", "-b", "64"], "signals"),
        )
        .shown("blocked"),
        Row::new("every signal blocked", |mode, place| show(mode, place, &every("-b"), "signals"))
            .shown("blocked"),
    ];
    check("signals-inherited", "given", PLACES, &rows);
}

const MASKED: &[Mode] = &[Mode::Mask];
const OWN_TERMINAL: &str =
    "The command has a terminal of its own, with a session on it whose leader dsops has put there.";

#[test]
fn all_else_arrives_as_it_was_given() {
    let death =
        "On Linux the command gets `SIGKILL` when dsops does, which takes a parent-death signal (prctl(2)).";
    let rows = vec![
        Row::new("`argv[0]`", given(&[], "name")).shown("the word that was typed"),
        Row::new("working directory", given(&[], "directory")).shown("the caller's"),
        Row::new("umask", given(&["-u", "0137"], "umask")),
        Row::new("nice value", given(&["-n", "5"], "nice")),
        Row::new("scheduling policy", given(&[], "scheduler")).shown("the caller's"),
        Row::new("all resource limits", given(&["-l", "7", "77", "-l", "3", "4194304", "-l", "1", "1000000", "-l", "0", "9999"], "limits")).shown("the caller's"),
        Row::new("core dumps allowed", given(&["-l", "4", "1000000000"], "limits")).shown("the caller's"),
        Row::new("no core dumps", given(&["-l", "4", "0"], "limits")).shown("the caller's"),
        Row::new("dumpable (prctl(2))", given(&[], "dumpable")),
        Row::new("core dump filter", given(&[], "coredump")).shown("the caller's"),
        Row::new("timers, where the caller has none", given(&[], "timers")),
        Row::new("a timer that runs", given(&["-t", "100"], "timers"))
            .differs(BESIDE, None, "A timer belongs to one process: it is dsops's, and its `SIGALRM` is not the command's."),
        Row::new("a timer of a second, as by alarm(2), runs out", |mode, place| {
            Run::new(mode, place).launch(&["-t", "1"]).start(&["probe", "plain", "14"]).end()
        }),
        Row::new("timer slack", given(&[], "timerslack")).shown("the caller's"),
        Row::new("users, groups, capabilities, securebits", given(&[], "privileges")).shown("the caller's"),
        Row::new("`no_new_privs`", given(&["-P"], "privileges")).shown("set"),
        Row::new("`oom_score_adj`", given(&["-o", "123"], "oom")),
        Row::new("control group", given(&[], "cgroup")).shown("the caller's"),
        Row::new("child subreaper", given(&[], "subreaper")),
        Row::new("parent-death signal", given(&[], "pdeathsig")).differs(BESIDE, None, death),
        Row::new("threads", given(&[], "threads")).shown("1"),
        Row::new("children", given(&[], "children")).shown("none"),
        Row::new("process group", given(&[], "group"))
            .differs(&[Mode::Supervise], Place::Terminal, "With a terminal the command is in the group of dsops, with which a shell's job control reaches both."),
        Row::new("session", given(&[], "session"))
            .differs(&[Mode::Supervise], Place::Terminal, "It is in the session of dsops, which is its parent.")
            .differs(MASKED, Place::Terminal, OWN_TERMINAL),
        Row::new("in the terminal's foreground", given(&[], "foreground")),
        Row::new("name of the terminal", terminal_name)
            .only(Place::Terminal)
            .shown("the caller's")
            .differs(MASKED, Place::Terminal, OWN_TERMINAL),
        Row::new("modes of the terminal", terminal_modes).only(Place::Terminal).shown("the caller's"),
        Row::new("size of the terminal", given(&[], "size")).only(Place::Terminal),
        Row::new("which of 0, 1, 2 are a terminal", given(&[], "terminals")).only(Place::Terminal).shown("all"),
        Row::new("environment beside the plan's", environment).shown("the caller's"),
        Row::new("files left in home, working and temporary directory", files_left),
    ];
    check("inherited", "what", PLACES, &rows);
}

fn given(options: &'static [&'static str], what: &'static str) -> impl Fn(Mode, Place) -> String {
    move |mode, place| {
        show(mode, place, &options.iter().map(|&option| option.to_owned()).collect::<Vec<_>>(), what)
    }
}

/// Returns the options that do something to every signal that may be ignored.
fn every(option: &str) -> Vec<String> {
    let numbers = (1..=64).filter(|number| ![9, 19, 32, 33].contains(number));
    numbers.flat_map(|number| [option.to_owned(), number.to_string()]).collect()
}

/// Returns what the probe shows of itself.
fn show(mode: Mode, place: Place, options: &[String], what: &str) -> String {
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let output = Run::new(mode, place).launch(&options).start(&["probe", "show", what]).wait().code(0);
    String::from_utf8_lossy(output.stdout_bytes()).trim_end().replace("\r\n", "\n").replace('\n', " ")
}

/// Returns the environment, without what the plan names and what only tells where the run was.
fn environment(mode: Mode, place: Place) -> String {
    // Where the output is a terminal, it also has the remark that a variable is replaced.
    let run = Run::new(mode, place).with(|dsops| dsops.env("OTHER", "x").env("A", "inherited"));
    let run = run.options(&["--quiet"]);
    let output = run.start(&["probe", "show", "environment"]).wait().code(0);
    let text = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    let root = output.root().to_string_lossy().into_owned();
    let lines: BTreeSet<String> = text
        .lines()
        .map(|line| line.trim_end().replace(&root, "ROOT"))
        .filter(|line| !line.starts_with("A="))
        .collect();
    let planned = match mode {
        Mode::Alone => "A=inherited",
        Mode::Replace | Mode::Supervise => "A=planned",
        Mode::Mask => "A=***",
    };
    assert_eq!(text.lines().filter(|line| line.trim_end() == planned).count(), 1, "{text}");
    lines.into_iter().collect::<Vec<_>>().join(" ")
}

/// Says whether the terminal is the one that the caller has.
fn terminal_name(mode: Mode, place: Place) -> String {
    let output = Run::new(mode, place).start_script(&["sh", "-c"], "tty; $CMD", &["tty"]).wait().code(0);
    let shown = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    let names: Vec<&str> = shown.lines().collect();
    if names[0] == names[1] { "the caller's".to_owned() } else { "another".to_owned() }
}

fn terminal_modes(mode: Mode, place: Place) -> String {
    let script = "stty -icanon min 3 -ixon intr ^A onlcr; $CMD";
    let output = Run::new(mode, place).start_script(&["sh", "-c"], script, &["stty", "-a"]).wait().code(0);
    String::from_utf8_lossy(output.stdout_bytes()).replace("\r\n", " ")
}

fn files_left(mode: Mode, place: Place) -> String {
    let run = Run::new(mode, place).with(|dsops| {
        let (temporary, runtime) = (dsops.path("../tmp"), dsops.path("../run"));
        std::fs::create_dir(&temporary).expect("a directory");
        std::fs::create_dir(&runtime).expect("a directory");
        dsops.env("TMPDIR", temporary).env("XDG_RUNTIME_DIR", runtime)
    });
    let output = run.start(&["true"]).wait().code(0);
    let mut found = Vec::new();
    let mut left = vec![output.root().to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if !path.ends_with("dsops.yaml") {
                found.push(path.strip_prefix(output.root()).expect("below").display().to_string());
            }
        }
    }
    if found.is_empty() { "none".to_owned() } else { found.join(" ") }
}
