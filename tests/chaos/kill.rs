//! `SIGKILL` at any moment: no value is left on disk, in shared memory or in a file's name.
//!
//! `DSOPS_KILL_RUNS` sets how many runs there are, `DSOPS_KILL_SEED` where chance starts, and `DSOPS_KILL_MODE` takes only
//! the modes whose name contains it. The moments are spread over what a run of the mode really takes here and now.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::chaos::{count, setting, text};
use crate::random::Random;
use crate::support::Dsops;

/// How many runs there are where nobody says otherwise.
const RUNS: usize = 200;

/// How long the keeper may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(15);

/// The value is only in the environment of dsops: what is found anywhere else was put there.
const CONFIG: &str = "secretStores: {e: {type: env}}\nenvs:\n  files:\n    A: {from: e/MARK, type: file, filename: key.pem}\n    \
                      B: {from: e/MARK, type: file, mode: 0600}\n    C: {from: e/MARK}\n  plain: {A: {from: e/MARK}}\n";

/// What the command does: it looks at what it was given, and writes nothing of it.
const LOOK: &str = "cat \"$A\" \"$B\" > /dev/null; cat \"$A\" > /dev/null";

/// One way of running the program.
struct Mode {
    name: &'static str,
    args: &'static [&'static str],
    /// The file that the values were asked for in, where that is one.
    asked: Option<&'static str>,
    /// What the file holds before.
    before: Option<&'static str>,
    /// Whether it has to be gone in the end.
    goes: bool,
}

const fn exec(name: &'static str, args: &'static [&'static str]) -> Mode {
    Mode { name, args, asked: None, before: None, goes: true }
}

const MODES: &[Mode] = &[
    exec("replace", &["exec", "--env", "files"]),
    exec("supervise", &["exec", "--env", "files", "--supervise"]),
    exec("timeout", &["exec", "--env", "files", "--timeout", "1m"]),
    exec("files-dir", &["exec", "--env", "files", "--files-dir", "files"]),
    exec("files-dir in memory", &["exec", "--env", "files", "--files-dir", "memory"]),
    Mode {
        name: "render",
        args: &["render", "--env", "plain", "--out", "out.env"],
        asked: Some("out.env"),
        before: None,
        goes: false,
    },
    Mode {
        name: "render over",
        args: &["render", "--env", "plain", "--out", "out.env"],
        asked: Some("out.env"),
        before: Some("OLD=1\n"),
        goes: false,
    },
    Mode {
        name: "render --ttl",
        args: &["render", "--env", "plain", "--out", "out.env", "--ttl", "40ms"],
        asked: Some("out.env"),
        before: None,
        goes: true,
    },
    Mode {
        name: "render --ttl over",
        args: &["render", "--env", "plain", "--out", "out.env", "--ttl", "40ms"],
        asked: Some("out.env"),
        before: Some("OLD=1\n"),
        goes: true,
    },
];

/// Everything below a directory that a value could be in, with what it holds.
fn files(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                files(&path, found);
                found.insert(path, Vec::new());
            }
            // Larger files in shared memory are those of others: a run writes a few hundred bytes.
            Ok(kind) if kind.is_file() && entry.metadata().is_ok_and(|found| found.len() < 1 << 20) => {
                let content = fs::read(&path).unwrap_or_default();
                found.insert(path, content);
            }
            _ => {}
        }
    }
}

fn holds(bytes: &[u8], mark: &str) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark.as_bytes())
}

/// What a run may not leave, by path.
fn left(places: &[&Path], mark: &str, mode: &Mode, asked: Option<&Path>) -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    places.iter().for_each(|place| files(place, &mut found));
    let whole = format!("A={mark}\n").into_bytes();
    let allowed = |path: &Path, content: &[u8]| asked == Some(path) && !mode.goes && content == whole;
    let is_wrong = |path: &Path, content: &[u8]| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let value = (holds(content, mark) || holds(name, mark)) && !allowed(path, content);
        // In shared memory others have theirs; what is unfinished and what is private is ours in the run's own places.
        value
            || (name.starts_with(b".dsops-") || name.starts_with(b"dsops-"))
                && !path.starts_with("/dev/shm/dsops-")
    };
    found.into_iter().filter(|(path, content)| is_wrong(path, content)).map(|(path, _)| path).collect()
}

/// What is known of one run.
struct Run {
    took: Duration,
    was_killed: bool,
}

