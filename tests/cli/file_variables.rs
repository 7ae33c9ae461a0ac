//! Variables of `type: file`: what the command finds at the path, who else does, and that nothing of it stays.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::Dsops;

const CONFIG: &str = "secretStores: {e: {type: env}}\nenvs:\n  dev:\n    KEY: {from: e/THE_KEY, type: file, filename: key.pem}\n    \
                      BYTES: {literal: AAH/Cg==, transform: base64_decode, type: file, mode: 0600}\n    PLAIN: {literal: x, type: env}\n";
const VALUE: &str = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n";

/// The ways in which a command gets files: in its own memory, in shared memory, and where the user says.
const WAYS: [&[&str]; 3] = [&[], &["--supervise"], &["--files-dir", "kept"]];

const DSOPS: &str = env!("CARGO_BIN_EXE_dsops");
/// Writes the pid of the keeper, from a command that dsops stays beside.
const KEEPER: &str = "for p in $(cat /proc/$PPID/task/$PPID/children); do \
                      [ \"$(cat /proc/$p/comm)\" = dsops-keeper ] && echo $p; done";

fn base() -> Dsops {
    Dsops::new().config(CONFIG).env("THE_KEY", VALUE).file("kept/other", "stays")
}

fn exec(options: &[&str], script: &str) -> Dsops {
    base().args(["exec", "--env", "dev"]).args(options).args(["--", "sh", "-c", script])
}

/// As [`exec`], after a shell has made a setting.
fn exec_after(setting: &str, options: &[&str], script: &str) -> Dsops {
    let run = base().instead("sh").args(["-c", &format!("{setting}; exec \"$0\" \"$@\""), DSOPS]);
    run.args(["exec", "--env", "dev"]).args(options).args(["--", "sh", "-c", script])
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(15), "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn exists(pid: i32) -> bool {
    // A zombie that nobody waits for has ended all the same.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn the_command_finds_the_value_at_the_path_as_often_as_it_looks() {
    let script = "cat \"$KEY\"; cat \"$KEY\"; sh -c 'cat \"$KEY\"'; od -An -tx1 \"$BYTES\"; echo $PLAIN";
    let expected = format!("{VALUE}{VALUE}{VALUE} 00 01 ff 0a\nx\n");
    for options in WAYS {
        let _ = exec(options, script).run().code(0).stderr_empty().stdout(&expected);
    }
}

#[test]
fn the_permissions_are_those_that_were_asked_for_whatever_the_umask() {
    for options in WAYS {
        let script = "stat -L -c %a \"$KEY\" \"$BYTES\"; umask";
        let _ = exec_after("umask 0777", options, script).run().code(0).stdout("400\n600\n0777\n");
    }
}

#[test]
fn a_file_in_memory_cannot_be_changed() {
    // Not by root either, which no permission stops.
    let script = "chmod 600 \"$KEY\"; (echo x > \"$KEY\") 2>/dev/null || echo refused; \
                  (echo x >> \"$KEY\") 2>/dev/null || echo refused; cat \"$KEY\"";
    let _ = exec(&[], script).run().code(0).stdout(format!("refused\nrefused\n{VALUE}"));
}

#[test]
fn the_command_has_the_descriptors_of_its_files_and_no_others() {
    let expected = Dsops::new().instead("ls").args(["/proc/self/fd"]).run().code(0);
    let expected = text(expected.stdout_bytes());
    let output = exec(&[], "ls /proc/self/fd; echo $KEY $BYTES").run().code(0);
    let shown = text(output.stdout_bytes());
    let (descriptors, paths) = shown.trim_end().rsplit_once('\n').expect("two parts");
    let files: Vec<i32> = paths
        .split(' ')
        .map(|path| path.strip_prefix("/proc/self/fd/").expect("a path in memory").parse().expect("a number"))
        .collect();
    assert!(files.len() == 2 && files.iter().all(|number| *number >= 10), "{files:?}");
    let others: Vec<&str> =
        descriptors.lines().filter(|line| !files.iter().any(|number| number.to_string() == *line)).collect();
    assert_eq!(others, expected.lines().collect::<Vec<_>>());
    for options in &WAYS[1..] {
        let _ = exec(options, "exec ls /proc/self/fd").run().code(0).stdout(&expected);
    }
}

#[test]
fn a_path_in_memory_is_found_where_few_descriptors_are_allowed() {
    let _ = exec_after("ulimit -n 32", &[], "cat $KEY").run().code(0).stdout(VALUE);
}

