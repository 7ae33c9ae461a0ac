//! The terminal that the other tests use, with a shell on it.

use nix::sys::signal::Signal;

use crate::support::Dsops;
use crate::support::terminal::{Ctrl, Terminal, eventually, state};

fn sh(script: &str) -> Terminal {
    Terminal::start(Dsops::new().instead("sh").args(["-c", script]))
}

#[test]
fn the_program_has_the_terminal_and_leads_its_session_and_foreground() {
    let terminal = sh(
        "tty; stty size; echo $(ps -o pid=,pgid=,sid=,tpgid= -p $$) up; read line; test -t 0 -a -t 1 -a -t 2",
    );
    let _ = terminal.until("up");
    let pid = terminal.pid();
    assert_eq!(terminal.foreground(), pid);
    terminal.type_("\r");
    let output = terminal.wait().code(0).stdout_has("/dev/pts/");
    let shown = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    assert_eq!(
        shown.lines().skip(1).take(2).collect::<Vec<_>>(),
        ["24 80", &format!("{pid} {pid} {pid} {pid} up")]
    );
}

#[test]
fn what_is_typed_is_echoed_and_read() {
    let terminal = sh("read a; echo got-$a; read b; echo got-$b");
    terminal.type_("one\r");
    assert!(terminal.until("got-one").contains("one\r\n"));
    terminal.type_("two\r");
    let _ = terminal.until("got-two");
    let _ = terminal.wait().code(0).stdout("one\r\ngot-one\r\ntwo\r\ngot-two\r\n");
}

#[test]
fn a_silent_terminal_shows_only_what_the_program_writes() {
    let terminal = Terminal::start_silent(Dsops::new().instead("sh").args(["-c", "read a; echo got-$a"]));
    let _ = terminal.type_("one\r").until("got-one");
    let _ = terminal.wait().code(0).stdout("got-one\r\n");
}

#[test]
fn keys_send_signals() {
    for (key, signal) in [(Ctrl::C, Signal::SIGINT), (Ctrl::Backslash, Signal::SIGQUIT)] {
        let terminal = sh("echo up; exec sleep 60");
        let _ = terminal.until("up");
        terminal.key(key);
        let _ = terminal.wait().killed_by(signal);
    }
    let terminal = sh("echo up; cat; echo down");
    let _ = terminal.until("up");
    terminal.key(Ctrl::D);
    let _ = terminal.until("down");
    let _ = terminal.wait().code(0);
}

#[test]
fn a_shell_stops_a_job_and_takes_it_back() {
    let terminal = Terminal::start(Dsops::new().instead("bash").args(["--norc", "--noediting", "-i"]));
    let modes = terminal.modes();
    terminal.type_("sh -c 'echo $((6 * 7)); exec cat'\r");
    let _ = terminal.until("42");
    let _ = terminal.type_("ping\r").until("ping\r\nping\r\n");
    assert_ne!(terminal.foreground(), terminal.pid());
    terminal.key(Ctrl::Z);
    let _ = terminal.until("Stopped");
    eventually("the shell in the foreground", || terminal.foreground() == terminal.pid());
    terminal.type_("fg\r");
    eventually("the job in the foreground", || terminal.foreground() != terminal.pid());
    let _ = terminal.type_("pong\r").until("pong\r\npong\r\n");
    terminal.key(Ctrl::D);
    eventually("the shell in the foreground", || terminal.foreground() == terminal.pid());
    assert_eq!(terminal.modes(), modes);
    terminal.type_("exit 7\r");
    let _ = terminal.wait().code(7);
}

#[test]
fn another_size_is_announced_and_read() {
    let terminal = sh("trap 'stty size; exit' WINCH; echo up; while :; do sleep 0.01; done");
    let _ = terminal.until("up");
    terminal.resize(30, 100);
    assert_eq!(terminal.size(), (30, 100));
    let _ = terminal.until("30 100");
    let _ = terminal.wait().code(0);
}

#[test]
fn other_modes_are_seen() {
    let terminal = sh("echo up; read line; stty raw; echo raw; read line; stty sane");
    let _ = terminal.until("up");
    let before = terminal.modes();
    assert_eq!(terminal.modes(), before);
    terminal.type_("\r");
    let _ = terminal.until("raw");
    assert_ne!(terminal.modes(), before);
    terminal.type_("\n");
    let _ = terminal.wait().code(0);
}

#[test]
fn hanging_up_ends_the_session() {
    let mut terminal = sh("echo up; exec sleep 60");
    let _ = terminal.until("up");
    terminal.hang_up();
    let _ = terminal.wait().killed_by(Signal::SIGHUP);
}

#[test]
fn signals_reach_the_program_alone() {
    let terminal = sh("trap 'echo got' USR1; echo up; while :; do sleep 0.01; done");
    let _ = terminal.until("up");
    terminal.signal(Signal::SIGUSR1);
    let _ = terminal.until("got");
    terminal.signal(Signal::SIGKILL);
    let _ = terminal.wait().killed_by(Signal::SIGKILL);
}

#[test]
fn nothing_of_the_session_is_left_when_it_is_dropped() {
    let terminal = sh("trap '' HUP TERM; sleep 60 & (trap '' HUP; exec sleep 61) & echo up; wait");
    let _ = terminal.until("up");
    let session = terminal.session();
    assert!(session.len() > 2, "{session:?}");
    drop(terminal);
    eventually("the end of the session", || {
        session.iter().all(|pid| state(*pid).is_none_or(|state| state == 'Z'))
    });
}

#[test]
#[should_panic(expected = "never showed \"never\"")]
fn what_never_comes_fails_the_test() {
    let terminal = sh("echo once");
    let _ = terminal.until("never");
}
