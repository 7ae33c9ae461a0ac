//! What `exec-provider` promises beside its answer: nothing of what stores and programs say, nothing left running, and
//! one line where it cannot answer.

use std::cell::RefCell;
use std::fs;

use crate::exec_provider_asker::{ask, provider, request};
use crate::support::Dsops;
use crate::support::terminal::{Terminal, eventually};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn what_a_program_says_is_not_repeated() {
    let run = provider(
        "secretStores: {prog: {type: exec, command: ./refuse}}\n\
         envs: {dev: {A: {from: prog/x}}}\nagents: {openclaw: {env: dev}}\n",
    );
    let script = "#!/bin/sh\ncat > /dev/null\nprintf '{\"protocolVersion\":1,\"errors\":{\"x\":{\"code\":\"FORBIDDEN\",\
                  \"message\":\"token hunter2leak\"}}}'\n";
    let run = run.program("../config/refuse", script);
    let output = run.stdin(request(&["A"])).run().code(0);
    let stderr = text(output.stderr_bytes());
    assert!(stderr.contains("the program refused `x`") && !stderr.contains("hunter2leak"), "{stderr}");
    assert!(!text(output.stdout_bytes()).contains("hunter2leak"));
    // A person who runs it by hand is told.
    let shown = Dsops::new()
        .config("secretStores: {prog: {type: exec, command: ./refuse}}\nenvs: {dev: {A: {from: prog/x}}}\n")
        .program("refuse", script)
        .args(["get", "--env", "dev", "A"])
        .run()
        .code(4);
    assert!(text(shown.stderr_bytes()).contains("hunter2leak"));
}

