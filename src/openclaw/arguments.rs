//! Reads the arguments of a provider as far as to know which command of dsops they run.

/// An option that stands before the command.
pub struct GlobalOption {
    /// Its name behind `--`.
    pub long: &'static str,
    /// Its letter behind `-`.
    pub short: Option<char>,
    /// Whether a value follows.
    pub has_value: bool,
}

/// The options that every command of dsops has.
pub const GLOBAL_OPTIONS: &[GlobalOption] = &[
    GlobalOption { long: "config", short: Some('c'), has_value: true },
    GlobalOption { long: "error-format", short: None, has_value: true },
    GlobalOption { long: "color", short: None, has_value: true },
    GlobalOption { long: "quiet", short: Some('q'), has_value: false },
];

/// Returns the command: the first word that is neither a global option nor the value of one. None where something comes
/// before it that dsops does not know, since what follows could then be anything.
pub(super) fn command_of<'a>(args: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut args = args.into_iter();
    loop {
        let arg = args.next()?;
        let Some(option) = arg.strip_prefix('-') else { return Some(arg) };
        let takes_next = match option.strip_prefix('-') {
            Some(option) => of_long(option)?,
            None => of_letters(option)?,
        };
        // No value starts like an option.
        if takes_next && args.next()?.starts_with('-') {
            return None;
        }
    }
}

/// Says whether the word behind an option is its value; none where there is no such option.
fn of_long(option: &str) -> Option<bool> {
    let (name, has_joined) = option.split_once('=').map_or((option, false), |(name, _)| (name, true));
    let known = GLOBAL_OPTIONS.iter().find(|known| known.long == name)?;
    match (known.has_value, has_joined) {
        (true, joined) => Some(!joined),
        (false, false) => Some(false),
        (false, true) => None,
    }
}

/// As [`of_long`], for letters that may be joined: the value is what follows a letter that has one.
fn of_letters(letters: &str) -> Option<bool> {
    let mut rest = letters.chars();
    loop {
        let Some(letter) = rest.next() else { return (!letters.is_empty()).then_some(false) };
        if GLOBAL_OPTIONS.iter().find(|known| known.short == Some(letter))?.has_value {
            return Some(rest.as_str().is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_first_word_that_is_no_option() {
        for (args, command) in [
            (&["exec-provider", "--config", "/c"][..], Some("exec-provider")),
            (&["--config", "/c", "exec-provider"], Some("exec-provider")),
            (&["--config=/c", "-q", "-c/c", "-qc", "/c", "-qc/c", "get", "exec-provider"], Some("get")),
            (&["--color", "never", "--quiet", "--error-format=json", "exec"], Some("exec")),
            (&["exec", "--", "sh", "exec-provider"], Some("exec")),
            (&["--config", "exec-provider", "exec"], Some("exec")),
            (&["--config", "exec-provider"], None),
            (&["--config", "--quiet", "exec-provider"], None),
            (&["--quiet=x", "exec-provider"], None),
            (&["-x", "exec-provider"], None),
            (&["-", "exec-provider"], None),
            (&["--", "exec-provider"], None),
            (&["--help", "exec-provider"], None),
            (&["", "exec-provider"], Some("")),
            (&[], None),
        ] {
            assert_eq!(command_of(args.iter().copied()), command, "{args:?}");
        }
    }
}
