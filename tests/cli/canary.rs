//! No value where none was asked for: every command and every failure with marked values, and a search for them.
//!
//! The commands are taken from the program's own help, so that a new one needs a case here or a place among
//! those that hold no values.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nix::sys::signal::Signal;

use crate::support::{Dsops, Output, Terminal};

/// Every value of this test is or contains it.
const MARK: &str = "kEeP7tHiS0ut3OfSiGhT";
/// A part of a value that is as bad as the whole.
const PART: usize = 8;

/// Commands that read no value: their output is the same whatever the stores hold.
const HOLD_NO_VALUES: &[&str] = &["help", "version", "schema", "completion", "man"];

/// The file of the tests. Values stand in it, and in a comment that was one.
const CONFIG: &str = "\
secretStores:
  lit: {type: literal, values: {KEY: MARK, JSON: '{\"a\": \"MARK\"}', EMPTY: '', folder/KEY: MARK, again/KEY: MARK, steering/LD_PRELOAD: MARK}}
  env: {type: env, prefix: APP_}
  file: {type: dotenv, path: values.env}
  prog: {type: exec, command: ./program, env: {TOKEN: \"${TOKEN}\", OTHER: {from: lit/KEY}}}
  garbage: {type: exec, command: ./garbage, env: {TOKEN: MARK}}
  refusing: {type: exec, command: ./refusing, env: {TOKEN: \"${UNSET:-MARK}\"}}
  net:
    type: infisical
    project_id: 64f7e4d2-1234-5678-abcd-1234567890ab
    environment: dev
    host: http://127.0.0.1:9
    timeout_ms: 300
    auth: {method: machine_identity, client_id: MARK, client_secret: \"${TOKEN}\"}
transforms: {pick: [\"json_extract:.a\"]}
envs:
  dev:
    import: {store: lit/folder, prefix: P_}
    A: {literal: MARK} # was MARK
    # OLD: {literal: MARK}
    B: {from: lit/KEY}
    C: {from: env/KEY}
    D: {from: file/KEY}
    E: {from: prog/KEY}
    F: {from: lit/NONE, default: MARK}
    G: {from: lit/NONE, optional: true}
    H: {from: lit/JSON, transform: pick}
    I: {from: lit/KEY, transform: base64_encode}
  json: {A: {from: lit/KEY, transform: \"json_extract:.a\"}, B: {literal: MARK}}
  yaml: {A: {literal: \"a: [MARK\", transform: \"yaml_extract:.a\"}}
  pointer: {A: {from: lit/JSON, transform: \"json_extract:.a.b.c\"}}
  base64: {A: {literal: \"MARK!\", transform: base64_decode}}
  regex: {A: {literal: MARK, transform: [base64_encode, \"json_extract:.a\"]}}
  absent: {A: {from: lit/MISSING}, B: {from: env/MISSING}, C: {from: file/MISSING}, D: {literal: MARK}}
  empty: {A: {from: lit/EMPTY, non_empty: true}, B: {literal: MARK}}
  garbled: {A: {from: garbage/KEY}, B: {literal: MARK}}
  refused: {A: {from: refusing/KEY}, B: {literal: MARK}}
  steering: {import: {store: lit/steering}, B: {literal: MARK}}
  collides: {import: [{store: lit/folder}, {store: lit/again}], KEY: {literal: MARK}, INHERITED: {literal: MARK-new}}
  unreachable: {A: {from: net/KEY}, B: {literal: MARK}}
  lines: {A: {literal: \"MARK\\nMARK\"}}
  files: {A: {from: lit/KEY, type: file}, B: {from: env/KEY, type: file, mode: 0600, filename: b.pem}, C: {literal: MARK}}
  nul: {A: {literal: \"AE1BUks=\", transform: base64_decode}, B: {literal: MARK}}
agents:
  openclaw: {env: dev, raw: on, ids: {some/alias: {literal: MARK}, alias: lit/KEY}}
";

/// Files with a mistake each, whose lines and neighbours hold values.
const BROKEN: &[&str] = &[
    "envs:\n  dev:\n    A: {literal: \"MARK}\n    B: {literal: x}\n",
    "envs:\n  dev:\n    A: {literal: MARK}\n\tB: {literal: x}\n",
    "envs:\n  dev:\n    A:\n      literal: |\n        MARK: x\n        user MARK pass: MARK\n    B: {\n",
    "envs:\n  dev:\n    A: {literal: MARK: x}\n    B: [MARK\n",
    "envs:\n  dev: {A: {literal: @MARK}}\n",
    "envs:\n  dev: {A: {literal: *MARK}}\n",
    "envs:\n  dev: {A: {literal: &MARK}}\n",
    "envs:\n  dev: {A: {literal: !MARK x}}\n",
    "envs:\n  dev: {A: {literal: \"\\MARK\"}}\n",
    "envs:\n  dev: {A: {literal:MARK}}\n",
    "envs:\n  dev: {A: {MARK}}\n",
    "envs:\n  dev: {A: MARK}\n",
    "envs:\n  dev: {A: [MARK]}\n",
    "envs:\n  dev: [\"A=MARK\"]\n",
    "envs:\n  dev: {A: {literal: [MARK]}}\n",
    "envs:\n  dev: {A: {litteral: MARK, form: MARK}}\n",
    "envs:\n  dev: {A: {literal: MARK, from: lit/KEY}}\n",
    "envs:\n  dev: {A: {literal: MARK, default: MARK}}\n",
    "envs:\n  dev: {A: {literal: x, type: MARK}}\n",
    "envs:\n  dev: {A: {literal: x, type: file, mode: MARK}}\n",
    "envs:\n  dev: {A: {literal: x, type: file, filename: a/MARK}}\n",
    "envs:\n  dev: {A: {literal: x, filename: MARK}}\n",
    "envs:\n  dev: {A: {from: MARK}}\n",
    "envs:\n  dev: {A: {from: \"postgres://user:MARK@host/db\"}}\n",
    "envs:\n  dev: {A: {from: [MARK]}}\n",
    "envs:\n  dev: {A: {from: gone/KEY, default: MARK, metadata: {old: MARK}}}\n",
    "envs:\n  dev: {A: {literal: MARK}, A: {literal: MARK}}\n",
    "envs:\n  dev: {A: {literal: MARK, transform: nope}}\n",
    "env:\n  dev: {A: {literal: MARK}}\n",
    "secretStore:\n  s: {type: env, token: MARK}\n",
    "secretStores:\n  s: {type: literal, value: {KEY: MARK}}\n",
    "secretStores:\n  s: {type: literal, values: [MARK]}\n",
    "secretStores:\n  s: {type: literal, values: {K: {nested: MARK}}}\n",
    "secretStores:\n  s: {type: nosuch, token: MARK, password: MARK}\n",
    "secretStores:\n  s: MARK\n",
    "secretStores:\n  s: {type: exec, command: ./x, env: {TOKEN: MARK}, timeout: never}\n",
    "secretStores:\n  s: {type: exec, command: ./x, env: {TOKEN: \"${X:-MARK\"}}\n",
    "secretStores:\n  s: {type: exec, command: ./x, args: [\"--token=MARK\"], nope: 1}\n",
    "secretStores:\n  s: {type: infisical, auth: {method: service_token, token: MARK}, nope: 1}\n",
    "secretStores:\n  s: {type: infisical, host: \"https://u:MARK@host\", auth: {method: service_token, token: MARK}}\n",
    "notifications: {slack: {webhook: MARK}}\nversion: 7\n",
    "# MARK\nversion: 7 # MARK\n",
    "templates: &x {a: MARK}\nenvs: {dev: {A: {literal: *x}}}\n",
    "envs: {dev: {? [MARK] : x}}\n",
    "TOKEN=MARK\n",
    "TOKEN: MARK\nPASSWORD: MARK\n",
    "- MARK\n",
    "{\"client_secret\": \"MARK\"}\n",
    "-----BEGIN PRIVATE KEY-----\nMARK\n-----END PRIVATE KEY-----\n",
    "envs: {dev: {}}\n---\nMARK\n",
    "policies: {secret_complexity: {min: 3}}\nenvs: {dev: {A: {literal: MARK}}}\n",
];

/// In the place of systemd-creds: it repeats what it was given where it fails.
const SYSTEMD_CREDS: &str = "#!/bin/sh\ncase \"$*\" in *with-key=none*) cat >&2; exit 1 ;; esac\ncat > /dev/null\n\
    cat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' > seen-by-creds\necho encrypted\n";

/// Prepares a run in a place where every kind of store holds marked values.
fn world(config: &str) -> Dsops {
    let answer = "#!/bin/sh\ncat >/dev/null\ncat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' > seen-by-program\n\
                  printf '{\"protocolVersion\":1,\"values\":{\"KEY\":\"%s\"}}' \"$TOKEN\"\n";
    let garbage = "#!/bin/sh\necho \"$TOKEN\" >&2\necho \"$TOKEN is no JSON\"\n";
    let refusing = "#!/bin/sh\ncat >/dev/null\necho \"token $TOKEN was refused\" >&2\nexit 1\n";
    let dsops = Dsops::new();
    let (path, github, bash) = (dsops.path("bin"), dsops.path("github-env"), dsops.path("bash-env"));
    dsops
        .config(config.replace("MARK", MARK))
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", path.display()))
        .env("GITHUB_ENV", github)
        .env("BASH_ENV", bash)
        .file("values.env", format!("KEY={MARK}\n# OTHER={MARK}\n"))
        .file("broken.env", format!("KEY='{MARK}\n{MARK}\n"))
        .file("secret.txt", MARK)
        .file("template.j2", "a={{ A }}\n")
        .file("broken.j2", "{{ A.b.c }} {{ A | nope }}\n")
        .program("program", answer)
        .program("garbage", garbage)
        .program("refusing", refusing)
        .program(
            "bin/buildkite-agent",
            "#!/bin/sh\ncat\ncat /proc/*/cmdline 2>/dev/null | tr '\\0' ' ' > seen-by-agent\n",
        )
        .program("bin/systemd-creds", SYSTEMD_CREDS)
        .file("github-env", "")
        .file("creds/OLD", "")
        .env("APP_KEY", MARK)
        .env("TOKEN", MARK)
        .env("INHERITED", MARK)
        // Whatever may come to listen to one of these must not tell values either.
        .env("RUST_LOG", "trace")
        .env("DSOPS_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
}

/// What is searched for: parts of the value, of its base64 at each of the three alignments, and of its hex.
static NEEDLES: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(|| {
    let mut texts = vec![MARK.to_owned(), MARK.bytes().map(|byte| format!("{byte:02x}")).collect()];
    for shift in 0..3 {
        let encoded = BASE64_STANDARD.encode([&vec![b' '; shift], MARK.as_bytes()].concat());
        // The first four signs hold the bytes in front, the last four whatever comes behind.
        texts.push(encoded[4..encoded.len() - 4].to_owned());
    }
    let parts = |text: &String| text.as_bytes().windows(PART).map(<[u8]>::to_vec).collect::<Vec<_>>();
    texts.iter().flat_map(parts).collect()
});

fn shows_a_value(bytes: &[u8]) -> bool {
    // Most windows differ in their first bytes already, which is cheap to see.
    let starts: HashSet<&[u8]> = NEEDLES.iter().map(|needle| &needle[..2]).collect();
    bytes.windows(PART).any(|window| starts.contains(&window[..2]) && NEEDLES.contains(window))
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).unwrap_or_default();
            found.insert(path, content);
        }
    }
    found
}

/// Which of what a run leaves behind may hold values, since it was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Stdout,
    File(&'static str),
}

/// Runs, and searches stdout, stderr and every file that the run wrote.
#[track_caller]
fn search(run: Dsops, asked: Asked) -> Output {
    let before = files(&run.path(".."));
    let output = run.run();
    assert!(!shows_a_value(output.stderr_bytes()), "a value on stderr\n{output}");
    if asked != Asked::Stdout {
        assert!(!shows_a_value(output.stdout_bytes()), "a value on stdout\n{output}");
    }
    for (path, content) in files(&output.root().join("work/..")) {
        let known = before.get(&path) == Some(&content);
        let wanted = matches!(asked, Asked::File(name) if path.ends_with(name));
        assert!(known || wanted || !shows_a_value(&content), "a value in {}\n{output}", path.display());
    }
    output
}

/// One way of running a command that must come to this exit code.
struct Case {
    args: &'static [&'static str],
    exit: i32,
    asked: Asked,
}

const fn case(args: &'static [&'static str], exit: i32) -> Case {
    Case { args, exit, asked: Asked::Nothing }
}

const fn shows(args: &'static [&'static str]) -> Case {
    Case { args, exit: 0, asked: Asked::Stdout }
}

/// The commands with the file as it is.
const CASES: &[Case] = &[
    case(&["exec", "--env", "dev", "--print"], 0),
    case(&["exec", "--env", "dev", "--stats", "--", "true"], 0),
    case(&["exec", "--env", "dev", "--timeout", "1m", "--", "true"], 0),
    case(&["exec", "--env", "dev", "--mask", "--", "sh", "-c", "env; env >&2; cat secret.txt values.env"], 0),
    case(&["exec", "--env", "dev", "--mask", "--", "sh", "-c", "env | base64 -w0"], 0),
    case(&["exec", "--env", "dev", "--mask", "--", "no-such-command"], 127),
    case(&["exec", "--env", "dev", "--clean", "--", "no-such-command"], 127),
    case(&["exec", "--env", "dev", "--", "./secret.txt"], 126),
    case(&["exec", "--env", "dev", "--working-dir", "nowhere", "--", "true"], 125),
    case(&["mask", "--env", "dev"], 0),
    // The file is not looked for here. What these do with one is below.
    case(&["helper", "git", "get"], 0),
    case(&["helper", "git", "store"], 0),
    case(&["helper", "askpass", "Enter PIN: "], 1),
    case(&["helper", "docker", "get"], 1),
    case(&["helper", "aws", "deploy"], 3),
    case(&["helper", "kube", "staging"], 3),
    case(&["exec", "--env", "dev", "--watch", "--interval", "1h", "--", "true"], 0),
    case(&["render", "--env", "dev", "--watch", "--out", "nowhere/out.env"], 6),
    case(&["exec", "--env", "files", "--", "sh", "-c", "cat $A $B > /dev/null"], 0),
    case(&["exec", "--env", "files", "--supervise", "--", "sh", "-c", "cat $A $B > /dev/null"], 0),
    case(&["exec", "--env", "files", "--files-dir", ".", "--", "sh", "-c", "cat $A $B > /dev/null"], 0),
    case(&["exec", "--env", "files", "--files-dir", ".", "--", "sh", "-c", "cp $A $(dirname $A)/copy"], 0),
    case(&["exec", "--env", "files", "--files-dir", "nowhere", "--", "true"], 125),
    case(&["exec", "--env", "files", "--files-dir", ".", "--", "no-such-command"], 127),
    case(&["exec", "--env", "files", "--print"], 0),
    case(&["plan", "--env", "files"], 0),
    case(
        &["exec", "--env", "dev", "--clean", "--keep", "TOKEN,NONE,INHER*", "--prefix", "X_", "--", "true"],
        0,
    ),
    case(&["exec", "--env", "steering", "--", "true"], 125),
    case(&["exec", "--env", "collides", "--", "true"], 0),
    case(&["shell", "--env", "dev", "--", "-c", ":"], 0),
    case(&["shell", "--env", "absent"], 125),
    shows(&["env", "--env", "dev"]),
    shows(&["env", "--env", "dev", "--shell", "fish"]),
    shows(&["env", "--env", "dev", "--shell", "nu"]),
    case(&["env", "--env", "absent"], 5),
    case(&["env", "--env", "nul"], 7),
    case(&["env", "--unset"], 0),
    case(&["hook", "bash", "--env", "dev"], 0),
    case(&["hook", "nushell"], 0),
    case(&["hook-env", "bash", "--default=dev"], 0),
    case(&["hook-env", "bash", "--default=dev", "--load"], 0),
    case(&["trust", "--yes"], 0),
    case(&["trust", "--list"], 0),
    case(&["trust", "--revoke"], 0),
    case(&["trust"], 2),
    case(&["reload"], 10),
    shows(&["env", "--env", "files"]),
    case(&["shell", "--env", "files", "--", "-c", "cat $A $B > /dev/null"], 0),
    case(&["plan", "--env", "dev"], 0),
    case(&["plan", "--env", "dev", "--json"], 0),
    case(&["plan", "--env", "dev", "--policy"], 0),
    case(&["plan", "--env", "unreachable", "--policy", "--json"], 0),
    shows(&["get", "--env", "dev", "A"]),
    shows(&["get", "--env", "dev", "E", "--json"]),
    shows(&["get", "lit/KEY"]),
    case(&["get", "lit/NONE"], 5),
    case(&["get", "--env", "dev", "G"], 5),
    case(&["get", "--env", "dev", "NONE"], 5),
    case(&["get", "garbage/KEY"], 6),
    shows(&["render", "--env", "dev"]),
    Case { args: &["render", "--env", "dev", "--out", "out.env"], exit: 0, asked: Asked::File("out.env") },
    Case { args: &["render", "--env", "dev", "--out", "out.json"], exit: 0, asked: Asked::File("out.json") },
    Case {
        args: &["render", "--env", "dev", "--out", "out.env", "--ttl", "1s"],
        exit: 0,
        asked: Asked::File("out.env"),
    },
    case(&["render", "--env", "files"], 3),
    case(&["render", "--env", "dev", "--ttl", "1m", "--out", "nowhere/out.env"], 6),
    case(&["render", "--env", "dev", "--out", "nowhere/out.env"], 6),
    shows(&["render", "--env", "dev", "--format", "toml"]),
    shows(&["render", "--env", "dev", "--format", "docker"]),
    shows(&["render", "--env", "dev", "--format", "k8s", "--name", "app"]),
    shows(&["render", "--env", "dev", "--format", "systemd"]),
    shows(&["render", "--env", "dev", "--format", "gitlab"]),
    shows(&["render", "--env", "dev", "--format", "azure"]),
    shows(&["render", "--env", "dev", "--format", "github", "--out", "-"]),
    Case {
        args: &["render", "--env", "dev", "--format", "github"],
        exit: 0,
        asked: Asked::File("github-env"),
    },
    Case {
        args: &["render", "--env", "dev", "--format", "circleci"],
        exit: 0,
        asked: Asked::File("bash-env"),
    },
    // The agent and systemd-creds are given the values, and write nothing.
    case(&["render", "--env", "dev", "--format", "buildkite"], 0),
    case(&["render", "--env", "dev", "--format", "systemd-creds", "--out", "creds"], 0),
    case(&["render", "--env", "dev", "--format", "systemd-creds", "--out", "creds", "--with-key", "none"], 6),
    case(&["render", "--env", "dev", "--format", "k8s", "--name", "No_Name"], 2),
    case(&["render", "--env", "lines", "--format", "docker"], 7),
    case(&["render", "--env", "lines", "--format", "gitlab"], 7),
    case(&["render", "--env", "lines", "--format", "azure"], 7),
    case(&["render", "--env", "nul", "--format", "systemd"], 7),
    case(&["render", "--env", "nul", "--format", "github"], 7),
    case(&["render", "--env", "dev", "--template", "broken.j2"], 7),
    case(&["doctor"], 1),
    case(&["doctor", "--verbose", "--json"], 1),
    case(&["doctor", "--env", "dev"], 0),
    case(&["doctor", "--env", "dev", "--verbose"], 0),
    case(&["doctor", "--env", "dev", "--json"], 0),
    case(&["validate"], 0),
    case(&["validate", "--strict"], 1),
    case(&["stores"], 0),
    case(&["stores", "--json"], 0),
    case(&["stores", "--types"], 0),
    case(&["infisical", "projects"], 6),
    case(&["infisical", "environments", "--json"], 6),
    case(&["infisical", "folders"], 6),
    case(&["infisical", "secrets", "--recursive"], 6),
    case(&["init", "--yes", "--type", "infisical"], 1),
    case(&["version", "--json"], 0),
    case(&["schema"], 0),
    case(&["completion", "bash"], 0),
    case(&["cache", "status"], 0),
    case(&["cache", "clear"], 0),
    case(&["exec-provider"], 2),
    case(&["openclaw", "install", "--dir", "/dev/null/x"], 2),
    case(&["openclaw", "check"], 1),
    case(&["openclaw", "check", "--settings", "secret.txt"], 3),
    case(&["man", "exec"], 0),
    case(&["help", "get"], 0),
];

/// The commands of the encrypted file, one after another, with the value from stdin and from a file.
const LOCAL: &str = "set -e
\"$0\" local init --file v.age --identity id
\"$0\" local set --file v.age --identity id KEY < secret.txt
\"$0\" local set --file v.age --identity id --comment remark KEY --from-file secret.txt
\"$0\" local get --file v.age --identity id KEY > /dev/null
\"$0\" local get --file v.age --identity id KEY@v9 || true
\"$0\" local list --file v.age --identity id
\"$0\" local history --file v.age --identity id KEY
\"$0\" local recipients --file v.age --identity id
\"$0\" local rekey --file v.age --identity id
\"$0\" local delete --file v.age --identity id KEY
";

/// Returns the commands that the help lists, without aliases.
fn commands(path: &[&str]) -> Vec<String> {
    let output = Dsops::new().args(["help"]).args(path).run().code(0);
    let text = String::from_utf8(output.stdout_bytes().to_vec()).unwrap();
    let list =
        text.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
    let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_case() {
    let listed = commands(&[]);
    assert!(listed.len() > 10, "the help was not understood: {listed:?}");
    for command in &listed {
        let run = CASES.iter().any(|case| case.args.first() == Some(&command.as_str()));
        let scripted = LOCAL.contains(&format!("\"$0\" {command} "));
        let none = HOLD_NO_VALUES.contains(&command.as_str());
        assert!(run || scripted || none, "`dsops {command}` has no case in {}", file!());
    }
    for command in commands(&["infisical"]).iter().filter(|command| *command != "help") {
        let run = CASES.iter().any(|case| case.args.starts_with(&["infisical", command]));
        assert!(run, "`dsops infisical {command}` has no case in {}", file!());
    }
    for group in ["openclaw", "helper"] {
        for command in commands(&[group]).iter().filter(|command| *command != "help") {
            let run = CASES.iter().any(|case| case.args.starts_with(&[group, command]));
            assert!(run, "`dsops {group} {command}` has no case in {}", file!());
        }
    }
    for command in commands(&["local"]).iter().filter(|command| *command != "help") {
        let scripted = LOCAL.contains(&format!("\"$0\" local {command} "));
        assert!(scripted, "`dsops local {command}` has no case in {}", file!());
    }
}

#[test]
fn the_search_finds_what_it_looks_for() {
    assert!(shows_a_value(format!("x{}y", &MARK[3..3 + PART]).as_bytes()));
    for shift in 0..3 {
        let encoded = BASE64_STANDARD.encode(format!("{}{MARK} and more", "x".repeat(shift)));
        assert!(shows_a_value(encoded.as_bytes()), "{encoded}");
    }
    assert!(!shows_a_value(b"nothing of interest stands here"));
    let output = world(CONFIG).args(["get", "lit/KEY"]).run().code(0);
    assert!(shows_a_value(output.stdout_bytes()));
}

#[test]
fn no_command_shows_a_value_that_was_not_asked_for() {
    for Case { args, exit, asked } in CASES {
        let _ = search(world(CONFIG).args(*args), *asked).code(*exit);
        if *exit != 0 {
            let json = world(CONFIG).args(["--error-format", "json"]).args(*args);
            let _ = search(json, *asked).code(*exit);
        }
    }
}

#[test]
fn in_ci_a_value_is_in_the_masks_and_nowhere_else() {
    for (name, value) in [("GITHUB_ACTIONS", "true"), ("TF_BUILD", "True")] {
        // On stderr, which is a pipe: what the search of the other tests would find.
        let run = world(CONFIG).env(name, value).args(["exec", "--env", "dev", "--", "true"]);
        let output = run.run().code(0).stdout_empty();
        let text = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
        let is_mask =
            |line: &&str| line.starts_with("::add-mask::") || line.starts_with("##vso[task.setsecret]");
        let (masks, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(is_mask);
        assert!(masks.iter().any(|line| shows_a_value(line.as_bytes())), "{output}");
        assert!(!shows_a_value(rest.join("\n").as_bytes()), "{output}");
        // To a file, they are not written at all.
        let shell = world(CONFIG).env(name, value).instead("/bin/sh");
        let script = "exec \"$0\" exec --env dev -- true >out 2>err";
        let _ = search(shell.args(["-c", script, env!("CARGO_BIN_EXE_dsops")]), Asked::Nothing).code(0);
    }
    for name in ["BUILDKITE", "GITLAB_CI", "CIRCLECI"] {
        let _ = search(
            world(CONFIG).env(name, "true").args(["exec", "--env", "dev", "--", "true"]),
            Asked::Nothing,
        )
        .code(0);
    }
}

#[test]
fn no_failure_shows_a_value() {
    for (environment, exit) in [
        ("json", 7),
        ("yaml", 7),
        ("pointer", 7),
        ("base64", 7),
        ("regex", 7),
        ("absent", 5),
        ("empty", 8),
        ("garbled", 6),
        ("refused", 6),
        ("unreachable", 6),
        ("none", 3),
    ] {
        for format in ["human", "json"] {
            let run = |args: &[&str]| {
                let run = world(CONFIG).args(["--error-format", format]).args(args);
                search(run.args(["--env", environment]), Asked::Nothing)
            };
            let _ = run(&["render"]).code(exit);
            let _ = run(&["get", "A"]).code(exit);
            let _ = run(&["exec", "--print"]).code(125);
            let _ = run(&["doctor"]).code(if exit == 3 { 3 } else { 1 });
        }
    }
    let _ = search(world(CONFIG).args(["exec", "--env", "nul", "--print"]), Asked::Nothing).code(125);
    let _ = search(world(CONFIG).without_env("TOKEN").args(["get", "prog/KEY"]), Asked::Nothing).code(3);
}

#[test]
fn no_mistake_in_a_file_shows_a_value_of_the_file() {
    for config in BROKEN {
        for args in [&["validate"][..], &["exec", "--env", "dev", "--", "true"], &["doctor", "--json"]] {
            for format in ["human", "json"] {
                let run = world(config).args(["--error-format", format]).args(args);
                let output = search(run, Asked::Nothing);
                let _ = output.code(if args[0] == "exec" { 125 } else { 3 }).stderr_has("dsops::");
            }
        }
    }
}

#[test]
fn no_mistake_in_a_file_of_values_shows_one() {
    let config =
        "secretStores: {file: {type: dotenv, path: broken.env}}\nenvs: {dev: {A: {from: file/KEY}}}\n";
    for args in [&["get", "--env", "dev", "A"][..], &["doctor"], &["exec", "--env", "dev", "--", "true"]] {
        let output = search(world(config).args(args), Asked::Nothing);
        assert!(
            String::from_utf8_lossy(output.stderr_bytes()).contains("dsops::") || args[0] == "doctor",
            "{output}"
        );
    }
}

#[test]
fn a_file_that_is_no_configuration_is_not_shown() {
    for name in ["values.env", "secret.txt", "broken.env"] {
        let run = world(CONFIG).args(["validate", "--config", name]);
        let _ = search(run, Asked::Nothing).code(3).stdout_empty();
    }
}

#[test]
fn the_filter_lets_no_value_through() {
    let text = format!("{MARK}{MARK} {} {}", BASE64_STANDARD.encode(format!("user:{MARK}")), &MARK[..7]);
    let output = search(world(CONFIG).args(["mask", "--env", "dev"]).stdin(text), Asked::Nothing).code(0);
    assert!(output.stdout_bytes().ends_with(&MARK.as_bytes()[..7]), "{output}");
    for environment in ["absent", "garbled", "unreachable", "none"] {
        let run = world(CONFIG).args(["mask", "--env", environment]).stdin(MARK);
        let _ = search(run, Asked::Nothing).stdout_empty();
    }
}

/// What `helpers` adds to the file of the tests.
const HELPERS: &str = "\
helpers:
  git:
    a.example: {username: {literal: me}, password: lit/KEY}
    lines.example: {username: {literal: me}, password: {literal: \"MARK\\nMARK\"}}
    user.example: {username: {literal: \"MARK\\nMARK\"}, password: lit/KEY}
    refused.example: {username: lit/KEY, password: refusing/KEY}
    garbled.example: {username: {literal: MARK}, password: garbage/KEY}
    absent.example: {username: {literal: MARK}, password: lit/MISSING}
  askpass:
    PIN: lit/KEY
    LINES: {literal: \"MARK\\nMARK\"}
    REFUSED: refusing/KEY
    GARBLED: garbage/KEY
";

fn helper(args: &[&str]) -> Dsops {
    let run = world(&format!("{CONFIG}{HELPERS}"));
    let file = run.path("dsops.yaml");
    run.env("DSOPS_CONFIG", file).args(["helper"]).args(args)
}

/// What `helpers` adds to the file of the tests for those that answer with JSON.
const JSON_HELPERS: &str = "\
helpers:
  docker:
    a.example: {username: {literal: me}, password: lit/KEY}
    user.example: {username: {literal: \"MARK:MARK\"}, password: lit/KEY}
    refused.example: {username: lit/KEY, password: refusing/KEY}
    garbled.example: {username: lit/KEY, password: garbage/KEY}
    absent.example: {username: lit/KEY, password: lit/MISSING}
  aws:
    a: {access_key_id: lit/KEY, secret_access_key: lit/KEY, session_token: lit/KEY, refresh: 15m}
    spaced: {access_key_id: lit/KEY, secret_access_key: {literal: \"MARK MARK\"}}
    refused: {access_key_id: lit/KEY, secret_access_key: refusing/KEY}
    garbled: {access_key_id: lit/KEY, secret_access_key: garbage/KEY}
  kube:
    a: {token: lit/KEY}
    bound: {token: lit/KEY, server: 'https://a.example'}
    spaced: {token: {literal: \"MARK\\n\"}}
    pem: {client_certificate: lit/KEY, client_key: lit/KEY}
    refused: {token: refusing/KEY}
    garbled: {token: garbage/KEY}
";

fn json_helper(args: &[&str]) -> Dsops {
    let run = world(&format!("{CONFIG}{JSON_HELPERS}"));
    let file = run.path("dsops.yaml");
    run.env("DSOPS_CONFIG", file).args(["helper"]).args(args)
}

#[test]
fn a_helper_tells_its_value_to_whoever_may_have_it_and_nowhere_else() {
    let git = |host: &str| {
        // Whoever calls may send a password, too.
        let request = format!("protocol=https\nhost={host}\npassword={MARK}\nfuture={MARK}\n\n");
        helper(&["git", "get"]).stdin(request)
    };
    let output = search(git("a.example"), Asked::Stdout).code(0);
    assert!(shows_a_value(output.stdout_bytes()), "{output}");
    let _ = search(git("none.example"), Asked::Nothing).code(0).stdout_empty();
    for (host, code) in
        [("lines", 7), ("user", 7), ("refused", 6), ("garbled", 6), ("absent", 5), (&format!("a\r{MARK}"), 2)]
    {
        let _ = search(git(&format!("{host}.example")), Asked::Nothing).code(code).stdout("quit=1\n");
    }
    let _ = search(helper(&["git", "get"]).stdin(format!("password={MARK}\n{MARK}")), Asked::Nothing).code(2);
    for action in ["store", "erase"] {
        let request = format!("protocol=https\nhost=a.example\npassword={MARK}\n\n");
        let _ = search(helper(&["git", action]).stdin(request), Asked::Nothing).code(0).stdout_empty();
    }
    let output = search(helper(&["askpass", "PIN: "]), Asked::Stdout).code(0);
    assert!(shows_a_value(output.stdout_bytes()), "{output}");
    for (prompt, code) in [("OTHER: ", 1), ("LINES", 7), ("REFUSED", 6), ("GARBLED", 6)] {
        let _ = search(helper(&["askpass", prompt]), Asked::Nothing).code(code).stdout_empty();
    }
}

#[test]
fn a_helper_that_answers_with_json_has_its_value_there_and_nowhere_else() {
    for run in [
        json_helper(&["docker", "get"]).stdin("a.example"),
        json_helper(&["aws", "a"]),
        json_helper(&["kube", "a"]),
        json_helper(&["kube", "bound"]),
    ] {
        let output = search(run, Asked::Stdout).code(0);
        assert!(shows_a_value(output.stdout_bytes()), "{output}");
    }
    for host in ["user.example", "refused.example", "garbled.example", "absent.example", "none.example"] {
        let _ = search(json_helper(&["docker", "get"]).stdin(host), Asked::Nothing).code(1);
    }
    // Whoever calls may send a password, too.
    for server in ["a.example", "none.example", "refused.example"] {
        let login = format!(r#"{{"ServerURL":"{server}","Username":"{MARK}","Secret":"{MARK}"}}"#);
        let _ = search(json_helper(&["docker", "store"]).stdin(login), Asked::Nothing).code(1);
    }
    for written in [MARK.to_owned(), format!(r#"{{"ServerURL":"a.example","Secret":["{MARK}"]}}"#)] {
        let _ = search(json_helper(&["docker", "store"]).stdin(written), Asked::Nothing).code(1);
    }
    let address = format!("https://user:{MARK}@a.example");
    for action in ["get", "erase"] {
        let _ = search(json_helper(&["docker", action]).stdin(address.clone()), Asked::Nothing).code(1);
    }
    let _ = search(json_helper(&["docker", "list"]), Asked::Stdout).code(0);
    for (name, code) in [("spaced", 7), ("refused", 6), ("garbled", 6), ("none", 3)] {
        let _ = search(json_helper(&["aws", name]), Asked::Nothing).code(code).stdout_empty();
        let _ = search(json_helper(&["kube", name]), Asked::Nothing).code(code).stdout_empty();
    }
    let _ = search(json_helper(&["kube", "pem"]), Asked::Nothing).code(7).stdout_empty();
    let asked = |server: &str| {
        format!(
            r#"{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{{"cluster":{{"server":"{server}"}}}}}}"#
        )
    };
    for (name, request, code) in [
        ("bound", asked(&format!("https://user:{MARK}@b.example")), 10),
        ("bound", MARK.to_owned(), 2),
        ("a", asked("x").replace("\"x\"", &format!("[\"{MARK}\"]")), 2),
    ] {
        let run = json_helper(&["kube", name]).env("KUBERNETES_EXEC_INFO", request);
        let _ = search(run, Asked::Nothing).code(code).stdout_empty();
    }
}

#[test]
fn a_terminal_shows_no_value_that_is_masked() {
    let script = "env; set; export -p; cat values.env; printf '%q ' \"$H\"";
    let run = world(CONFIG).args(["exec", "--env", "dev", "--mask", "--", "bash", "-c", script]);
    let output = Terminal::start(run).wait().code(0);
    assert!(!shows_a_value(output.stdout_bytes()), "a value on the terminal\n{output}");
}

#[test]
fn a_program_that_asks_gets_what_it_asks_for_and_nothing_else() {
    let ask = |options: &[&str], ids: &str| {
        let run = world(CONFIG);
        let path = run.path("dsops.yaml");
        let request = format!("{{\"protocolVersion\":1,\"provider\":\"p\",\"ids\":[{ids}]}}");
        run.env("DSOPS_CONFIG", path).args(["exec-provider"]).args(options).stdin(request)
    };
    let output = search(ask(&[], "\"A\",\"E\",\"some/alias\",\"lit/KEY\""), Asked::Stdout).code(0);
    assert!(shows_a_value(output.stdout_bytes()), "{output}");
    let _ = search(ask(&[], "\"G\",\"NONE\",\"lit/NONE\",\"no id\",\"../A\""), Asked::Nothing).code(0);
    for environment in
        ["json", "yaml", "pointer", "base64", "regex", "absent", "empty", "garbled", "refused", "unreachable"]
    {
        let _ = search(ask(&["--env", environment], "\"A\",\"NONE\""), Asked::Nothing).code(0);
    }
    let _ = search(ask(&[], "\"A\",1"), Asked::Nothing).code(2);
    // A request that is none is not repeated: somebody may have sent a value.
    let _ = search(ask(&[], "").stdin(MARK), Asked::Nothing).code(2);
    let _ = search(ask(&[], &format!("\"{MARK}\",1")), Asked::Nothing).code(2);
    let _ = search(ask(&["--profile", "nobody"], "\"A\""), Asked::Nothing).code(3);
    for config in BROKEN {
        let run = world(config);
        let path = run.path("dsops.yaml");
        let run = run.env("DSOPS_CONFIG", path).args(["exec-provider"]);
        let _ =
            search(run.stdin("{\"protocolVersion\":1,\"provider\":\"p\",\"ids\":[\"A\"]}"), Asked::Nothing)
                .code(3);
    }
}

#[test]
fn the_encrypted_file_shows_no_value() {
    let run = world(CONFIG).instead("/bin/sh").args(["-c", LOCAL, env!("CARGO_BIN_EXE_dsops")]);
    let _ = search(run, Asked::Nothing).code(0);
}

#[test]
fn an_exchange_as_openclaw_has_it_shows_no_value() {
    let script = "\"$0\" openclaw install --config \"$PWD/dsops.yaml\" > settings.json
        \"$0\" openclaw check --settings settings.json > found; rm -r ../home/.local";
    let run = world(CONFIG).instead("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_dsops")]);
    let output = search(run, Asked::Nothing).code(0);
    let found = String::from_utf8_lossy(&output.read("found")).into_owned();
    assert!(found.contains("alias"), "{found}");
}

#[test]
fn a_value_among_the_arguments_is_refused_and_not_repeated() {
    let run = world(CONFIG).args(["local", "set", "--file", "v.age", "KEY", MARK]);
    let _ = search(run, Asked::Nothing).code(2);
}

#[test]
fn the_program_of_one_store_gets_nothing_of_another() {
    let program = "#!/bin/sh\ncat >/dev/null\nenv > seen-by-program\n\
                   printf '{\"protocolVersion\":1,\"values\":{\"KEY\":\"v\"}}'\n";
    let config = CONFIG.replace("env: {TOKEN: \"${TOKEN}\", OTHER: {from: lit/KEY}}", "env: {}");
    let run = world(&config).program("program", program).args(["exec", "--env", "dev", "--", "true"]);
    let output = search(run, Asked::Nothing).code(0);
    assert!(!output.read("seen-by-program").is_empty());
}

#[test]
fn completion_shows_names_only() {
    let run = world(CONFIG).args(["--", "dsops", "get", "--env", "dev", ""]).env("DSOPS_COMPLETE", "bash");
    let output = search(run.env("_CLAP_COMPLETE_INDEX", "4"), Asked::Nothing).code(0);
    let _ = output.stdout_has("A").stdout_has("H").stderr_empty();
}

#[test]
fn no_process_has_a_value_among_its_arguments() {
    for options in
        [&["--env", "dev"][..], &["--env", "dev", "--timeout", "1m"], &["--env", "files", "--supervise"]]
    {
        let run = world(CONFIG).args(["exec"]).args(options);
        let running = run.args(["--", "sh", "-c", "echo started; exec sleep 60"]).start();
        running.until_stdout("started");
        let mut seen = 0;
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(arguments) = fs::read(process.path().join("cmdline")) else { continue };
            seen += 1;
            assert!(!shows_a_value(&arguments), "{}", String::from_utf8_lossy(&arguments));
        }
        assert!(seen > 1, "/proc shows no processes");
    }
}

#[test]
fn only_the_child_has_the_values_in_its_environment() {
    // A value that dsops itself was not started with. The file brings the keeper.
    let config = "envs: {dev: {A: {literal: MARK}, F: {literal: MARK, type: file}}}\n".replace("MARK", MARK);
    let run = Dsops::new().config(config).args(["exec", "--env", "dev", "--timeout", "1m"]);
    // The shell stays what it is: while a process is replaced, its environment reads as empty.
    let running = run.args(["--", "sh", "-c", "echo started; sleep 60; :"]).start();
    running.until_stdout("started");
    let environ = |pid: i32| fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let children =
        fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.pid())).unwrap_or_default();
    let children: Vec<i32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    assert!(children.iter().any(|pid| shows_a_value(&environ(*pid))), "no child of dsops has the value");
    assert!(!shows_a_value(&environ(running.pid().as_raw())), "dsops has the value itself");
    running.signal(Signal::SIGTERM);
    let _ = running.wait().killed_by(Signal::SIGTERM);
}
