//! `dsops exec`: what the child gets, what it does not get, and how its end is seen.

use nix::sys::signal::Signal;

use crate::support::Dsops;

const CONFIG: &str = "envs: {dev: {A: {literal: resolved}, B: {literal: ' two '}}}\n";

fn exec(config: &str, options: &[&str], command: &[&str]) -> Dsops {
    Dsops::new().config(config).args(["exec", "--env", "dev"]).args(options).args(["--"]).args(command)
}

fn shell(options: &[&str], script: &str) -> Dsops {
    exec(CONFIG, options, &["sh", "-c", script])
}

#[test]
fn the_child_gets_every_value_to_the_byte() {
    let config = "secretStores: {s: {type: literal, values: {BYTES: /wEKCg==}}}\nenvs:\n  dev:\n    EMPTY: {literal: ''}\n    \
                  LINES: {literal: \"a\\nb\\n\"}\n    SPACES: {literal: '  a  '}\n    \
                  SHELL_SIGNS: {literal: \"$HOME `id` \\\"'\\\\ ${X}\"}\n    BYTES: {from: s/BYTES, transform: base64_decode}\n";
    let script = "printf '%s|' \"$EMPTY\" \"$LINES\" \"$SPACES\" \"$SHELL_SIGNS\" \"$BYTES\"";
    let expected = b"|a\nb\n|  a  |$HOME `id` \"'\\ ${X}|\xff\x01\n\n|";
    let _ = exec(config, &[], &["sh", "-c", script]).run().code(0).stdout(expected).stderr_empty();
}

#[test]
fn the_child_inherits_what_dsops_inherited() {
    let _ = shell(&[], "printf %s \"$A-$OTHER\"").env("OTHER", "kept").run().code(0).stdout("resolved-kept");
}

#[test]
fn variables_that_are_no_text_pass_through() {
    use std::os::unix::ffi::OsStrExt;
    let bytes = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let _ = shell(&[], "printf %s \"$OTHER\"").env("OTHER", bytes).run().code(0).stdout(b"\xff\xfe");
}

#[test]
fn resolved_values_win_unless_told_otherwise() {
    let script = "printf %s \"$A\"";
    let _ = shell(&[], script).env("A", "inherited").run().code(0).stdout("resolved");
    let _ = shell(&["--allow-override"], script).env("A", "inherited").run().code(0).stdout("inherited");
    let _ = shell(&["--allow-override"], script).run().code(0).stdout("resolved");
}

#[test]
fn clean_starts_from_the_short_list() {
    let run =
        shell(&["--clean"], "env | cut -d= -f1 | grep -v -e ^_$ -e ^PWD$ -e ^OLDPWD$ -e ^SHLVL$ | sort")
            .env("OTHER", "x")
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
    let _ = run.run().code(0).stdout("A\nB\nHOME\nLC_ALL\nPATH\nTZ\n");
}

#[test]
fn a_missing_value_keeps_the_child_from_starting() {
    let config = "secretStores: {s: {type: literal, values: {K: v}}}\nenvs: {dev: {A: {from: s/K}, B: {from: s/NONE}, C: {from: s/NONE2}}}\n";
    let output = exec(config, &[], &["touch", "started"]).run().code(125).stdout_empty();
    let output = output.stderr_has("`s/NONE`").stderr_has("`s/NONE2`").stderr_has("dsops::fetch::not_found");
    assert!(!output.path("started").exists());
}

#[test]
fn allow_missing_leaves_absent_variables_out_and_says_so() {
    let config = "secretStores: {s: {type: literal, values: {K: v}}}\nenvs: {dev: {A: {from: s/K}, B: {from: s/NONE}}}\n";
    let script = "echo ${A-unset} ${B-unset}";
    let run = |options: &[&str]| exec(config, options, &["sh", "-c", script]);
    let _ = run(&["--allow-missing"]).run().code(0).stdout("v unset\n").stderr_has("--allow-missing: B");
    // It stays on stderr also where remarks are not wanted: the child lacks something.
    let _ = run(&["--allow-missing", "--quiet"]).run().code(0).stderr_has("--allow-missing: B");
}

