//! `dsops helper askpass`: which prompts are answered, and which never.

use std::os::unix::fs::symlink;

use crate::support::{Dsops, Output};

const KEY: &str = "Enter passphrase for key '/home/me/.ssh/id'";

const CONFIG: &str = "\
secretStores:
  lit: {type: literal, values: {PASSPHRASE: of-the-key, PIN: '1234', TOKEN: of-git, USER: me, LINES: \"a\\nb\", EMPTY: ''}}
  broken: {type: exec, command: ./refusing}
helpers:
  git:
    github.com: {username: lit/USER, password: lit/TOKEN}
    nameless.example: {password: lit/TOKEN}
    mapped.example: {username: {literal: me}, password: lit/TOKEN}
  askpass:
    \"Enter passphrase for key '/home/me/.ssh/id'\": lit/PASSPHRASE
    \"Enter PIN for *\": lit/PIN
    \"Enter PIN for broken *\": broken/PIN
    \"Password for 'https://me@mapped.example'\": lit/PIN
    \"Two lines\": lit/LINES
    \"Empty\": lit/EMPTY
    \"Gone\": {from: lit/GONE, optional: true}
    \"Missing\": lit/GONE
";

fn prepared(config: &str) -> Dsops {
    let dsops = Dsops::new().file("../etc/helpers.yaml", config);
    let path = dsops.path("../etc/helpers.yaml");
    dsops.program("../etc/refusing", "#!/bin/sh\ncat > /dev/null\nexit 1\n").env("DSOPS_CONFIG", path)
}

fn ask(prompt: &str) -> Output {
    prepared(CONFIG).args(["helper", "askpass", prompt]).run()
}

/// No answer: what ssh and git take for "ask somebody else".
#[track_caller]
fn not_ours(output: Output) {
    let output = output.code(1).stdout_empty().stderr_has("no answer to the prompt");
    let text = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
    assert_eq!(text.lines().count(), 1, "{output}");
    assert!(!text.trim_end().contains(char::is_control), "{output}");
}

#[track_caller]
fn fails(output: Output, code: i32, why: &str) {
    let output = output.code(code).stdout_empty().stderr_has(why);
    assert_eq!(String::from_utf8_lossy(output.stderr_bytes()).trim_end().lines().count(), 1, "{output}");
}

#[test]
fn a_prompt_with_an_entry_is_answered_with_one_line() {
    let _ = ask(&format!("{KEY}: ")).code(0).stdout("of-the-key\n").stderr_empty();
    let _ = ask(KEY).code(0).stdout("of-the-key\n").stderr_empty();
    let _ = ask("Enter PIN for 'card': ").code(0).stdout("1234\n").stderr_empty();
}

#[test]
fn every_other_prompt_gets_nothing() {
    for prompt in [
        "",
        "Enter",
        "Enter passphrase: ",
        &format!("{KEY}2: "),
        &format!(" {KEY}: "),
        // What a server writes stands behind the name of who asks.
        &format!("(me@evil.example) {KEY}: "),
        "(me@evil.example) Enter PIN for x: ",
        "Enter PIN for x\n(yes/no)? ",
        "Enter PIN for \u{1b}[2K\u{9b}x: ",
        &"x".repeat(50_000),
        "Gone",
    ] {
        not_ours(ask(prompt));
    }
}

#[test]
fn a_prompt_that_is_no_text_gets_nothing() {
    use std::os::unix::ffi::OsStrExt as _;
    let prompt = std::ffi::OsStr::from_bytes(b"Enter PIN for \xff");
    not_ours(prepared(CONFIG).args([std::ffi::OsStr::new("helper"), "askpass".as_ref(), prompt]).run());
}

#[test]
fn a_question_of_ssh_gets_nothing() {
    for kind in ["confirm", "none", "something"] {
        not_ours(prepared(CONFIG).env("SSH_ASKPASS_PROMPT", kind).args(["helper", "askpass", KEY]).run());
    }
    let _ = prepared(CONFIG).env("SSH_ASKPASS_PROMPT", "").args(["helper", "askpass", KEY]).run().code(0);
}

#[test]
fn the_prompts_of_git_are_answered_from_its_logins() {
    let _ = ask("Username for 'https://github.com': ").code(0).stdout("me\n").stderr_empty();
    let _ = ask("Password for 'https://me@github.com': ").code(0).stdout("of-git\n").stderr_empty();
    let _ =
        ask("Password for 'https://me@github.com/acme/x.git': ").code(0).stdout("of-git\n").stderr_empty();
    let _ = ask("Password for 'https://anyone@nameless.example': ").code(0).stdout("of-git\n").stderr_empty();
    // An entry for the very prompt is closer.
    let _ = ask("Password for 'https://me@mapped.example': ").code(0).stdout("1234\n").stderr_empty();
    for prompt in [
        "Password for 'https://you@github.com': ",
        "Username for 'https://nameless.example': ",
        "Password for 'https://me@evil.example': ",
        "Password for 'http://me@github.com': ",
        "Password for 'https://github.com/x@evil.example': ",
        "Password for 'https://me@github.com@evil.example': ",
        "(me@evil.example) Password for 'https://me@github.com': ",
    ] {
        not_ours(ask(prompt));
    }
}

#[test]
fn what_cannot_be_had_or_told_fails_with_one_line() {
    fails(ask("Enter PIN for broken card: "), 6, "broken");
    fails(ask("Missing: "), 5, "lit/GONE");
    fails(ask("Two lines: "), 7, "line break");
    fails(ask("Empty: "), 8, "`helpers.askpass.Empty`: the value is empty");
    let long = CONFIG.replace("of-the-key", &"x".repeat(1024));
    fails(prepared(&long).args(["helper", "askpass", KEY]).run(), 7, "longer than 1023 bytes");
    for key in ["*", "a*b", ""] {
        let config = CONFIG.replace("  askpass:\n", &format!("  askpass:\n    \"{key}\": lit/PIN\n"));
        fails(prepared(&config).args(["helper", "askpass", KEY]).run(), 3, "prompt");
    }
}

#[test]
fn the_file_of_the_current_directory_is_never_read() {
    let output = Dsops::new().config(CONFIG).args(["helper", "askpass", KEY]).run();
    not_ours(output.stderr_has("no file is named"));
}

#[test]
fn a_file_that_is_named_and_missing_is_a_failure() {
    let dsops = Dsops::new().env("DSOPS_CONFIG", "/nowhere/dsops.yaml");
    fails(dsops.args(["helper", "askpass", KEY]).run(), 3, "/nowhere/dsops.yaml");
}

#[test]
fn two_keys_for_one_prompt_are_a_mistake_whatever_is_asked() {
    let config = CONFIG.replace("  askpass:\n", "  askpass:\n    \"Gone: \": lit/PIN\n");
    fails(prepared(&config).args(["helper", "askpass", KEY]).run(), 3, "two keys are for the same prompt");
}

#[test]
fn a_password_in_a_key_is_not_shown() {
    let key = "Password for 'https://me:hunter2secret@a.example";
    for (key, entry, code) in [
        (format!("{key}*b"), "lit/PIN", 3),
        (key.to_owned(), "nowhere/PIN", 3),
        (format!("{key}'"), "lit/GONE", 5),
    ] {
        let config = CONFIG.replace("  askpass:\n", &format!("  askpass:\n    \"{key}\": {entry}\n"));
        let dsops = prepared(&config);
        // The prompt itself is shown where it has no entry, and this one has.
        let output = dsops.args(["helper", "askpass", &key]).run();
        fails(output.never_shows("hunter2secret"), code, "");
    }
}

#[test]
fn under_its_own_name_a_prompt_is_never_an_option() {
    let named = |prompt: &str| {
        let dsops = prepared(CONFIG);
        let link = dsops.path("dsops-askpass");
        symlink(env!("CARGO_BIN_EXE_dsops"), &link).unwrap();
        dsops.instead(link).args([prompt]).run()
    };
    let _ = named(&format!("{KEY}: ")).code(0).stdout("of-the-key\n").stderr_empty();
    for prompt in ["--help", "--config=/evil.yaml", "-q", "--", "exec", "--version"] {
        not_ours(named(prompt));
    }
}
