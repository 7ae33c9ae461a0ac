//! Credentials that lie in files: `{file: path}`, and `{systemd: name}` for what systemd hands to a unit.

use std::io;
use std::path::{Path, PathBuf};

use dsops_providers::contract::{Context, DecodeError, DecodeErrorKind, Node, SecretValue, Span};
use dsops_providers::files;

/// Where systemd puts the credentials of a unit (systemd.exec(5), `LoadCredential=`).
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Where a credential lies.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// `{file: path}`.
    File(&'a str),
    /// `{systemd: name}`.
    Systemd(&'a str),
}

impl<'a> Place<'a> {
    /// Reads the one key of a credential's mapping, with its text and where that stands.
    pub(super) fn of(node: &'a Node) -> Option<(Self, Span)> {
        let [(key, value)] = node.entries() else { return None };
        let place = match (key.name.as_str(), value.text()?) {
            ("file", path) => Self::File(path),
            ("systemd", name) => Self::Systemd(name),
            _ => return None,
        };
        Some((place, value.span))
    }

    /// Returns the text as it stands in the file.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::File(text) | Self::Systemd(text) => text,
        }
    }

    /// Checks what can be checked before anything is read.
    pub(super) fn check(self, span: Span) -> Result<(), DecodeError> {
        match self {
            Self::Systemd(name) if !name.contains("${") => check_name(name, span),
            Self::File("") => Err(DecodeError::at(span, "a file without a name").help("name the file")),
            _ => Ok(()),
        }
    }

    /// Reads the credential. `text` is the place's own after `${…}` was replaced.
    ///
    /// # Errors
    ///
    /// Where there is none, it cannot be read, or is empty. What it holds is in no message.
    pub(super) fn read(self, text: &str, span: Span, cx: &Context) -> Result<SecretValue, DecodeError> {
        let path = match self {
            Self::File(_) => cx.resolve_path(text),
            Self::Systemd(_) => {
                check_name(text, span)?;
                let Some(directory) = cx.env().get_os(DIRECTORY).filter(|directory| !directory.is_empty())
                else {
                    return Err(unreadable(
                        span,
                        format!("the systemd credential `{text}` cannot be had: `{DIRECTORY}` is not set"),
                    )
                    .help(format!("run as a unit that has `LoadCredential={text}:…`")));
                };
                PathBuf::from(directory).join(text)
            }
        };
        let bytes = read(&path).map_err(|error| {
            let error = unreadable(span, format!("the credential's file `{}` {error}", path.display()));
            error.help(match self {
                Self::File(_) => "correct the path, or see who may read the file".to_owned(),
                Self::Systemd(_) => format!("give the unit `LoadCredential={text}:…`"),
            })
        })?;
        if bytes.is_empty() {
            let empty = format!("the credential's file `{}` is empty", path.display());
            return Err(unreadable(span, empty).help("write the credential into the file"));
        }
        Ok(bytes)
    }
}

/// Reads a file without the line break at its end, which editors and `echo` write and no credential has.
fn read(path: &Path) -> Result<SecretValue, String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "is not there".to_owned(),
        io::ErrorKind::FileTooLarge => "is larger than 1 MiB, so it is no credential".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    let bytes = files::read(path).map_err(failed)?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(SecretValue::copy_of(text.strip_suffix(b"\r").unwrap_or(text)))
}

/// A credential of systemd's has a file's name, and no path.
fn check_name(name: &str, span: Span) -> Result<(), DecodeError> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(DecodeError::at(span, "no name of a systemd credential")
            .help("write the name that `LoadCredential=` gives it; a path is `{file: …}`"));
    }
    Ok(())
}

fn unreadable(span: Span, message: String) -> DecodeError {
    DecodeError { kind: DecodeErrorKind::Unreadable, ..DecodeError::at(span, message) }
}
