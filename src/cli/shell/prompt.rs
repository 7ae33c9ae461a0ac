//! How a shell's prompt comes to show the environment: each shell by its own door, after the person's own files.
//!
//! No text here holds a value. bash and sh read theirs from a pipe that they close, fish and Nushell from an
//! argument, zsh from a file in memory that it removes before anything else.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use dsops::statements::{self, Shell};
use dsops_providers::contract::EnvSnapshot;
use nix::unistd::Uid;

/// What a shell is started with.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Variables beside those of the environment.
    pub(super) set: Vec<(&'static str, String)>,
}

impl Prompt {
    /// Returns what makes the shell show the name. A shell that is not known is started as it is.
    pub(super) fn of(program: &OsStr, environment: &str, env: &EnvSnapshot, sets_env: bool) -> Self {
        let mark = mark(environment);
        let program = program.to_string_lossy();
        let made = match program.rsplit('/').next().unwrap_or_default().trim_start_matches('-') {
            "bash" => bash(&mark),
            "zsh" => zsh(&mark, env),
            // Whoever sets `ENV` in the environment gets that value and no other.
            "sh" | "dash" | "ash" | "ksh" | "ksh93" | "mksh" if !sets_env => sh(&mark, env, &program),
            "fish" => Ok(Self { args: vec!["--init-command".to_owned(), fish(&mark)], set: Vec::new() }),
            "nu" => Ok(Self { args: vec!["--execute".to_owned(), nu(&mark)], set: Vec::new() }),
            _ => Ok(Self::default()),
        };
        // The shell works without, and `DSOPS_ACTIVE` is there.
        made.unwrap_or_default()
    }
}

/// Returns what the prompt begins with. Prompts are expanded, so that only harmless letters get in.
fn mark(environment: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    let name: String =
        environment.chars().map(|letter| if is_plain(letter) { letter } else { '?' }).collect();
    format!("(dsops:{name}) ")
}

/// bash reads a file in place of `~/.bashrc`. Frameworks set the prompt anew each time, so this looks each time.
fn bash(mark: &str) -> io::Result<Prompt> {
    let text = |descriptor| {
        format!(
            "exec {descriptor}<&-
if [ -r ~/.bashrc ]; then . ~/.bashrc; fi
_dsops_prompt() {{ case $PS1 in *'{mark}'*) ;; *) PS1='{mark}'$PS1 ;; esac; }}
_dsops_prompt
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)); then PROMPT_COMMAND+=(_dsops_prompt)
else PROMPT_COMMAND=\"${{PROMPT_COMMAND:+$PROMPT_COMMAND; }}_dsops_prompt\"; fi
"
        )
    };
    let descriptor = pipe(text)?;
    Ok(Prompt { args: vec!["--rcfile".to_owned(), format!("/dev/fd/{descriptor}")], set: Vec::new() })
}

/// An interactive sh reads the file that `ENV` names (POSIX.1-2024, XCU sh, "ENV").
fn sh(mark: &str, env: &EnvSnapshot, program: &str) -> io::Result<Prompt> {
    let own = match program.rsplit('/').next() {
        Some("mksh") => "~/.mkshrc",
        Some("ksh" | "ksh93") => "~/.kshrc",
        _ => "",
    };
    let restore = match env.get("ENV").filter(|file| !file.is_empty()) {
        Some(file) => format!("ENV={}; export ENV\nif [ -r \"$ENV\" ]; then . \"$ENV\"; fi", quoted(file)),
        None if own.is_empty() => "unset ENV".to_owned(),
        None => format!("unset ENV\nif [ -r {own} ]; then . {own}; fi"),
    };
    let text = |descriptor| format!("exec {descriptor}<&-\n{restore}\nPS1='{mark}'$PS1\n");
    let descriptor = pipe(text)?;
    Ok(Prompt { args: Vec::new(), set: vec![("ENV", format!("/dev/fd/{descriptor}"))] })
}

fn fish(mark: &str) -> String {
    format!(
        "functions --copy fish_prompt _dsops_fish_prompt
function _dsops_status; return $argv[1]; end
function fish_prompt
    set -l _dsops_last $status
    printf %s '{mark}'
    _dsops_status $_dsops_last
    _dsops_fish_prompt
end"
    )
}

fn nu(mark: &str) -> String {
    format!(
        "let _dsops_prompt = $env.PROMPT_COMMAND?
$env.PROMPT_COMMAND = {{|| ['{mark}' (if ($_dsops_prompt | describe) == 'closure' {{ do $_dsops_prompt }} else {{ $_dsops_prompt }})] | str join }}"
    )
}

/// zsh looks for its files where `ZDOTDIR` says. The directory there holds one file, which gives `ZDOTDIR` back,
/// removes itself and its directory, and lets zsh go on with the person's own files.
fn zsh(mark: &str, env: &EnvSnapshot) -> io::Result<Prompt> {
    let dir = tempfile::Builder::new().prefix("dsops-zsh-").tempdir_in(memory(env)?)?;
    let path = dir.path().to_string_lossy().into_owned();
    let restore = match env.get("ZDOTDIR") {
        Some(own) => format!("export ZDOTDIR={}", quoted(own)),
        None => "unset ZDOTDIR".to_owned(),
    };
    let text = format!(
        "{restore}
zmodload -F zsh/files b:zf_rm b:zf_rmdir && {{ zf_rm {file}; zf_rmdir {dir} }}
[[ -r ${{ZDOTDIR:-$HOME}}/.zshenv ]] && source ${{ZDOTDIR:-$HOME}}/.zshenv
_dsops_prompt() {{
    [[ $PROMPT == *'{mark}'* ]] || PROMPT='{mark}'$PROMPT
    precmd_functions=(${{precmd_functions:#_dsops_prompt}} _dsops_prompt)
}}
typeset -ga precmd_functions
precmd_functions+=(_dsops_prompt)
",
        file = quoted(&format!("{path}/.zshenv")),
        dir = quoted(&path),
    );
    fs::write(dir.path().join(".zshenv"), text)?;
    let _ = dir.keep();
    Ok(Prompt { args: Vec::new(), set: vec![("ZDOTDIR", path)] })
}

/// Returns a directory in memory that nobody else can write to, or in which nobody can touch another's files.
fn memory(env: &EnvSnapshot) -> io::Result<PathBuf> {
    let own = env.get_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| {
        dir.is_absolute()
            && fs::metadata(dir)
                .is_ok_and(|found| found.uid() == Uid::effective().as_raw() && found.mode() & 0o022 == 0)
    });
    let shared = Path::new("/dev/shm");
    own.or_else(|| shared.is_dir().then(|| shared.to_owned())).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn quoted(word: &str) -> String {
    statements::quoted(Shell::Posix, word)
}

/// Puts text into a pipe that the shell inherits, and returns the descriptor that it reads from.
fn pipe(text: impl Fn(i32) -> String) -> io::Result<i32> {
    let (read, write) = nix::unistd::pipe()?;
    let descriptor = read.into_raw_fd();
    // A shell closes descriptors of one digit only, and this one must not stay open.
    if descriptor > 9 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // What is far below the capacity of a pipe is written at once, without a reader.
    fs::File::from(write).write_all(text(descriptor).as_bytes())?;
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_be_a_command_of_the_prompt() {
        assert_eq!(mark("dev"), "(dsops:dev) ");
        assert_eq!(mark("eu.prod-1_a"), "(dsops:eu.prod-1_a) ");
        assert_eq!(mark("$(id)`id`%n\\u'\x1b"), "(dsops:??id??id??n?u??) ");
    }
}
