//! What a batch costs and when it is answered: logins, lists, stores that are slow, silent or half there.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::exec_provider_asker::{Answer, ask, provider, request};
use crate::lab::{CLIENT_ID, CLIENT_SECRET, LIST, LOGIN, discreet, options, server, value};
use crate::support::Dsops;
use crate::support::infisical::{Fault, Generation, Server};

/// A project of ten folders with two secrets each.
fn ten_folders() -> (Server, Vec<String>) {
    let mut server = server(Generation::July2026);
    let mut ids = Vec::new();
    for folder in 0..10 {
        for name in ["ONE", "TWO"] {
            server = server.secret("dev", &format!("/f{folder}"), name, &value(&format!("{folder}/{name}")));
            ids.push(format!("F{folder}_{name}"));
        }
    }
    (server.start(), ids)
}

fn file_of(server: &Server, more: &str) -> String {
    let mut yaml =
        format!("secretStores:\n  infisical: {{{}{more}}}\nenvs:\n  dev:\n", options(&server.url()));
    for folder in 0..10 {
        for name in ["ONE", "TWO"] {
            let _ = writeln!(yaml, "    F{folder}_{name}: {{from: infisical/f{folder}/{name}}}");
        }
    }
    yaml + "    GONE: {from: infisical/f0/GONE}\nagents:\n  openclaw: {env: dev}\n"
}

fn with_credentials(run: Dsops) -> Dsops {
    run.env("INFISICAL_CLIENT_ID", CLIENT_ID).env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET)
}

#[track_caller]
fn all_right(answer: &Answer, ids: &[String]) {
    for id in ids.iter().filter(|id| id.starts_with('F')) {
        let of = id.trim_start_matches('F').replace('_', "/");
        assert_eq!(answer.value(id), value(&of), "{id}");
    }
}

#[test]
fn a_batch_over_ten_folders_costs_one_login_and_ten_lists() {
    let (server, ids) = ten_folders();
    let cache = tempfile::tempdir().expect("a directory");
    let run = || with_credentials(provider(&file_of(&server, ""))).env("XDG_CACHE_HOME", cache.path());
    all_right(&ask(run(), &ids), &ids);
    assert_eq!((server.count(LOGIN), server.count(LIST), server.total()), (1, 10, 11));
    // The next one finds the token.
    all_right(&ask(run(), &ids), &ids);
    assert_eq!((server.count(LOGIN), server.count(LIST)), (1, 20));
    // What is not asked for costs nothing, and nothing is asked for nothing.
    let before = server.total();
    let _ = ask::<&str>(run(), &[]);
    let _ = ask(run(), &["not an id", "UNKNOWN"]);
    assert_eq!(server.total(), before);
}

#[test]
fn a_batch_with_failures_costs_no_login_more() {
    let (server, mut ids) = ten_folders();
    ids.extend(["GONE", "UNKNOWN", "no id"].map(ToOwned::to_owned));
    let run = with_credentials(provider(&file_of(&server, ""))).env("DSOPS_TOKEN_CACHE", "off");
    let answer = ask(run, &ids);
    all_right(&answer, &ids);
    assert_eq!((answer.code("GONE"), answer.code("UNKNOWN")), ("NOT_FOUND", "NOT_FOUND"));
    assert_eq!(server.count(LOGIN), 1);
}

#[test]
fn processes_that_start_at_once_log_in_once() {
    let (server, ids) = ten_folders();
    server.fault(LOGIN, Fault::delay(Duration::from_millis(200)));
    let cache = tempfile::tempdir().expect("a directory");
    let start = || {
        let run = with_credentials(provider(&file_of(&server, ""))).env("XDG_CACHE_HOME", cache.path());
        run.args(["--timeout", "15s"]).stdin(request(&ids)).start()
    };
    let running: Vec<_> = (0..5).map(|_| start()).collect();
    for run in running {
        let output = discreet(run.wait(), &server);
        all_right(&Answer::of(output, &ids), &ids);
    }
    assert_eq!((server.count(LOGIN), server.count(LIST)), (1, 50));
}