/// Runs once, and kills after a time where there is one.
fn run(mode: &Mode, mark: &str, after: Option<Duration>) -> Result<Run, String> {
    let memory = tempfile::Builder::new().prefix("kill-test-").tempdir_in("/dev/shm").expect("shared memory");
    let runtime = memory.path().join("runtime");
    fs::DirBuilder::new().mode(0o700).create(&runtime).expect("a directory");
    let run = Dsops::new().config(CONFIG).env("MARK", mark).file("files/x", "").file("../tmp/x", "");
    let root = run.path("").parent().expect("a directory").to_owned();
    let run = run.env("TMPDIR", root.join("tmp")).env("XDG_RUNTIME_DIR", &runtime);
    let run = match mode.before {
        Some(content) => run.file("out.env", content),
        None => run,
    };
    let asked = mode.asked.map(|name| run.path(name));
    let args: Vec<PathBuf> = mode
        .args
        .iter()
        .map(|word| if *word == "memory" { memory.path().to_owned() } else { PathBuf::from(word) })
        .collect();
    let run = run.args(args);
    let run = if mode.args[0] == "exec" { run.args(["--", "sh", "-c", LOOK]) } else { run };

    let started = Instant::now();
    let running = run.start();
    if let Some(after) = after {
        pause(after.saturating_sub(started.elapsed()));
        // It may have ended by itself already.
        let _ = kill(running.pid(), Signal::SIGKILL);
    }
    let output = running.wait();
    let took = started.elapsed();
    let was_killed = output.exit_code().is_none();
    if !was_killed && output.exit_code() != Some(0) {
        return Err(format!("the run failed by itself: {output}"));
    }
    let places = [root.as_path(), memory.path(), Path::new("/dev/shm")];
    let over = Instant::now() + PATIENCE;
    loop {
        let left = left(&places, mark, mode, asked.as_deref());
        let old = mode.before.map_or(&b""[..], str::as_bytes);
        let now = asked.as_deref().map(|path| fs::read(path).unwrap_or_default()).unwrap_or_default();
        let whole = format!("A={mark}\n").into_bytes();
        let torn = !(now.is_empty() || now == old || now == whole);
        if left.is_empty() && !torn {
            return Ok(Run { took, was_killed });
        }
        if Instant::now() > over || torn {
            return Err(format!("left behind{}: {left:?}\n{output}", if torn { ", in part" } else { "" }));
        }
        pause(Duration::from_millis(3));
    }
}

/// Waits as exactly as a process can.
fn pause(time: Duration) {
    let over = Instant::now() + time;
    while let Some(more) = over.checked_duration_since(Instant::now()) {
        match more.checked_sub(Duration::from_micros(150)) {
            Some(sleep) => std::thread::park_timeout(sleep),
            None => std::hint::spin_loop(),
        }
    }
}

#[test]
fn a_kill_at_any_moment_leaves_no_value() {
    let (seed, runs) = (setting("DSOPS_KILL_SEED", 1), count("DSOPS_KILL_RUNS", RUNS));
    let only = text("DSOPS_KILL_MODE").unwrap_or_default();
    let modes: Vec<&Mode> = MODES.iter().filter(|mode| mode.name.contains(&only)).collect();
    assert!(!modes.is_empty(), "no mode is called {only:?}");
    let mut random = Random::new(seed, 0);
    let mark = |random: &mut Random| format!("mArK{:016x}{:016x}", random.next(), random.next());
    let mut killed: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut length: BTreeMap<&str, Duration> = BTreeMap::new();
    for index in 0..runs {
        let mode = modes[index % modes.len()];
        // What a run takes changes with what else the machine does, and so is measured again and again.
        if index % (modes.len() * 8) < modes.len() {
            let calm =
                run(mode, &mark(&mut random), None).unwrap_or_else(|why| panic!("{}: {why}", mode.name));
            length.insert(mode.name, calm.took);
        }
        let micros = u64::try_from(length[mode.name].as_micros()).expect("a short time");
        let after = Duration::from_micros(random.next() % (micros + micros / 10));
        let value = mark(&mut random);
        match run(mode, &value, Some(after)) {
            Ok(run) => {
                let (all, hit) = killed.entry(mode.name).or_default();
                *all += 1;
                *hit += usize::from(run.was_killed);
            }
            Err(why) => panic!(
                "run {index} of seed {seed}, {} killed after {after:?} of {micros} µs: {why}\nagain: \
                 DSOPS_KILL_SEED={seed} cargo test --test chaos kill",
                mode.name
            ),
        }
    }
    println!("seed {seed}, {runs} runs:");
    for (name, (all, hit)) in &killed {
        println!("{all:>5} runs, {hit:>5} killed before their end  {name}, which takes {:?}", length[name]);
    }
    // A test that comes too late each time has tested nothing.
    let hits: usize = killed.values().map(|(_, hit)| hit).sum();
    assert!(hits * 3 > runs, "only {hits} of {runs} were killed before their end");
}

#[test]
fn the_search_finds_what_a_kill_would_leave() {
    let place = tempfile::tempdir().expect("a directory");
    let mode = &MODES[0];
    let found = |mode: &Mode| left(&[place.path()], "mArK", mode, Some(&place.path().join("out.env")));
    assert!(found(mode).is_empty());
    for (name, content) in
        [("a", "x mArK"), ("mArK", ""), (".dsops-1", ""), ("dsops-1/x", ""), ("out.env", "A=mArK\n")]
    {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, content).expect("a file");
        assert_eq!(found(mode).len(), 1, "{name}");
        let wanted = MODES.iter().find(|mode| mode.name == "render").expect("a mode");
        assert_eq!(found(wanted).len(), usize::from(name != "out.env"), "{name}");
        fs::remove_file(path).expect("a file");
        let _ = fs::remove_dir(place.path().join("dsops-1"));
    }
}
