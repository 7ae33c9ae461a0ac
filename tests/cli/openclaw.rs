//! `dsops openclaw`: a copy that OpenClaw takes, the settings for it, and a check that finds what OpenClaw would.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::PathBuf;

use nix::unistd::Uid;
use serde_json::{Value, json};

use crate::support::{Dsops, Output};

const VALUE: &str = "value-of-the-test";

const CONFIG: &str = "\
secretStores:
  lit: {type: literal, values: {KEY: value-of-the-test, EMPTY: ''}}
  own: {type: env, prefix: APP_}
  hangs: {type: exec, command: /bin/sh, args: [-c, sleep 600], env: {TOKEN: \"${TOKEN:-none}\", PLACE: \"${PLACE}\"}}
envs:
  good: {GOOD: {from: lit/KEY}}
  mixed:
    GOOD: {from: lit/KEY}
    GONE: {from: lit/NONE}
    MAYBE: {from: lit/NONE, optional: true}
    _ODD: {from: lit/KEY}
  hanging: {GOOD: {from: lit/KEY}, SLOW: {from: hangs/KEY}, OWN: {from: own/KEY}}
agents:
  openclaw: {env: good, ids: {providers/openai/apiKey: lit/KEY}}
  mixed: {env: mixed}
  hanging: {env: hanging, deadline: 1s}
  patient: {env: good, deadline: 10s}
";

/// A user's home with `dsops.yaml` and OpenClaw's settings in it, which several runs share.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::Builder::new().prefix("dsops-openclaw-").tempdir().expect("a directory"));
        fs::write(home.path("dsops.yaml"), CONFIG).expect("a file");
        home
    }

    fn installed() -> Self {
        let home = Self::new();
        let _ = home.run(&["install"]).run().code(0);
        home
    }

    fn path(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.0.path()).expect("it is there").join(path)
    }

    fn copy(&self) -> PathBuf {
        self.path(".local/share/dsops/openclaw/dsops")
    }

    fn run(&self, args: &[&str]) -> Dsops {
        Dsops::new()
            .env("HOME", self.path(""))
            .env("DSOPS_CONFIG", self.path("dsops.yaml"))
            .args(["openclaw"])
            .args(args)
    }

    /// Checks, and returns what was found as `step status message`.
    fn check(&self, args: &[&str], code: i32) -> Vec<String> {
        let output = self.run(&["check", "--json"]).args(args).run().code(code).never_shows(VALUE);
        let found = output.json();
        let providers = found["providers"].as_array().expect("a list").iter();
        let findings = providers.flat_map(|provider| provider["findings"].as_array().expect("a list"));
        let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        findings
            .map(|found| {
                format!("{} {} {}", text(found, "step"), text(found, "status"), text(found, "message"))
            })
            .collect()
    }
}

#[track_caller]
fn has(found: &[String], start: &str, part: &str) {
    assert!(
        found.iter().any(|line| line.starts_with(start) && line.contains(part)),
        "{start} … {part}: {found:#?}"
    );
}

fn provider(output: &Output) -> Value {
    output.json()["secrets"]["providers"]["dsops"].clone()
}

#[test]
fn install_puts_a_private_copy_in_place_and_prints_the_settings() {
    let home = Home::new();
    let output =
        home.run(&["install"]).run().code(0).stderr_has("copied to").stderr_has("dsops openclaw check");
    let copy = home.copy();
    let expected = json!({
        "source": "exec",
        "command": copy,
        "args": ["exec-provider", "--config", home.path("dsops.yaml"), "--profile", "openclaw"],
        "passEnv": ["HOME"],
        "timeoutMs": 5000,
        "noOutputTimeoutMs": 5000,
        "maxOutputBytes": 1_114_112,
        "jsonOnly": true,
        "trustedDirs": [copy.parent()],
    });
    assert_eq!(provider(&output), expected);
    let mode = |path: PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o7777;
    assert_eq!((mode(copy.clone()), mode(home.path(".local/share/dsops/openclaw"))), (0o700, 0o700));
    assert!(fs::read(&copy).expect("a file") == fs::read(env!("CARGO_BIN_EXE_dsops")).expect("a file"));

    let _ = home.run(&["install"]).run().code(0).stderr_has("is up to date");
    fs::write(&copy, "an older version").expect("a file");
    let found = home.check(&[], 1);
    has(&found, "program failed", "another version");
    has(&found, "answer skipped", "");
    let _ = home.run(&["install"]).run().code(0).stderr_has("replaced");
    let found = home.check(&[], 0);
    has(&found, "program ok", "");
    has(&found, "answer ok", "% of 5000 ms");
    has(&found, "id ok", "GOOD");
    has(&found, "id ok", "providers/openai/apiKey");
}