#[test]
fn allow_missing_does_not_allow_failures() {
    for (store, code) in [
        ("{type: exec, command: ./no-such-program}", "dsops::fetch::tool_missing"),
        ("{type: dotenv, path: dsops.yaml}", "dsops::fetch::"),
    ] {
        let config = format!("secretStores: {{s: {store}}}\nenvs: {{dev: {{A: {{from: s/K}}}}}}\n");
        let output = exec(&config, &["--allow-missing"], &["touch", "started"]).run().code(125);
        let output = output.stdout_empty().stderr_has(code);
        assert!(!output.path("started").exists());
    }
}

#[test]
fn the_working_directory_is_the_childs_alone() {
    let config = "secretStores: {f: {type: dotenv, path: values.env}}\nenvs: {dev: {A: {from: f/KEY}}}\n";
    let run = exec(config, &["--working-dir", "below"], &["sh", "-c", "echo $A; basename \"$(pwd)\""]);
    // The store's path starts at the file that names it, wherever the child runs.
    let run = run.file("values.env", "KEY=value\n").file("below/x", "");
    let _ = run.run().code(0).stdout("value\nbelow\n");
}

#[test]
fn time_that_passes_is_124() {
    let _ = exec(CONFIG, &["--timeout", "100ms"], &["sleep", "60"]).run().code(124);
    let _ = exec(CONFIG, &["--timeout", "1m"], &["sh", "-c", "echo $A; exit 3"])
        .run()
        .code(3)
        .stdout("resolved\n");
}

const CREDENTIALS: &str = "secretStores:\n  s: {type: exec, command: ./store, env: {T: \"${STORE_TOKEN}\", U: \"x-${STORE_USER:-me}\"}}\n  \
                           i:\n    type: infisical\n    project_id: 64f7e4d2-1234-5678-abcd-1234567890ab\n    environment: dev\n    \
                           auth: {method: service_token, token: \"${STORE_OTHER}\"}\nenvs:\n  dev: {A: {literal: x}}\n  \
                           named: {STORE_TOKEN: {literal: mine}}\n";

fn credentials(environment: &str, options: &[&str]) -> Dsops {
    let show = "echo ${STORE_TOKEN-unset} ${STORE_USER-unset} ${STORE_OTHER-unset} ${INFISICAL_TOKEN-unset} ${AWS_PROFILE-unset}";
    let run = Dsops::new().config(CREDENTIALS).args(["exec", "--env", environment]).args(options);
    let run = run.args(["--", "sh", "-c", show]).env("AWS_PROFILE", "aws").env("STORE_OTHER", "c");
    run.env("STORE_TOKEN", "a").env("STORE_USER", "b").env("INFISICAL_TOKEN", "d")
}

#[test]
fn the_child_does_not_inherit_the_credentials_of_the_stores() {
    // Of every configured store, whether this environment uses it or not; an ambient identity stays.
    let _ = credentials("dev", &[]).run().code(0).stdout("unset unset unset unset aws\n");
    let _ = credentials("dev", &["--allow-override"]).run().code(0).stdout("unset unset unset unset aws\n");
    let _ = credentials("dev", &["--timeout", "1m"]).run().code(0).stdout("unset unset unset unset aws\n");
}

#[test]
fn credentials_stay_where_they_are_asked_for() {
    let _ = credentials("dev", &["--keep-credentials"]).run().code(0).stdout("a b c d aws\n");
    let _ = credentials("named", &[]).run().code(0).stdout("mine unset unset unset aws\n");
}

#[test]
fn stdin_stdout_and_stderr_are_the_childs() {
    let bytes: Vec<u8> = (0..=255).collect();
    for options in [&[][..], &["--timeout", "1m"]] {
        let output = shell(options, "cat; echo to-stderr >&2").stdin(bytes.clone()).run().code(0);
        assert_eq!(output.stderr_bytes(), b"to-stderr\n");
        let _ = output.stdout(&bytes);
    }
}

