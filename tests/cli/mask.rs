//! `dsops mask`, the filter.

use crate::support::Dsops;

const CONFIG: &str = "\
secretStores: {s: {type: literal, values: {KEY: correct-horse-battery, PEM: \"-----BEGIN-----\\nabcdefgh\\nxy\\n-----END-----\\n\"}}}
envs:
  dev:
    KEY: {from: s/KEY}
    PEM: {from: s/PEM}
    PIN: {literal: 123}
    EMPTY: {literal: ''}
    LEVEL: {literal: debug, mask: false}
    MODE: {literal: plain-text}
  absent: {KEY: {from: s/NONE}}
";

fn mask(input: impl Into<Vec<u8>>) -> Dsops {
    Dsops::new().config(CONFIG).args(["mask", "--env", "dev"]).stdin(input)
}

fn shell(script: &str) -> Dsops {
    Dsops::new().config(CONFIG).instead("/bin/sh").args(["-c", script, env!("CARGO_BIN_EXE_dsops")])
}

#[test]
fn values_are_taken_out_and_all_else_is_exact() {
    let _ = mask("a correct-horse-battery b\r\n\0\u{ff} correct-horse-batter")
        .run()
        .code(0)
        .stdout("a *** b\r\n\0\u{ff} correct-horse-batter");
    let _ = mask("<abcdefgh> xy <-----BEGIN-----\nabcdefgh\nxy\n-----END----->\n")
        .run()
        .code(0)
        .stdout("<***> xy <***>\n");
    let _ = mask("https://u:correct%2Dhorse-battery Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5\n")
        .run()
        .code(0)
        .stdout("https://u:correct%2Dhorse-battery ***\n");
}

#[test]
fn every_value_is_masked_but_what_the_file_says_is_plain() {
    let _ = mask("debug plain-text 123\n").run().code(0).stdout("debug *** 123\n");
}

#[test]
fn values_that_are_too_short_are_named() {
    let output = mask("").run().code(0).stdout_empty().stderr_has("shorter than 4 bytes: PIN\n");
    let _ = output.stderr_lacks("123");
    let _ = mask("").args(["--quiet"]).run().code(0).stderr_has("PIN");
}

#[test]
fn a_value_is_masked_however_it_is_written() {
    let script = "for part in cor rect- hor se-b attery; do printf %s \"$part\"; sleep 0.03; done | \"$0\" mask --env dev";
    // Three bytes come through at most, and only where the filter finds the time before the next ones are there.
    let output = shell(script).run().code(0);
    assert!([&b"***"[..], b"c***", b"co***", b"cor***"].contains(&output.stdout_bytes()), "{output}");
}

#[test]
fn what_is_written_appears_at_once() {
    // The writer goes on only when the first line has come out at the other end.
    let script = "mkfifo up; { echo one; read line < up; echo two; } | \"$0\" mask --env dev | { read line; echo \"$line\"; echo go > up; cat; }";
    let _ = shell(script).run().code(0).stdout("one\ntwo\n");
    // A prompt that is the start of a value as well.
    let script = "mkfifo up; { printf 'a cor'; read line < up; echo two; } | \"$0\" mask --env dev | { head -c 5; echo go > up; cat; }";
    let _ = shell(script).run().code(0).stdout("a cortwo\n");
}

#[test]
fn without_the_values_nothing_is_read_and_nothing_passes() {
    let _ = shell("\"$0\" mask --env absent; echo $?; cat").stdin("kept").run().code(0).stdout("5\nkept");
    let _ = shell("\"$0\" mask --env none; echo $?; cat").stdin("kept").run().code(0).stdout("3\nkept");
}

#[test]
fn it_ends_as_cat_does_when_nobody_reads() {
    let run = shell("{ yes | \"$0\" mask --env dev; echo $? >&2; } | head -n 1").run();
    let _ = run.code(0).stdout("y\n").stderr_has("141\n");
}

#[test]
fn what_cannot_be_read_is_told() {
    let _ = shell("exec \"$0\" mask --env dev 0</ >/dev/null").run().code(6).stderr_has("dsops::input");
}

#[test]
fn much_comes_through_complete_and_in_order() {
    let script = "seq 1 400000 > numbers; \"$0\" mask --env dev < numbers | cmp - numbers && echo same";
    let _ = shell(script).run().code(0).stdout("same\n");
}