#[test]
fn the_settings_follow_the_profile() {
    let home = Home::new();
    // The names alone are told: a copy is not needed for them.
    let run = |args: &[&str]| {
        let dir = home.path("bin");
        let dir = dir.to_str().expect("text");
        let run = home.run(&["install", "--dir", dir]).args(args);
        run.env("TOKEN", "x").env("HTTPS_PROXY", "http://proxy").env("OTHER", "x").run().code(0)
    };
    let output =
        run(&["--profile", "hanging"]).stderr_has("needed in the environment of OpenClaw: APP_KEY, PLACE");
    let names = ["APP_KEY", "HOME", "HTTPS_PROXY", "PATH", "PLACE", "TOKEN"];
    assert_eq!(provider(&output)["passEnv"], json!(names));
    let patient = provider(&run(&["--profile", "patient"]));
    assert_eq!((&patient["timeoutMs"], &patient["noOutputTimeoutMs"]), (&json!(12_500), &json!(12_500)));
    assert_eq!(patient["args"][5], "--timeout");
    assert_eq!(patient["args"][6], "12500ms");
    let output = run(&["--env", "mixed", "--provider", "vault2"]);
    let args = &output.json()["secrets"]["providers"]["vault2"]["args"];
    assert_eq!(args.as_array().expect("a list").len(), 7, "{args}");
    assert_eq!((&args[5], &args[6]), (&json!("--env"), &json!("mixed")));
}

#[test]
fn what_cannot_be_is_said_before_anything_is_written() {
    let home = Home::new();
    for (args, exit, told) in [
        (&["--profile", "mixd"][..], 3, "did you mean `mixed`?"),
        (&["--env", "none"], 3, "no environment is named `none`"),
        (&["--provider", "Dsops"], 2, "small letters"),
        (&["--config", "none.yaml"], 3, "none.yaml"),
    ] {
        let _ = home.run(&["install"]).args(args).run().code(exit).stderr_has(told).stdout_empty();
        let _ = home.run(&["check"]).args(args).run().code(exit).stderr_has(told).stdout_empty();
    }
    assert!(!home.path(".local").exists());
    fs::create_dir(home.path("open")).expect("a directory");
    fs::set_permissions(home.path("open"), Permissions::from_mode(0o777)).expect("permissions");
    let below = home.path("open/below");
    let _ = home
        .run(&["install", "--dir"])
        .args([&below])
        .run()
        .code(2)
        .stderr_has("others may write to the directory");
    assert!(!below.join("dsops").exists());
    let _ = home.run(&["install", "--dir", "/dev/null/x"]).run().code(2).stderr_has("cannot be made");
}

#[test]
fn a_directory_behind_a_link_is_named_as_it_is() {
    let home = Home::new();
    fs::create_dir(home.path("real")).expect("a directory");
    symlink(home.path("real"), home.path("link")).expect("a link");
    let link = home.path("link/x");
    let output = home.run(&["install", "--dir"]).args([&link]).run().code(0).stderr_has("real/x");
    assert_eq!(provider(&output)["command"], json!(home.path("real/x/dsops")));
    assert_eq!(provider(&output)["trustedDirs"], json!([home.path("real/x")]));
    let found = home.check(&["--dir", link.to_str().expect("text")], 0);
    has(&found, "program ok", "real/x/dsops");
}

