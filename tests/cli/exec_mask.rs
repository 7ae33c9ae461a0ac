//! `dsops exec --mask`: what the command prints, through pipes and through a terminal.

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::support::Dsops;
use crate::support::terminal::{Ctrl, Terminal, eventually, state};

const CONFIG: &str = "envs: {dev: {KEY: {literal: correct-horse-battery}, PIN: {literal: 12}}}\n";
const PLAIN: &str = "envs: {dev: {KEY: {literal: correct-horse-battery}}}\n";

fn exec(command: &[&str]) -> Dsops {
    Dsops::new().config(PLAIN).args(["exec", "--env", "dev", "--mask", "--"]).args(command)
}

fn sh(script: &str) -> Dsops {
    exec(&["sh", "-c", script])
}

/// Runs a shell whose `$0` is dsops.
fn around(script: &str) -> Dsops {
    Dsops::new().config(PLAIN).instead("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_dsops")])
}

/// An interactive shell with job control on a terminal.
fn shell() -> Terminal {
    let run = Dsops::new().config(PLAIN).instead("/bin/bash").args(["--norc", "--noediting", "-i"]);
    let terminal = Terminal::start_silent(run.env("PS1", "outer> ").env("D", env!("CARGO_BIN_EXE_dsops")));
    let _ = terminal.until("outer> ");
    terminal
}

#[test]
fn both_outputs_are_masked_and_stay_apart() {
    let output = sh("echo \"out $KEY\"; echo \"err $KEY\" >&2; exit 3").run();
    let output = output.code(3).stdout("out ***\n").stderr_has("err ***\n");
    let _ = output.never_shows("correct-horse");
}

#[test]
fn one_file_for_both_keeps_the_order() {
    let script = "\"$0\" exec --env dev --mask -- sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo o$i; echo e$i >&2; done' 2>&1";
    let expected: String = (1..10).map(|i| format!("o{i}\ne{i}\n")).collect();
    let _ = around(script).run().code(0).stdout(expected);
}

#[test]
fn values_that_are_too_short_are_named_before_the_start() {
    let run =
        Dsops::new().config(CONFIG).args(["exec", "--env", "dev", "--mask", "--", "sh", "-c", "echo $PIN"]);
    let _ = run.run().code(0).stdout("12\n").stderr_has("shorter than 4 bytes: PIN\n");
}

#[test]
fn a_value_is_masked_however_it_is_written() {
    let output =
        sh("for part in cor rect- hor se-b attery; do printf %s $part; sleep 0.03; done").run().code(0);
    assert!([&b"***"[..], b"c***", b"co***", b"cor***"].contains(&output.stdout_bytes()), "{output}");
}

#[test]
fn much_comes_through_complete_and_in_order() {
    let expected: String = (1..=700_000).map(|number| format!("{number}\n")).collect();
    let _ = exec(&["seq", "1", "700000"]).run().code(0).stdout(expected);
}

#[test]
fn the_end_is_the_commands_own() {
    let _ = sh("exit 7").run().code(7);
    let _ = sh("kill -TERM $$").run().killed_by(Signal::SIGTERM);
    let _ = sh("kill -KILL $$").run().killed_by(Signal::SIGKILL);
    let _ = exec(&["no-such-command"]).run().code(127);
}

#[test]
fn time_is_up_as_without_masking() {
    let run = Dsops::new().config(PLAIN).args(["exec", "--env", "dev", "--mask", "--timeout", "300ms", "--"]);
    let _ = run.args(["sh", "-c", "echo $KEY; exec sleep 60"]).run().code(124).stdout("***\n");
}

#[test]
fn the_command_finds_its_output_closed_where_dsops_does() {
    let script = "{ \"$0\" exec --env dev --mask -- yes; echo $? >&2; } | head -n 1";
    let _ = around(script).run().code(0).stdout("y\n").stderr_has("141\n");
    let script = "\"$0\" exec --env dev --mask -- sh -c '{ echo x >&1; } 2>/dev/null || echo closed >&2' >&-";
    let _ = around(script).run().code(0).stdout_empty().stderr_has("closed\n");
}

