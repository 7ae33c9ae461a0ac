//! Standard input, output and error, and no other descriptor: as the command would have them without dsops.

use crate::run::{Mode, Place, Run, end};
use crate::table::{Row, check};

/// What the probe is started with: descriptors as a shell redirects them, in front of the command.
const SHOWN: &[(&str, &str)] = &[
    ("given as they are", "$CMD"),
    ("input from `/dev/null`", "$CMD </dev/null"),
    ("input from a file", "$CMD <dsops.yaml"),
    ("input from a pipe", "echo x | $CMD"),
    ("input closed", "$CMD <&-"),
    ("error closed", "$CMD 2>&-"),
    ("input and error closed", "$CMD <&- 2>&-"),
    ("output closed, told on error", "$CMD >&- 2>../out; cat ../out"),
    ("all closed but a file", "$CMD <&- 2>&- >../out; cat ../out"),
    ("error to output", "$CMD 2>&1"),
    ("output to a file, appended", "$CMD >>../out; cat ../out"),
    ("descriptors 3 and 9 of the caller", "$CMD 3</dev/null 9>&1"),
];

const PIPED: &str = "An output that is masked and no terminal is a pipe to dsops; so is standard error where only that is a terminal.";

#[test]
fn the_command_has_the_descriptors_of_the_caller_and_no_more() {
    let mut rows: Vec<Row> = SHOWN
        .iter()
        .map(|&(name, script)| {
            let row = Row::new(name, move |mode, place| {
                script_shows(mode, place, script, &["probe", "show", "descriptors"])
            });
            let row = row.shown("the caller's");
            if script.contains("../out") {
                row.differs(&[Mode::Mask], None, PIPED).shown_as("a pipe")
            } else {
                row
            }
        })
        .collect();
    rows.extend([
        Row::new("writes to a closed output", |mode, place| {
            script_shows(
                mode,
                place,
                "$CMD >&- 2>/dev/null; echo end $?",
                &["sh", "-c", "echo text || exit 9"],
            )
        }),
        Row::new("writes to a closed error", |mode, place| {
            script_shows(mode, place, "$CMD 2>&-; echo end $?", &["sh", "-c", "echo text >&2 || exit 9"])
        }),
        Row::new("reads from a closed input", |mode, place| {
            script_shows(mode, place, "$CMD <&- 2>/dev/null; echo end $?", &["cat"])
        }),
        Row::new("writes to a pipe that nobody reads", |mode, place| {
            script_shows(
                mode,
                place,
                "trap '' TTOU; { $CMD; echo end $? >&2; } 2>&1 >/dev/null | cat",
                &["sh", "-c", "yes | head -n 1"],
            )
        }),
        Row::new("`yes`, into `head -n 1`", |mode, place| {
            script_shows(mode, place, "set -o pipefail; $CMD | head -n 1; echo end $?", &["yes"])
        }),
        Row::new("`SIGPIPE` ignored, `yes` into `head -n 1`", |mode, place| {
            script_shows(
                mode,
                place,
                "trap '' PIPE; set -o pipefail; $CMD 2>/dev/null | head -n 1; echo end $?",
                &["yes"],
            )
        }),
        Row::new("reads all of a pipe", |mode, place| {
            script_shows(mode, place, "seq 100000 | $CMD", &["cksum"])
        }),
        Row::new("leaves the rest of a file to the next", |mode, place| {
            script_shows(
                mode,
                place,
                "seq 3 >../in; { $CMD; cat; } <../in",
                &["sh", "-c", "read a; echo got $a"],
            )
        }),
    ]);
    check("streams", "descriptors", &[Place::Apart, Place::Terminal], &rows);
}

fn script_shows(mode: Mode, place: Place, script: &str, command: &[&str]) -> String {
    let run = Run::new(mode, place);
    let output = run.start_script(&["bash", "-c"], script, command).wait();
    let shown =
        String::from_utf8_lossy(output.stdout_bytes()).trim_end().replace("\r\n", "\n").replace('\n', " ");
    let shown = shown.replace(&output.root().to_string_lossy().into_owned(), "ROOT");
    let end = end(output.status());
    if end == "exit 0" { shown } else { format!("{shown}, {end}") }
}