#[test]
fn a_copy_that_openclaw_would_not_start_is_refused_and_made_anew() {
    let home = Home::installed();
    let copy = home.copy();
    let kept = home.path("kept");
    let mode = |mode: u32| fs::set_permissions(&copy, Permissions::from_mode(mode)).expect("permissions");
    let rows: [(&str, &dyn Fn()); 6] = [
        ("may be written by others (its mode is 0720)", &|| mode(0o720)),
        ("may be written by others (its mode is 0702)", &|| mode(0o702)),
        ("may not be executed", &|| mode(0o600)),
        ("is a symbolic link", &|| {
            fs::rename(&copy, &kept).expect("it moves");
            symlink(&kept, &copy).expect("a link");
        }),
        ("is not there", &|| fs::remove_file(&copy).expect("it is there")),
        ("belongs to", &|| match Uid::effective().is_root() {
            true => chown(&copy, Some(1), None).expect("root may"),
            // Whoever is not root cannot give a file away; one of root's is as good.
            false => {
                fs::remove_file(&copy).expect("it is there");
                symlink("/bin/sh", &copy).expect("a link");
            }
        }),
    ];
    for (told, spoil) in rows {
        spoil();
        let told =
            if told == "belongs to" && !Uid::effective().is_root() { "is a symbolic link" } else { told };
        let found = home.check(&[], 1);
        has(&found, "program failed", told);
        has(&found, "answer skipped", "would not start");
        let _ = home.run(&["check"]).run().code(1).stdout_has("run `dsops openclaw install`");
        let _ = home.run(&["install"]).run().code(0).stderr_has(if told == "is not there" {
            "copied"
        } else {
            "replaced"
        });
        let _ = home.check(&[], 0);
    }
}

#[test]
fn each_id_is_told_apart() {
    let home = Home::installed();
    let found = home.check(&["--profile", "mixed"], 1);
    has(&found, "ids warning", "_ODD");
    has(&found, "id ok", "GOOD");
    has(&found, "id failed", "GONE: NOT_FOUND");
    has(&found, "id warning", "MAYBE: NOT_FOUND, and it is optional");
    let _ =
        home.run(&["check", "--profile", "mixed"]).run().code(1).stdout_has("what to do:").never_shows(VALUE);
}

#[test]
fn a_store_that_hangs_costs_its_own_ids() {
    let home = Home::installed();
    let run = home.run(&["check", "--profile", "hanging", "--json"]).env("PLACE", "x").env("APP_KEY", VALUE);
    let output = run.run().code(1).never_shows(VALUE);
    let text = output.json().to_string();
    for told in ["\"GOOD\"", "\"OWN\"", "SLOW: TIMED_OUT"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[test]
fn the_settings_of_openclaw_are_checked_as_they_are() {
    let home = Home::new();
    let output = home.run(&["install"]).run().code(0);
    let entry = provider(&output);
    let path = home.path("openclaw.json");
    let check = |entry: &Value, code: i32| {
        let text = format!(
            "// as people write it\n{{gateway: {{auth: {{token: '{VALUE}'}}}}, secrets: {{providers: {{dsops: {entry},
              other: {{source: 'exec', command: '/usr/bin/other'}}}}, defaults: {{exec: 'dsops'}}}},
              models: {{providers: {{openai: {{apiKey: {{source: 'exec', provider: 'dsops', id: 'providers/openai/apiKey'}}}},
              acme: {{apiKey: {{source: 'exec', id: 'not/there'}}}},
              else: {{apiKey: {{source: 'exec', provider: 'other', id: 'of/another'}}}}}}}}, /* the end */ }}"
        );
        fs::write(&path, text).expect("a file");
        home.check(&["--settings", path.to_str().expect("text")], code)
    };
    let found = check(&entry, 1);
    has(&found, "id ok", "GOOD");
    has(&found, "id ok", "providers/openai/apiKey");
    has(&found, "id failed", "not/there: NOT_FOUND");
    assert!(!found.iter().any(|line| line.contains("of/another")), "{found:?}");
    let with = |name: &str, value: Value| {
        let mut entry = entry.clone();
        entry[name] = value;
        entry
    };
    let dir = home.path("elsewhere");
    for (spoilt, start, told) in [
        (with("trustedDirs", json!([dir])), "program failed", "outside `trustedDirs`"),
        (with("command", json!("dsops")), "program failed", "not an absolute path"),
        (with("command", json!("/bin/sh")), "program failed", ""),
        (
            with("args", json!(["exec-provider", "--config", "dsops.yaml"])),
            "file failed",
            "not an absolute path",
        ),
        (
            with("args", json!(["exec-provider", "--config", home.path("none.yaml")])),
            "file failed",
            "does not load",
        ),
        (with("args", json!(["exec-provider"])), "file warning", "name no file"),
        (with("timeoutMs", json!(3000)), "limits failed", "after 3000 ms"),
        (with("noOutputTimeoutMs", json!(900)), "limits failed", "noOutputTimeoutMs"),
        (with("maxOutputBytes", json!(10)), "answer failed", "more than 10 bytes"),
        (with("passEnv", json!([])), "environment warning", "not passed on: HOME"),
    ] {
        has(&check(&spoilt, 1), start, told);
    }
    for (text, told) in [
        ("{secrets: {providers: {}}}", "has no provider"),
        (&format!("{{secret: '{VALUE}"), "not JSON5"),
        (
            "{secrets: {providers: {d: {source: 'exec', args: ['exec-provider']}}}}",
            "secrets.providers.d.command",
        ),
    ] {
        fs::write(&path, text).expect("a file");
        let run = home.run(&["check", "--settings"]).args([&path]);
        let _ = run.run().code(3).stderr_has(told).never_shows(VALUE).stdout_empty();
    }
    let _ = home.run(&["check", "--settings", "/no/such/file"]).run().code(3).stderr_has("cannot be read");
}

