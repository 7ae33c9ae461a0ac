//! git's credential protocol: what git sends, which entry of `helpers.git` it means, what git reads.
//!
//! Sources: git-credential(1), "Input/output format"; gitcredentials(7), "Credential contexts" and "Custom helpers";
//! git's urlmatch.c for the rules by which a section such as `credential.https://*.example.com` is chosen.

use std::io::{self, Read};

use dsops_providers::contract::SecretValue;
use percent_encoding::percent_decode_str;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{KeyError, LONGEST_VALUE, Unfit, fits, shown_key};
use crate::transform::buffer::Buffer;

/// The longest request that is read, in bytes. git sends a few hundred, and a server's `WWW-Authenticate` headers.
pub const LONGEST_REQUEST: usize = 64 * 1024;

/// What tells git to ask neither the next helper nor the user.
pub const QUIT: &[u8] = b"quit=1\n";

/// What git wants a login for. Bytes, since git takes them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The scheme: `https`.
    pub protocol: Option<Vec<u8>>,
    /// The host, with its port where the URL has one.
    pub host: Option<Vec<u8>>,
    /// The path without the slash in front; only sent where `credential.useHttpPath` is set.
    pub path: Option<Vec<u8>>,
    /// The user's name, where it is known already.
    pub username: Option<Vec<u8>>,
}

/// Why a request is not answered. Holds nothing of the request, which may hold a password.
#[derive(Debug, Error)]
pub enum RequestError {
    /// Reading fails.
    #[error("the request cannot be read: {0}")]
    Read(#[from] io::Error),
    /// More than [`LONGEST_REQUEST`] bytes.
    #[error("the request is longer than {LONGEST_REQUEST} bytes")]
    TooLong,
    /// A line that is no `key=value`.
    #[error("a line of the request has no `=`")]
    NoAttribute,
    /// A NUL or a carriage return, which readers take for an end.
    #[error("`{0}` of the request has a control character in it")]
    Control(&'static str),
    /// Two values for one attribute.
    #[error("the request says `{0}` twice, and not the same")]
    Twice(&'static str),
    /// A `url` that is none.
    #[error("`url` of the request is no URL with a scheme")]
    Url,
}

impl Request {
    /// Reads a request to the blank line or the end.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, is longer than [`LONGEST_REQUEST`], or says something that can be understood in two
    /// ways.
    pub fn read(mut input: impl Read) -> Result<Self, RequestError> {
        // Of its full size at once: a `store` brings a password, and a vector that grows leaves copies.
        let mut bytes = Zeroizing::new(vec![0; LONGEST_REQUEST + 1]);
        let mut filled = 0;
        while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
            match input.read(free) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if bytes.get(..filled).is_some_and(ends) {
                break;
            }
        }
        if filled > LONGEST_REQUEST {
            return Err(RequestError::TooLong);
        }
        Self::parse(bytes.get(..filled).unwrap_or_default())
    }

    /// Reads the attributes up to a blank line or the end. Those that are not known are passed over.
    ///
    /// # Errors
    ///
    /// As [`Request::read`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RequestError> {
        let mut request = Self::default();
        for line in bytes.split(|byte| *byte == b'\n').take_while(|line| !line.is_empty()) {
            let equals = line.iter().position(|byte| *byte == b'=').ok_or(RequestError::NoAttribute)?;
            let (key, value) = (line.get(..equals), line.get(equals + 1..).unwrap_or_default());
            let (name, slot) = match key.unwrap_or_default() {
                b"protocol" => ("protocol", &mut request.protocol),
                b"host" => ("host", &mut request.host),
                b"path" => ("path", &mut request.path),
                b"username" => ("username", &mut request.username),
                b"url" => {
                    let url = std::str::from_utf8(value).map_err(|_| RequestError::Url)?;
                    // As git does, which forgets what it was told before.
                    request = Self::of_url(url).ok_or(RequestError::Url)?;
                    continue;
                }
                _ => continue,
            };
            if is_broken(value) {
                return Err(RequestError::Control(name));
            }
            match slot {
                Some(before) if before != value => return Err(RequestError::Twice(name)),
                slot => *slot = Some(value.to_vec()),
            }
        }
        Ok(request)
    }

    /// Takes a URL apart as git does, without its password. `None` for what is no URL with a scheme, or could be
    /// taken apart in two ways.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let is_scheme = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (user, host) = match authority.split_once('@') {
            Some((login, host)) => (login.split(':').next().unwrap_or_default(), host),
            None => ("", authority),
        };
        if host.contains('@') {
            return None;
        }
        let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
        let named = |text: &str| (!text.is_empty()).then(|| decoded(text));
        let request = Self {
            protocol: Some(scheme.as_bytes().to_vec()),
            host: Some(decoded(host)),
            path: named(path.trim_matches('/')),
            username: named(user),
        };
        let parts = [&request.host, &request.path, &request.username];
        if parts.into_iter().flatten().any(|part| is_broken(part)) { None } else { Some(request) }
    }
}