#[test]
fn programs_end_with_a_dsops_whose_caller_is_gone() {
    let run = provider(
        "secretStores: {slow: {type: exec, command: ./slow}}\nenvs: {dev: {A: {from: slow/x}}}\nagents: {openclaw: {env: dev}}\n",
    );
    let run =
        run.program("../config/slow", "#!/bin/sh\necho $$ > pid.new; mv pid.new pid; exec /bin/sleep 600\n");
    let file = fs::canonicalize(run.path("../config/dsops.yaml")).expect("the file");
    let pid = file.with_file_name("pid");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut dsops = std::process::Command::new(env!("CARGO_BIN_EXE_dsops"));
    let request_file = file.with_file_name("request");
    fs::write(&request_file, request(&["A"])).expect("the request");
    let child = dsops
        .args(["exec-provider", "--timeout", "60s", "--config"])
        .arg(&file)
        .env_clear()
        .stdin(fs::File::open(&request_file).expect("the request"))
        .stdout(writer)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("dsops starts");
    let child = RefCell::new(child);
    drop(dsops);
    eventually("the program starts", || pid.exists());
    let program = fs::read_to_string(&pid).expect("its number").trim().to_owned();
    // The next line feed finds nobody.
    drop(reader);
    eventually("dsops ends", || child.borrow_mut().try_wait().is_ok_and(|ended| ended.is_some()));
    let is_gone = || match fs::read_to_string(format!("/proc/{program}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    eventually("its program is ended too", is_gone);
}

#[test]
fn a_dsops_that_starts_itself_ends_somewhere() {
    let run = provider("envs: {}\n");
    let file = fs::canonicalize(run.path("../config/dsops.yaml")).expect("the file");
    let dsops = env!("CARGO_BIN_EXE_dsops");
    let yaml = format!(
        "secretStores: {{self: {{type: exec, command: [{dsops}, exec-provider, --config, {0}, --timeout, 60s]}}}}\n\
         envs: {{dev: {{A: {{from: self/A}}}}}}\nagents: {{openclaw: {{env: dev}}}}\n",
        file.display()
    );
    fs::write(&file, yaml).expect("the file");
    let answer = ask(run.args(["--timeout", "60s"]), &["A"]);
    assert_eq!(answer.errors["A"].0, "UNSUPPORTED");
}

#[test]
fn of_an_import_only_what_was_asked_is_told() {
    let yaml = "secretStores: {lit: {type: literal, values: {f/ONE: v, f/LD_PRELOAD: v, f/TWO: v}}}\n\
                envs: {dev: {import: {store: lit/f}, OWN: {literal: own}}}\n\
                agents: {openclaw: {env: dev, allow: [ONE, OWN]}}\n\
                policies: {environment_rules: {dev: {max_secrets: 2}}}\n";
    let output = provider(yaml).stdin(request(&["ONE", "OWN", "TWO"])).run().code(0);
    let json = output.json();
    assert_eq!((&json["values"]["ONE"], &json["values"]["OWN"]), (&"v".into(), &"own".into()));
    assert_eq!(json["errors"]["TWO"]["code"], "NOT_FOUND");
    assert_eq!(text(output.stderr_bytes()), "");
    // The policy holds for what is given.
    let yaml = yaml.replace("max_secrets: 2", "max_secrets: 1").replace(", OWN]", ", OWN, TWO]");
    let answer = ask(provider(&yaml), &["ONE", "TWO"]);
    assert!(
        answer.values.is_empty() && answer.errors.values().all(|(code, _)| code == "POLICY"),
        "{answer:?}"
    );
}

#[test]
fn an_absent_id_has_no_share_in_what_stops_another_import() {
    let yaml = "secretStores: {lit: {type: literal, values: {f/A: v}}, d: {type: dotenv, path: none.env}}\n\
                envs: {dev: {import: [{store: lit/f, prefix: P_}, {store: d, prefix: Q_}]}}\n\
                agents: {openclaw: {env: dev}}\npolicies: {blocked_providers: [dotenv]}\n";
    let answer = ask(provider(yaml), &["P_A", "P_NONE", "Q_X", "R"]);
    assert_eq!(answer.values["P_A"], "v");
    let codes: Vec<&str> = ["P_NONE", "Q_X", "R"].iter().map(|id| answer.errors[*id].0.as_str()).collect();
    assert_eq!(codes, ["NOT_FOUND", "POLICY", "NOT_FOUND"]);
}

#[test]
fn a_mistake_of_one_id_is_told_and_stops_no_other() {
    let yaml = "secretStores: {lit: {type: literal, values: {K: v}}}\n\
                envs: {dev: {A: {from: \"lit/${NOT_THERE}\"}, B: {from: lit/K}}}\nagents: {openclaw: {env: dev}}\n";
    let output = provider(yaml).stdin(request(&["A", "B"])).run().code(0);
    let (json, stderr) = (output.json(), text(output.stderr_bytes()));
    assert_eq!((&json["values"]["B"], &json["errors"]["A"]["code"]), (&"v".into(), &"CONFIGURATION".into()));
    assert!(stderr.contains("`${NOT_THERE}` is not set") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn nothing_is_asked_on_a_terminal() {
    let yaml = "secretStores: {s: {type: local, path: team.age}}\nenvs: {dev: {A: {from: s/A}}}\n\
                agents: {openclaw: {env: dev}}\nhelpers: {aws: {x: {access_key_id: s/A, secret_access_key: s/A}}}\n";
    let with_passphrase = yaml.replace("team.age}", "team.age, passphrase: '${PASS}'}");
    let made = Dsops::new()
        .config(&with_passphrase)
        .env("PASS", "correct horse")
        .args(["local", "init"])
        .run()
        .code(0);
    let sealed = made.read("team.age");
    for (args, code) in [(&["exec-provider", "--timeout", "2s"][..], 0), (&["helper", "aws", "x"], 4)] {
        // Only stdin is no terminal: that is where the request comes from.
        let script = "exec \"$0\" \"$@\" --config \"$PWD/dsops.yaml\" < request";
        let run = Dsops::new().config(yaml).file("team.age", &sealed).file("request", request(&["A"]));
        let run = run.instead("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_dsops")]).args(args);
        let output = Terminal::start(run).wait().code(code);
        let seen = text(output.stdout_bytes());
        assert!(seen.contains("nobody can be asked"), "{seen}");
        assert!(!seen.contains("passphrase of "), "{seen}");
    }
}

#[test]
fn a_wrong_command_line_is_one_line() {
    for args in [
        &["exec-provider", "--bogus"][..],
        &["exec-provider", "--timeout", "1ms"],
        &["exec-provider", "--timeout", "18446744073709551615s"],
        &["helper", "aws"],
        &["helper", "nothing"],
    ] {
        let output = Dsops::new().args(args).run().code(2).stdout_empty();
        let stderr = text(output.stderr_bytes());
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("dsops: ") && stderr.contains("--help"), "{stderr}");
    }
}

#[test]
fn a_file_that_never_comes_is_an_answer_too() {
    let run = provider("envs: {}\n").args(["--timeout", "1s"]);
    let file = fs::canonicalize(run.path("../config/dsops.yaml")).expect("the file");
    fs::remove_file(&file).expect("removed");
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("a pipe that nobody writes to");
    let answer = ask(run, &["A"]);
    assert_eq!(answer.errors["A"].0, "TIMED_OUT");
}

#[test]
fn a_first_line_that_is_too_long_is_cut_and_ends() {
    let run = provider("envs: {}\n").args(["--profile", &"x".repeat(6000)]);
    let output = run.stdin(request(&["A"])).run().code(3).stdout_empty();
    let stderr = output.stderr_bytes();
    assert!(stderr.len() <= 4096 && stderr.ends_with(b"\n") && stderr.len() > 1000, "{}", stderr.len());
}

#[test]
fn a_password_in_a_key_of_the_helpers_is_not_shown_with_its_line() {
    let yaml = "secretStores: {lit: {type: literal, values: {K: v}}}\nhelpers:\n  git:\n    https://me:hunter2secret@a.example: {password: lit/NONE, nope: lit/K}\n";
    let output = Dsops::new().config(yaml).args(["validate"]).run().code(3);
    let stderr = text(output.stderr_bytes());
    assert!(stderr.contains("unknown key `nope`"), "{stderr}");
    let shown: Vec<&str> = stderr.lines().filter(|line| line.contains("a.example")).collect();
    assert!(!stderr.contains("hunter2secret"), "{shown:?}");
}

#[test]
fn a_section_that_is_a_text_is_not_shown() {
    for section in [
        "agents: hunter2secret",
        "helpers: hunter2secret",
        "agents: {openclaw: hunter2secret}",
        "agents: {openclaw: {env: dev, ids: hunter2secret}}",
        "agents: {openclaw: {env: dev, allow: hunter2secret}}",
    ] {
        let yaml = format!("envs: {{dev: {{A: {{literal: v}}}}}}\n{section}\n");
        let output = Dsops::new().config(yaml).args(["validate"]).run().code(3);
        assert!(!text(output.stderr_bytes()).contains("hunter2secret"), "{section}: {output}");
    }
}
