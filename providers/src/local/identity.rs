//! Finds the identity that opens a store, and makes new ones.
//!
//! The places, the first that has one wins:
//!
//! 1. `DSOPS_LOCAL_IDENTITY`: the text of an identity file where it holds `AGE-SECRET-KEY-`, and
//!    otherwise the path of one (`~/…`, or as seen from the working directory).
//! 2. `identity` of the store's options: a path, or `keyring`.
//! 3. `identity.txt` in `$XDG_CONFIG_HOME/dsops`, or in `~/.config/dsops`.
//! 4. The desktop's keyring, where this session has one.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::file;
use super::keyring;
use super::keys::Identity;
use super::timestamp::Timestamp;
use crate::contract::{Context, FetchError, FetchErrorKind};

/// The variable that goes before everything else.
pub const VARIABLE: &str = "DSOPS_LOCAL_IDENTITY";

/// What `identity:` says for the desktop's keyring.
pub const KEYRING: &str = "keyring";

/// An identity file is a few lines; what is larger is another file.
const MOST_BYTES: u64 = 64 << 10;

/// Where an identity was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The text of the variable.
    Variable,
    /// A file.
    File(PathBuf),
    /// The desktop's keyring.
    Keyring,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => write!(f, "`{VARIABLE}`"),
            Self::File(path) => write!(f, "`{}`", path.display()),
            Self::Keyring => f.write_str("the keyring"),
        }
    }
}

/// The identities of one place.
#[derive(Clone, Debug)]
pub struct Found {
    /// At least one.
    pub identities: Vec<Identity>,
    /// The place.
    pub source: Source,
}

/// Finds the identities; `configured` is the store's `identity` option.
///
/// # Errors
///
/// `Unauthenticated` where there is none, `Damaged` where its file is unsafely kept or holds
/// something else, `ToolMissing` where a keyring is asked for and there is none.
pub async fn find(cx: &Context, configured: Option<&str>) -> Result<Found, FetchError> {
    if let Some(value) = cx.env().get(VARIABLE).filter(|value| !value.is_empty()) {
        if is_key(value) {
            let identities = parse(value, &Source::Variable)?;
            return Ok(Found { identities, source: Source::Variable });
        }
        let path = if value.starts_with("~/") { cx.resolve_path(value) } else { PathBuf::from(value) };
        return from_file(path);
    }
    match configured {
        Some(KEYRING) => return from_keyring(cx).await?.ok_or_else(|| none("in the keyring", None)),
        Some(path) => return from_file(cx.resolve_path(path)),
        None => {}
    }
    let default = default_path(cx);
    if let Some(path) = default.as_ref().filter(|path| path.exists()) {
        return from_file(path.clone());
    }
    let absence = none("here", default.as_deref());
    if !keyring::is_within_reach(cx.env()) {
        return Err(absence);
    }
    match from_keyring(cx).await {
        Ok(found) => found.ok_or(absence),
        // A session can have a bus and no keyring. One that is locked, though, may hold it.
        Err(error) if error.kind() == FetchErrorKind::Unavailable => Err(absence.caused_by(error)),
        Err(error) => Err(error),
    }
}

/// Whether an identity was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was.
    Found,
    /// It was made, and is to be backed up.
    Made,
}

/// Finds the identities, and makes one where there is none: where `configured` says, and by
/// default in a file.
///
/// # Errors
///
/// As [`find`], and where the new one cannot be kept.
pub async fn find_or_make(cx: &Context, configured: Option<&str>) -> Result<(Found, Origin), FetchError> {
    let absence = match find(cx, configured).await {
        Ok(found) => return Ok((found, Origin::Found)),
        Err(error) => error,
    };
    let variable_is_set = cx.env().get(VARIABLE).is_some_and(|value| !value.is_empty());
    if absence.kind() != FetchErrorKind::Unauthenticated || variable_is_set {
        return Err(absence);
    }
    let identity = Identity::generate();
    let source = match configured {
        Some(KEYRING) => {
            write_keyring(cx, &identity).await?;
            Source::Keyring
        }
        _ => {
            let path =
                configured.map(|path| cx.resolve_path(path)).or_else(|| default_path(cx)).ok_or(absence)?;
            write_file(&path, &identity)?;
            Source::File(path)
        }
    };
    Ok((Found { identities: vec![identity], source }, Origin::Made))
}

/// Returns where an identity lies by default, or `None` where the environment has no home.
#[must_use]
pub fn default_path(cx: &Context) -> Option<PathBuf> {
    // An XDG directory that is not absolute is to be ignored (XDG Base Directory Specification 0.8).
    let set = |name: &str| cx.env().get_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")))?;
    Some(config.join("dsops").join("identity.txt"))
}

/// Writes a new identity file, in the format of `age-keygen`, that only its owner can read. A
/// missing directory is made, for the owner alone.
///
/// # Errors
///
/// `Unsupported` where something is there already, which is left alone.
pub fn write_file(path: &Path, identity: &Identity) -> Result<(), FetchError> {
    file::create_private(path, text(identity).as_bytes())
}

/// Puts an identity into the desktop's keyring.
///
/// # Errors
///
/// `Unsupported` where the keyring has one already, `ToolMissing` where there is no keyring.
pub async fn write_keyring(cx: &Context, identity: &Identity) -> Result<(), FetchError> {
    if from_keyring(cx).await?.is_some() {
        return Err(FetchError::new(FetchErrorKind::Unsupported, "the keyring holds an identity already")
            .help("use it, or remove it with the desktop's own program"));
    }
    keyring::store(cx, text(identity)).await
}