#[test]
fn an_absent_value_has_no_file_and_an_inherited_one_is_left_alone() {
    let config = "secretStores: {e: {type: env}}\nenvs: {dev: {A: {from: e/NONE, optional: true, type: file}, B: {literal: x, type: file}}}\n";
    let run = Dsops::new().config(config).env("B", "inherited");
    let run = run.args(["exec", "--env", "dev", "--allow-override", "--files-dir", "."]);
    let _ = run
        .args(["--", "sh", "-c", "echo ${A-unset} $B; ls"])
        .run()
        .code(0)
        .stdout("unset inherited\ndsops.yaml\n");
}

#[test]
fn the_directory_is_private_in_memory_and_gone_with_the_command() {
    let script = "dir=$(dirname $KEY); echo $dir; stat -c %a $dir; stat -f -c %T $dir; ls $dir";
    for (options, end) in [
        (&["--supervise"][..], "exit 3"),
        (&["--timeout", "1m"], "kill -KILL $$"),
        (&["--timeout", "100ms", "--kill-after", "100ms"], "trap '' TERM; while :; do sleep 1; done"),
    ] {
        let output = exec(options, &format!("{script}; {end}")).run();
        let shown = text(output.stdout_bytes());
        let mut lines = shown.lines();
        let directory = PathBuf::from(lines.next().expect("a directory"));
        assert_eq!(lines.collect::<Vec<_>>(), ["700", "tmpfs", "BYTES", "key.pem"], "{output}");
        assert!(!directory.exists(), "{output}");
    }
}

#[test]
fn the_own_runtime_directory_comes_first_where_it_is_in_memory() {
    let place = tempfile::Builder::new().prefix("dsops-test-").tempdir_in("/dev/shm").expect("shared memory");
    let script = "dirname $(dirname $KEY)";
    let run = |mode| {
        fs::set_permissions(place.path(), fs::Permissions::from_mode(mode)).expect("permissions");
        exec(&["--supervise"], script).env("XDG_RUNTIME_DIR", place.path()).run().code(0)
    };
    let _ = run(0o700).stdout(format!("{}\n", place.path().display()));
    // One that others can write to is nobody's own.
    let _ = run(0o777).stdout("/dev/shm\n");
    assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 0);
}

#[test]
fn a_named_directory_is_used_wherever_it_lies_and_left_as_it_was() {
    let output = exec(&["--files-dir", "kept"], "echo $KEY; ls kept; cat $KEY > /dev/null").run().code(0);
    let shown = text(output.stdout_bytes());
    assert!(shown.starts_with(&format!("{}/dsops-", output.path("kept").canonicalize().unwrap().display())));
    assert_eq!(fs::read_dir(output.path("kept")).unwrap().count(), 1, "{output}");
    assert_eq!(output.read("kept/other"), b"stays");
}

#[test]
fn a_named_directory_that_cannot_be_used_is_told_of() {
    let cases =
        [("none", "cannot be used"), ("dsops.yaml", "cannot be used"), ("open", "others can exchange")];
    for (name, message) in cases {
        let run = exec(&["--files-dir", name], "touch started");
        let open = run.path("open");
        fs::DirBuilder::new().mode(0o777).create(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        let output = run.run().code(125).stderr_has("dsops::exec::files").stderr_has(message);
        assert!(!output.path("started").exists());
    }
}

#[test]
fn an_environment_without_files_needs_no_directory() {
    let run = Dsops::new().config("envs: {dev: {A: {literal: x}}}");
    let run = run.args(["exec", "--env", "dev", "--files-dir", "none", "--", "sh", "-c", "echo $A $$"]);
    let running = run.start();
    let pid = running.pid();
    let _ = running.wait().code(0).stdout(format!("x {pid}\n"));
}

#[test]
fn nothing_waits_for_the_keeper_and_nothing_of_it_stays() {
    // The third descriptor is the caller's, which reads it to its end, as `$(…)` does.
    let script = "out=$(\"$0\" exec --env dev --supervise -- sh -c \"$1\" 3>&1); \
                  [ -n \"$out\" ] && [ ! -e /proc/$out ] && echo gone";
    let run = base().instead("sh").args(["-c", script, DSOPS, KEEPER]);
    let _ = run.run().code(0).stdout("gone\n");
}

/// A command that runs, with what is known of it.
struct Scene {
    running: crate::support::Running,
    keeper: i32,
    directory: PathBuf,
}

fn scene(options: &[&str]) -> Scene {
    let run = exec(options, &format!("(echo $KEY; {KEEPER}) > report; echo up; exec sleep 60"));
    let report = run.path("report");
    let running = run.start();
    running.until_stdout("up");
    let shown = fs::read_to_string(report).expect("the report");
    let mut lines = shown.lines();
    let key = PathBuf::from(lines.next().expect("a path"));
    let keeper = lines.next().and_then(|line| line.parse().ok()).expect("the pid of the keeper");
    assert!(key.exists(), "{}", key.display());
    let directory = key.parent().expect("a directory").to_owned();
    Scene { running, keeper, directory }
}

#[test]
fn a_killed_dsops_leaves_nothing() {
    for options in [&["--supervise"][..], &["--files-dir", "kept"]] {
        let Scene { running, keeper, directory } = scene(options);
        running.signal(Signal::SIGKILL);
        until("the directory is gone", || !directory.exists());
        until("the keeper is gone", || !exists(keeper));
        let output = running.wait().killed_by(Signal::SIGKILL);
        assert_eq!(output.read("kept/other"), b"stays");
    }
}

#[test]
fn the_keeper_knows_no_value_and_holds_nothing_of_the_callers() {
    let Scene { running, keeper, directory } = scene(&["--supervise"]);
    let read = |name: &str| fs::read(format!("/proc/{keeper}/{name}")).expect("a process");
    assert!(read("environ").is_empty());
    let name = directory.file_name().unwrap().to_str().unwrap();
    assert_eq!(text(&read("cmdline")), format!("dsops\0__keep\0directory\0{}\0{name}\0", running.pid()));
    let descriptors: Vec<(String, PathBuf)> = fs::read_dir(format!("/proc/{keeper}/fd"))
        .unwrap()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, fs::read_link(entry.path()).ok()?)))
        .filter(|(number, _)| !matches!(number.as_str(), "0" | "1" | "2"))
        .collect();
    // Beside the standard ones only the line to dsops, once more.
    assert!(descriptors.iter().all(|(_, to)| to.to_string_lossy().starts_with("socket:")), "{descriptors:?}");
    assert_eq!(fs::read_link(format!("/proc/{keeper}/cwd")).unwrap(), Path::new("/"));
    let session = nix::unistd::getsid(Some(Pid::from_raw(keeper))).unwrap();
    assert_eq!(session.as_raw(), keeper);
    drop(running);
    until("the directory is gone", || !directory.exists());
}