#[test]
fn what_is_written_right_after_the_end_is_not_lost_and_a_daemon_is_not_waited_for() {
    let _ = sh("(sleep 0.05; echo late) & echo now").run().code(0).stdout("now\nlate\n");
    let started = std::time::Instant::now();
    let _ = sh("sleep 15 & echo now").run().code(0).stdout("now\n");
    assert!(started.elapsed().as_secs() < 10, "the daemon was waited for");
}

#[test]
fn input_from_a_pipe_is_the_commands() {
    let _ = exec(&["cat"]).stdin("a correct-horse-battery b").run().code(0).stdout("a *** b");
}

#[test]
fn on_a_terminal_the_command_has_one_too() {
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && echo \"<$KEY>\"; echo \"<$KEY>\" >&2";
    let output = Terminal::start(sh(script)).wait().code(0);
    let _ = output.stdout("24 80\r\n<***>\r\n<***>\r\n");
}

#[test]
fn the_size_follows() {
    let script = "trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.05; done";
    let terminal = Terminal::start(sh(script));
    let _ = terminal.until("up");
    let _ = terminal.resize(40, 132).until("40 132");
    let _ = terminal.wait().code(0);
}

#[test]
fn a_password_is_asked_for_and_not_echoed() {
    let terminal =
        Terminal::start(exec(&["bash", "-c", "read -s -p 'Password: ' p; echo; echo \"got ${#p}\""]));
    let before = terminal.modes();
    let _ = terminal.until("Password: ");
    let _ = terminal.type_("hunter2\r").until("got 7");
    let _ = before;
    let output = terminal.wait().code(0);
    let _ = output.never_shows("hunter2");
}

#[test]
fn typed_characters_are_echoed_at_once() {
    let terminal = Terminal::start(sh("stty -echo; echo up; exec dd bs=1 2>/dev/null"));
    let _ = terminal.until("up\r\n");
    // They are the first ones of the value, and nothing follows.
    let _ = terminal.type_("co\u{4}").until("co");
    let _ = terminal.key(Ctrl::C);
    let _ = terminal.wait().killed_by(Signal::SIGINT);
}

#[test]
fn the_end_of_typed_input_ends_the_command() {
    let terminal = Terminal::start(exec(&["sh", "-c", "echo up; cat; echo end"]));
    let _ = terminal.until("up");
    let _ = terminal.type_("correct-horse-battery\r").until("***");
    let _ = terminal.key(Ctrl::D).until("end");
    let _ = terminal.wait().code(0).never_shows("correct-horse");
}

#[test]
fn interrupting_ends_both_and_restores_the_terminal() {
    let terminal = shell();
    let before = terminal.modes();
    let _ = terminal.type_("$D exec --env dev --mask -- sh -c 'echo u''p; exec sleep 60'\r").until("up");
    let _ = terminal.key(Ctrl::C).until("outer> ");
    assert_eq!(terminal.modes(), before);
    let _ = terminal.type_("echo \"<$?>\"\r").until("<130>");
    let _ = terminal.type_("exit\r");
    let _ = terminal.wait();
}