/// Another name of the copy, and what others may write, are what somebody can change it by.
#[test]
fn install_keeps_no_file_that_others_could_have_a_hand_in() {
    let home = Home::installed();
    let copy = home.copy();
    let inode = || fs::symlink_metadata(&copy).expect("it is there").ino();
    let kept = inode();
    let _ = home.run(&["install"]).run().code(0).stderr_has("is up to date");
    assert_eq!(inode(), kept);
    let spoil: [(&str, &dyn Fn()); 3] = [
        ("others could write", &|| {
            fs::set_permissions(&copy, Permissions::from_mode(0o777)).expect("permissions")
        }),
        ("it could not be read", &|| {
            fs::set_permissions(&copy, Permissions::from_mode(0o300)).expect("permissions")
        }),
        ("another name", &|| fs::hard_link(&copy, home.path("other-name")).expect("a link")),
    ];
    for (why, spoil) in spoil {
        // Open, as whoever opened it while they could still has it, so that its number is not given again.
        let held = fs::File::open(&copy).expect("a file");
        spoil();
        let before = inode();
        let _ = home.run(&["install"]).run().code(0).stderr_has("replaced");
        let found = fs::symlink_metadata(&copy).expect("it is there");
        assert_ne!(found.ino(), before, "{why}");
        assert_eq!((found.nlink(), found.permissions().mode() & 0o7777), (1, 0o700), "{why}");
        drop(held);
    }
    let _ = home.check(&[], 0);
}

/// Whoever can change `dsops.yaml` can have it run a program of theirs.
#[test]
fn a_file_that_others_may_write_is_told_with_what_to_do() {
    let home = Home::installed();
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(home.path(path), Permissions::from_mode(mode)).expect("permissions");
    };
    let file = home.path("dsops.yaml");
    let home_directory = home.path("").components().collect::<PathBuf>();
    let told = |what: &str, path: &std::path::Path| {
        let message = format!("others may write to {what}{}", path.display());
        let found = home.check(&[], 1);
        has(&found, "file failed", &message);
        let chmod = format!("chmod go-w '{}'", path.display());
        let document = home.run(&["check", "--json"]).run().code(1).json();
        let file = &document["providers"][0]["findings"][0];
        assert_eq!(file["help"], json!(format!("run `{chmod}`")));
        let output = home.run(&["install"]).run().code(0).stderr_has(&message).stderr_has(&chmod);
        let settings = home.path("openclaw.json");
        fs::write(&settings, output.json().to_string()).expect("a file");
        let found = home.check(&["--settings", settings.to_str().expect("text")], 1);
        has(&found, "file failed", &message);
    };
    for open in [0o666, 0o646] {
        mode("dsops.yaml", open);
        told("", &file);
    }
    mode("dsops.yaml", 0o644);
    mode("", 0o777);
    let message = format!("others may write to the directory {}", home_directory.display());
    has(&home.check(&[], 1), "file failed", &message);
    mode("", 0o700);
    // A link is followed, and each directory on its way counts.
    fs::create_dir(home.path("real")).expect("a directory");
    fs::rename(&file, home.path("real/dsops.yaml")).expect("it moves");
    symlink("real/dsops.yaml", &file).expect("a link");
    let _ = home.check(&[], 0);
    mode("real", 0o777);
    told("the directory ", &home.path("real"));
    mode("real", 0o700);
    if Uid::effective().is_root() {
        chown(home.path("real/dsops.yaml"), Some(1), None).expect("root may");
        has(&home.check(&[], 1), "file failed", "real/dsops.yaml belongs to");
        let _ = home.run(&["install"]).run().code(0).stderr_has("real/dsops.yaml belongs to");
    } else {
        let _ = home.run(&["check"]).run().code(0);
    }
}

