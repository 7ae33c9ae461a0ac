//! `dsops shell` where no terminal is: the shell that it becomes. Prompts are in `tests/peers/shells.py`.

use crate::support::Dsops;

const FILE: &str = "\
secretStores: {lit: {type: literal, values: {}}}
envs:
  dev: {A: {literal: a}, ONLY_DEV: {literal: d}}
  other: {A: {literal: other}}
  missing: {M: {from: lit/none}}
";

fn shell(args: &[&str]) -> Dsops {
    Dsops::new().config(FILE).env("SHELL", "/bin/sh").args(["shell", "--env"]).args(args)
}

#[test]
fn a_script_on_stdin_is_run_as_the_shell_runs_it() {
    let _ = shell(&["dev"])
        .stdin("echo $A $DSOPS_ACTIVE $DSOPS_VARIABLES ${ENV-no}\nexit 7\n")
        .run()
        .code(7)
        .stdout("a dev A,ONLY_DEV no\n")
        .stderr_empty();
}

#[test]
fn arguments_are_the_shells() {
    let _ = shell(&["dev", "--", "-c", "echo $0 $1 $A", "zero", "one"]).run().code(0).stdout("zero one a\n");
    let bash = shell(&["dev", "--", "--norc", "-c", "echo $A ${BASH_VERSION:+bash}"]).env("SHELL", "bash");
    let _ = bash.run().code(0).stdout("a bash\n").stderr_empty();
}

#[test]
fn without_a_shell_of_ones_own_it_is_the_systems() {
    for run in [shell(&["dev"]).without_env("SHELL"), shell(&["dev"]).env("SHELL", "")] {
        let _ = run.stdin("echo $A").run().code(0).stdout("a\n");
    }
}

#[test]
fn dsopss_own_failures_are_told_from_the_shells() {
    let _ = shell(&["missing"]).stdin("echo started").run().code(125).stdout_empty();
    let _ = shell(&["dev"]).env("SHELL", "/no/shell").stdin("echo started").run().code(127).stdout_empty();
    let _ = shell(&["dev"]).env("SHELL", "./dsops.yaml").run().code(126).stdout_empty();
    let _ = Dsops::new().config(FILE).args(["shell"]).run().code(125).stdout_empty();
    let _ = shell(&["dev", "--no-such-option"]).run().code(125).stdout_empty();
}

#[test]
fn the_variables_of_the_shell_around_are_left_out() {
    let inner = format!("{} shell --env other", env!("CARGO_BIN_EXE_dsops"));
    let script = format!(
        "export MINE=m; echo 'echo $A ${{ONLY_DEV-gone}} $MINE $DSOPS_ACTIVE' | {inner}; echo $A $ONLY_DEV"
    );
    let _ = shell(&["dev"]).stdin(script).run().code(0).stdout("other gone m other\na d\n").stderr_empty();
    // `exec`, too: a deployment of one environment gets nothing of another.
    let exec = format!(
        "{} exec --env other -- sh -c 'echo $A ${{ONLY_DEV-gone}} ${{DSOPS_ACTIVE-gone}}'",
        env!("CARGO_BIN_EXE_dsops")
    );
    let _ = shell(&["dev"]).stdin(exec).run().code(0).stdout("other gone gone\n").stderr_empty();
}

#[test]
fn options_mean_what_they_mean_for_exec() {
    let run = shell(&["dev", "--clean", "--keep", "ONE", "--prefix", "X_"]).env("ONE", "1").env("TWO", "2");
    let _ = run
        .stdin("echo $X_A ${A-gone} $ONE ${TWO-gone} $DSOPS_ACTIVE $DSOPS_VARIABLES")
        .run()
        .code(0)
        .stdout("a gone 1 gone dev X_A,X_ONLY_DEV\n");
}

#[test]
fn no_descriptor_is_left_open() {
    let script = "ls /proc/self/fd";
    let direct = Dsops::new().instead("/bin/sh").stdin(script).run().code(0);
    let _ = shell(&["dev"]).stdin(script).run().code(0).stdout(direct.stdout_bytes());
}