/// Says whether the bytes hold a whole request: git keeps its end of the pipe open no longer, others may.
fn ends(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") || bytes.windows(2).any(|pair| pair == b"\n\n")
}

fn is_broken(value: &[u8]) -> bool {
    value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

/// A key of `helpers.git`: which requests an entry is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    scheme: String,
    user: Option<Vec<u8>>,
    host: Host,
    path: Vec<Vec<u8>>,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    /// In lower case. An address in brackets is one label.
    labels: Vec<String>,
    /// None where the scheme has no port of its own and none is named.
    port: Option<u16>,
}

impl Host {
    /// Reads a host as it stands in a URL; `None` for what is no host.
    fn parse(text: &str, scheme: &str) -> Option<Self> {
        let (name, port) = match text.rsplit_once(':') {
            // A colon inside of the brackets of an address belongs to the address.
            Some((name, port)) if !port.ends_with(']') => {
                let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
                (name, Some(port.parse().ok().filter(|_| is_number)?))
            }
            _ => (text, None),
        };
        let name = name.to_ascii_lowercase();
        let labels: Vec<String> = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(address) => {
                let fits = |char: char| char.is_ascii_hexdigit() || matches!(char, ':' | '.');
                if address.is_empty() || !address.chars().all(fits) {
                    return None;
                }
                vec![name]
            }
            None => name.split('.').map(str::to_owned).collect(),
        };
        let fits =
            |char: char| char.is_alphanumeric() || matches!(char, '-' | '_' | '*' | '[' | ']' | ':' | '.');
        if labels.iter().any(|label| label.is_empty() || !label.chars().all(fits)) {
            return None;
        }
        let usual = match scheme {
            "https" => Some(443),
            "http" => Some(80),
            _ => None,
        };
        Some(Self { labels, port: port.or(usual) })
    }

    /// Says whether a host is meant. `*` stands for one label of ASCII: of others nobody can tell what a resolver makes
    /// of them.
    fn covers(&self, host: &Self) -> bool {
        self.port == host.port
            && self.labels.len() == host.labels.len()
            && self
                .labels
                .iter()
                .zip(&host.labels)
                .all(|(own, label)| own == label || (own == "*" && is_label(label)))
    }
}

