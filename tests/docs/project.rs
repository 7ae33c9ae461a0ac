//! The project's own files, as the tests find them.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the project's directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a file of the project, by its path from the root.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the files below some directories that have an ending, sorted, by their path from the root.
pub(crate) fn files(directories: &[&str], ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in directories {
        walk(&root().join(directory), ending, &mut found);
    }
    found.sort();
    found
}

fn walk(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("a readable directory").path();
        // What was built and downloaded is not the project's.
        if path.ends_with("target") || path.ends_with("corpus") {
            continue;
        }
        if path.is_dir() {
            walk(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path.strip_prefix(root()).expect("a path below the root").to_owned());
        }
    }
}

/// Returns every document: the pages at the root, those in `docs` and those of the examples.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(PathBuf::from).to_vec();
    found.extend(files(&["docs", "examples"], ".md"));
    found
}
