//! The protocol of docker's credential helpers: a registry on stdin, a name and a password as JSON on stdout.
//!
//! Sources: README and `credentials/` of docker-credential-helpers; `cli/config/credentials` of docker's command line; what
//! skopeo and crane send. A helper that knows nothing of a registry writes [`NOT_FOUND`], whereupon the caller goes on
//! without a login; every other failure has to have another text. Callers read messages from stdout.

use std::collections::BTreeMap;

use dsops_providers::contract::SecretValue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::credential::{Misfit, Unusable, json, text};
use super::{KeyError, shown_key};
use crate::transform::json::string;

/// What says that the registry is none of this helper's. Callers compare it to the byte, but for white space around it.
pub const NOT_FOUND: &str = "credentials not found in native keychain";
/// What says that no registry was named.
pub const NO_SERVER: &str = "no credentials server URL";
/// The longest URL of a registry that is read, in bytes.
pub const LONGEST_URL: usize = 8 * 1024;
/// The longest login that is read, in bytes: as long as the one line that the helpers' own library reads.
pub const LONGEST_LOGIN: usize = 64 * 1024;

/// Docker Hub, which callers ask for by more than one name.
const HUB: &str = "docker.io";
const HUBS: &[&str] = &[HUB, "index.docker.io", "registry-1.docker.io"];
/// How docker's command line names it.
const HUB_URL: &str = "https://index.docker.io/v1/";

/// A registry, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registry {
    /// Whether `http://` stands in front: whoever listens may read the login.
    is_plain: bool,
    /// In lower case, with the port where one is written.
    host: String,
    /// The namespace or repository, without slashes around it; empty for all of the registry.
    path: String,
}

impl Registry {
    /// Reads what a caller or the file names a registry by. `None` for what names none.
    fn parse(written: &str) -> Option<Self> {
        let written = written.trim();
        let is_odd = |letter: char| {
            letter.is_whitespace()
                || letter.is_control()
                || matches!(letter, '@' | '?' | '#' | '*' | '\\' | '%' | ';')
        };
        if written.contains(is_odd) {
            return None;
        }
        let (is_plain, rest) = match written.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (false, rest),
            Some(_) => return None,
            None => (false, written),
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = match path.trim_end_matches('/') {
            "v1" | "v2" => "",
            // `…/v1/access-token` and its like are where docker's command line keeps tokens of its own.
            path if path.starts_with("v1/") || path.starts_with("v2/") => return None,
            path => path,
        };
        let host = host.to_ascii_lowercase();
        let name = host.split(':').next().unwrap_or_default();
        if name.is_empty() || (!path.is_empty() && path.split('/').any(is_step)) {
            return None;
        }
        let host = if HUBS.contains(&host.as_str()) { HUB.to_owned() } else { host };
        Some(Self { is_plain, host, path: path.to_owned() })
    }

    /// Says whether a registry, or a part of one, lies in this.
    fn covers(&self, asked: &Self) -> bool {
        let rest = asked.path.strip_prefix(&self.path);
        let at_a_slash = |rest: &str| self.path.is_empty() || rest.is_empty() || rest.starts_with('/');
        let is_safe = self.is_plain || !asked.is_plain;
        is_safe && self.host == asked.host && rest.is_some_and(at_a_slash)
    }

    /// Returns what docker's command line asks for it by.
    fn url(&self) -> String {
        match (self.host.as_str(), self.path.as_str()) {
            (HUB, "") => HUB_URL.to_owned(),
            (host, "") => host.to_owned(),
            (host, path) => format!("{host}/{path}"),
        }
    }
}

/// Says whether a part of a path leads elsewhere than its letters say.
fn is_step(part: &str) -> bool {
    matches!(part, "" | "." | "..")
}

/// An entry, its key, and what the key says.
type Known<'a, T> = (Registry, &'a str, T);