/// Returns the text of an identity file.
fn text(identity: &Identity) -> Zeroizing<String> {
    let secret = identity.to_secret();
    let key = secret.expose_str().unwrap_or_default();
    let head = format!("# created: {}\n# public key: {}\n", Timestamp::now(), identity.recipient());
    let mut text = Zeroizing::new(String::with_capacity(head.len() + key.len() + 1));
    text.push_str(&head);
    text.push_str(key);
    text.push('\n');
    text
}

/// Says whether text holds a private key, in whatever case it was written.
fn is_key(text: &str) -> bool {
    text.to_ascii_uppercase().contains("AGE-SECRET-KEY-")
}

fn from_file(path: PathBuf) -> Result<Found, FetchError> {
    // Not shown, and no file of that name made.
    if is_key(&path.to_string_lossy()) {
        return Err(FetchError::new(
            FetchErrorKind::Unsupported,
            "a private key where the path of an identity file is needed",
        )
        .help(format!("put the key into a file, or into `{VARIABLE}`")));
    }
    let text = read_private(&path)?;
    let source = Source::File(path);
    Ok(Found { identities: parse(&text, &source)?, source })
}

async fn from_keyring(cx: &Context) -> Result<Option<Found>, FetchError> {
    let Some(text) = keyring::load(cx).await? else { return Ok(None) };
    Ok(Some(Found { identities: parse(&text, &Source::Keyring)?, source: Source::Keyring }))
}

fn none(place: &str, default: Option<&Path>) -> FetchError {
    let beside =
        default.map(|path| format!(": neither `{VARIABLE}` nor `{}`", path.display())).unwrap_or_default();
    FetchError::new(FetchErrorKind::Unauthenticated, format!("there is no identity {place}{beside}"))
        .help(format!("make one with `dsops local init`, or set `{VARIABLE}`"))
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, FetchError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FetchError::new(
            FetchErrorKind::Unauthenticated,
            format!("there is no identity file `{}`", path.display()),
        )
        .help("correct the path, or make one with `dsops local init`"),
        _ => FetchError::new(
            FetchErrorKind::Damaged,
            format!("the identity file `{}` cannot be read", path.display()),
        )
        .caused_by(error),
    };
    let file = File::open(path).map_err(failed)?;
    // Of the open file, so that what is checked is what is read.
    let metadata = file.metadata().map_err(failed)?;
    check_owner(path, &metadata)?;
    let most = usize::try_from(metadata.len().min(MOST_BYTES)).unwrap_or_default();
    // One byte more than there is, so that the end is seen before the buffer would move.
    let mut text = Zeroizing::new(String::with_capacity(most.max(4096) + 1));
    let read = file.take(MOST_BYTES).read_to_string(&mut text);
    match read {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(no_identity(&Source::File(path.to_owned())))
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(unix)]
fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), FetchError> {
    use std::os::unix::fs::MetadataExt as _;
    let me = nix::unistd::geteuid().as_raw();
    keeps_private(metadata.uid(), metadata.mode(), me).map_err(|(what, command)| {
        FetchError::new(FetchErrorKind::Damaged, format!("the identity file `{}` {what}", path.display()))
            .help(format!("run `{command} {}`", path.display()))
    })
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> Result<(), FetchError> {
    Ok(())
}

/// Says why a file with this owner and mode is not the caller's alone, and what mends it.
#[cfg(unix)]
fn keeps_private(owner: u32, mode: u32, me: u32) -> Result<(), (&'static str, &'static str)> {
    // Root can read everything anyway, and works on the files of others under `sudo`.
    if owner != me && me != 0 {
        return Err(("belongs to somebody else", "sudo chown \"$USER\""));
    }
    if mode & 0o077 != 0 {
        return Err(("can be read by others", "chmod 600"));
    }
    Ok(())
}

/// Reads the lines of an identity file.
fn parse(text: &str, source: &Source) -> Result<Vec<Identity>, FetchError> {
    if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----") {
        return Err(FetchError::new(
            FetchErrorKind::Unsupported,
            format!("the identity in {source} is itself encrypted"),
        )
        .help(format!("decrypt it with `age -d`, and give it in `{VARIABLE}`")));
    }
    let mut identities = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let identity = line.parse().map_err(|_| {
            FetchError::new(
                FetchErrorKind::Damaged,
                format!("line {} of {source} is no X25519 identity", index + 1),
            )
            .help("keep only lines that start with `AGE-SECRET-KEY-1`, as `age-keygen` writes them")
        })?;
        identities.push(Identity(identity));
    }
    if identities.is_empty() { Err(no_identity(source)) } else { Ok(identities) }
}

fn no_identity(source: &Source) -> FetchError {
    FetchError::new(FetchErrorKind::Damaged, format!("{source} holds no identity"))
        .help("name a file with an `AGE-SECRET-KEY-1…` line")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_is_private_if_only_its_owner_and_the_caller_can_read_it() {
        assert_eq!(keeps_private(1000, 0o100_600, 1000), Ok(()));
        assert_eq!(keeps_private(1000, 0o100_400, 1000), Ok(()));
        assert_eq!(keeps_private(1000, 0o100_600, 0), Ok(()));
        for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o777] {
            assert!(keeps_private(1000, mode, 1000).is_err(), "{mode:o}");
            assert!(keeps_private(1000, mode, 0).is_err(), "{mode:o}");
        }
        assert!(keeps_private(1000, 0o600, 1001).is_err());
        assert!(keeps_private(0, 0o600, 1001).is_err());
    }

    #[test]
    fn a_line_that_is_no_identity_is_named_by_number_and_not_quoted() {
        let text = "# public key: age1\n\nAGE-SECRET-KEY-1HUNTER2\n";
        let error = parse(text, &Source::Variable).unwrap_err();
        assert_eq!(error.message(), "line 3 of `DSOPS_LOCAL_IDENTITY` is no X25519 identity");
    }
}
