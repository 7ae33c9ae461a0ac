//! Encrypted credentials for `LoadCredentialEncrypted=`, made by systemd's own program.
//!
//! systemd-creds(1), `encrypt`: the value goes to its stdin and the name is an argument, which is bound to the content. Only a
//! host with the same key can read the result.

use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use dsops_providers::contract::EnvSnapshot;

use super::error::{RenderError, RenderErrorKind};
use super::{Variable, is_name};

/// The most bytes of a credential: systemd.exec(5), `LoadCredential=`.
const LARGEST: usize = 1024 * 1024;

/// What the program is called.
const PROGRAM: &str = "systemd-creds";

/// Says of each variable whether a credential can be made of it, before the first is.
///
/// # Errors
///
/// Every name and value that cannot.
pub fn check(variables: &[Variable<'_>]) -> Result<(), Vec<RenderError>> {
    let check = |(name, value): &Variable<'_>| {
        if !is_name(name) {
            return Some(RenderError::name(name));
        }
        (value.len() > LARGEST).then(|| {
            RenderError::value(name, format!("`{name}` is larger than the 1 MiB of a credential"))
                .help("let the program read it from its store: `dsops get`")
        })
    };
    let errors: Vec<RenderError> = variables.iter().filter_map(check).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Encrypts one value, with the key that `key` names (`--with-key`), or with what systemd takes by itself.
///
/// # Errors
///
/// [`RenderErrorKind::Program`] where the program is missing or fails; what it wrote is not repeated, apart from reasons that are known.
pub fn encrypt(
    env: &EnvSnapshot,
    (name, value): Variable<'_>,
    key: Option<&str>,
) -> Result<Vec<u8>, RenderError> {
    let failed = |why: String| RenderError {
        variable: Some(name.to_owned()),
        ..RenderError::new(RenderErrorKind::Program, why)
    };
    let is_its_own = |variable: &str| matches!(variable, "PATH" | "HOME" | "TMPDIR" | "LANG");
    let own = env.iter().filter(|(variable, _)| variable.to_str().is_some_and(is_its_own));
    let mut command = Command::new(PROGRAM);
    command.arg("encrypt").arg(format!("--name={name}"));
    if let Some(key) = key {
        command.arg(format!("--with-key={key}"));
    }
    command.args(["-", "-"]).env_clear().envs(own);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(
            |error| match error.kind() {
                ErrorKind::NotFound => failed(format!("`{PROGRAM}` is not on `PATH`"))
                    .help("render on the host that runs the unit, with systemd 250 or later"),
                _ => failed(format!("`{PROGRAM}` cannot be run: {error}")),
            },
        )?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads everything before it writes. One that reads nothing ends with an error, which says more.
        let _ = stdin.write_all(value.expose());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(format!("`{PROGRAM}` cannot be waited for: {error}")))?;
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let error = failed(format!("`{PROGRAM} encrypt` failed for `{name}`: {}", output.status));
    Err(error.help(advice(&said, key)))
}

/// What to do, by the reasons that are known: what it wrote is not shown, since nobody knows what is in it.
fn advice(said: &str, key: Option<&str>) -> &'static str {
    let said = said.to_lowercase();
    if said.contains("tpm") {
        "this host has no TPM2 that can be used: use `--with-key host`"
    } else if said.contains("permission") || said.contains("credential.secret") || said.contains("host key") {
        "the key of this host cannot be read or made: run as root, and `systemd-creds setup` first"
    } else if key.is_some() {
        "see whether this version of systemd has that key: `systemd-creds --help`"
    } else {
        "run `systemd-creds setup`, or name a key with `--with-key`"
    }
}