/// Reads the keys of `helpers.docker`.
fn registries<'a, T>(entries: impl IntoIterator<Item = (&'a str, T)>) -> Result<Vec<Known<'a, T>>, KeyError> {
    // By what is the same with and without a scheme: docker itself sends none.
    let mut known: BTreeMap<(String, String), Known<'a, T>> = BTreeMap::new();
    for (key, entry) in entries {
        let registry =
            Registry::parse(key).ok_or_else(|| KeyError::new(key, "names no registry, such as `ghcr.io`"))?;
        let place = (registry.host.clone(), registry.path.clone());
        if let Some((_, other, _)) = known.get(&place) {
            let why = format!("and `{}` are the same registry", shown_key(other));
            return Err(KeyError::new(key, why));
        }
        known.insert(place, (registry, key, entry));
    }
    Ok(known.into_values().collect())
}

/// Checks a key of `helpers.docker` beside those before it.
///
/// # Errors
///
/// A key that names no registry, or the same as another.
pub fn check<'a>(key: &'a str, before: impl IntoIterator<Item = &'a str>) -> Result<(), KeyError> {
    let sound = before.into_iter().filter(|key| Registry::parse(key).is_some());
    registries(sound.chain([key]).map(|key| (key, ()))).map(|_| ())
}

/// Finds the entry for a registry, or for a repository in one: of more than one, the one with the longest path.
///
/// # Errors
///
/// As [`check`].
pub fn find<'a, T>(
    entries: impl IntoIterator<Item = (&'a str, T)>,
    asked: &str,
) -> Result<Option<(&'a str, T)>, KeyError> {
    let known = registries(entries)?;
    let Some(asked) = Registry::parse(asked) else { return Ok(None) };
    let covering = known.into_iter().filter(|(registry, _, _)| registry.covers(&asked));
    let closest = covering.max_by_key(|(registry, _, _)| registry.path.len());
    Ok(closest.map(|(_, key, entry)| (key, entry)))
}

/// Returns what `list` names an entry by: what docker's command line then asks for.
#[must_use]
pub fn url(key: &str) -> Option<String> {
    Registry::parse(key).map(|registry| registry.url())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    #[serde(rename = "ServerURL")]
    server_url: &'a str,
    username: &'a str,
    secret: &'a str,
}

/// Returns the answer to `get`: one line of JSON.
///
/// # Errors
///
/// A name or a password that is empty or not text. A colon, or a control character, in the name: RFC 7617 allows neither.
/// A password may have line breaks, since the key file of a service account is one.
pub fn answer(
    server: &str,
    username: &SecretValue,
    password: &SecretValue,
) -> Result<Zeroizing<Vec<u8>>, Misfit> {
    let name = text("username", username)?;
    if name.contains(|letter: char| letter == ':' || letter.is_control()) {
        return Err(Misfit { part: "username", why: Unusable::NotName });
    }
    let answer = Answer { server_url: server, username: name, secret: text("password", password)? };
    json("password", &answer)
}

/// Returns the answer to `list`: one line of JSON, with the name of each registry, empty where it is not known.
///
/// # Errors
///
/// None that can be met: text in memory is written.
pub fn list(names: &BTreeMap<String, Option<&SecretValue>>) -> Result<Zeroizing<Vec<u8>>, Misfit> {
    let named = names.iter().map(|(url, name)| (url, name.and_then(SecretValue::expose_str)));
    let names: BTreeMap<&str, &str> =
        named.map(|(url, name)| (url.as_str(), name.unwrap_or_default())).collect();
    json("username", &names)
}

/// A login that docker wants kept.
#[derive(Debug)]
pub struct Login {
    /// The registry.
    pub server_url: String,
    username: SecretValue,
    secret: SecretValue,
}

/// As it is written. The JSON reader would leave a copy of a text with escapes in memory.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written<'a> {
    #[serde(rename = "ServerURL")]
    server_url: String,
    #[serde(borrow)]
    username: &'a RawValue,
    #[serde(borrow)]
    secret: &'a RawValue,
}

