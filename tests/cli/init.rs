//! `dsops init`: what it writes loads, asks only on a terminal, and overwrites nothing.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::process::{Command, Stdio};

use dsops_providers::ALL;
use nix::pty::openpty;

use crate::support::{Dsops, Output};

fn init(args: &[&str]) -> Dsops {
    Dsops::new().args(["init"]).args(args)
}

fn written(output: &Output) -> String {
    String::from_utf8(output.read("dsops.yaml")).unwrap()
}

/// Runs another command on what a first one wrote.
fn then(output: &Output, args: &[&str]) -> Output {
    Dsops::new().config(output.read("dsops.yaml")).args(args).run()
}

/// Runs `init` with a terminal as standard input, at which these bytes are typed.
fn typed(args: &[&str], answers: &str) -> (Option<i32>, String, Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let mut keyboard = File::from(terminal.master);
    keyboard.write_all(answers.as_bytes()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_dsops"))
        .arg("init")
        .args(args)
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path())
        .stdin(Stdio::from(terminal.slave))
        .output()
        .unwrap();
    let asked = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), asked, std::fs::read_to_string(dir.path().join("dsops.yaml")).ok())
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_file_loads() {
    let output = init(&[]).run().code(0).stderr_empty().stdout_has("wrote dsops.yaml\n");
    assert!(written(&output).contains("version: 1\n"), "{}", written(&output));
    let _ = then(&output, &["validate"]).code(0).stderr_empty();
    let _ =
        then(&output, &["plan", "--env", "dev"]).code(0).stdout_has("DATABASE_URL").stdout_has("LOG_LEVEL");
}

#[test]
fn every_type_of_store_gets_a_file_that_loads_and_steps_that_end_in_a_run() {
    for descriptor in ALL {
        let output = init(&["--type", descriptor.kind, "--name", "main", "--env", "live"]).run().code(0);
        let output =
            output.stderr_empty().stdout_has("dsops doctor").stdout_has("dsops exec --env live -- env");
        let _ = then(&output, &["validate"]).code(0).stderr_empty();
        let stores = then(&output, &["stores", "--json"]).code(0).json();
        assert_eq!(stores[0]["name"], "main", "{stores}");
        assert_eq!(stores[0]["type"], descriptor.kind, "{stores}");
        let _ = then(&output, &["plan", "--env", "live"]).code(0).stdout_has("main/");
    }
}

#[test]
fn what_needs_no_server_runs_at_once() {
    let output = init(&["--type", "literal"]).run().code(0);
    let run = then(&output, &["exec", "--env", "dev", "--", "sh", "-c", "echo $LOG_LEVEL $GREETING"]);
    let _ = run.code(0).stdout("info hello\n");
}

#[test]
fn the_steps_for_the_encrypted_file_lead_to_a_run() {
    let _ =
        init(&["--type", "local"]).run().stdout_has("dsops local init").stdout_has("local set DATABASE_URL");
    let script = "PATH=$1:$PATH
        dsops init --type local && dsops local init && printf hunter2 | dsops local set DATABASE_URL &&
        dsops doctor && dsops exec --env dev -- sh -c '[ \"$DATABASE_URL\" = hunter2 ]'";
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_dsops")).parent().unwrap();
    let shell = Dsops::new().instead("/bin/sh").args(["-eu", "-c", script, "sh"]).args([binary]);
    let _ = shell.run().code(0).never_shows("hunter2");
}

#[test]
fn steps_for_infisical_name_what_to_set() {
    let output = init(&["--type", "infisical"]).run().code(0);
    let output =
        output.stdout_has("export INFISICAL_CLIENT_ID=…").stdout_has("export INFISICAL_CLIENT_SECRET=…");
    let _ = output.stdout_has("project's id");
}

#[test]
fn options_stand_in_the_stores_section() {
    let flags = ["--type", "infisical", "--project-id", "64f7e4d2", "--host", "https://secrets.example"];
    let output = init(&flags).run().code(0);
    let text = written(&output);
    assert!(text.contains("    project_id: 64f7e4d2\n"), "{text}");
    assert!(text.contains("    host: https://secrets.example\n"), "{text}");
    assert!(!text.contains("00000000"), "{text}");
    let _ = then(&output, &["validate"]).code(0);
    assert!(!String::from_utf8_lossy(output.stdout_bytes()).contains("project's id"));
}

#[test]
fn names_that_yaml_would_take_for_something_else_are_quoted() {
    let names = ["true", "null", "1", "<<", "a: b", "# c", "'", "ü"];
    let flags: Vec<&str> = names.iter().flat_map(|name| ["--env", *name]).collect();
    let output = init(&["--type", "literal"]).args(&flags).run().code(0);
    for name in names {
        let _ =
            then(&output, &["exec", "--env", name, "--", "printenv", "GREETING"]).code(0).stdout("hello\n");
    }
}

#[test]
fn an_environment_given_twice_stands_once() {
    let output = init(&["--env", "dev", "--env", "dev"]).run().code(0);
    assert_eq!(written(&output).matches("  dev:\n").count(), 1);
}

#[test]
fn what_is_there_is_never_overwritten() {
    let output = init(&[]).config("mine\n").run().code(1).stdout_empty().stderr_has("dsops::init::exists");
    assert_eq!(output.read("dsops.yaml"), b"mine\n");
    let output = init(&["--path", "a.yaml"]).file("a.yaml", "mine\n").run().code(1).stderr_has("a.yaml");
    assert_eq!(output.read("a.yaml"), b"mine\n");
}

