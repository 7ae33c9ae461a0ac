//! The exec credential plugin of client-go: `KUBERNETES_EXEC_INFO` in, an `ExecCredential` on stdout.
//!
//! Sources: "client-go credential plugins" in the documentation of Kubernetes; `plugin/pkg/client/auth/exec` of
//! client-go. A client takes the answer only in the version that it asked in; a token and a certificate may come together,
//! a certificate never without its key. There is no answer for "not mine": whatever is not a credential ends the request.

use dsops_providers::contract::SecretValue;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::credential::{Misfit, Unusable, json, text, word};
use super::shown_key;

/// The variable that the request stands in.
pub const REQUEST: &str = "KUBERNETES_EXEC_INFO";
/// The longest request, in bytes. Linux allows no longer variable; most of it is the certificate of an authority.
pub const LONGEST_REQUEST: usize = 128 * 1024;
/// How much of a server's URL is shown, in characters.
const SHOWN: usize = 200;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// `v1`, since Kubernetes 1.22.
    #[default]
    V1,
    /// `v1beta1`.
    V1Beta1,
}

impl Version {
    fn name(self) -> &'static str {
        match self {
            Self::V1 => "client.authentication.k8s.io/v1",
            Self::V1Beta1 => "client.authentication.k8s.io/v1beta1",
        }
    }
}

/// What a client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The version of the answer.
    pub version: Version,
    /// The server that the credential is for, where the client says so: `provideClusterInfo` of the kubeconfig.
    pub server: Option<String>,
    /// Whether the client takes whoever answers for the server: `insecure-skip-tls-verify` of the kubeconfig.
    pub is_insecure: bool,
}

/// Why a request cannot be answered.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Not what a client writes.
    #[error("{REQUEST} {0}")]
    Malformed(&'static str),
    /// A version that is not known.
    #[error("{REQUEST} asks for `{0}`, and dsops knows client.authentication.k8s.io/v1 and v1beta1")]
    Version(String),
    /// Neither a name nor a server to find an entry by.
    #[error("nothing says which entry of `helpers.kube` is meant")]
    NothingSaid,
    /// No entry of this name.
    #[error("`helpers.kube` has no `{0}`")]
    UnknownName(String),
    /// No entry for this server.
    #[error("no entry of `helpers.kube` has the server {0}")]
    UnknownServer(String),
    /// More than one entry for this server.
    #[error("{0} of `helpers.kube` have the server of this request")]
    Several(String),
    /// The entry is for another server.
    #[error("`helpers.kube.{name}` is for its own server alone, and {asked} asks for it")]
    OtherServer {
        /// The name of the entry.
        name: String,
        /// The server that asks.
        asked: String,
    },
    /// The entry is for one server, and the client does not say which it talks to.
    #[error(
        "`helpers.kube.{0}` is for its own server alone, and the request does not say which server it is for"
    )]
    ServerNotSaid(String),
    /// The entry is for one server, and the client does not look whether it talks to it.
    #[error(
        "`helpers.kube.{0}` is for its own server alone, and with `insecure-skip-tls-verify` whoever answers is taken for it"
    )]
    Insecure(String),
}