/// What another command of dsops starts may write values to stderr.
#[test]
fn only_exec_provider_is_started_and_only_its_own_reports_are_shown() {
    let home = Home::installed();
    let entry = provider(&home.run(&["install"]).run().code(0));
    let path = home.path("openclaw.json");
    let run = |command: &std::path::Path, args: Value| {
        let mut entry = entry.clone();
        entry["args"] = args;
        entry["command"] = json!(command);
        let settings = json!({ "secrets": { "providers": { "dsops": entry } } });
        fs::write(&path, settings.to_string()).expect("a file");
        home.run(&["check", "--json", "--settings"]).args([&path]).run().never_shows(VALUE)
    };
    let copy = home.copy();
    let (file, mark) = (home.path("dsops.yaml"), home.path("started"));
    let script = format!("echo started > {}; echo \"dsops: $GOOD\" >&2; exit 3", mark.display());
    let exec = ["--env", "good", "--", "/bin/sh", "-c", &script, "exec-provider"];
    for start in [
        &["--config", file.to_str().expect("text"), "exec"][..],
        &["exec", "--config", file.to_str().expect("text")],
        &["--color", "never", "-qc", file.to_str().expect("text"), "exec"],
    ] {
        let _ = run(&copy, json!([start, &exec].concat())).code(3).stderr_has("has no provider");
        assert!(!mark.exists(), "{start:?}");
    }
    // Under another name the program is another command.
    let helper = copy.with_file_name("dsops-askpass");
    fs::copy(&copy, &helper).expect("a copy");
    let _ = run(&helper, json!(["exec-provider"])).code(3).stderr_has("has no provider");

    let message = |args: Value| {
        let found = run(&copy, args).code(1).json();
        let all = found["providers"][0]["findings"].as_array().expect("a list").clone();
        let answer = all.iter().find(|found| found["step"] == "answer").expect("an answer");
        answer["message"].as_str().expect("a text").to_owned()
    };
    let global = json!(["--quiet", "--config", file, "exec-provider", "--profile", "none"]);
    let told = message(global);
    assert!(told.contains("code 3 (dsops: ") && told.contains("`none`"), "{told}");
    // What the parser of the command line says is no report.
    let told = message(json!(["exec-provider", "--config", file, "--no-such-option"]));
    assert!(told.contains("ended with code 2") && !told.contains("error:"), "{told}");
    // Nor is what comes once values are there.
    let mut entry = entry.clone();
    entry["maxOutputBytes"] = json!(10);
    entry["args"] = json!(["exec-provider", "--config", file, "--profile", "mixed"]);
    let settings = json!({ "secrets": { "providers": { "dsops": entry } } });
    fs::write(&path, settings.to_string()).expect("a file");
    let found = home.check(&["--settings", path.to_str().expect("text")], 1);
    has(&found, "answer failed", "more than 10 bytes, and was ended");
    assert!(!found.iter().any(|line| line.contains("(dsops:")), "{found:#?}");
}

#[test]
fn settings_that_are_nested_without_end_are_refused() {
    let home = Home::new();
    let path = home.path("openclaw.json");
    for text in ["{secrets: ".to_owned() + &"[".repeat(100_000), "{a:".repeat(100_000)] {
        fs::write(&path, text).expect("a file");
        let run = home.run(&["check", "--settings"]).args([&path]);
        let _ = run.run().code(3).stderr_has("deeper than 64 levels").stdout_empty();
    }
}