#[test]
fn without_a_home_the_token_is_kept_in_the_users_own() {
    // In a namespace whose user database names another home, so that this machine's is left alone.
    let (server, ids) = ten_folders();
    let place = tempfile::tempdir().expect("a directory");
    let (home, database) = (place.path().join("home"), place.path().join("passwd"));
    fs::create_dir(&home).expect("a directory");
    let line = |uid: u32, gid: u32| format!("me:x:{uid}:{gid}::{}:/bin/sh\n", home.display());
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    fs::write(&database, line(uid, gid) + &line(0, 0)).expect("a file");
    let file = place.path().join("dsops.yaml");
    fs::write(&file, file_of(&server, "")).expect("a file");
    let unshare = |words: &[&str]| {
        let flag = if uid == 0 { "--propagation=private" } else { "--map-root-user" };
        Dsops::new().instead("/usr/bin/env").args(["unshare", "--mount", flag]).args(words)
    };
    if unshare(&["true"]).run().exit_code() != Some(0) {
        println!("not run: this machine allows no mount namespace");
        return;
    }
    let script = format!(
        "mount --bind '{}' /etc/passwd && exec env -i INFISICAL_CLIENT_ID={CLIENT_ID} \
         INFISICAL_CLIENT_SECRET={CLIENT_SECRET} '{}' exec-provider --timeout 15s --config '{}'",
        database.display(),
        env!("CARGO_BIN_EXE_dsops"),
        file.display()
    );
    let start = || unshare(&["sh", "-c", &script]).stdin(request(&ids)).start();
    let running: Vec<_> = (0..5).map(|_| start()).collect();
    for run in running {
        all_right(&Answer::of(run.wait(), &ids), &ids);
    }
    assert_eq!(server.count(LOGIN), 1);
    assert!(home.join(".cache/dsops/tokens").is_dir() || home.join("Library").is_dir(), "kept elsewhere");
}

/// What came of a run with a deadline.
struct Timed {
    answer: Answer,
    took: Duration,
    /// How many line feeds came before the answer.
    signs: usize,
}

/// Asks, and measures.
#[track_caller]
fn timed<I: AsRef<str>>(run: Dsops, ids: &[I]) -> Timed {
    let started = Instant::now();
    let output = run.stdin(request(ids)).run();
    let took = started.elapsed();
    let stdout = output.stdout_bytes();
    let signs = stdout.iter().take_while(|byte| **byte == b'\n').count();
    assert_eq!(stdout.get(signs), Some(&b'{'), "line feeds and an answer\n{output}");
    Timed { answer: Answer::of(output, ids), took, signs }
}

/// A program of an `exec` store: it leaves its number, waits, and answers every id with its own name.
const SLOW: &str = "#!/bin/sh\necho $$ > \"$0.pid\"\nread -r request\n[ \"$1\" = never ] && while :; do sleep 100; done\n\
    sleep \"$1\"\nids=${request#*'\"ids\":['}; ids=${ids%']}'}\n\
    IFS=,; for id in $ids; do values=\"$values,$id:$id\"; done\n\
    printf '{\"protocolVersion\":1,\"values\":{%s}}' \"${values#,}\"\n";

/// Prepares a file with two stores of programs, of which each waits for its time.
fn two(first: &str, second: &str, deadline: &str) -> Dsops {
    let yaml = |name: &str, wait: &str| {
        format!(
            "  {name}: {{type: exec, command: [./{name}, {wait}], pass_env: [], env: {{PATH: '/usr/local/bin:/usr/bin:/bin'}}}}\n"
        )
    };
    let yaml = format!(
        "secretStores:\n{}{}envs:\n  dev: {{A: {{from: first/A}}, B: {{from: second/B}}, C: {{literal: c}}}}\n\
         agents:\n  openclaw: {{env: dev{deadline}}}\n",
        yaml("first", first),
        yaml("second", second)
    );
    provider(&yaml).program("../config/first", SLOW).program("../config/second", SLOW)
}

/// Waits until the program that left its number is gone; one that nobody buries counts as gone.
#[track_caller]
fn gone(pid: &str) {
    let stat = format!("/proc/{}/stat", pid.trim());
    for _ in 0..500 {
        match fs::read_to_string(&stat) {
            Ok(stat) if !stat.contains(") Z ") => std::thread::park_timeout(Duration::from_millis(10)),
            _ => return,
        }
    }
    panic!("{pid} runs on");
}

const IDS: [&str; 3] = ["A", "B", "C"];

#[test]
fn a_store_that_never_answers_costs_its_own_ids_alone() {
    for first in ["never", "9.9"] {
        let run = two(first, "0", ", deadline: 2500ms").args(["--timeout", "20s"]);
        let pid = run.path("../config/first.pid");
        let started = Instant::now();
        let running = run.stdin(request(&IDS)).start();
        let root = pid.clone();
        running.until_stdout("}");
        let took = started.elapsed();
        let left = fs::read_to_string(root).expect("it was started");
        let output = running.wait();
        let signs = output.stdout_bytes().iter().take_while(|byte| **byte == b'\n').count();
        let answer = Answer::of(output, &IDS);
        assert_eq!(answer.code("A"), "TIMED_OUT");
        assert_eq!((answer.value("B"), answer.value("C")), ("B", "c"));
        assert!(took < Duration::from_secs(9), "{took:?}");
        assert!(signs >= 1, "no sign of life in {took:?}");
        gone(&left);
    }
}

