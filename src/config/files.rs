//! Reads what a variable of `type: file` says about its file: permissions and a name.

use std::collections::HashMap;

use dsops_providers::contract::{Key, Node};

use super::error::{Code, ConfigError};
use super::model::{Environment, FileOptions};
use super::shape::{DeliveryShape, VariableShape};

/// The permissions where the file says nothing: its owner reads it.
const MODE: u32 = 0o400;
/// The longest text that is shown as a mode: `0o0400`.
const LONGEST_MODE: usize = 6;
/// The longest name of a file: `NAME_MAX` of Linux, in bytes.
const LONGEST_NAME: usize = 255;
/// How names start that dsops gives to files which are not whole yet.
pub(crate) const UNFINISHED: &str = ".dsops-";

/// Returns the file of a variable, or none where the value is the variable itself.
pub(super) fn read(
    key: &Key,
    node: &Node,
    shape: &VariableShape,
    errors: &mut Vec<ConfigError>,
) -> Option<FileOptions> {
    if shape.delivery != Some(DeliveryShape::File) {
        let idle = node.entries().iter().filter(|(key, _)| matches!(key.name.as_str(), "mode" | "filename"));
        errors.extend(idle.map(|(idle, _)| {
            ConfigError::at(
                Code::Invalid,
                idle.span,
                format!("`{}` on a variable that is no file", idle.name),
            )
            .help("add `type: file`, or take it out")
        }));
        return None;
    }
    let span = |name: &str| node.get(name).map_or(key.span, |node| node.span);
    let mode = shape.mode.as_deref().map_or(Ok(MODE), read_mode).map_err(|(message, help)| {
        errors.push(ConfigError::at(Code::Invalid, span("mode"), message).help(help));
    });
    let name = shape.filename.as_deref().unwrap_or(&key.name);
    if let Err(why) = check_name(name) {
        // What somebody wrote where a name belongs is not repeated: it may be the value.
        let subject = match &shape.filename {
            Some(_) => "this".to_owned(),
            None => format!("`{}`", name.escape_debug()),
        };
        let message = format!("{subject} cannot be the name of a file: {why}");
        let help = "give another with `filename: NAME`, which is a name and no path";
        errors.push(ConfigError::at(Code::Invalid, span("filename"), message).help(help));
    }
    Some(FileOptions { mode: mode.unwrap_or(MODE), name: name.to_owned() })
}

/// Reads permissions that are written in octal, as `0400` or `0o400`.
///
/// The text in the file counts: `0400` is 256 to one version of YAML and 400 to the next. Without the zero in front
/// nobody can tell whether somebody converted it to decimal, as JSON has to.
fn read_mode(text: &str) -> Result<u32, (String, &'static str)> {
    const WRITE: &str = "write it in octal with a zero in front: `0400`, `0440`, `0444`, `0600`";
    let octal = text.strip_prefix("0o").or_else(|| text.strip_prefix('0')).unwrap_or_default();
    let mode = match octal.bytes().all(|byte| byte.is_ascii_digit()) {
        true => u32::from_str_radix(octal, 8).ok(),
        false => None,
    };
    match mode {
        // Other text may be a value that somebody put into the wrong place.
        None if text.len() > LONGEST_MODE => Err(("this is no octal mode".to_owned(), WRITE)),
        None => Err((format!("`{}` is no octal mode", text.escape_debug()), WRITE)),
        Some(mode) if mode > 0o777 => Err((format!("the mode `{text}` is beyond 0777"), WRITE)),
        Some(mode) if mode & 0o022 != 0 => Err((
            format!("the mode `{text}` lets others than the owner change the file"),
            "a secret has one writer: take the 2 out of the last two digits",
        )),
        Some(mode) if mode & 0o400 == 0 => {
            Err((format!("the mode `{text}` keeps the command itself from reading the file"), WRITE))
        }
        Some(mode) => Ok(mode),
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("it is empty"),
        "." | ".." => Err("it means a directory"),
        _ if name.contains('/') => Err("it has a slash in it"),
        _ if name.contains('\0') => Err("it has a NUL in it"),
        _ if name.len() > LONGEST_NAME => Err("it has over 255 bytes"),
        _ if name.starts_with(UNFINISHED) => Err("dsops names its unfinished files so"),
        _ => Ok(()),
    }
}

/// Finds the variables of an environment whose files would lie in each other's place.
pub(super) fn check_names(environment: &Environment) -> Vec<ConfigError> {
    let mut seen = HashMap::new();
    let mut errors = Vec::new();
    for variable in environment.variables.values() {
        let Some(file) = &variable.file else { continue };
        if let Some(first) = seen.insert(file.name.as_str(), variable) {
            let message =
                format!("`{}` and `{}` are both the file `{}`", first.name, variable.name, file.name);
            errors.push(
                ConfigError::at(Code::Invalid, variable.span, message)
                    .label(first.span, "the other")
                    .help("give one of them another `filename`"),
            );
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_in_every_spelling_that_yaml_has() {
        for (text, mode) in
            [("0400", 0o400), ("0o400", 0o400), ("0600", 0o600), ("00400", 0o400), ("0555", 0o555)]
        {
            assert_eq!(read_mode(text), Ok(mode), "{text}");
        }
    }

    #[test]
    fn a_mode_that_is_nonsense_or_too_open_is_refused() {
        let refused = [
            "",
            "0",
            "0o",
            "400",
            "256",
            "0x100",
            "0800",
            "0o8",
            "-0400",
            "0+400",
            "u=r",
            "01400",
            "04755",
            "0420",
            "0402",
            "0666",
            "0777",
            "0200",
            "0040",
            "99999999999999999999",
            "0 400",
            "0400 ",
        ];
        for text in refused {
            assert!(read_mode(text).is_err(), "{text}");
        }
    }
}