#[test]
fn the_keeper_outlives_what_ends_others() {
    let Scene { running, keeper, directory } = scene(&["--supervise"]);
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        kill(Pid::from_raw(keeper), signal).expect("a keeper");
    }
    running.signal(Signal::SIGKILL);
    until("the directory is gone", || !directory.exists());
    until("the keeper is gone", || !exists(keeper));
}

#[test]
fn a_killed_keeper_leaves_the_work_to_dsops() {
    let Scene { running, keeper, directory } = scene(&["--supervise"]);
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("a keeper");
    until("the keeper is gone", || !exists(keeper));
    assert!(directory.exists());
    running.signal(Signal::SIGTERM);
    let _ = running.wait().killed_by(Signal::SIGTERM);
    assert!(!directory.exists());
}

#[test]
fn a_command_that_is_not_there_leaves_nothing() {
    for options in WAYS {
        let run = base().args(["exec", "--env", "dev"]).args(options).args(["--", "./no-such-command"]);
        let output = run.run().code(127);
        assert_eq!(fs::read_dir(output.path("kept")).unwrap().count(), 1, "{output}");
    }
}

#[test]
fn a_file_holds_what_no_variable_can() {
    let value = "x".repeat(100_000);
    let variables: String =
        (0..30).map(|index| format!("    V{index}: {{from: e/THE_KEY, type: file}}\n")).collect();
    let config = format!("secretStores: {{e: {{type: env}}}}\nenvs:\n  dev:\n{variables}");
    for options in WAYS {
        let run = exec(options, "cat $V0 $V29 | wc -c").config(&config).env("THE_KEY", &value);
        let _ = run.run().code(0).stdout("200000\n");
    }
    // Three million bytes are over the limit of one variable and of all together.
    let config =
        "secretStores: {d: {type: dotenv, path: big.env}}\nenvs: {dev: {A: {from: d/A, type: file}}}\n";
    for options in WAYS {
        let run = exec(options, "wc -c < $A").config(config);
        let run = run.file("big.env", format!("A={}\n", "x".repeat(3_000_000)));
        let _ = run.run().code(0).stdout("3000000\n");
    }
}

