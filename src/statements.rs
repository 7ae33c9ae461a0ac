//! Statements for a shell to evaluate: variables set and taken away, each value exact to the byte.

use dsops_providers::contract::SecretValue;
use zeroize::Zeroizing;

use crate::render::{self, Format, RenderError};
use crate::transform::buffer::Buffer;

/// The language that the statements are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// What sh, bash, zsh, dash and ksh share.
    Posix,
    /// fish.
    Fish,
    /// Nushell, which evaluates no text: it gets JSON.
    Nu,
}

impl Shell {
    /// Returns the shell of a program's name: `zsh`, `/usr/bin/fish`, `-bash`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        match name.rsplit('/').next().unwrap_or_default().trim_start_matches('-') {
            "sh" | "bash" | "zsh" | "dash" | "ash" | "ksh" | "ksh93" | "mksh" | "yash" => Some(Self::Posix),
            "fish" => Some(Self::Fish),
            "nu" | "nushell" => Some(Self::Nu),
            _ => None,
        }
    }
}

/// Says whether a shell takes a word for the name of a variable (POSIX.1-2024, XBD 3.216).
#[must_use]
pub fn is_name(word: &str) -> bool {
    let starts = word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    starts && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Returns a word in quotes in which every byte is itself.
#[must_use]
pub fn quoted(shell: Shell, word: &str) -> String {
    let word = match shell {
        Shell::Posix => word.replace('\'', r"'\''"),
        // In fish's single quotes a backslash escapes itself and the quote (fish-language, "Quotes").
        Shell::Fish | Shell::Nu => word.replace('\\', r"\\").replace('\'', r"\'"),
    };
    format!("'{word}'")
}

/// Returns what exports variables, in the order given.
///
/// # Errors
///
/// Every name that is none for a shell, and every value that the shell cannot hold: with a NUL, or for Nushell one
/// that is not text.
pub fn export(
    shell: Shell,
    variables: &[render::Variable<'_>],
) -> Result<Zeroizing<Vec<u8>>, Vec<RenderError>> {
    let format = match shell {
        Shell::Posix => Format::Shell,
        Shell::Nu => Format::Json,
        Shell::Fish => return fish(variables),
    };
    let mut errors: Vec<RenderError> = variables
        .iter()
        .filter(|(name, value)| shell == Shell::Nu && (!is_name(name) || value.expose().contains(&0)))
        .map(|(name, _)| if is_name(name) { RenderError::nul(name) } else { RenderError::name(name) })
        .collect();
    match render::render(format, variables, &render::Options::default()) {
        Ok(rendered) if errors.is_empty() => Ok(rendered.text),
        Ok(_) => Err(errors),
        Err(more) => {
            errors.extend(more);
            Err(errors)
        }
    }
}

fn fish(variables: &[render::Variable<'_>]) -> Result<Zeroizing<Vec<u8>>, Vec<RenderError>> {
    let text = render::each(variables, |text, (name, value)| {
        check(name, value)?;
        text.extend(format!("set -gx {}{name} ", path_flag(name)).as_bytes());
        fish_quoted(text, value.expose());
        text.push(b'\n');
        Ok(())
    })?;
    Ok(text.into_bytes())
}

/// fish splits a variable at its colons where its name ends in `PATH`; three of them are meant so.
fn path_flag(name: &str) -> &'static str {
    if name.ends_with("PATH") && !matches!(name, "PATH" | "MANPATH" | "CDPATH") { "--unpath " } else { "" }
}

fn check(name: &str, value: &SecretValue) -> Result<(), RenderError> {
    if !is_name(name) {
        return Err(RenderError::name(name));
    }
    if value.expose().contains(&0) {
        return Err(RenderError::nul(name));
    }
    Ok(())
}

fn fish_quoted(text: &mut Buffer, value: &[u8]) {
    text.push(b'\'');
    for byte in value {
        if matches!(byte, b'\'' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'\'');
}

/// Returns what takes variables away. Names that are none are left out.
#[must_use]
pub fn unset(shell: Shell, names: &[&str]) -> String {
    let names = names.iter().filter(|name| is_name(name));
    match shell {
        Shell::Posix => names.map(|name| format!("unset {name}\n")).collect(),
        Shell::Fish => names.map(|name| format!("set -e {name}\n")).collect(),
        Shell::Nu => {
            let names: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
            format!("[{}]\n", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_known_by_its_programs_name() {
        assert_eq!(Shell::of_name("/usr/bin/zsh"), Some(Shell::Posix));
        assert_eq!(Shell::of_name("-bash"), Some(Shell::Posix));
        assert_eq!(Shell::of_name("/opt/bin/fish"), Some(Shell::Fish));
        assert_eq!(Shell::of_name("/opt/bin/tcsh"), None);
    }

    #[test]
    fn what_is_no_name_is_never_written_as_a_statement() {
        let value = SecretValue::copy_of(b"x");
        for shell in [Shell::Posix, Shell::Fish, Shell::Nu] {
            for name in ["", "1A", "A B", "A;echo", "A=B", "A\n", "\u{e9}"] {
                assert!(export(shell, &[(name, &value)]).is_err(), "{name:?}");
                assert!(!unset(shell, &[name]).contains(';'));
            }
        }
        assert_eq!(unset(Shell::Posix, &["A;echo", "B"]), "unset B\n");
        assert_eq!(unset(Shell::Nu, &["A", "B"]), "[\"A\", \"B\"]\n");
    }

    #[test]
    fn a_nul_is_refused_by_every_shell() {
        let value = SecretValue::copy_of(b"a\0b");
        for shell in [Shell::Posix, Shell::Fish, Shell::Nu] {
            let errors = export(shell, &[("A", &value)]).unwrap_err();
            assert_eq!(errors.len(), 1, "{errors:?}");
        }
    }

    #[test]
    fn fish_gets_its_own_quotes() {
        let value = SecretValue::copy_of(b"it's \\ $HOME (x)\n");
        let text = export(Shell::Fish, &[("A", &value), ("MY_PATH", &value)]).unwrap();
        let quoted = "'it\\'s \\\\ $HOME (x)\n'\n";
        assert_eq!(
            String::from_utf8(text.to_vec()).unwrap(),
            format!("set -gx A {quoted}set -gx --unpath MY_PATH {quoted}")
        );
        assert_eq!(super::quoted(Shell::Fish, "it's"), r"'it\'s'");
        assert_eq!(super::quoted(Shell::Posix, "it's"), r"'it'\''s'");
    }
}
