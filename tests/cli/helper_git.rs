//! `dsops helper git`: what git is told, and what it is not.

use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Dsops, Output};

const CONFIG: &str = "\
secretStores:
  lit: {type: literal, values: {TOKEN: of-the-token, TEAM: of-the-team, USER: me, LINES: \"a\\nhost=evil\", CR: \"a\\r\", EMPTY: ''}}
  broken: {type: exec, command: ./refusing}
helpers:
  git:
    github.com: {username: {literal: x-access-token}, password: lit/TOKEN}
    https://github.com/acme: {username: lit/USER, password: lit/TEAM}
    https://*.example.com:8443: {password: lit/TOKEN}
    https://bot@example.com: {password: lit/TEAM}
    down.example: {username: {literal: me}, password: broken/TOKEN}
    lines.example: {username: {literal: me}, password: lit/LINES}
    cr.example: {username: lit/CR, password: lit/TOKEN}
    gone.example: {username: {literal: me}, password: {from: lit/GONE, optional: true}}
    missing.example: {username: {literal: me}, password: lit/GONE}
    anybody.example: {username: {from: lit/GONE, optional: true}, password: lit/TOKEN}
    paths.example/a: {password: lit/TOKEN}
    empty.example: {username: {literal: me}, password: lit/EMPTY}
    nobody.example: {username: lit/EMPTY, password: lit/TOKEN}
    any.example/team: {password: lit/TOKEN}
";

fn prepared(config: &str) -> Dsops {
    let dsops = Dsops::new().file("../etc/helpers.yaml", config);
    let path = dsops.path("../etc/helpers.yaml");
    dsops.program("../etc/refusing", "#!/bin/sh\ncat > /dev/null\nexit 1\n").env("DSOPS_CONFIG", path)
}

fn ask(request: &str) -> Output {
    prepared(CONFIG).args(["helper", "git", "get"]).stdin(request).run()
}

fn ask_host(host: &str) -> Output {
    ask(&format!("protocol=https\nhost={host}\n\n"))
}

/// Nothing on stdout and nobody told to stop: git asks its next helper.
#[track_caller]
fn not_ours(output: Output) {
    let _ = output.code(0).stdout_empty().stderr_empty();
}

/// git is told to ask nobody else, in one line why, and no value.
#[track_caller]
fn stops(output: Output, code: i32, why: &str) {
    let output = output.code(code).stdout("quit=1\n").stderr_has(why);
    let text = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
    assert_eq!(text.trim_end().lines().count(), 1, "{output}");
}

#[test]
fn a_host_with_an_entry_gets_its_login() {
    let _ = ask_host("github.com")
        .code(0)
        .stdout("username=x-access-token\npassword=of-the-token\n")
        .stderr_empty();
    let _ = ask_host("GitHub.com:443").code(0).stdout_has("password=of-the-token\n");
}

#[test]
fn the_closest_entry_is_used() {
    let team = "username=me\npassword=of-the-team\n";
    let _ = ask("protocol=https\nhost=github.com\npath=acme/x.git\n\n").code(0).stdout(team);
    let _ = ask("protocol=https\nhost=github.com\npath=acme2/x.git\n\n").code(0).stdout_has("of-the-token");
    let _ = ask("protocol=https\nhost=github.com\npath=acme/../x.git\n\n").code(0).stdout_has("of-the-token");
    let _ = ask("url=https://github.com/acme/x.git\n\n").code(0).stdout(team);
}

#[test]
fn the_name_of_the_request_stands_in_where_the_entry_has_none() {
    let _ = ask_host("git.example.com:8443").code(0).stdout("password=of-the-token\n");
    let asked = ask("protocol=https\nhost=git.example.com:8443\nusername=you\n\n");
    let _ = asked.code(0).stdout("username=you\npassword=of-the-token\n");
    let _ = ask("protocol=https\nhost=example.com\nusername=bot\n\n")
        .code(0)
        .stdout("username=bot\npassword=of-the-team\n");
    let _ = ask_host("anybody.example").code(0).stdout("password=of-the-token\n");
}

#[test]
fn what_has_no_entry_gets_nothing() {
    for host in [
        "example.org",
        "evilgithub.com",
        "github.com.evil.example",
        "github.com:80",
        "a.b.example.com:8443",
        "",
        "example.com",
        "*.example.com:8443",
    ] {
        not_ours(ask_host(host));
    }
    for request in [
        "",
        "\n",
        "protocol=https\n\n",
        "host=github.com\n\n",
        "protocol=http\nhost=github.com\n\n",
        "protocol=https\nhost=example.com\nusername=you\n\n",
    ] {
        not_ours(ask(request));
    }
}

#[test]
fn another_user_gets_nothing_and_no_store_is_asked() {
    not_ours(ask("protocol=https\nhost=github.com\nusername=you\n\n"));
    not_ours(ask("protocol=https\nhost=github.com\npath=acme\nusername=you\n\n"));
    // The store of this entry fails whoever asks it.
    not_ours(ask("protocol=https\nhost=down.example\nusername=you\n\n"));
    let _ = ask("protocol=https\nhost=github.com\nusername=x-access-token\n\n")
        .code(0)
        .stdout_has("of-the-token");
}

#[test]
fn an_optional_password_that_is_absent_is_no_login() {
    not_ours(ask_host("gone.example"));
}

#[test]
fn a_path_that_git_does_not_send_is_remarked_on() {
    let _ = ask_host("paths.example").code(0).stdout_empty().stderr_has("credential.useHttpPath");
}

#[test]
fn git_is_stopped_where_the_login_cannot_be_had() {
    stops(ask_host("down.example"), 6, "broken");
    stops(ask_host("missing.example"), 5, "lit/GONE");
}

#[test]
fn a_value_that_would_say_more_than_itself_is_not_told() {
    stops(ask_host("lines.example"), 7, "line break");
    stops(ask_host("cr.example"), 7, "line break");
}

#[test]
fn an_empty_value_is_no_login() {
    stops(ask_host("empty.example"), 8, "`helpers.git.empty.example`: the password is empty");
    stops(ask_host("nobody.example"), 8, "the username is empty");
    // git may know that the name is empty.
    let asked = ask("protocol=https\nhost=git.example.com:8443\nusername=\n\n");
    let _ = asked.code(0).stdout("username=\npassword=of-the-token\n");
}

#[test]
fn a_path_that_a_server_may_read_differently_is_below_no_key() {
    for path in ["team/..;/other", "team/%2e%2e/other", "team\\..\\other", "team/x%00"] {
        not_ours(ask(&format!("protocol=https\nhost=any.example\npath={path}\n\n")));
    }
    let _ =
        ask("protocol=https\nhost=any.example\npath=team/a+b@c~d.git\n\n").code(0).stdout_has("of-the-token");
}

#[test]
fn a_star_is_for_letters_digits_and_hyphens() {
    for host in ["[x].example.com", "é.example.com", "a\u{2488}.example.com"] {
        not_ours(ask_host(&format!("{host}:8443")));
    }
    let _ = ask_host("a-b_9.example.com:8443").code(0).stdout_has("of-the-token");
}

#[test]
fn a_password_in_a_key_is_not_shown() {
    let password = "hunter2secret";
    for key in [
        format!("https://me:{password}@a.example"),
        format!("me:{password}@a.example"),
        format!("https://me:x/{password}/y@a.example"),
        format!("https://me:x@{password}@a.example"),
        format!("https://me:{password}@a.example/b/*"),
    ] {
        for entry in ["{password: lit/TOKEN}", "{password: nowhere/TOKEN}", "{pasword: lit/TOKEN}"] {
            let config = CONFIG.replace("  git:\n", &format!("  git:\n    \"{key}\": {entry}\n"));
            let run = prepared(&config).args(["helper", "git", "get"]);
            let output = run.stdin("protocol=https\nhost=github.com\n\n").run();
            stops(output.never_shows(password), 3, "helpers.yaml");
        }
        let twice = format!("\"{key}\": {{password: lit/TOKEN}}\n");
        let config = CONFIG.replace("  git:\n", &format!("  git:\n    {twice}    {twice}"));
        let run = prepared(&config).args(["helper", "git", "get"]);
        let output = run.stdin("protocol=https\nhost=github.com\n\n").run();
        stops(output.never_shows(password), 3, "duplicate key");
    }
}

#[test]
fn a_user_without_a_file_goes_on_without_this_helper() {
    let request = "protocol=https\nhost=github.com\n\n";
    let output = Dsops::new().args(["helper", "git", "get"]).stdin(request).run();
    let output = output.code(0).stdout_empty().stderr_has("no helper for this user: no file is named");
    assert_eq!(String::from_utf8_lossy(output.stderr_bytes()).lines().count(), 1, "{output}");
    let quiet = Dsops::new().args(["--quiet", "helper", "git", "get"]).stdin(request).run();
    not_ours(quiet);
}

#[test]
fn a_file_that_is_named_and_missing_or_there_and_broken_stops_git() {
    let run = |dsops: Dsops| dsops.args(["helper", "git", "get"]).stdin("protocol=https\nhost=a\n\n").run();
    stops(run(Dsops::new().env("DSOPS_CONFIG", "/nowhere/dsops.yaml")), 3, "/nowhere/dsops.yaml");
    let dsops = Dsops::new().args(["--config", "/nowhere/dsops.yaml"]);
    stops(run(dsops), 3, "/nowhere/dsops.yaml");
    stops(run(Dsops::new().file("../home/.config/dsops/dsops.yaml", "helper: {}\n")), 3, "dsops.yaml");
    // A directory in its place, and a link to nowhere.
    stops(run(Dsops::new().file("../home/.config/dsops/dsops.yaml/x", "")), 3, "dsops.yaml");
    let dsops = Dsops::new().file("../home/.config/dsops/x", "");
    symlink("/nowhere", dsops.path("../home/.config/dsops/dsops.yaml")).unwrap();
    stops(run(dsops), 3, "dsops.yaml");
}

/// The slow one: a request may take ten seconds.
#[test]
#[expect(clippy::disallowed_methods, reason = "looks whether the programs have ended, with a limit")]
fn a_request_without_an_end_is_not_waited_for() {
    let started = [["git", "get"], ["git", "store"], ["docker", "get"], ["docker", "store"]].map(
        |[program, action]| {
            let dsops = prepared(CONFIG).args(["helper", program, action]);
            let mut command = dsops.command();
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("the program starts");
            // One that is open, says something, and has no end.
            let mut stdin = child.stdin.take().expect("a pipe");
            stdin.write_all(b"protocol=https\nhost=github.com\n").expect("written");
            (dsops, child, stdin)
        },
    );
    let limit = Instant::now() + Duration::from_secs(60);
    let outputs = started.map(|(dsops, mut child, stdin)| {
        while child.try_wait().expect("a child").is_none() {
            if Instant::now() > limit {
                child.kill().expect("killed");
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        drop((dsops, stdin));
        let output = child.wait_with_output().expect("an output");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    });
    for (output, code) in outputs.iter().zip([6, 0, 1, 1]) {
        assert_eq!(output.0, Some(code), "{outputs:?}");
    }
    let [(_, stdout, stderr), _, docker, _] = &outputs;
    assert_eq!(stdout, "quit=1\n");
    assert!(stderr.contains("no end within 10 s") && stderr.lines().count() == 1, "{stderr}");
    assert!(docker.2.contains("no end within 10 s") && docker.1.lines().count() == 1, "{docker:?}");
}

#[test]
fn a_request_that_can_be_understood_in_two_ways_is_refused() {
    for request in [
        "protocol=https\nhost=github.com\r\n\n",
        "protocol=https\r\nhost=github.com\r\n\r\n",
        "protocol=https\nhost=evil\0host=github.com\n\n",
        "protocol=https\nhost=evil.example\nhost=github.com\n\n",
        "protocol=https\nhost\n\n",
        "url=github.com\n\n",
        "url=https://x@evil.example@github.com\n\n",
    ] {
        stops(ask(request), 2, "request");
    }
    let long = format!("protocol=https\nhost=github.com\nwwwauth[]={}\n\n", "x".repeat(70_000));
    stops(ask(&long), 2, "longer than 65536 bytes");
}

#[test]
fn unknown_attributes_are_passed_over() {
    let request =
        "capability[]=authtype\nprotocol=https\nhost=github.com\nwwwauth[]=Basic realm=\"a\"\nstate[]=x\n\n";
    let _ = ask(request).code(0).stdout_has("of-the-token").stderr_empty();
}

#[test]
fn every_other_action_is_ignored() {
    for action in ["store", "erase", "capability", "get2"] {
        let request = "protocol=https\nhost=github.com\nusername=me\npassword=typed\n\n";
        not_ours(prepared(CONFIG).args(["helper", "git", action]).stdin(request).run());
        not_ours(prepared("nonsense").args(["helper", "git", action]).stdin("\0").run());
    }
    let _ = prepared(CONFIG).args(["helper", "git"]).run().code(2).stdout_empty();
}

#[test]
fn a_key_that_says_nothing_stops_git_whatever_it_asks_for() {
    for (key, why) in [
        ("https://*", "no whole part"),
        ("https://u:p@a.example", "a password"),
        ("https://github.com:443", "for the same request"),
    ] {
        let config = CONFIG.replace("  git:\n", &format!("  git:\n    \"{key}\": {{password: lit/TOKEN}}\n"));
        let run = prepared(&config).args(["helper", "git", "get"]);
        stops(run.stdin("protocol=https\nhost=github.com\n\n").run(), 3, why);
    }
}

#[test]
fn a_file_that_does_not_load_stops_git() {
    let ask = |config: &str| {
        prepared(config).args(["helper", "git", "get"]).stdin("protocol=https\nhost=a\n\n").run()
    };
    stops(ask("helper: {}\n"), 3, "helpers.yaml");
    not_ours(ask("version: 1\n"));
}

#[test]
fn the_file_of_the_current_directory_is_never_read() {
    let trap = CONFIG.replace("./refusing", "./trapped").replace("lit/TOKEN", "broken/TOKEN");
    let dsops = || {
        let dsops = Dsops::new().config(&trap).program("trapped", "#!/bin/sh\ntouch sprung\n");
        dsops.args(["helper", "git", "get"]).stdin("protocol=https\nhost=github.com\n\n")
    };
    let output = dsops().run();
    assert!(!output.path("sprung").exists(), "{output}");
    let _ = output.code(0).stdout_empty().stderr_has("no file is named");
    let output = dsops().file("../home/.config/dsops/dsops.yaml", CONFIG).run();
    assert!(!output.path("sprung").exists(), "{output}");
    let _ = output.code(0).stdout_has("of-the-token");
    // A relative one would be of the current directory, too.
    stops(dsops().env("DSOPS_CONFIG", "dsops.yaml").run(), 3, "relative path");
}

#[test]
fn an_empty_environment_and_any_directory_will_do() {
    let dsops = prepared(CONFIG)
        .directory("elsewhere")
        .without_env("PATH")
        .without_env("HOME")
        .without_env("COLUMNS");
    let run = dsops.args(["helper", "git", "get"]).stdin("protocol=https\nhost=github.com\n\n");
    let _ = run.run().code(0).stdout_has("of-the-token").stderr_empty();
}

#[test]
fn the_program_knows_its_name_for_git() {
    let request = "protocol=https\nhost=github.com\n\n";
    let named = |name: &str| {
        let dsops = prepared(CONFIG);
        let link = dsops.path("git-credential-dsops");
        symlink(env!("CARGO_BIN_EXE_dsops"), link).unwrap();
        let directory = dsops.path("");
        dsops
            .env("PATH", format!("{}:/usr/bin:/bin", directory.display()))
            .instead("/bin/sh")
            .stdin(request)
            .args(["-c", name])
    };
    for name in [
        "./git-credential-dsops get",
        "git-credential-dsops get",
        "$PWD/git-credential-dsops get",
        "../${PWD##*/}/git-credential-dsops -- get",
    ] {
        let _ = named(name).run().code(0).stdout_has("of-the-token").stderr_empty();
    }
    let options = "c=$DSOPS_CONFIG; unset DSOPS_CONFIG; git-credential-dsops --config $c get";
    let _ = named(options).run().code(0).stdout_has("of-the-token").stderr_empty();
    not_ours(named("git-credential-dsops exec").run());
}