#[test]
fn what_no_variable_can_hold_is_told_with_the_line_to_write() {
    let config = "secretStores: {d: {type: dotenv, path: big.env}}\nenvs:\n  dev: {VALUE: {from: d/A}}\n  \
                  more: {VALUE: {from: d/A, optional: true, transform: trim}}\n  all: {import: {store: d, prefix: P_}}\n  \
                  nul: {N: {literal: AAE=, transform: base64_decode}}\n";
    let run = |environment: &str, size: usize| {
        let run = Dsops::new().config(config).file("big.env", format!("A={}\n", "x".repeat(size)));
        run.args(["exec", "--env", environment, "--error-format", "json", "--", "sh", "-c", "echo ${#VALUE}"])
            .run()
    };
    // Name, sign, value and NUL.
    let most = 131_072 - "VALUE=".len() - 1;
    let _ = run("dev", most).code(0).stdout(format!("{most}\n"));
    for (environment, size, code, line) in [
        ("dev", most + 1, "too_long", "`VALUE: {from: d/A, type: file}`"),
        ("more", most + 1, "too_long", "`VALUE: {from: d/A, optional: true, transform: …, type: file}`"),
        ("all", most + 5, "too_long", "`P_A: {from: d/A, type: file}`"),
        ("nul", 1, "nul", "`N: {literal: …, transform: …, type: file}`"),
    ] {
        let output = run(environment, size).code(125).stdout_empty();
        let errors = output.stderr_json();
        assert_eq!(errors[0]["code"], format!("dsops::environment::{code}"), "{output}");
        assert!(errors[0]["help"].as_str().unwrap().contains(line), "{output}");
    }
}

#[test]
fn mistakes_in_the_file_are_told_before_anything_is_asked() {
    for (variable, message) in [
        ("{literal: x, mode: 0400}", "`mode` on a variable that is no file"),
        ("{literal: x, type: env, filename: k}", "`filename` on a variable that is no file"),
        ("{literal: x, type: files}", "not one of `env` or `file`"),
        ("{literal: x, type: file, mode: 400}", "`400` is no octal mode"),
        ("{literal: x, type: file, mode: 0x100}", "no octal mode"),
        ("{literal: x, type: file, mode: 04755}", "beyond 0777"),
        ("{literal: x, type: file, mode: '0666'}", "lets others than the owner change the file"),
        ("{literal: x, type: file, mode: 0o000}", "keeps the command itself from reading"),
        ("{literal: x, type: file, filename: a/b}", "it has a slash in it"),
        ("{literal: x, type: file, filename: ..}", "it means a directory"),
        ("{literal: x, type: file, filename: ''}", "it is empty"),
        ("{literal: x, type: file, filename: B}", "`A` and `B` are both the file `B`"),
    ] {
        let config = format!("envs: {{dev: {{A: {variable}, B: {{literal: x, type: file}}}}}}\n");
        let _ = Dsops::new().config(config).args(["validate"]).run().code(3).stderr_has(message);
    }
    for mode in ["0400", "'0400'", "0o400", "\"0o400\""] {
        let config = format!("envs: {{dev: {{A: {{literal: x, type: file, mode: {mode}}}}}}}\n");
        let run =
            Dsops::new().config(config).args(["exec", "--env", "dev", "--", "sh", "-c", "stat -L -c %a $A"]);
        let _ = run.run().code(0).stdout("400\n");
    }
}

#[test]
fn a_plan_says_which_variables_are_files() {
    let run = |args: &[&str]| Dsops::new().config(CONFIG).env("THE_KEY", VALUE).args(args).run().code(0);
    let _ = run(&["plan", "--env", "dev"]).stdout_has("key.pem, 0400").stdout_has("BYTES, 0600");
    let json = run(&["plan", "--env", "dev", "--json"]).json();
    assert_eq!(json["variables"][0]["type"], "file");
    assert_eq!(json["variables"][0]["mode"], "0400");
    assert_eq!(json["variables"][0]["filename"], "key.pem");
    assert_eq!(json["variables"][2].get("type"), None);
    let output = run(&["exec", "--env", "dev", "--print"]);
    let _ = output.stdout_has("a file, 0400").stdout_has("a file, 0600").never_shows("BEGIN");
}

#[test]
fn the_value_is_had_as_ever_and_a_path_is_not_rendered() {
    let run = |args: &[&str]| {
        let run = Dsops::new().config(CONFIG).env("THE_KEY", VALUE).file("t.j2", "{{ KEY }}{{ PLAIN }}");
        run.args(args).run()
    };
    let _ = run(&["get", "--env", "dev", "KEY"]).code(0).stdout(VALUE);
    for format in ["dotenv", "shell", "json", "yaml"] {
        let output = run(&["render", "--env", "dev", "--format", format]).code(3).stdout_empty();
        let _ = output.stderr_has("dsops::render::file_variable").stderr_has("`KEY` is a file");
    }
    let config = "envs: {dev: {KEY: {literal: content, type: file}}}";
    let run = Dsops::new().config(config).file("t.j2", "{{ KEY }}!");
    let _ = run.args(["render", "--env", "dev", "--template", "t.j2"]).run().code(0).stdout("content!");
}
