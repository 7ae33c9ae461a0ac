//! No value gets anywhere but where it was asked for: every command, and every failure, with a marked value.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::{Dsops, Output};

/// Stands in every value of these runs.
const CANARY: &str = "canary-7e3d91b5";

/// A file whose stores and literals all hold the mark, and environments that work and fail in many ways.
fn file() -> String {
    format!(
        "version: 1
secretStores:
  lit: {{type: literal, values: {{a: {CANARY}-lit, json: '{{\"k\": \"{CANARY}-json\"}}', nul: {nul}}}}}
  env: {{type: env}}
  file: {{type: dotenv, path: app.env}}
  torn: {{type: dotenv, path: torn.env}}
  prog: {{type: exec, command: ./prog}}
  loud: {{type: exec, command: ./loud, env: {{EXTRA: \"${{CANARY_EXTRA}}\"}}}}
  net: {{type: infisical, project_id: 64f7e4d2-1234-5678-abcd-1234567890ab, environment: dev, host: 'http://127.0.0.1:9', timeout_ms: 300, auth: {{client_id: {CANARY}-id, client_secret: \"${{CANARY_SECRET}}\"}}}}
envs:
  good:
    A: {{from: lit/a}}
    B: {{literal: {CANARY}-literal}}
    C: {{from: env/CANARY_ENV}}
    D: {{from: file/KEY}}
    E: {{from: prog/KEY}}
    F: {{from: lit/missing, default: {CANARY}-default}}
    G: {{from: lit/json, transform: 'json_extract:.k'}}
  missing: {{A: {{from: lit/a}}, B: {{from: lit/nothing}}}}
  transform: {{A: {{from: lit/json, transform: 'json_extract:.nope'}}, B: {{from: lit/a, transform: json_extract:.k}}, C: {{from: lit/a, transform: base64_decode}}}}
  template: {{A: {{from: lit/json, transform: [{{type: template, template: '{{{{ value.a.b }}}}'}}]}}}}
  torn: {{A: {{from: torn/KEY}}}}
  loud: {{A: {{from: loud/KEY}}}}
  net: {{A: {{from: net/KEY}}, B: {{literal: {CANARY}-literal}}}}
  unfilled: {{A: {{from: \"${{CANARY_ENV}}/x\"}}, B: {{from: \"${{CANARY_ENV}}\"}}}}
  nul: {{A: {{from: lit/nul, transform: base64_decode}}}}
",
        nul = BASE64_STANDARD.encode(format!("{CANARY}\0nul")),
    )
}

fn prepared() -> Dsops {
    Dsops::new()
        .config(file())
        .file("app.env", format!("KEY={CANARY}-file\n"))
        .file("torn.env", format!("KEY='{CANARY}-torn\n"))
        .program("prog", format!("#!/bin/sh\ncat >/dev/null\necho '{{\"protocolVersion\":1,\"values\":{{\"KEY\":\"{CANARY}-prog\"}}}}'\n"))
        .program("loud", format!("#!/bin/sh\necho {CANARY}-out\necho {CANARY}-err >&2\nexit 3\n"))
        .env("CANARY_ENV", format!("{CANARY}-env"))
        .env("CANARY_EXTRA", format!("{CANARY}-extra"))
        .env("CANARY_SECRET", format!("{CANARY}-secret"))
}

/// The forms in which a value may hide.
fn forms() -> Vec<String> {
    let forms = (0..3).map(|shift| {
        let padded = format!("{}{CANARY}", "x".repeat(shift));
        // The middle of an encoding does not depend on what stands around it.
        BASE64_STANDARD.encode(padded).get(4..12).map(str::to_owned)
    });
    [Some(CANARY.to_owned())].into_iter().chain(forms).flatten().collect()
}

/// Checks stderr, and the files that the run left beside those that it was given.
#[track_caller]
fn quiet(output: Output) -> Output {
    let given: BTreeSet<&str> =
        ["dsops.yaml", "app.env", "torn.env", "prog", "loud", "asked", "broken.yaml"].into();
    search(&output.root().join("home"), &given);
    search(&output.root().join("work"), &given);
    forms().iter().fold(output, |output, form| output.stderr_lacks(form))
}

/// Checks everything that was not asked for: stdout too.
#[track_caller]
fn silent(output: Output) -> Output {
    let output = quiet(output);
    let stdout = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    for form in forms() {
        assert!(!stdout.contains(&form), "{form:?} is on stdout\n{output}");
    }
    output
}

#[track_caller]
fn search(dir: &Path, given: &BTreeSet<&str>) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, given);
        } else if !given.contains(entry.file_name().to_string_lossy().as_ref()) {
            let content = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
            assert!(!forms().iter().any(|form| content.contains(form)), "{} holds a value", path.display());
        }
    }
}

const ENVIRONMENTS: &[&str] =
    &["good", "missing", "transform", "template", "torn", "loud", "net", "unfilled", "nul"];

/// What each command is run with, beside the environments.
fn runs(command: &str) -> Vec<Vec<String>> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let each = |before: &str, after: &str| {
        ENVIRONMENTS.iter().map(|name| words(&format!("{before} --env {name} {after}"))).collect::<Vec<_>>()
    };
    match command {
        "exec" => {
            [each("exec", "--print"), each("exec", "-- true"), each("exec --timeout 5 --stats", "-- true")]
                .concat()
        }
        "plan" => [each("plan", ""), each("plan", "--json")].concat(),
        "doctor" => [each("doctor", "--verbose"), each("doctor", "--json"), vec![words("doctor")]].concat(),
        "validate" | "stores" | "schema" | "version" | "man" | "help" => vec![words(command)],
        "completion" => vec![words("completion bash")],
        "init" => vec![words("init --yes"), words("init --yes --config other.yaml")],
        // What they print was asked for; their failures are below.
        "get" | "render" => Vec::new(),
        // It has tests of its own with values of its own.
        "local" => vec![
            words("local list"),
            words("local get NOPE"),
            words(&format!("local set KEY {CANARY}-argument")),
        ],
        other => panic!("`{other}` is a new command: say here what it is run with"),
    }
}

#[test]
fn no_command_shows_a_value_that_was_not_asked_for() {
    let help = Dsops::new().args(["--help"]).run().code(0);
    let help = String::from_utf8_lossy(help.stdout_bytes()).into_owned();
    let listed = help
        .split("Commands:")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").next())
        .expect("a list of commands");
    let commands: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        for args in runs(command) {
            for format in ["human", "json"] {
                let _ = silent(prepared().args(["--error-format", format]).args(&args).run());
            }
        }
    }
}

#[test]
fn values_that_are_asked_for_are_on_stdout_only() {
    let _ =
        quiet(prepared().args(["get", "--env", "good", "A"]).run().code(0).stdout(format!("{CANARY}-lit")));
    let _ = quiet(prepared().args(["get", "lit/a", "--json"]).run().code(0).stdout_has(CANARY));
    for format in ["dotenv", "shell", "json", "yaml"] {
        let _ = quiet(
            prepared().args(["render", "--env", "good", "--format", format]).run().code(0).stdout_has(CANARY),
        );
    }
    let output = silent(
        prepared().args(["render", "--env", "good", "--out", "asked", "--format", "json"]).run().code(0),
    );
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(output.path("asked")).expect("the file"));
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn failing_reads_and_writes_show_nothing() {
    for name in ENVIRONMENTS.iter().filter(|name| **name != "good") {
        for variable in ["A", "B", "C"] {
            let output = prepared().args(["get", "--env", name, variable]).run();
            let output = quiet(output);
            let stdout = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
            let asked = ["missing A", "net B", "nul A", "transform C"]
                .contains(&format!("{name} {variable}").as_str());
            assert!(asked || stdout.is_empty(), "{name} {variable}: {stdout}");
        }
        let _ = silent(prepared().args(["render", "--env", name, "--out", "no/such/dir/file"]).run());
        let _ =
            silent(prepared().args(["render", "--env", name, "--format", "shell", "--out", "other"]).run());
    }
}

#[test]
fn a_mistake_beside_a_value_shows_the_line_without_it() {
    let broken = [
        format!("envs: {{dev: {{A: {{literal: {CANARY}, frm: x}}}}}}"),
        format!(
            "envs:\n  dev:\n    A: {{literal: {CANARY}}}\n    B: {{form: x}}\n    C: {{literal: {CANARY}}}\n"
        ),
        format!("envs:\n  dev:\n    A: {CANARY}\n"),
        format!("envs:\n  dev:\n    A: {{literal: \"{CANARY}}}\n"),
        format!("envs:\n  dev:\n    A:\n      literal: |\n        {CANARY}\n       {CANARY}\n"),
        format!("envs:\n  dev:\n\tA: {{literal: {CANARY}}}\n"),
        format!("envs: {{dev: {{A: {{literal: {CANARY}}}, A: {{literal: {CANARY}}}}}}}"),
        format!("envs: {{dev: {{A: {{literal: [{CANARY}]}}}}}}"),
        format!("secretStores: {{s: {{type: infisical, projct_id: x, auth: {{client_secret: {CANARY}}}}}}}"),
        format!("secretStores: {{s: {{type: literal, values: {{a: {CANARY}}}, nope: 1}}}}"),
        format!("secretStores: {{s: {{type: literal, values: {{a: [{CANARY}]}}}}}}"),
        format!("secretStores: {{s: {{type: nope, token: {CANARY}}}}}"),
        format!("secretStores: {{s: {{type: local, passphrase: {CANARY}, pth: x}}}}"),
        format!("x: &x {CANARY}\nenvs: {{dev: {{A: {{literal: *x}}, B: 1}}}}"),
        format!("# {CANARY}\nenvs: {{dev: {{A: 1}}}} # {CANARY}\n"),
        format!("envs: {{dev: {{A: {{from: s/x, default: {CANARY}}}}}}}"),
        format!("- {CANARY}\n"),
        CANARY.to_owned(),
        format!("{CANARY}: 1\n? [{CANARY}]\n: x\n"),
    ];
    for text in broken {
        // The last but one has the mark as a key, which is a name and may be told.
        let is_key = text.contains(&format!("{CANARY}: 1"));
        for format in ["human", "json"] {
            let run = || Dsops::new().config(&text).args(["--error-format", format]);
            for args in [vec!["validate"], vec!["exec", "--env", "dev", "--", "true"], vec!["doctor"]] {
                let output = run().args(&args).run();
                if !is_key {
                    let _ = silent(output);
                }
            }
        }
    }
}

#[test]
fn no_process_but_the_child_has_a_value() {
    // The child tells what its own arguments are, and what those of its parents are.
    let script = "tr '\\0' ' ' < /proc/$$/cmdline; for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; done 2>/dev/null";
    let output = prepared().args(["exec", "--env", "good", "--", "sh", "-c", script]).run().code(0);
    let _ = silent(output);
    // The outside program of one store gets nothing of another's.
    let output = prepared()
        .program("prog", "#!/bin/sh\ncat >/dev/null\nenv > seen\necho '{\"protocolVersion\":1,\"values\":{\"KEY\":\"v\"}}'\n")
        .args(["exec", "--env", "good", "--", "true"])
        .run()
        .code(0);
    let seen = fs::read_to_string(output.path("seen")).expect("the program's environment");
    assert!(!seen.contains(CANARY), "{seen}");
    let _ = silent(output);
}
