//! `dsops env`: statements that sh and bash evaluate; the other shells are in `tests/peers/shells.py`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::support::{Dsops, Output};

const FILE: &str = "\
secretStores: {lit: {type: literal, values: {f/BASH_ENV: x}}}
envs:
  dev: {A: {literal: a}, B: {literal: \"it's\"}}
  other: {B: {literal: b}}
  missing: {A: {literal: a}, M: {from: lit/none}}
  evil: {import: {store: lit/f}}
  names: {'A-B': {literal: a}}
";

/// Values that a shell could take for something else.
const VALUES: &[&[u8]] = &[
    b"",
    b"plain",
    b"'",
    b"''",
    b"'quoted'",
    b"\\",
    b"\\'",
    b"a'b\\'c\\\\",
    b"$HOME ${X} $(id) `id` $((1+1))",
    b"line one\nline two\r\nend\n\n",
    b"\n",
    b" outer white space \t",
    b"!history !! #comment ; & | > <",
    b"* ? [a-z] ~ {a,b}",
    b"-n",
    b"EOF\nEOF",
    b"\xff\xfe\x80 not text \xc3",
    "gr\u{fc}\u{df}e \u{2019} \u{f600}".as_bytes(),
    b"\x01\x02\x1b[31m\x7f",
];

/// Runs a script with dsops on its `PATH`.
fn run(shell: &str, config: &str, script: &str) -> Output {
    let path = format!("PATH={}:$PATH\n", bin());
    Dsops::new().instead(shell).config(config).args(["-c", &format!("{path}{script}")]).run()
}

fn bin() -> String {
    std::path::Path::new(env!("CARGO_BIN_EXE_dsops")).parent().unwrap().display().to_string()
}

/// An environment `dev` with all values, as `V0` and on.
fn nasty() -> String {
    let values = VALUES.iter().enumerate().map(|(index, value)| {
        let text = BASE64_STANDARD.encode(value);
        format!("    V{index}: {{literal: \"{text}\", transform: base64_decode}}\n")
    });
    format!("envs:\n  dev:\n{}", values.collect::<String>())
}

#[test]
fn every_value_arrives_exact_to_the_byte() {
    let names = (0..VALUES.len()).map(|index| format!("\"$V{index}\"")).collect::<Vec<_>>().join(" ");
    let expected: Vec<u8> = VALUES.iter().flat_map(|value| [value, &b"\0"[..]].concat()).collect();
    for shell in ["sh", "bash"] {
        let output =
            run(shell, &nasty(), &format!("eval \"$(dsops env --env dev)\"; printf '%s\\0' {names}"));
        let _ = output.code(0).stdout(&expected).stderr_empty();
    }
}

#[test]
fn the_variables_are_exported_with_the_name_of_the_environment() {
    let script = "eval \"$(dsops env --env dev)\"; sh -c 'echo $A $B $DSOPS_ACTIVE $DSOPS_VARIABLES'";
    let _ = run("sh", FILE, script).code(0).stdout("a it's dev A,B\n").stderr_empty();
    let script = "eval \"$(dsops env --env dev --prefix X_)\"; sh -c 'echo $X_A ${A-unset} $DSOPS_VARIABLES'";
    let _ = run("sh", FILE, script).code(0).stdout("a unset X_A,X_B\n").stderr_empty();
}

#[test]
fn another_environment_takes_the_one_before_away() {
    let script = "eval \"$(dsops env --env dev)\"; eval \"$(dsops env --env other)\"
        echo ${A-unset} $B $DSOPS_ACTIVE $DSOPS_VARIABLES";
    let _ = run("sh", FILE, script).code(0).stdout("unset b other B\n").stderr_empty();
}

#[test]
fn unset_takes_all_of_it_away_and_asks_no_store() {
    let script = "eval \"$(dsops env --env dev)\"; rm dsops.yaml; eval \"$(dsops env --unset)\"
        echo ${A-unset} ${B-unset}; env | grep -c DSOPS";
    let _ = run("sh", FILE, script).stdout("unset unset\n0\n").stderr_empty();
    let _ =
        run("sh", FILE, "dsops env --unset").code(0).stdout_empty().stderr_has("no environment is active");
    // What is in the variable is evaluated, and anybody may have set it.
    let script = "DSOPS_VARIABLES='A;echo harm,B,$(id),C D' dsops env --unset";
    let _ = run("sh", FILE, script).code(0).stdout("unset B\nunset DSOPS_VARIABLES\n");
}

#[test]
fn on_an_error_nothing_is_evaluated() {
    for (args, code) in [
        ("missing", 5),
        ("evil", 10),
        ("none", 3),
        ("names", 7),
        ("dev --shell tcsh", 2),
        ("dev --config no.yaml", 3),
    ] {
        let output = run("sh", FILE, &format!("dsops env --env {args}"));
        let _ = output.code(code).stdout_empty();
    }
    let _ = run("sh", FILE, "dsops env").code(2).stdout_empty();
    let _ = run("sh", FILE, "A=kept; eval \"$(dsops env --env missing)\"; echo $A").stdout("kept\n");
}

#[test]
fn remarks_are_not_among_the_statements() {
    let output = run("sh", FILE, "export A=mine B=\"it's\"; dsops env --env dev").code(0);
    let _ = output
        .stdout(
            "export A='a'\nexport B='it'\\''s'\nexport DSOPS_ACTIVE='dev'\nexport DSOPS_VARIABLES='A,B'\n",
        )
        .stderr("dsops: in place of the inherited variable of another value: A\n");
    let output = run("sh", FILE, "export A=mine; dsops env --env dev --allow-override").code(0);
    let _ = output.stdout_has("export B=").stdout_has("VARIABLES='B'").stderr_empty();
}

#[test]
fn other_shells_get_their_own_language() {
    let output = run("sh", FILE, "dsops env --env dev --shell fish").code(0);
    let _ = output.stdout_has("set -gx A 'a'\n").stdout_has("set -gx B 'it\\'s'\n");
    let output = run("sh", FILE, "dsops env --env dev --shell nu").code(0);
    assert_eq!(output.json()["B"], "it's");
}

#[test]
fn in_ci_the_values_are_masked_before_the_script_has_them() {
    let file = "envs: {dev: {A: {literal: a-long-value}}}\n";
    let run = Dsops::new().config(file).env("GITHUB_ACTIONS", "true").args(["env", "--env", "dev"]);
    let output = run.run().code(0).stderr_has("::add-mask::a-long-value\n");
    assert!(!String::from_utf8_lossy(output.stdout_bytes()).contains("add-mask"), "{output}");
}
