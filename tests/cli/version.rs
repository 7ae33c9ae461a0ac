//! `dsops version`.

use crate::support::Dsops;

#[test]
fn version_succeeds_without_a_configuration_file() {
    let _ = Dsops::new().args(["version"]).run().code(0);
}

#[test]
fn the_flag_prints_the_first_line_of_the_command() {
    let command = Dsops::new().args(["version"]).run().code(0);
    let first = command.stdout_bytes().split_inclusive(|byte| *byte == b'\n').next().unwrap();
    for flag in ["--version", "-V"] {
        let _ = Dsops::new().args([flag]).run().code(0).stdout(first).stderr_empty();
    }
}
