//! What completes the command that `dsops exec` runs: programs on `PATH`, then paths.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use dsops_providers::contract::EnvSnapshot;

/// Completes a command and its arguments.
pub(super) struct Programs;

impl ValueCompleter for Programs {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let start = current.to_string_lossy();
        if start.contains('/') || !is_first(current) {
            return PathCompleter::any().complete(current);
        }
        let env: EnvSnapshot = std::env::vars_os().collect();
        let dirs = env.get_os("PATH").map(std::env::split_paths);
        // What is in those directories is taken for a program: asking each file would take long.
        let files = dirs.into_iter().flatten().filter_map(|dir| dir.read_dir().ok()).flatten().flatten();
        let names: BTreeSet<String> = files
            .map(|file| file.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with(&*start))
            .collect();
        names.into_iter().map(CompletionCandidate::new).collect()
    }
}

/// Says whether a word is the command itself. The index that the library gives is 0 for the second
/// word too, so the words are counted here.
fn is_first(current: &OsStr) -> bool {
    let line = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let words: Vec<OsString> = line.skip_while(|word| word != "--").skip(1).collect();
    match words.as_slice() {
        [] => true,
        // zsh leaves an empty last word out.
        [only] => only == current,
        _ => false,
    }
}
