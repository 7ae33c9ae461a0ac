//! The other names of the program: what it is when git, docker or ssh start it under one of them.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The names, and the words that stand for them. What a program puts behind `dsops-askpass` is a prompt, which a
/// server may have a hand in, and must not be read as an option.
const NAMES: &[(&str, &[&str])] = &[
    ("git-credential-dsops", &["helper", "git"]),
    ("docker-credential-dsops", &["helper", "docker"]),
    ("dsops-askpass", &["helper", "askpass", "--"]),
];

/// Returns the command line, with the words of the name under which the program was started, if it is one of those.
pub(in crate::cli) fn arguments(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|path| Path::new(path).file_name());
    if let Some((_, words)) = NAMES.iter().find(|(known, _)| name == Some(OsStr::new(known))) {
        args.splice(1..1, words.iter().map(OsString::from));
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[&str]) -> Vec<String> {
        let args = arguments(args.iter().map(OsString::from));
        args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_last_part_of_the_name_counts() {
        for name in ["git-credential-dsops", "/a/git-credential-dsops", "./git-credential-dsops"] {
            assert_eq!(of(&[name, "--config", "/c", "get"])[1..], ["helper", "git", "--config", "/c", "get"]);
        }
        assert_eq!(of(&["x/docker-credential-dsops", "get"])[1..], ["helper", "docker", "get"]);
    }

    #[test]
    fn a_prompt_is_never_an_option() {
        assert_eq!(
            of(&["/a/dsops-askpass", "--config=/evil"])[1..],
            ["helper", "askpass", "--", "--config=/evil"]
        );
    }

    #[test]
    fn every_other_name_is_dsops() {
        for name in ["dsops", "/a/dsops", "dsops-askpass/dsops", "my-dsops-askpass", ""] {
            assert_eq!(of(&[name, "get", "x"]), [name, "get", "x"]);
        }
        assert!(arguments(Vec::new()).is_empty());
    }
}