#[test]
fn a_killed_command_leaves_the_terminal_as_it_was() {
    let terminal = shell();
    let before = terminal.modes();
    let _ = terminal
        .type_("$D exec --env dev --mask -- sh -c 'stty raw -echo; kill -KILL $$'; echo \"<$?>\"\r")
        .until("<137>");
    let _ = terminal.until("outer> ");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn suspending_stops_both_and_the_foreground_brings_them_back() {
    let terminal = shell();
    let before = terminal.modes();
    let _ = terminal
        .type_("$D exec --env dev --mask -- sh -c 'echo $$ > pid; echo u''p; read x; echo \"<$x $KEY>\"'\r")
        .until("up");
    let _ = terminal.key(Ctrl::Z).until("Stopped");
    let _ = terminal.until("outer> ");
    assert_eq!(terminal.modes(), before);
    let _ = terminal.type_("cat pid; echo .\r");
    let shown = terminal.until(".\r\n");
    let command = Pid::from_raw(shown.lines().next().unwrap().trim().parse().unwrap());
    assert_eq!(state(command), Some('T'));
    let _ = terminal.type_("fg\r").until("exec");
    eventually("going on", || state(command) != Some('T'));
    let _ = terminal.type_("word\r").until("<word ***>");
    let _ = terminal.until("outer> ");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn a_shell_inside_has_jobs_of_its_own() {
    let terminal = shell();
    let _ = terminal
        .type_("PS1='inner> ' $D exec --env dev --mask -- bash --norc --noediting -i\r")
        .until("inner> ");
    let _ = terminal.type_("sh -c 'echo \"<$$>\"; exec sleep 60'\r").until("<");
    let job = terminal.until(">").trim_end_matches('>').parse().map(Pid::from_raw).unwrap();
    let _ = terminal.key(Ctrl::Z).until("Stopped");
    let _ = terminal.until("inner> ");
    // At its prompt a shell does not stop.
    let _ = terminal.key(Ctrl::Z).type_("echo he''re\r").until("here");
    let _ = terminal.until("inner> ");
    let _ = terminal.type_("fg\r").until("sleep");
    // The shell gives the terminal away before it lets the job go on.
    eventually("the job going on", || state(job) != Some('T'));
    let _ = terminal.key(Ctrl::C).until("inner> ");
    let _ = terminal.type_("exit 5\r").until("outer> ");
    let _ = terminal.type_("echo \"<$?>\"\r").until("<5>");
}

#[test]
fn a_full_screen_program_keeps_the_screen() {
    let script = "stty raw -echo; printf '\\033[?1049h\\033[2J\\033[1;31mred %s\\033[0m' \"$KEY\"; dd bs=1 count=1 2>/dev/null; printf '\\033[?1049l'";
    let terminal = Terminal::start(sh(script));
    let _ = terminal.until("\u{1b}[?1049h\u{1b}[2J\u{1b}[1;31mred ***\u{1b}[0m");
    let _ = terminal.type_("q");
    let _ = terminal.wait().code(0).stdout_has("\u{1b}[?1049l");
}

#[test]
fn input_that_is_no_terminal_leaves_the_outer_one_alone() {
    let script =
        "echo a | \"$0\" exec --env dev --mask -- sh -c 'test -t 0 || cat; test -t 1 && echo \"$KEY\"'";
    let _ = Terminal::start(around(script)).wait().code(0).stdout("a\r\n***\r\n");
}

#[test]
fn standard_error_elsewhere_has_its_own_way() {
    let script = "\"$0\" exec --env dev --mask -- sh -c 'test -t 2 || echo \"$KEY\" >&2' 2> err; cat err";
    let _ = Terminal::start(around(script)).wait().code(0).stdout("***\r\n");
}

#[test]
fn in_the_background_the_terminal_is_not_touched() {
    let terminal = shell();
    let before = terminal.modes();
    let _ = terminal
        .type_("$D exec --env dev --mask -- sh -c 'echo \"$KEY\" u''p; read x; echo \"<$x>\"' &\r")
        .until("*** up");
    assert_eq!(terminal.modes(), before);
    let _ = terminal.type_("echo fore''ground\r").until("foreground");
    let _ = terminal.type_("fg\r").until("exec");
    eventually("the terminal being taken", || terminal.modes() != before);
    let _ = terminal.type_("word\r").until("<word>");
    let _ = terminal.until("outer> ");
    assert_eq!(terminal.modes(), before);
}

#[test]
fn much_comes_through_a_terminal_complete_and_in_order() {
    let terminal = Terminal::start(exec(&["seq", "1", "200000"]));
    let output = terminal.wait().code(0);
    let expected: String = (1..=200_000).map(|number| format!("{number}\r\n")).collect();
    assert!(
        output.stdout_bytes() == expected.as_bytes(),
        "{} of {}",
        output.stdout_bytes().len(),
        expected.len()
    );
}

#[test]
fn a_program_that_restores_the_screen_before_it_stops_can() {
    let terminal = shell();
    let script = "trap 'echo rest''ored; trap - TSTP; kill -TSTP $$; trap x TSTP; echo ba''ck' TSTP; echo u''p; while :; do read x && exit; done";
    let _ = terminal
        .type_(&format!("$D exec --env dev --mask -- bash -c \"{script}\"\r").replace("$$", "\\$\\$"));
    let _ = terminal.until("up");
    let _ = terminal.key(Ctrl::Z).until("restored");
    let _ = terminal.until("Stopped");
    let _ = terminal.type_("fg\r").until("back");
    let _ = terminal.key(Ctrl::C).until("outer> ");
}

#[test]
fn what_keeps_the_session_has_no_values_and_dies_with_dsops() {
    let terminal = Terminal::start(sh("echo up; sleep 60; :"));
    let _ = terminal.until("up");
    let child = |pid: Pid| {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        Pid::from_raw(children.split_whitespace().next().unwrap().parse().unwrap())
    };
    let keeper = child(terminal.pid());
    let command = child(keeper);
    // For the moment in which it starts the command it has what the command gets.
    eventually("an empty environment", || {
        std::fs::read(format!("/proc/{keeper}/environ")).is_ok_and(|text| text.is_empty())
            && std::fs::read(format!("/proc/{keeper}/cmdline"))
                .is_ok_and(|text| text.starts_with(b"dsops\0__session\0"))
    });
    let environment = std::fs::read(format!("/proc/{command}/environ")).unwrap();
    assert!(String::from_utf8_lossy(&environment).contains("correct-horse-battery"));
    let _ = terminal.signal(Signal::SIGKILL);
    for pid in [keeper, command] {
        eventually("the end", || state(pid).is_none_or(|state| state == 'Z'));
    }
}

#[test]
fn time_is_up_for_a_stopped_command_too() {
    let terminal = shell();
    let _ = terminal
        .type_("$D exec --env dev --mask --timeout 1s -- sh -c 'echo u''p; kill -STOP $$; exec sleep 60'; echo \"<$?>\"\r")
        .until("up");
    // Stopped as by the key, which is what the job of dsops is stopped by.
    let _ = terminal.until("<148>");
    let _ = terminal.until("outer> ");
    let _ = terminal.type_("fg\r").until("exec");
    let _ = terminal.until("outer> ");
    let _ = terminal.type_("echo \"<$?>\"\r").until("<124>");
}

#[test]
fn a_command_that_starts_again_has_its_new_values_masked() {
    let config = "secretStores: {d: {type: dotenv, path: values.env}}\nenvs: {dev: {A: {from: d/A}}}";
    let run = Dsops::new().config(config).file("values.env", "A=the-first-value\n");
    let values = run.path("values.env");
    let args = ["exec", "--env", "dev", "--mask", "--watch", "--interval", "1h", "--debounce", "100ms", "--"];
    let script = "echo \"<$A> of ${#A}\"; while :; do sleep 0.05; done";
    let running = run.args(args).args(["sh", "-c", script]).start();
    running.until_stdout("<***> of 15");
    let new = values.with_extension("new");
    std::fs::write(&new, "A=another-value\n").unwrap();
    std::fs::rename(&new, &values).unwrap();
    running.until_stdout("of 13").signal(Signal::SIGTERM);
    let _ = running.wait().stdout("<***> of 15\n<***> of 13\n");
}

#[test]
fn a_time_limit_holds_where_nobody_takes_the_output() {
    let script = "{ \"$0\" exec --env dev --mask --timeout 200ms --kill-after 200ms -- yes; echo $? > ended; } \
                  | { while [ ! -s ended ]; do sleep 0.05; done; }";
    let output = Dsops::new()
        .config("envs: {dev: {A: {literal: a-secret}}}")
        .instead("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_dsops")])
        .run()
        .code(0);
    assert_eq!(output.read("ended"), b"124\n");
}

#[test]
fn what_is_asked_on_the_terminal_is_answered_there_whatever_stdin_is() {
    let terminal = shell();
    let script = "echo piped | $D exec --env dev --mask -- sh -c \
                  'printf \"na\"\"me? \" > /dev/tty; read x < /dev/tty; cat; echo \"<$x>\"'\r";
    let _ = terminal.type_(script).until("name? ");
    let shown = terminal.type_("typed\r").until("<typed>");
    assert!(shown.contains("piped"), "{shown}");
    let _ = terminal.until("outer> ");
}

#[test]
fn a_command_that_starts_in_the_background_has_a_terminal_to_type_on() {
    let terminal = shell();
    let _ = terminal
        .type_("$D exec --env dev --mask -- sh -c 'read x; echo \"<$x>\"; stty -a' &\r")
        .until("outer> ");
    let _ = terminal.type_("fg\r").until("exec");
    let shown = terminal.type_("typed\r").until("outer> ");
    assert!(shown.contains("<typed>"), "{shown}");
    for mode in [" icanon", " echo ", " icrnl"] {
        assert!(shown.contains(mode), "{shown}");
    }
}
