//! Which texts can name a secret or a folder.

use crate::contract::{LocatorError, LocatorPart};

/// Checks the path of a secret: any text without control characters, in which `/` separates folders.
///
/// # Errors
///
/// Where a segment is empty, `.` or `..`, or where the end would be read as a version.
pub fn check_secret(path: &str) -> Result<(), LocatorError> {
    check_segments(path)?;
    if looks_versioned(path) {
        return Err(bad(
            format!("`{path}` ends like a version"),
            "choose a name that does not end in `@v` and digits",
        ));
    }
    Ok(())
}

/// Checks the path of a folder. The root is the empty path.
///
/// # Errors
///
/// As [`check_secret`], except for the ending.
pub fn check_folder(path: &str) -> Result<(), LocatorError> {
    if path.is_empty() { Ok(()) } else { check_segments(path) }
}

fn check_segments(path: &str) -> Result<(), LocatorError> {
    if path.chars().any(char::is_control) {
        // Not quoted: it could move the terminal's cursor.
        return Err(bad("a name holds a control character".to_owned(), "take it out of the name"));
    }
    for segment in path.split('/') {
        if segment.is_empty() {
            return Err(bad(
                format!("`{path}` has an empty part"),
                "write one `/` between folders, and none at the ends",
            ));
        }
        if segment == "." || segment == ".." {
            return Err(bad(format!("`{path}` has the part `{segment}`"), "name the folder itself"));
        }
    }
    Ok(())
}

/// Says whether a reference to this name would be read as another name at a version.
fn looks_versioned(path: &str) -> bool {
    path.rsplit_once("@v")
        .is_some_and(|(_, digits)| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn bad(message: String, help: &str) -> LocatorError {
    LocatorError { part: LocatorPart::Path, message, help: Some(help.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_any_text_with_slashes_between_folders() {
        for name in
            ["KEY", "a/b/KEY", "with space", "ünïcode/🔑", "a.b", "...", "user@v", "mail@vx1", "@v1/x"]
        {
            check_secret(name).unwrap();
        }
    }

    #[test]
    fn a_name_that_could_be_read_in_two_ways_is_refused() {
        for name in [
            "", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\nb", "a\0", "\u{85}", "KEY@v1", "a/b@v007",
        ] {
            assert!(check_secret(name).is_err(), "{name:?}");
        }
        check_folder("").unwrap();
        check_folder("releases@v1").unwrap();
        assert!(check_folder("a/").is_err());
    }
}