impl Refusal {
    /// Returns the one thing to do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "let kubectl, or another client of Kubernetes, run this command",
            Self::Version(_) => "write `apiVersion: client.authentication.k8s.io/v1` into the kubeconfig",
            Self::NothingSaid => {
                "write the entry's name behind `dsops helper kube`, or `provideClusterInfo: true` into the kubeconfig"
            }
            Self::UnknownName(_) | Self::UnknownServer(_) => {
                "add it to dsops.yaml, or name one that is there"
            }
            Self::Several(_) => "write the name of one behind `dsops helper kube`",
            Self::OtherServer { .. } => {
                "correct `server`, in the kubeconfig or in dsops.yaml, where both are the same cluster"
            }
            Self::ServerNotSaid(_) => "write `provideClusterInfo: true` into the kubeconfig",
            Self::Insecure(_) => {
                "take it out of the kubeconfig, and name the authority with `certificate-authority` there"
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    api_version: String,
    kind: String,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    cluster: Option<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    server: Option<String>,
    #[serde(default, rename = "insecure-skip-tls-verify")]
    is_insecure: bool,
}

impl Request {
    /// Reads the content of [`REQUEST`].
    ///
    /// # Errors
    ///
    /// What is too long, no `ExecCredential`, or of another version than those known.
    pub fn read(written: &[u8]) -> Result<Self, Refusal> {
        if written.len() > LONGEST_REQUEST {
            return Err(Refusal::Malformed("is longer than any client writes it"));
        }
        let written: Written = serde_json::from_slice(written)
            .map_err(|_| Refusal::Malformed("is not the JSON of an ExecCredential"))?;
        if written.kind != "ExecCredential" {
            return Err(Refusal::Malformed("is not an ExecCredential"));
        }
        let known = [Version::V1, Version::V1Beta1];
        let version = known.into_iter().find(|version| version.name() == written.api_version);
        let version = version.ok_or_else(|| Refusal::Version(shown(&written.api_version)))?;
        let is_insecure = written.spec.cluster.as_ref().is_some_and(|cluster| cluster.is_insecure);
        let server = written.spec.cluster.and_then(|cluster| cluster.server);
        Ok(Self { version, server: server.filter(|server| !server.is_empty()), is_insecure })
    }
}

/// Finds the entry that a request means, among names and the servers that they are for.
///
/// `request` is `None` where no client asks, but a person who tries the command.
///
/// # Errors
///
/// Where there is none, or more than one, or it is for another server than the one that the request is for.
pub fn find<'a>(
    entries: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    name: Option<&str>,
    request: Option<&Request>,
) -> Result<&'a str, Refusal> {
    let asked = request.and_then(|request| request.server.as_deref());
    let is_insecure = request.is_some_and(|request| request.is_insecure);
    if let Some(name) = name {
        let found = entries.into_iter().find(|(known, _)| *known == name);
        let (name, own) = found.ok_or_else(|| Refusal::UnknownName(shown_key(name)))?;
        return match (own, asked, request) {
            (Some(own), Some(asked), _) if !is_same(own, asked) => {
                Err(Refusal::OtherServer { name: shown_key(name), asked: shown(asked) })
            }
            (Some(_), None, Some(_)) => Err(Refusal::ServerNotSaid(shown_key(name))),
            (Some(_), Some(_), _) if is_insecure => Err(Refusal::Insecure(shown_key(name))),
            _ => Ok(name),
        };
    }
    let asked = asked.ok_or(Refusal::NothingSaid)?;
    let is_its = |own: Option<&str>| own.is_some_and(|own| is_same(own, asked));
    let found: Vec<&str> =
        entries.into_iter().filter(|(_, own)| is_its(*own)).map(|(name, _)| name).collect();
    match found.as_slice() {
        [] => Err(Refusal::UnknownServer(shown(asked))),
        [name] if is_insecure => Err(Refusal::Insecure(shown_key(name))),
        [name] => Ok(*name),
        names => {
            let names: Vec<String> = names.iter().map(|name| shown_key(name)).collect();
            Err(Refusal::Several(crate::suggest::and_ticked(names.iter().map(String::as_str))))
        }
    }
}

/// Says whether two URLs name one server: whatever the case of scheme and host, with or without the scheme's own port,
/// and with or without a slash at the end.
fn is_same(one: &str, other: &str) -> bool {
    one == other || parts(one).zip(parts(other)).is_some_and(|(one, other)| one == other)
}

/// Says whether a text names a server: `https://host`, with a port and a path perhaps, and nothing else.
#[must_use]
pub fn is_server(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let is_odd =
        |char: char| char.is_whitespace() || char.is_control() || matches!(char, '@' | '?' | '#' | '\\');
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_address = host.starts_with('[') && host.ends_with(']');
    (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"))
        && !rest.contains(is_odd)
        && !host.is_empty()
        && (is_address || !host.contains(':'))
        && port
            .is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn parts(url: &str) -> Option<(String, String, &str)> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let port = if scheme == "http" { ":80" } else { ":443" };
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix(port).unwrap_or(&host).to_owned();
    Some((scheme, host, path.trim_end_matches('/')))
}

/// Returns what somebody else wrote, for a message: on one line, not endless, and without a password.
fn shown(text: &str) -> String {
    let text = match text.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.rsplit_once('@').map_or(rest, |(_, host)| host))
        }
        None => text.to_owned(),
    };
    text.escape_debug().take(SHOWN).collect()
}

/// What is given.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    /// The bearer token.
    pub token: Option<&'a SecretValue>,
    /// The certificate and its key, in PEM.
    pub certificate: Option<(&'a SecretValue, &'a SecretValue)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    api_version: &'static str,
    kind: &'static str,
    status: Status<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_timestamp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate_data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_key_data: Option<&'a str>,
}

