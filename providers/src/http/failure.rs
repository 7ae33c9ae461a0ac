//! Why no answer came: the network's and TLS's errors, each with its own words.

use std::error::Error;
use std::io;

use super::{Site, Tls};
use crate::contract::{FetchError, FetchErrorKind};

/// Returns the error for a client that could not be built.
pub(super) fn of_client(error: &reqwest::Error, tls: Option<&Tls>) -> FetchError {
    if let Some(files) = tls.and_then(|tls| tls.client.as_ref())
        && let Some(rustls::Error::InconsistentKeys(_)) = causes(error).find_map(as_tls)
    {
        let (certificate, key) = (files.certificate.display(), files.key.display());
        return FetchError::new(
            FetchErrorKind::Unsupported,
            format!("the client key `{key}` does not belong to the client certificate `{certificate}`"),
        )
        .help("name the key that the certificate was made for in `tls.client_key`");
    }
    let no_authorities = causes(error).any(|cause| cause.to_string().contains("No CA certificates"));
    if no_authorities {
        return FetchError::new(
            FetchErrorKind::Unavailable,
            "this machine has no certificate authorities, so no certificate can be checked",
        )
        .temporary(false)
        .help("install the system's `ca-certificates`, or name a PEM file in `ca_cert`");
    }
    FetchError::new(FetchErrorKind::Unavailable, format!("no HTTPS client can be made: {}", root(error)))
        .temporary(false)
        .help("check `ca_cert`, `tls`, and the system's certificate authorities")
}

/// Returns the error for a request that got no answer.
pub(super) fn of_request(error: &reqwest::Error, site: &Site) -> FetchError {
    let host = site.host();
    if error.is_timeout() {
        return timed_out(&host);
    }
    if let Some(tls) = causes(error).find_map(as_tls) {
        return of_tls(tls, &host);
    }
    if let Some(error) = causes(error).find_map(as_resolution) {
        return error.of(&host);
    }
    let unavailable = |message| FetchError::new(FetchErrorKind::Unavailable, message);
    match causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => unavailable(format!("connection refused by `{host}`"))
            .help(match site.is_loopback() {
                true => "check the store's address and port, and that the server runs",
                // Whose refusal it was is not told, and no proxy stands before this machine itself.
                false => {
                    "check the store's address and port, that the server runs, and the proxy that `HTTPS_PROXY` names"
                }
            }),
        Some(io::ErrorKind::TimedOut) => {
            unavailable(format!("no connection to `{host}`: it does not answer"))
                .help("check the store's address, and the firewall or proxy on the way")
        }
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
            unavailable(format!("`{host}` broke the connection off"))
                .help("look into the server's log, and at what stands before it")
        }
        _ if error.is_connect() => unavailable(format!("no connection to `{host}`: {}", root(error)))
            .help("check the store's address, and the firewall or proxy on the way"),
        _ => unavailable(format!("no answer from `{host}`: {}", root(error)))
            .help("check the store's address, and that it speaks HTTP"),
    }
}

/// Returns the error for an answer whose body did not arrive whole.
pub(super) fn of_body(error: &reqwest::Error, site: &Site) -> FetchError {
    if error.is_timeout() {
        return timed_out(&site.host());
    }
    FetchError::new(FetchErrorKind::Malformed, format!("the answer of `{}` was cut short", site.host()))
        .temporary(true)
        .help(super::answer::CUT)
}

fn timed_out(host: &str) -> FetchError {
    FetchError::new(FetchErrorKind::TimedOut, format!("`{host}` did not answer in time"))
        .help("raise `timeout` on the store, or see `dsops doctor` for its latency")
}

fn of_tls(error: &rustls::Error, host: &str) -> FetchError {
    use rustls::{AlertDescription as Alert, CertificateError as Bad, Error};
    let fail = |message| FetchError::new(FetchErrorKind::Unavailable, message).temporary(false);
    match error {
        Error::InvalidCertificate(Bad::UnknownIssuer) => {
            fail(format!("the certificate of `{host}` comes from an authority that is not trusted here"))
                .help("name the authority's PEM file in `ca_cert`")
        }
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => fail(format!(
            "the certificate of `{host}` has expired"
        ))
        .help("have the certificate renewed, and check this machine's clock; `ca_cert` does not mend this"),
        Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            fail(format!("the certificate of `{host}` is not valid yet"))
                .help("check this machine's clock; `ca_cert` does not mend this")
        }
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            fail(format!("the certificate of `{host}` is for another name"))
                .help("use the name that the certificate is for; `ca_cert` does not mend this")
        }
        Error::InvalidCertificate(_) => {
            fail(format!("the certificate of `{host}` is not acceptable: {error}"))
                .help("name the authority's PEM file in `ca_cert`, or have the certificate mended")
        }
        Error::AlertReceived(Alert::CertificateRequired) => {
            fail(format!("`{host}` asks for a client certificate"))
                .help("name one in `tls: {client_cert: …, client_key: …}` on the store")
        }
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied,
        ) => fail(format!("`{host}` does not accept the client certificate: {error}"))
            .help("name a certificate that the server trusts in `tls.client_cert`"),
        _ => fail(format!("no TLS connection to `{host}`: {error}"))
            .help("check that the server speaks https on this port, and its certificate (`ca_cert`)"),
    }
}

/// A host name that did not lead to an address.
enum Resolution {
    Unknown,
    Later,
}

impl Resolution {
    fn of(self, host: &str) -> FetchError {
        match self {
            Self::Unknown => {
                FetchError::new(FetchErrorKind::Unavailable, format!("no host is known as `{host}`"))
                    .temporary(false)
                    .help("check the spelling of the store's address")
            }
            Self::Later => FetchError::new(
                FetchErrorKind::Unavailable,
                format!("the name `{host}` cannot be looked up now"),
            )
            .help("check the connection to the network and the name server"),
        }
    }
}

/// The resolver's errors have no type and no code: only the C library's texts tell them apart.
fn as_resolution(cause: &(dyn Error + 'static)) -> Option<Resolution> {
    let text = cause.to_string();
    if text.contains("Temporary failure in name resolution") || text.contains("Try again") {
        Some(Resolution::Later)
    } else if text == "invalid dns name" {
        // TLS's word for a name that no certificate can be for.
        Some(Resolution::Unknown)
    } else if text.starts_with("dns error") || text.contains("lookup address information") {
        // The outer text comes first in the chain; what lies below it decides.
        let below = cause.source().and_then(as_resolution);
        Some(below.unwrap_or(Resolution::Unknown))
    } else {
        None
    }
}

fn as_tls<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    // An I/O error hides the error it carries from `source`.
    as_tls(cause.downcast_ref::<io::Error>()?.get_ref()?)
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

fn root(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_up(text: &str) -> Option<FetchError> {
        // The texts are those of the C library's resolver, as the standard library passes them on.
        let error = io::Error::other(format!("failed to lookup address information: {text}"));
        as_resolution(&error).map(|resolution| resolution.of("x.test"))
    }

    #[test]
    fn an_unknown_host_stays_unknown_and_a_silent_name_server_may_come_back() {
        let unknown = looked_up("Name or service not known").unwrap();
        assert_eq!((unknown.message(), unknown.is_temporary()), ("no host is known as `x.test`", false));
        let later = looked_up("Temporary failure in name resolution").unwrap();
        assert!(later.is_temporary());
    }

    #[test]
    fn other_errors_are_not_taken_for_the_resolvers() {
        assert!(as_resolution(&io::Error::from(io::ErrorKind::ConnectionRefused)).is_none());
    }
}