#[test]
fn a_pipeline_that_is_cut_short_ends_in_silence() {
    // With SIGPIPE ignored, as the runtime sets it for dsops itself, `yes` would complain.
    let _ = shell(&[], "yes | head -n 1").run().code(0).stdout("y\n").stderr_empty();
}

#[test]
fn every_exit_code_is_the_childs() {
    let script = "for code in $(seq 0 255); do \"$0\" exec --env dev -- sh -c \"exit $code\"; \
                  [ $? = $code ] || echo \"$code became something else\"; done";
    let run = Dsops::new().config(CONFIG).instead("/bin/sh");
    let _ = run.args(["-c", script, env!("CARGO_BIN_EXE_dsops")]).run().code(0).stdout_empty().stderr_empty();
}

#[test]
fn a_death_by_signal_is_seen_as_one() {
    for (name, signal) in [("TERM", Signal::SIGTERM), ("KILL", Signal::SIGKILL), ("INT", Signal::SIGINT)] {
        let _ = shell(&[], &format!("kill -{name} $$")).run().killed_by(signal);
    }
}

#[test]
fn arguments_reach_the_child_as_they_are() {
    let command = ["printf", "%s|", "--env", "a b", "", "--", "$A", "*"];
    let _ = exec(CONFIG, &[], &command).run().code(0).stdout("--env|a b||--|$A|*|");
}

#[test]
fn print_shows_names_and_sources_and_starts_nothing() {
    let config = "secretStores: {s: {type: literal, values: {K: hunter2}}, e: {type: exec, command: ./x, env: {T: \"${TOKEN}\"}}}\n\
                  envs:\n  dev:\n    A: {literal: hunter2}\n    B: {from: s/K}\n    C: {from: s/NONE, optional: true}\n    \
                  D: {from: s/NONE, default: hunter2}\n    E: {from: s/NONE, fallback: s/K}\n";
    let output =
        exec(config, &["--print"], &["touch", "started"]).env("B", "x").env("TOKEN", "hunter2").run();
    let output = output.code(0).stderr_empty().never_shows("hunter2").stdout(
        "VARIABLE  SOURCE     NOTE\n\
         A         literal\n\
         B         s/K        replaces an inherited one\n\
         D         default\n\
         E         s/K\n\
         C                    absent, optional\n\
         TOKEN     inherited  taken out: a store's credential\n",
    );
    assert!(!output.path("started").exists());
}

#[test]
fn print_needs_no_command() {
    let run = Dsops::new().config(CONFIG).args(["exec", "--env", "dev", "--print"]);
    let _ = run.run().code(0).stdout_has("A         literal").stderr_empty();
}

#[test]
fn the_environment_can_be_named_by_a_variable() {
    let run = Dsops::new().config(CONFIG).args(["exec", "--", "printenv", "A"]).env("DSOPS_ENV", "dev");
    let _ = run.run().code(0).stdout("resolved\n");
    let config = "envs: {dev: {A: {literal: one}}, other: {A: {literal: two}}}";
    let _ = exec(config, &[], &["printenv", "A"]).env("DSOPS_ENV", "other").run().code(0).stdout("one\n");
}

#[test]
fn ten_thousand_variables_reach_the_child() {
    let variables: String =
        (0..10_000).map(|index| format!("    VARIABLE_{index}: {{literal: v{index}}}\n")).collect();
    let config = format!("envs:\n  dev:\n{variables}");
    let script = "env | grep -c ^VARIABLE_; echo $VARIABLE_9999";
    let _ = exec(&config, &[], &["sh", "-c", script]).run().code(0).stdout("10000\nv9999\n");
}

#[test]
fn stats_tells_what_was_asked() {
    let _ = shell(&["--stats"], "true").run().code(0).stdout_empty().stderr_has("0 requests");
}
