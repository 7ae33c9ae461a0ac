//! What the helpers share whose answer is one object of JSON.

use std::time::{Duration, SystemTime};

use dsops::exit;
use dsops::helper::credential::{Misfit, Unusable, expiry};
use dsops::helper::shown_key;
use dsops::suggest::{and_ticked, did_you_mean};

use crate::cli::Stop;
use crate::diagnostics::Diagnostic;

/// Returns the report of a value that its protocol cannot carry; `entry` is the path of its entry in the file, as it can
/// be shown.
pub(super) fn misfit_report(entry: &str, misfit: Misfit) -> Diagnostic {
    let exit = if misfit.why == Unusable::Empty { exit::EMPTY } else { exit::TRANSFORM };
    let message = format!("`{entry}.{}` {}", misfit.part, misfit.why);
    Diagnostic::new("dsops::helper::value", exit, message).help(misfit.why.advice())
}

/// Returns the report of a value that is optional, absent, and needed here.
pub(super) fn absent_report(entry: &str, part: &str) -> Diagnostic {
    let message = format!("`{entry}.{part}` is optional, and absent");
    let help = "add it to its store, or take the entry out of dsops.yaml";
    Diagnostic::new("dsops::fetch::not_found", exit::NOT_FOUND, message).help(help)
}

/// Returns the report of an entry that the file does not have, with those that it has.
pub(super) fn unknown_report<'a>(
    section: &str,
    message: &str,
    name: Option<&str>,
    known: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let known: Vec<String> = known.map(shown_key).collect();
    let known = known.iter().map(String::as_str);
    let has = match known.len() {
        0 => format!("{message}, nor anything else"),
        _ => format!("{message}; it has {}", and_ticked(known.clone())),
    };
    let help = name.and_then(|name| did_you_mean(name, known));
    let help =
        help.unwrap_or_else(|| format!("add it to `{section}` of dsops.yaml, or name one that is there"));
    Diagnostic::new("dsops::helper::unknown", exit::CONFIGURATION, has).help(help)
}

/// Returns when what is given now is to be asked for again.
pub(super) fn expiration(entry: &str, refresh: Option<Duration>) -> Result<Option<String>, Stop> {
    let Some(refresh) = refresh else { return Ok(None) };
    let expiry = expiry(SystemTime::now(), refresh).ok_or_else(|| {
        let message = format!("`{entry}.refresh`: the clock of this machine is out of reach");
        Diagnostic::new("dsops::helper::clock", exit::STORE, message).help("set the clock")
    })?;
    Ok(Some(expiry))
}
