//! The shells, and what two of them need besides what the library does.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_complete::engine;
use clap_complete::env::{self, Elvish, EnvCompleter, Fish, Powershell, Shells};
use dsops_providers::contract::EnvSnapshot;

/// Every shell that can be completed.
pub(super) const SHELLS: Shells<'static> = Shells(&[&Bash, &Elvish, &Fish, &Powershell, &Zsh]);

/// bash, which passes `--env=dev` as `--env`, `=` and `dev`, and replaces the last of them only.
struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        env::Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        env::Bash.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        binary: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        env::Bash.write_registration(variable, name, binary, completer, script)
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        here: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        let env: EnvSnapshot = std::env::vars_os().collect();
        let index: usize =
            env.get("_CLAP_COMPLETE_INDEX").and_then(|index| index.parse().ok()).unwrap_or_default();
        let separator = env.get("_CLAP_IFS").unwrap_or("\n");
        let before = words.iter().take(index).filter(|word| *word == "=").count();
        let is_kept = |(at, word): &(usize, OsString)| *at == index || word != "=";
        let words = words.into_iter().enumerate().filter(is_kept);
        // bash 3 passes the sign itself where the cursor stands behind it.
        let words = words.map(|(_, word)| if word == "=" { OsString::new() } else { word }).collect();
        let found = engine::complete(command, words, index - before, here)?;
        let texts: Vec<_> = found.iter().map(|found| found.get_value().to_string_lossy()).collect();
        answer.write_all(texts.join(separator).as_bytes())
    }
}

/// zsh, which runs a script from `fpath` to get the first answer, not to learn who answers.
struct Zsh;

impl EnvCompleter for Zsh {
    fn name(&self) -> &'static str {
        env::Zsh.name()
    }

    fn is(&self, name: &str) -> bool {
        env::Zsh.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        binary: &str,
        completer: &str,
        script: &mut dyn Write,
    ) -> io::Result<()> {
        env::Zsh.write_registration(variable, name, binary, completer, script)?;
        writeln!(script, "if [[ $funcstack[1] == _{name} ]]; then _clap_dynamic_completer_{name} \"$@\"; fi")
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        here: Option<&Path>,
        answer: &mut dyn Write,
    ) -> io::Result<()> {
        env::Zsh.write_complete(command, words, here, answer)
    }
}
