//! `dsops trust`, and the hook as bash evaluates it. The other shells, and prompts, are in `tests/peers/shells.py`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{Dsops, Output};

const FILE: &str = "\
secretStores:
  lit: {type: literal, values: {K: \"it's\\nlong\"}}
  prog: {type: exec, command: ./program, args: [extra]}
envs:
  dev: {A: {from: lit/K}, MINE: {literal: theirs}}
  other: {B: {literal: b}}
  fails: {A: {literal: a}, M: {from: lit/none}}
";

/// What every script starts with: a prompt is what `_dsops_hook` does, `show` writes what is set.
const START: &str = "\
cd \"$HOME\"; export MINE=own; PLAIN=plain
eval \"$(dsops hook bash --env dev)\"
prompt() { _dsops_hook; }
show() { echo \"$1: ${A-unset} $MINE ${DSOPS_ACTIVE-none}\"; }
project=$OLDPWD
";

fn prepared() -> Dsops {
    Dsops::new()
        .config(FILE)
        .program("program", "#!/bin/sh\n")
        .file("extra", "")
        .directory("sub")
        .directory("")
}

fn script(text: &str) -> Output {
    let bin = Path::new(env!("CARGO_BIN_EXE_dsops")).parent().unwrap().display().to_string();
    prepared().instead("bash").args(["--norc", "-c", &format!("PATH={bin}:$PATH\n{START}{text}")]).run()
}

fn trust(run: Dsops, args: &[&str]) -> Dsops {
    run.args(["trust"]).args(args)
}

#[test]
fn what_the_file_would_do_is_shown_and_no_value() {
    let output = trust(prepared(), &["--yes"]).run().code(0).never_shows("it's").never_shows("theirs");
    let _ = output
        .stdout_has("store lit (literal)")
        .stdout_has("RUNS ./program extra")
        .stdout_has("environment dev: A, MINE");
}

#[test]
fn a_program_that_is_written_as_a_list_is_shown_and_its_script_counts() {
    let config =
        "secretStores: {p: {type: exec, command: [sh, ./secrets.sh]}}\nenvs: {dev: {A: {from: p/K}}}";
    let prepared = |script: &str| Dsops::new().config(config).program("secrets.sh", script);
    let script =
        "\"$0\" trust --yes; \"$0\" trust --list; echo '# changed' >> secrets.sh; \"$0\" trust --list";
    let _ = prepared("#!/bin/sh\n")
        .instead("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_dsops")])
        .run()
        .stdout_has("RUNS sh ./secrets.sh")
        .stdout_has("trusted")
        .stdout_has("changed");
}

#[test]
fn nobody_trusts_without_being_asked() {
    let output = trust(prepared(), &[]).run().code(2).stderr_has("--yes");
    assert!(!output.root().join("home/.local").exists());
}

#[test]
fn what_is_trusted_is_kept_for_the_user_alone() {
    let output = trust(prepared(), &["--yes"]).run().code(0);
    let dir = output.root().join("home/.local/share/dsops/trust");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!((files.len(), mode(&files[0])), (1, 0o600));
    assert!(!fs::read_to_string(&files[0]).unwrap().contains("it's"));
}

#[test]
fn names_cannot_move_the_cursor() {
    let file =
        "secretStores: {\"a\\e[2K\": {type: exec, command: \"./x\\e[1A\\r./good\"}}\nenvs: {dev: {}}\n";
    let output = trust(Dsops::new().config(file), &["--yes"]).run();
    assert!(!output.stdout_bytes().contains(&0x1b) && !output.stdout_bytes().contains(&b'\r'), "{output}");
}

#[test]
fn a_file_that_others_can_write_is_refused() {
    let run = prepared();
    fs::set_permissions(run.path("dsops.yaml"), fs::Permissions::from_mode(0o666)).unwrap();
    let _ = trust(run, &["--yes"]).run().code(10).stdout_empty().stderr_has("everybody can write to it");
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    // Only root can make one, and the tests of a person have none.
    let run = prepared();
    if std::os::unix::fs::chown(run.path("dsops.yaml"), Some(12345), None).is_ok() {
        let _ = trust(run, &["--yes"]).run().code(10).stderr_has("belongs to another user");
    }
}

#[test]
fn the_list_says_what_has_changed_and_revoking_ends_it() {
    let output = script("cd $project; dsops trust --yes >/dev/null; dsops trust --list; echo '# x' >> dsops.yaml; dsops trust --list
        dsops trust --revoke; dsops trust --list");
    let text = String::from_utf8_lossy(output.stdout_bytes()).into_owned();
    let states: Vec<_> = text.lines().filter(|line| line.contains("dsops.yaml")).collect();
    assert!(
        states[0].ends_with("trusted") && states[1].ends_with("changed since") && states.len() == 2,
        "{text}"
    );
    let _ = output.stderr_has("not trusted any more").stderr_has("nothing is trusted");
}

#[test]
fn the_hook_says_once_that_a_file_is_not_trusted_and_loads_nothing() {
    let output = script(
        "cd $project; prompt; prompt; show in; cd sub; prompt; cd; prompt; cd $project; prompt; show again",
    );
    let text = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
    assert_eq!(text.matches("is not trusted; run `dsops trust`").count(), 2, "{text}");
    let _ = output.code(0).stdout("in: unset own none\nagain: unset own none\n");
}

#[test]
fn the_hook_loads_and_gives_back() {
    let output = script(
        "cd $project; dsops trust --yes >/dev/null 2>&1; prompt; show in; cd sub; prompt; show below
        bash -c 'echo child ${MINE} ${_dsops_old_MINE-none} ${_dsops_state-none} $DSOPS_VARIABLES'
        cd; prompt; show out; env | grep -c DSOPS; set | grep -c '^_dsops_old'",
    );
    let _ = output
        .stdout(
            "in: it's\nlong theirs dev\nbelow: it's\nlong theirs dev\nchild theirs none none A,MINE\n\
             out: unset own none\n0\n0\n",
        )
        .stderr_has("`dev`: 2 variables from ");
}

#[test]
fn what_was_not_exported_is_not_exported_afterwards() {
    let output = script(
        "A=before; cd $project; dsops trust --yes >/dev/null 2>&1; prompt; cd; prompt; echo $A $MINE; sh -c 'echo ${A-unset} $MINE'",
    );
    let _ = output.code(0).stdout("before own\nunset own\n");
}

#[test]
fn a_changed_file_or_program_is_asked_about_again() {
    for change in [
        "echo '# x' >> dsops.yaml",
        "echo 'evil' >> program; touch dsops.yaml",
        "echo x > extra; touch dsops.yaml",
        "chmod o+w dsops.yaml",
        "chmod o+w program; touch dsops.yaml",
    ] {
        let output = script(&format!(
            "cd $project; dsops trust --yes >/dev/null 2>&1; prompt; show in; {change}; prompt; show changed; prompt"
        ));
        let text = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
        assert_eq!(
            text.matches("has changed since").count() + text.matches("everybody can write").count(),
            1,
            "{change}: {text}"
        );
        let _ = output.stdout("in: it's\nlong theirs dev\nchanged: unset own none\n");
    }
}

#[test]
fn a_link_is_the_file_that_it_leads_to() {
    let run = prepared();
    symlink(run.path(""), run.path("../home/link")).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_dsops")).parent().unwrap().display().to_string();
    let text = format!(
        "PATH={bin}:$PATH\n{START}dsops trust --yes link >/dev/null 2>&1; cd $project; prompt; show in; cd ~/link; prompt; show link"
    );
    let output = run.instead("bash").args(["--norc", "-c", &text]).run();
    let _ = output.code(0).stdout("in: it's\nlong theirs dev\nlink: it's\nlong theirs dev\n");
}

#[test]
fn what_is_kept_where_others_can_write_is_not_believed() {
    for change in [
        "chmod 777 ~/.local/share/dsops/trust",
        "chmod 644 ~/.local/share/dsops/trust/*",
        "echo torn > $(echo ~/.local/share/dsops/trust/*)",
    ] {
        let output =
            script(&format!("cd $project; dsops trust --yes >/dev/null 2>&1; {change}; prompt; show in"));
        let _ = output.stdout("in: unset own none\n").stderr_has("run `dsops trust`");
    }
}

#[test]
fn the_environment_is_the_one_that_is_named() {
    let output = script(
        "cd $project; dsops trust --yes >/dev/null 2>&1; export DSOPS_ENV=other; prompt; show other; echo $B
        unset DSOPS_ENV; prompt; show dev; echo ${B-unset}",
    );
    let _ = output.stdout("other: unset own other\nb\ndev: it's\nlong theirs dev\nunset\n");
    let unnamed = script(
        "eval \"$(dsops hook bash)\"; cd $project; dsops trust --yes >/dev/null 2>&1; prompt; prompt; show in",
    );
    let _ = unnamed.stdout("in: unset own none\n").stderr_has("set DSOPS_ENV, or give the hook `--env NAME`");
}

#[test]
fn a_failure_is_one_line_and_once_until_it_is_asked_for_again() {
    let output = script(
        "export DSOPS_ENV=fails; cd $project; dsops trust --yes >/dev/null 2>&1; prompt; prompt; prompt; show in
        echo 1 >&2; dsops reload 2>/dev/null; prompt; prompt; show reloaded",
    );
    let text = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[0].starts_with("dsops: `fails` is not loaded: `lit/none`: ") && lines[0] == lines[2],
        "{text}"
    );
    let _ = output.stdout("in: unset own none\nreloaded: unset own none\n");
}

#[test]
fn reload_asks_the_stores_anew_and_only_where_it_is_trusted() {
    let output = script("cd $project; dsops reload");
    let _ = output.code(10).stdout_empty().stderr_has("dsops::trust::unknown");
    let output =
        script("cd $project; dsops trust --yes >/dev/null 2>&1; prompt; dsops reload; prompt; prompt");
    let text = String::from_utf8_lossy(output.stderr_bytes()).into_owned();
    assert_eq!(text.matches("2 variables from").count(), 2, "{text}");
}

#[test]
fn a_shell_inside_does_not_take_the_values_for_its_own() {
    // It inherits the variables and not what they replaced, so outside of the project they go.
    let inner = format!(
        "eval \"$(dsops hook bash --env dev)\"; cd; _dsops_hook; echo ${{A-unset}} ${{MINE-unset}} ${{DSOPS_HOOK-none}}; cd '{}' && _dsops_hook && echo $MINE; cd; _dsops_hook; echo ${{MINE-unset}}",
        "$project"
    );
    let output = script(&format!(
        "export project; cd $project; dsops trust --yes >/dev/null 2>&1; prompt; bash --norc -c '{}'",
        inner.replace("'$project'", "\"$project\"")
    ));
    let _ = output.code(0).stdout("unset unset none\ntheirs\nunset\n");
}

#[test]
fn in_a_dsops_shell_the_hook_does_nothing() {
    let output = script(
        "cd $project; dsops trust --yes >/dev/null 2>&1
        echo 'eval \"$(dsops hook bash --env dev)\"; _dsops_hook; echo $B ${A-unset} $DSOPS_ACTIVE' | SHELL=$BASH dsops shell --env other",
    );
    let _ = output.code(0).stdout("b unset other\n");
}

#[test]
fn nothing_is_written_where_there_is_nothing_to_say() {
    let output = script("prompt; prompt; (exit 3); prompt; echo $?; show here");
    let _ = output.code(0).stdout("3\nhere: unset own none\n").stderr_empty();
}

#[test]
fn the_hook_takes_its_place_once_and_keeps_what_was_there() {
    let output = script(
        "PROMPT_COMMAND='echo theirs'; for i in 1 2; do eval \"$(dsops hook bash)\"; done; echo \"$PROMPT_COMMAND\"
        PROMPT_COMMAND=(one two); for i in 1 2; do eval \"$(dsops hook bash)\"; done; echo \"${PROMPT_COMMAND[@]}\"",
    );
    let _ = output.code(0).stdout("_dsops_hook; echo theirs\n_dsops_hook one two\n");
}
