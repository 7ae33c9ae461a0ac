//! Programs in C that the tests run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Compiles a program, by its path in the project, and returns where it is.
pub(crate) fn compiled(source: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let name = source.file_stem().expect("a name").to_string_lossy().into_owned();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("dsops-{name}"));
    // Beside it first: another test, or another run of the tests, may have it open.
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let fresh = path.with_extension(format!("{}-{number}", std::process::id()));
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&fresh).arg(source);
    assert!(compiler.status().expect("a C compiler").success());
    std::fs::rename(&fresh, &path).expect("the program's place");
    path
}