fn is_label(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// How closely a pattern names what was asked for; the greater wins. In git's order: host, path, user.
type Closeness = (usize, usize, bool);

impl Pattern {
    /// Reads a key: `github.com`, `https://user@*.example.com:8443/team`. Without a scheme it is for https.
    ///
    /// # Errors
    ///
    /// What is no such URL.
    pub fn parse(key: &str) -> Result<Self, KeyError> {
        let error = |why: &str| KeyError::new(key, why);
        let whole = if key.contains("://") { key.to_owned() } else { format!("https://{key}") };
        if whole.contains(['?', '#']) || whole.chars().any(|char| char.is_whitespace() || char.is_control()) {
            return Err(error("has a query, a fragment, a space or a control character in it"));
        }
        let request = Request::of_url(&whole).ok_or_else(|| error("is no URL"))?;
        let authority = whole.split_once("://").map_or("", |(_, rest)| rest);
        let authority = authority.split('/').next().unwrap_or_default();
        if authority.split_once('@').is_some_and(|(login, _)| login.contains(':')) {
            return Err(error("has a password in it, which belongs under `password`"));
        }
        let scheme = text(request.protocol.as_deref()).unwrap_or_default().to_ascii_lowercase();
        let host = text(request.host.as_deref()).and_then(|host| Host::parse(host, &scheme));
        let host = host.ok_or_else(|| error("names no host"))?;
        let wild = |label: &String| label.contains('*');
        if host.labels.iter().any(|label| wild(label) && label != "*") || host.labels.last().is_some_and(wild)
        {
            return Err(error("has a `*` that is no whole part of the host's name, or the last one"));
        }
        let path: Vec<Vec<u8>> = request.path.as_deref().map(segments).unwrap_or_default();
        if path.iter().any(|segment| is_step(segment)) {
            return Err(error("has an empty part, `.`, `..`, or one of `%;\\` in its path"));
        }
        if path.iter().flatten().any(|byte| *byte == b'*') {
            return Err(error("has a `*` in its path, which names whole folders without one"));
        }
        Ok(Self { scheme, user: request.username, host, path })
    }

    /// Returns how closely the pattern names a request; `None` where it does not.
    #[must_use]
    pub fn closeness(&self, request: &Request) -> Option<Closeness> {
        let is_there = self.covers_host(request) && self.covers_path(request.path.as_deref());
        let literal = self.host.labels.iter().filter(|label| *label != "*").count();
        is_there.then_some((literal, self.path.len(), self.user.is_some()))
    }

    fn covers_host(&self, request: &Request) -> bool {
        let Some(protocol) = text(request.protocol.as_deref()) else { return false };
        let protocol = protocol.to_ascii_lowercase();
        // A `*` that somebody sends is no host.
        let host = text(request.host.as_deref()).filter(|host| !host.contains('*'));
        protocol == self.scheme
            && host.and_then(|host| Host::parse(host, &protocol)).is_some_and(|host| self.host.covers(&host))
            && (self.user.is_none() || self.user == request.username)
    }

    /// Compares whole parts: `acme` is for `acme/a.git`, not for `acme2/a.git`.
    fn covers_path(&self, path: Option<&[u8]>) -> bool {
        if self.path.is_empty() {
            return true;
        }
        let Some(asked) = path.map(segments) else { return false };
        // `acme/../other` is below `acme` by its letters, and may be another place for the server.
        !asked.iter().any(|segment| is_step(segment)) && asked.starts_with(&self.path)
    }
}

fn text(bytes: Option<&[u8]>) -> Option<&str> {
    bytes.and_then(|bytes| std::str::from_utf8(bytes).ok())
}

fn segments(path: &[u8]) -> Vec<Vec<u8>> {
    let text = path.strip_prefix(b"/").unwrap_or(path);
    let text = text.strip_suffix(b"/").unwrap_or(text);
    text.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
}

/// Says whether a part of a path may lead a server elsewhere than its letters say. git has decoded the path once: what
/// still has a `%` in it is decoded again by some servers. A `;` ends a part for others, a `\` is a slash to some.
fn is_step(segment: &[u8]) -> bool {
    matches!(segment, b"" | b"." | b"..") || segment.iter().any(|byte| matches!(byte, b'%' | b';' | b'\\'))
}

/// Which entry a request means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a, T> {
    /// This one.
    Entry(&'a str, T),
    /// None, since git did not send the path, which this key needs: `credential.useHttpPath` is not set.
    NeedsPath(&'a str),
    /// None.
    Nothing,
}

/// Finds the entry that names a request most closely.
///
/// # Errors
///
/// A key that is no pattern, also where another would fit: a file is right or wrong whatever is asked. Two keys that
/// fit equally.
pub fn find<'a, T>(
    entries: impl IntoIterator<Item = (&'a str, T)>,
    request: &Request,
) -> Result<Found<'a, T>, KeyError> {
    let mut best: Option<(Closeness, &str, T)> = None;
    let mut rivals: Option<(Closeness, &str, &str)> = None;
    let mut needs_path = None;
    for (key, entry) in entries {
        let pattern = Pattern::parse(key)?;
        let Some(closeness) = pattern.closeness(request) else {
            if request.path.is_none() && pattern.covers_host(request) {
                needs_path = needs_path.or(Some(key));
            }
            continue;
        };
        match &best {
            Some((known, _, _)) if *known > closeness => {}
            Some((known, other, _)) if *known == closeness => rivals = Some((closeness, other, key)),
            _ => best = Some((closeness, key, entry)),
        }
    }
    match (best, rivals, needs_path) {
        (Some((closeness, _, _)), Some((rival, first, second)), _) if closeness == rival => {
            Err(KeyError::new(second, format!("and `{}` are for the same request", shown_key(first))))
        }
        (Some((_, key, entry)), _, _) => Ok(Found::Entry(key, entry)),
        (None, _, Some(key)) => Ok(Found::NeedsPath(key)),
        (None, _, None) => Ok(Found::Nothing),
    }
}

/// Says whether a login is for whoever asks: for any user, or for the one of this name.
#[must_use]
pub fn is_for(request: &Request, username: &SecretValue) -> bool {
    request.username.as_deref().is_none_or(|asked| asked == username.expose())
}

/// Returns what git reads: the user's name where one is known, and the password. `None` where git asks for another
/// user.
///
/// # Errors
///
/// A value of the entry that is empty, or that does not fit on a line.
pub fn answer(
    request: &Request,
    username: Option<&SecretValue>,
    password: &SecretValue,
) -> Result<Option<Zeroizing<Vec<u8>>>, Unfit> {
    if username.is_some_and(|username| !is_for(request, username)) {
        return Ok(None);
    }
    let (asked, own) = (request.username.as_deref(), username.map(SecretValue::expose));
    let password = password.expose();
    let mut text = Buffer::with_capacity(password.len() + 128);
    for (name, value) in [("username", own.or(asked)), ("password", Some(password))] {
        let Some(value) = value else { continue };
        // git itself may ask for the user with the empty name.
        let is_echo = name == "username" && own.is_none();
        if !(is_echo && value.is_empty()) {
            fits(name, value, LONGEST_VALUE)?;
        }
        for part in [name.as_bytes(), b"=", value, b"\n"] {
            text.extend(part);
        }
    }
    Ok(Some(text.into_bytes()))
}

#[cfg(test)]
mod tests;
