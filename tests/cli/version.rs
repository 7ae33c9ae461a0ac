//! `dsops version`.

use crate::support::Dsops;

#[test]
fn version_succeeds_without_a_configuration_file() {
    let _ = Dsops::new().args(["version"]).run().code(0);
}