#[test]
fn a_link_that_leads_nowhere_is_not_followed() {
    let dsops = init(&[]);
    symlink("elsewhere.yaml", dsops.path("dsops.yaml")).unwrap();
    let output = dsops.run().code(1).stderr_has("dsops::init::exists");
    assert!(!output.path("elsewhere.yaml").exists());
}

#[test]
fn the_file_can_be_named_and_the_steps_name_it_too() {
    for flags in [["--path", "my file.yaml"], ["--config", "my file.yaml"]] {
        let output = init(&flags).run().code(0).stdout_has("dsops --config 'my file.yaml' doctor");
        assert!(output.path("my file.yaml").exists() && !output.path("dsops.yaml").exists());
    }
    let output = init(&[]).env("DSOPS_CONFIG", "other.yaml").run().code(0).stdout_has("  dsops doctor");
    assert!(output.path("other.yaml").exists() && !output.path("dsops.yaml").exists());
    let output = init(&["--path", "this.yaml"]).env("DSOPS_CONFIG", "other.yaml").run().code(0);
    assert!(output.path("this.yaml").exists() && !output.path("other.yaml").exists());
}

#[test]
fn everybody_can_read_the_file_and_its_owner_can_write_it() {
    let output = init(&[]).run().code(0);
    // What the umask of the tests takes away is not asked for here.
    let mode = output.path("dsops.yaml").metadata().unwrap().mode() & 0o777;
    assert_eq!(mode & !0o644, 0, "{mode:o}");
    assert_eq!(mode & 0o600, 0o600, "{mode:o}");
}

#[test]
fn a_file_of_a_parent_directory_that_is_no_longer_used_is_named() {
    let shadowing = init(&[]).config("version: 1\n").directory("a/b");
    let _ = shadowing.run().code(0).stderr_has("in place of").stderr_has("work/dsops.yaml");
    let repository = init(&[]).config("version: 1\n").file("a/.git/HEAD", "").directory("a");
    let _ = repository.run().code(0).stderr_empty();
    let elsewhere = init(&["--path", "x.yaml"]).config("version: 1\n").directory("a");
    let _ = elsewhere.run().code(0).stderr_empty();
}

#[test]
fn flags_that_cannot_be_used_are_refused_and_nothing_is_written() {
    let bad: [(&[&str], &str); 12] = [
        (&["--type", "infisicl"], "did you mean `infisical`?"),
        (&["--name", "a/b"], "a/b"),
        (&["--env", ""], "an environment has a name"),
        (&["--env", "a\nb"], "a\\nb"),
        (&["--type", "env", "--host", "https://x"], "`--host` means nothing to a store of type `env`"),
        (&["--project-id", "1"], "`--project-id` means nothing to a store of type `local`"),
        (&["--type", "infisical", "--project-id", " "], "--project-id"),
        (
            &["--type", "env", "--project", "x"],
            "`--project` means nothing but to a store of type `infisical`",
        ),
        (&["--type", "infisical", "--project", "x"], "`--project` needs a login"),
        (&["--project", "x", "--project-id", "x"], "cannot be used with"),
        (&["--type", "infisical", "--host", "ftp://x"], "ftp://x"),
        (&["--type", "infisical", "--host", "https://x\nauth: {}"], "--host"),
    ];
    for (flags, message) in bad {
        let output = init(flags).run().code(2).stdout_empty().stderr_has(message);
        assert!(!output.path("dsops.yaml").exists(), "{flags:?}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_said() {
    let _ = init(&["--path", "no/such/x.yaml"]).run().code(6).stdout_empty().stderr_has("dsops::output");
}

#[test]
fn a_terminal_is_asked_and_empty_answers_are_the_defaults() {
    let (code, asked, file) = typed(&[], "\n\n\n");
    assert_eq!(code, Some(0), "{asked}");
    for descriptor in ALL {
        assert!(
            asked.contains(descriptor.about.title) && asked.contains(descriptor.about.summary),
            "{asked}"
        );
    }
    let file = file.unwrap();
    assert!(file.contains("  local:\n    type: local\n"), "{file}");
    assert!(file.contains("  dev:\n") && file.contains("  production:\n"), "{file}");
}

#[test]
fn a_store_is_chosen_by_number_or_by_type() {
    for answer in ["1", ALL[0].kind] {
        let (code, asked, file) = typed(&["--env", "dev"], &format!("{answer}\nmain\n\n64f7e4d2\n\n"));
        assert_eq!(code, Some(0), "{asked}");
        let file = file.unwrap();
        assert!(file.contains("  main:\n    type: infisical\n    project_id: 64f7e4d2\n"), "{file}");
        assert!(!file.contains("host:"), "{file}");
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_asked_for_again() {
    let (code, asked, file) = typed(&[], "99\nenv\na/b\nmain\nlive\n");
    assert_eq!(code, Some(0), "{asked}");
    assert!(asked.contains("no type of store is named `99`") && asked.contains("letters, digits"), "{asked}");
    let file = file.unwrap();
    assert!(file.contains("  main:\n    type: env\n") && file.contains("  live:\n"), "{file}");
}

#[test]
fn what_flags_say_is_not_asked() {
    let (code, asked, file) = typed(&["--type", "env", "--name", "main", "--env", "live"], "");
    assert_eq!((code, asked.as_str()), (Some(0), ""));
    assert!(file.unwrap().contains("  main:\n    type: env\n"));
    let (code, asked, file) = typed(&["--yes"], "");
    assert_eq!((code, asked.as_str(), file.is_some()), (Some(0), "", true));
}

#[test]
fn the_end_of_the_answers_writes_nothing() {
    let (code, asked, file) = typed(&[], "env\n\u{4}");
    assert_eq!(code, Some(2), "{asked}");
    assert!(asked.contains("nothing is written without answers") && file.is_none(), "{asked}");
}