/// Returns the answer: one line of JSON.
///
/// Without `expiration` a client keeps the credential for as long as it runs, or until the server refuses it.
///
/// # Errors
///
/// A token that is not one word of printable ASCII; a certificate or a key that is not PEM.
pub fn answer(
    version: Version,
    credential: Credential<'_>,
    expiration: Option<&str>,
) -> Result<Zeroizing<Vec<u8>>, Misfit> {
    let token = credential.token.map(|token| word("token", token)).transpose()?;
    let pair = match credential.certificate {
        Some((certificate, key)) => Some((
            pem("client_certificate", certificate, "CERTIFICATE-----", Unusable::NotCertificate)?,
            pem("client_key", key, "PRIVATE KEY-----", Unusable::NotKey)?,
        )),
        None => None,
    };
    if token.is_none() && pair.is_none() {
        return Err(Misfit { part: "token", why: Unusable::Empty });
    }
    let status = Status {
        expiration_timestamp: expiration,
        token,
        client_certificate_data: pair.map(|(certificate, _)| certificate),
        client_key_data: pair.map(|(_, key)| key),
    };
    json("token", &Answer { api_version: version.name(), kind: "ExecCredential", status })
}

fn pem<'a>(
    part: &'static str,
    value: &'a SecretValue,
    label: &str,
    why: Unusable,
) -> Result<&'a str, Misfit> {
    let text = text(part, value)?;
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.trim_end().ends_with(label);
    // Nobody is there to type the passphrase.
    let encrypted = |line: &str| line.contains("ENCRYPTED");
    let fits = text.lines().any(|line| begins(line) && !encrypted(line))
        && !text.lines().any(|line| line.starts_with("Proc-Type:") && encrypted(line));
    if fits { Ok(text) } else { Err(Misfit { part, why }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}"#;

    fn asked(server: &str) -> Request {
        Request { version: Version::V1, server: Some(server.to_owned()), is_insecure: false }
    }

    #[test]
    fn a_request_says_the_version_and_perhaps_the_server() {
        assert_eq!(Request::read(V1.as_bytes()), Ok(Request::default()));
        let beta = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1",
            "spec":{"cluster":{"server":"https://a:6443","certificate-authority-data":"QQ==","config":{"a":1}}}}"#;
        let request = Request::read(beta.as_bytes()).expect("a request");
        assert_eq!(request.version, Version::V1Beta1);
        assert_eq!(request.server.as_deref(), Some("https://a:6443"));
    }

    #[test]
    fn what_is_no_request_is_refused_and_not_repeated() {
        let not = ["", "{}", "[]", "null", "nonsense", "{\"kind\":\"ExecCredential\"}", "\u{fffd}"];
        for written in not.into_iter().chain([V1.replace("ExecCredential", "Pod").as_str()]) {
            let refusal = Request::read(written.as_bytes()).expect_err(written);
            assert!(matches!(refusal, Refusal::Malformed(_)), "{written}: {refusal:?}");
        }
        assert!(Request::read(format!("{V1} x").as_bytes()).is_err(), "trailing text");
        assert!(Request::read(&vec![b' '; LONGEST_REQUEST + 1]).is_err());
        let alpha = Request::read(V1.replace("/v1", "/v1alpha1\\n").as_bytes());
        assert_eq!(alpha, Err(Refusal::Version("client.authentication.k8s.io/v1alpha1\\n".to_owned())));
    }

    #[test]
    fn an_entry_is_found_by_its_name_or_by_the_server_that_it_is_for() {
        let entries =
            [("staging", Some("https://10.0.0.1:6443")), ("any", None), ("ops", Some("https://ops"))];
        let found = |name, request: Option<&Request>| find(entries, name, request);
        assert_eq!(found(Some("any"), None), Ok("any"));
        assert_eq!(found(Some("any"), Some(&asked("https://else"))), Ok("any"));
        assert_eq!(found(Some("staging"), Some(&asked("https://10.0.0.1:6443/"))), Ok("staging"));
        assert_eq!(found(None, Some(&asked("HTTPS://OPS:443/"))), Ok("ops"));
        assert_eq!(found(Some("nope"), None), Err(Refusal::UnknownName("nope".to_owned())));
        assert_eq!(found(None, None), Err(Refusal::NothingSaid));
        assert_eq!(found(None, Some(&Request::default())), Err(Refusal::NothingSaid));
        let elsewhere = found(None, Some(&asked("https://u:p@evil/?x")));
        assert_eq!(elsewhere, Err(Refusal::UnknownServer("https://evil/?x".to_owned())));
    }

    #[test]
    fn an_entry_with_a_server_is_for_that_server_alone() {
        let entries = [("staging", Some("https://10.0.0.1:6443"))];
        for other in
            ["https://10.0.0.2:6443", "http://10.0.0.1:6443", "https://10.0.0.1", "https://10.0.0.1:6443/k8s"]
        {
            let refused = find(entries, Some("staging"), Some(&asked(other)));
            assert!(matches!(refused, Err(Refusal::OtherServer { .. })), "{other}: {refused:?}");
        }
        let unsaid = find(entries, Some("staging"), Some(&Request::default()));
        assert_eq!(unsaid, Err(Refusal::ServerNotSaid("staging".to_owned())));
        // Nobody but the person at the terminal gets it.
        assert_eq!(find(entries, Some("staging"), None), Ok("staging"));
    }

    #[test]
    fn an_entry_with_a_server_is_not_for_whoever_answers() {
        let written = V1.replace(
            "\"interactive\":false",
            r#""cluster":{"server":"https://ops","insecure-skip-tls-verify":true}"#,
        );
        let request = Request::read(written.as_bytes()).expect("a request");
        let entries = [("ops", Some("https://ops")), ("any", None)];
        for name in [None, Some("ops")] {
            let refused = find(entries, name, Some(&request));
            assert_eq!(refused, Err(Refusal::Insecure("ops".to_owned())), "{name:?}");
        }
        assert_eq!(find(entries, Some("any"), Some(&request)), Ok("any"));
        let secure = Request::read(written.replace("true", "false").as_bytes()).expect("a request");
        assert_eq!(find(entries, None, Some(&secure)), Ok("ops"));
    }

    #[test]
    fn a_server_is_a_url_with_a_host() {
        for server in [
            "https://a",
            "HTTPS://a:6443/",
            "http://10.0.0.1:80/k8s/x",
            "https://[::1]",
            "https://[::1]:6443",
        ] {
            assert!(is_server(server), "{server}");
        }
        for other in [
            "",
            "nonsense",
            "a:6443",
            "https://",
            "https:///x",
            "https://:6443",
            "ftp://a",
            "https://u:p@a",
            "https://a?x",
            "https://a:x",
            "https://a:99999",
            "https://a b",
            "https://::1",
            "https://a:",
            " https://a",
        ] {
            assert!(!is_server(other), "{other}");
        }
    }

    #[test]
    fn two_entries_for_one_server_need_a_name() {
        let entries = [("a", Some("https://h:443")), ("b", Some("https://h/"))];
        let refused = find(entries, None, Some(&asked("https://h")));
        assert_eq!(refused, Err(Refusal::Several("`a` and `b`".to_owned())));
        assert_eq!(find(entries, Some("b"), Some(&asked("https://h"))), Ok("b"));
    }

    #[test]
    fn the_answer_is_in_the_version_that_was_asked_for() {
        let token = SecretValue::from("t0ken");
        let credential = Credential { token: Some(&token), certificate: None };
        let line = answer(Version::V1Beta1, credential, Some("2026-03-01T09:05:00Z")).expect("an answer");
        let expected = "{\"apiVersion\":\"client.authentication.k8s.io/v1beta1\",\"kind\":\"ExecCredential\",\
            \"status\":{\"expirationTimestamp\":\"2026-03-01T09:05:00Z\",\"token\":\"t0ken\"}}\n";
        assert_eq!(String::from_utf8_lossy(&line), expected);
    }

    #[test]
    fn a_certificate_and_its_key_are_pem_and_not_encrypted() {
        let certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
        let given = |certificate: &str, key: &str| {
            let (certificate, key) = (SecretValue::from(certificate), SecretValue::from(key));
            let credential = Credential { token: None, certificate: Some((&certificate, &key)) };
            answer(Version::V1, credential, None).map_err(|misfit| misfit.why).map(|line| line.len())
        };
        assert!(given(certificate, key).is_ok());
        assert!(given(certificate, &key.replace("PRIVATE", "RSA PRIVATE")).is_ok());
        assert!(given(&format!("Subject: x\r\n{}", certificate.replace('\n', "\r\n")), key).is_ok());
        assert_eq!(given("LS0tLS1CRUdJTg==", key), Err(Unusable::NotCertificate));
        assert_eq!(given(certificate, certificate), Err(Unusable::NotKey));
        assert_eq!(given(certificate, &key.replace("PRIVATE", "ENCRYPTED PRIVATE")), Err(Unusable::NotKey));
        let old = key.replace("AA==", "Proc-Type: 4,ENCRYPTED\n\nAA==");
        assert_eq!(given(certificate, &old), Err(Unusable::NotKey));
        assert_eq!(given("", key), Err(Unusable::Empty));
    }

    #[test]
    fn nothing_is_no_credential() {
        let none = answer(Version::V1, Credential { token: None, certificate: None }, None);
        assert_eq!(none.map(|_| ()), Err(Misfit { part: "token", why: Unusable::Empty }));
    }
}