impl Login {
    /// Reads what `store` gets on stdin. `None` for what is no login.
    #[must_use]
    pub fn read(written: &[u8]) -> Option<Self> {
        let written: Written<'_> = serde_json::from_slice(written).ok()?;
        let value = |raw: &RawValue| string(raw).map(|text| text.to_value());
        let (username, secret) = (value(written.username)?, value(written.secret)?);
        Some(Self { server_url: written.server_url, username, secret })
    }

    /// Says whether this is what an entry gives anyway, so that nothing has to be kept.
    #[must_use]
    pub fn is(&self, username: &SecretValue, password: &SecretValue) -> bool {
        self.username.expose() == username.expose() && self.secret.expose() == password.expose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(keys: &[&'a str], asked: &str) -> Option<&'a str> {
        find(keys.iter().map(|key| (*key, ())), asked).expect("good keys").map(|(key, ())| key)
    }

    #[test]
    fn scheme_api_path_slash_and_case_do_not_matter() {
        for asked in
            ["ghcr.io", "https://ghcr.io", "HTTPS://GHCR.IO/v2/", "ghcr.io/v1/", "ghcr.io/v2", " ghcr.io\n"]
        {
            assert_eq!(found(&["ghcr.io"], asked), Some("ghcr.io"), "{asked}");
            assert_eq!(found(&[asked], "ghcr.io"), Some(asked), "{asked}");
        }
    }

    #[test]
    fn a_port_is_a_part_of_the_name() {
        assert_eq!(found(&["localhost:5000"], "https://localhost:5000/v2/"), Some("localhost:5000"));
        assert_eq!(found(&["localhost:5000"], "localhost"), None);
        assert_eq!(found(&["localhost"], "localhost:5000"), None);
        assert_eq!(found(&["[::1]:5000"], "[::1]:5000"), Some("[::1]:5000"));
    }

    #[test]
    fn a_login_goes_in_the_clear_only_where_its_key_says_so() {
        let keys = ["http://localhost:5000", "ghcr.io", "https://quay.io"];
        for asked in ["http://localhost:5000/v2/", "localhost:5000", "https://localhost:5000"] {
            assert_eq!(found(&keys, asked), Some("http://localhost:5000"), "{asked}");
        }
        for asked in ["http://ghcr.io", "HTTP://ghcr.io/v2/", "http://quay.io/a"] {
            assert_eq!(found(&keys, asked), None, "{asked}");
        }
        assert!(check("http://ghcr.io", ["ghcr.io"]).is_err(), "docker sends no scheme");
    }

    #[test]
    fn docker_hub_has_one_entry_by_whatever_name() {
        let names = [
            "docker.io",
            "index.docker.io",
            "https://index.docker.io/v1/",
            "registry-1.docker.io",
            "https://docker.io",
        ];
        for key in names {
            for asked in names {
                assert_eq!(found(&[key], asked), Some(key), "{asked}");
            }
            assert_eq!(url(key).as_deref(), Some("https://index.docker.io/v1/"));
        }
        assert_eq!(found(&["docker.io"], "hub.docker.com"), None);
    }

    #[test]
    fn the_tokens_that_docker_keeps_for_itself_are_none_of_ours() {
        for asked in ["https://index.docker.io/v1/access-token", "https://index.docker.io/v1/refresh-token"] {
            assert_eq!(found(&["docker.io"], asked), None, "{asked}");
        }
    }

    #[test]
    fn the_longest_path_wins_and_ends_at_a_slash() {
        let keys = ["ghcr.io", "ghcr.io/acme", "ghcr.io/acme/app"];
        assert_eq!(found(&keys, "ghcr.io/acme/app/x"), Some("ghcr.io/acme/app"));
        assert_eq!(found(&keys, "ghcr.io/acme/application"), Some("ghcr.io/acme"));
        assert_eq!(found(&keys, "ghcr.io/acme2"), Some("ghcr.io"));
        assert_eq!(found(&keys, "ghcr.io"), Some("ghcr.io"));
        assert_eq!(found(&["ghcr.io/acme"], "ghcr.io"), None);
        assert_eq!(found(&["ghcr.io/acme"], "ghcr.io/acme2"), None);
        for asked in ["acme/../other", "acme/./x", "./acme", "acme/x/..", "acme%2f..%2fx", "acme/..;/x"] {
            assert_eq!(found(&["ghcr.io/acme"], &format!("ghcr.io/{asked}")), None, "{asked}");
        }
    }

    #[test]
    fn nothing_that_looks_alike_is_the_registry() {
        let others = [
            "ghcr.io.evil",
            "evil.ghcr.io",
            "ghcr.io@evil",
            "https://ghcr.io@evil/",
            "ghcr.io:443",
            "evil/ghcr.io",
            "ghcr.io#evil",
            "ghcr.io?x",
            "ftp://ghcr.io",
            "",
            "/",
            "https://",
            "://ghcr.io",
            "*",
            "ghcr.io ghcr.io",
            "ghcr.io\\evil",
            ":5000",
            "ghcr.io//x",
            "ghcr.io\0",
        ];
        for asked in others {
            assert_eq!(found(&["ghcr.io"], asked), None, "{asked:?}");
        }
    }

    #[test]
    fn keys_that_name_no_registry_or_the_same_are_refused() {
        for key in ["", "*.ghcr.io", "https://user@ghcr.io", "ghcr.io?x", "ftp://x"] {
            assert!(check(key, []).is_err(), "{key}");
            assert_eq!(check("ghcr.io", [key]), Ok(()), "a mistake is told once");
        }
        let same = check("https://index.docker.io/v1/", ["docker.io", "ghcr.io"]).expect_err("the same");
        assert_eq!(same.to_string(), "`https://index.docker.io/v1/` and `docker.io` are the same registry");
        assert_eq!(check("ghcr.io", ["ghcr.io/acme", "localhost:5000"]), Ok(()));
    }

    #[test]
    fn the_answer_repeats_the_registry_as_it_was_asked_for() {
        let line = answer("https://ghcr.io", &"me".into(), &"a\"b\\c\n".into()).expect("an answer");
        let expected =
            "{\"ServerURL\":\"https://ghcr.io\",\"Username\":\"me\",\"Secret\":\"a\\\"b\\\\c\\n\"}\n";
        assert_eq!(String::from_utf8_lossy(&line), expected);
        let refused = |name: &str, password: &str| answer("x", &name.into(), &password.into()).map(|_| ());
        assert_eq!(refused("", "x"), Err(Misfit { part: "username", why: Unusable::Empty }));
        assert_eq!(refused("me", ""), Err(Misfit { part: "password", why: Unusable::Empty }));
        assert_eq!(refused("a:b", "x"), Err(Misfit { part: "username", why: Unusable::NotName }));
        assert_eq!(refused("a\n", "x"), Err(Misfit { part: "username", why: Unusable::NotName }));
        assert_eq!(refused("<token>", "x"), Ok(()));
    }

    #[test]
    fn a_list_names_who_is_known() {
        let me = SecretValue::from("me");
        let names = BTreeMap::from([("ghcr.io".to_owned(), Some(&me)), ("x:5000".to_owned(), None)]);
        let line = list(&names).expect("an answer");
        assert_eq!(String::from_utf8_lossy(&line), "{\"ghcr.io\":\"me\",\"x:5000\":\"\"}\n");
    }

    #[test]
    fn a_login_to_be_kept_is_compared_whole() {
        let login =
            Login::read(br#"{"ServerURL":"ghcr.io","Username":"me","Secret":"s\u0041"}"#).expect("a login");
        assert!(login.is(&"me".into(), &"sA".into()));
        assert!(!login.is(&"me".into(), &"sB".into()));
        assert!(!login.is(&"you".into(), &"sA".into()));
        assert!(!format!("{login:?}").contains("sA"));
        for not in ["", "{}", "[]", "x", r#"{"ServerURL":"a","Username":"b"}"#] {
            assert!(Login::read(not.as_bytes()).is_none(), "{not}");
        }
    }
}