#[test]
fn the_deadline_is_four_fifths_of_what_the_caller_gives() {
    // What answers after 4.9 s is too late for a caller that waits for 5 s, which is what OpenClaw does.
    for timeout in [&[][..], &["--timeout", "5s"]] {
        let timed = timed(two("4.9", "0", "").args(timeout), &IDS);
        assert_eq!(timed.answer.code("A"), "TIMED_OUT");
        assert_eq!((timed.answer.value("B"), timed.answer.value("C")), ("B", "c"));
        assert!(timed.took < Duration::from_secs(5), "{:?}", timed.took);
        assert!(timed.signs >= 3, "{} signs of life", timed.signs);
    }
    // And in time for one that waits longer.
    let timed = timed(two("2.2", "0", "").args(["--timeout", "15s"]), &IDS);
    assert_eq!((timed.answer.value("A"), timed.answer.value("B")), ("A", "B"));
    assert!(timed.signs >= 1, "{} signs of life", timed.signs);
}

#[test]
fn a_folder_that_hangs_costs_its_own_ids_alone() {
    let (plain, ids) = ten_folders();
    drop(plain);
    let mut server = server(Generation::July2026);
    for folder in 0..10 {
        for name in ["ONE", "TWO"] {
            server = server.secret("dev", &format!("/f{folder}"), name, &value(&format!("{folder}/{name}")));
        }
    }
    let server = server.faults_by(|_, address| address.contains("f3").then(Fault::silence)).start();
    let yaml = file_of(&server, "").replace("{env: dev}", "{env: dev, deadline: 2500ms}");
    let run = with_credentials(provider(&yaml)).env("DSOPS_TOKEN_CACHE", "off").args(["--timeout", "20s"]);
    let timed = timed(run, &ids);
    for id in &ids {
        match id.strip_prefix("F3") {
            Some(_) => assert_eq!(timed.answer.code(id), "TIMED_OUT", "{id}"),
            None => all_right(&timed.answer, std::slice::from_ref(id)),
        }
    }
    assert!(timed.took < Duration::from_secs(15), "{:?}", timed.took);
    assert_eq!(server.count(LOGIN), 1);
}

#[test]
fn a_server_that_is_down_is_told_in_time() {
    for (fault, code) in [
        (Fault::silence(), "TIMED_OUT"),
        (Fault::dribble(Duration::from_secs(60)), "TIMED_OUT"),
        (Fault::status(503), "UNAVAILABLE"),
        (Fault::reset(), "UNAVAILABLE"),
        (Fault::rate_limited(Some(60)), "RATE_LIMITED"),
        (Fault::html(), "MALFORMED"),
    ] {
        let (server, mut ids) = ten_folders();
        server.fault("*", fault);
        let yaml = file_of(&server, "")
            .replace("{env: dev}", "{env: dev, deadline: 2500ms, ids: {lit/c: {literal: c}}}");
        ids.push("lit/c".to_owned());
        let run =
            with_credentials(provider(&yaml)).env("DSOPS_TOKEN_CACHE", "off").args(["--timeout", "20s"]);
        let timed = timed(run, &ids);
        assert_eq!(timed.answer.value("lit/c"), "c");
        for id in ids.iter().filter(|id| id.starts_with('F')) {
            let got = timed.answer.code(id);
            // Where asking again was cut off by the deadline, either is true.
            assert!(got == code || got == "TIMED_OUT", "{id}: {got} in place of {code}");
        }
        assert!(timed.took < Duration::from_secs(15), "{:?}", timed.took);
    }
}

#[test]
fn nothing_is_written_before_the_request_is_whole_but_signs_of_life() {
    let run = two("0", "0", "").args(["--timeout", "20s"]);
    let mut command = run.command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = request(&IDS);
    for piece in text.chunks(9) {
        stdin.write_all(piece).expect("a reader");
        stdin.flush().expect("a reader");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    assert_eq!(child.try_wait().expect("a child"), None, "it did not wait for the end");
    drop(stdin);
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.status.code(), Some(0));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["values"]["C"], "c");
}
