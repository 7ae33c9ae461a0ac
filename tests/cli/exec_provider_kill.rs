//! `SIGKILL` of `dsops exec-provider` at any moment: the next run works, and nothing is left that was not kept before.
//!
//! `DSOPS_KILL_RUNS` sets how many runs there are, and `DSOPS_KILL_SEED` where chance starts.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};

use crate::exec_provider_asker::{Answer, provider, request};
use crate::lab::{CANARY, CLIENT_ID, CLIENT_SECRET, LOGIN, options, server, value};
use crate::support::Dsops;
use crate::support::infisical::{Fault, Generation, Server};

/// How many runs there are where nobody says otherwise.
const RUNS: u64 = 40;
/// How long what a killed program started may take to go, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(15);

const IDS: [&str; 3] = ["A", "B", "P"];

/// Leaves its number, and answers in a moment.
const PROGRAM: &str = "#!/bin/sh\necho $$ >> \"$PIDS\"\nsleep 0.05\nprintf '{\"protocolVersion\":1,\"values\":{\"P\":\"p\"}}'\n";

#[expect(clippy::disallowed_methods, reason = "what this test is told is no part of what is tested")]
fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

/// The splitmix64 generator.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What all runs share: a server, and directories for everything that a run may write.
struct Place {
    server: Server,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let server = server(Generation::July2026)
            .secret("dev", "/a", "A", &value("a"))
            .secret("dev", "/b", "B", &value("b"))
            .fault(LOGIN, Fault::delay(Duration::from_millis(20)))
            .start();
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["cache", "runtime", "tmp", "home"] {
            fs::create_dir(dir.path().join(name)).expect("a directory");
        }
        Self { server, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self) -> Dsops {
        let yaml = format!(
            "secretStores:\n  infisical: {{{}}}\n  prog: {{type: exec, command: ./prog, pass_env: [PATH], env: {{PIDS: '{}'}}}}\n\
             envs:\n  dev: {{A: {{from: infisical/a/A}}, B: {{from: infisical/b/B}}, P: {{from: prog/P}}}}\n\
             agents:\n  openclaw: {{env: dev}}\n",
            options(&self.server.url()),
            self.path("pids").display()
        );
        let run = provider(&yaml).program("../config/prog", PROGRAM).args(["--timeout", "18s"]);
        let run = run.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", self.path("home"));
        let run = run.env("XDG_CACHE_HOME", self.path("cache")).env("XDG_RUNTIME_DIR", self.path("runtime"));
        let run = run.env("TMPDIR", self.path("tmp")).env("INFISICAL_CLIENT_ID", CLIENT_ID);
        run.env("INFISICAL_CLIENT_SECRET", CLIENT_SECRET).stdin(request(&IDS))
    }

    /// Runs to the end, and checks the answer.
    fn works(&self) -> Duration {
        let started = Instant::now();
        let output = self.run().run();
        let took = started.elapsed();
        let answer = Answer::of(output, &IDS);
        assert_eq!(
            (answer.value("A"), answer.value("B"), answer.value("P")),
            (&*value("a"), &*value("b"), "p")
        );
        took
    }

    /// Returns every file but the programs' own list.
    fn files(&self) -> BTreeSet<PathBuf> {
        files(self.dir.path()).into_iter().filter(|path| !path.ends_with("pids")).collect()
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_kill_at_any_moment_leaves_what_the_next_run_can_use() {
    let (seed, runs) = (number("DSOPS_KILL_SEED", 1), number("DSOPS_KILL_RUNS", RUNS));
    let place = Place::new();
    let mut state = seed;
    let mut longest = place.works();
    let known = place.files();
    let mut killed = 0;
    for index in 0..runs {
        // Every other one has to log in first, and so holds the lock and writes the token.
        if index % 2 == 0 {
            place.server.change(|world| {
                world.revoke_tokens();
            });
            for path in place.files().into_iter().filter(|path| path.extension().is_none()) {
                fs::remove_file(path).expect("a kept token");
            }
        }
        let micros = u64::try_from(longest.as_micros()).expect("a short time").max(1);
        let after = Duration::from_micros(next(&mut state) % (micros + micros / 10));
        let started = Instant::now();
        let running = place.run().start();
        while let Some(left) = after.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) {
            std::thread::park_timeout(left);
        }
        let _ = kill(running.pid(), Signal::SIGKILL);
        killed += u64::from(!running.status().success());
        drop(running);
        // The next works at once, with one login at most, and is not kept waiting by a lock of the dead.
        let logins = place.server.count(LOGIN);
        let took = place.works();
        assert!(place.server.count(LOGIN) <= logins + 1, "run {index} of seed {seed}: logins");
        assert!(took < PATIENCE, "run {index} of seed {seed}: {took:?} after a kill at {after:?}");
        let left = place.files();
        assert_eq!(left, known, "run {index} of seed {seed}, killed after {after:?}");
        for path in &left {
            let content = fs::read(path).unwrap_or_default();
            assert!(!content.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{path:?}");
        }
        longest = longest.max(took).min(Duration::from_secs(2));
        if index % 8 == 0 {
            longest = place.works();
        }
    }
    // A test that comes too late each time has tested nothing.
    assert!(killed * 4 > runs, "only {killed} of {runs} were killed before their end");
    // Programs of a killed run end by themselves here; none may be left once they had the time.
    let over = Instant::now() + PATIENCE;
    let pids = fs::read_to_string(place.path("pids")).expect("programs were started");
    let alive = |pid: &str| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains("(prog)") && !stat.contains(") Z ")
    };
    while pids.lines().any(alive) {
        assert!(Instant::now() < over, "a program of a store runs on");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

#[test]
fn a_group_that_is_killed_at_the_callers_time_is_gone() {
    // As OpenClaw ends what is late: the whole group at once, with a store's program that never ends.
    let place = Place::new();
    let run = place.run().program("../config/prog", PROGRAM.replace("sleep 0.05", "exec sleep 600"));
    let running = run.start();
    let over = Instant::now() + PATIENCE;
    let pids = place.path("pids");
    while !fs::read_to_string(&pids).is_ok_and(|text| text.ends_with('\n')) {
        assert!(Instant::now() < over, "no program was started");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    killpg(running.pid(), Signal::SIGTERM).expect("a running group");
    assert!(!running.status().success());
    drop(running);
    let program = fs::read_to_string(&pids).expect("a number");
    let stat = format!("/proc/{}/stat", program.trim());
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < over, "the store's program runs on after SIGTERM");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    place.works();
}
