//! The address of a server, checked once.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use super::gate::AT_ONCE;
use super::{Hosts, Tls};
use crate::contract::{FetchError, FetchErrorKind};

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Returns a name encoded as one segment of a path.
///
/// The segments `.` and `..` cannot be written: address parsers fold them away in every spelling
/// (WHATWG URL, section 4.1), and [`Site::url`] refuses what they changed.
#[must_use]
pub fn segment(name: &str) -> Cow<'_, str> {
    utf8_percent_encode(name, RESERVED).into()
}

/// Where a server is, as far as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// On this machine.
    ThisMachine,
    /// In the Kubernetes cluster that we run in: only its own name server knows such names.
    Cluster,
    /// A cloud's metadata service, next to this machine: no proxy may see what it says.
    Beside,
    /// Anywhere else.
    Network,
}

/// A server and the way to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Site {
    base: Url,
    tls: Tls,
    at_once: u32,
    /// Whether it is a metadata service, whatever its address looks like.
    beside: bool,
}

impl Site {
    /// Reads an address such as `https://secrets.example.com` or `https://example.com/prefix`.
    ///
    /// # Errors
    ///
    /// `Unsupported` where it is no address, holds more than a place, or would send secrets in the
    /// clear: plain `http` is for this machine and for names inside a cluster only.
    pub fn parse(address: &str, tls: Tls) -> Result<Self, FetchError> {
        Self::parse_allowing(address, tls, &Hosts::default())
    }

    /// As [`Site::parse`], with hosts to which plain `http` is allowed by name.
    ///
    /// # Errors
    ///
    /// As [`Site::parse`].
    pub fn parse_allowing(address: &str, tls: Tls, plain: &Hosts) -> Result<Self, FetchError> {
        let refuse = |why: &str, help: &str| {
            // What stands around these signs may be a password or a token.
            let shown = match address.contains(['@', '?', '#']) {
                true => "the address".to_owned(),
                false => format!("the address `{address}`"),
            };
            Err(FetchError::new(FetchErrorKind::Unsupported, format!("{shown} {why}")).help(help))
        };
        let Ok(base) = Url::parse(address.trim_end_matches('/')) else {
            return refuse("is not a URL", "write it as `https://host` or `https://host:port`");
        };
        if !base.username().is_empty() || base.password().is_some() {
            // Not quoted: it may hold a password.
            return Err(FetchError::new(
                FetchErrorKind::Unsupported,
                "the address holds a user name or a password",
            )
            .help("take it out of the address, and name credentials under `auth`"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return refuse("holds a query or a fragment", "leave out what stands after `?` or `#`");
        }
        if base.scheme() == "http" && tls.client.is_some() {
            return refuse(
                "uses plain http, where no client certificate can be shown",
                "use `https`, or take `tls` out",
            );
        }
        let site = Self { base, tls, at_once: AT_ONCE, beside: false };
        match site.base.scheme() {
            "https" => Ok(site),
            "http" if site.route() != Route::Network => Ok(site),
            "http" if plain.contains(site.name()) => Ok(site),
            "http" => {
                let help = format!(
                    "use `https`; where the network is safe, allow it by name: `allow_http: {}`",
                    site.name()
                );
                refuse("uses plain http, which shows every secret to the network", &help)
            }
            _ => refuse("is neither https nor http", "write it as `https://host`"),
        }
    }

    /// Reads the address of a metadata service, by which a cloud tells a machine who it is. These speak plain
    /// `http`, and only there: link-local and private addresses, names of one label, and Google's name.
    ///
    /// # Errors
    ///
    /// As [`Site::parse`].
    pub fn of_metadata(address: &str) -> Result<Self, FetchError> {
        match Url::parse(address.trim_end_matches('/')) {
            Ok(base) if base.scheme() == "http" && is_near(&base) => {
                Ok(Self { base, tls: Tls::default(), at_once: AT_ONCE, beside: true })
            }
            _ => Self::parse(address, Tls::default()),
        }
    }

    /// Returns what the store asks of TLS.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Says whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Sets how many requests the server gets at once from this process.
    #[must_use]
    pub fn with_at_once(mut self, requests: u32) -> Self {
        self.at_once = requests;
        self
    }

    /// Returns how many requests the server gets at once from this process.
    #[must_use]
    pub fn at_once(&self) -> u32 {
        self.at_once
    }

    /// Returns where the server is, as far as its name tells.
    #[must_use]
    pub fn route(&self) -> Route {
        let host = self.name().trim_start_matches('[').trim_end_matches(']');
        if self.beside {
            let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
            return if is_loopback { Route::ThisMachine } else { Route::Beside };
        }
        if let Ok(address) = host.parse::<IpAddr>() {
            return if address.is_loopback() { Route::ThisMachine } else { Route::Network };
        }
        // RFC 6761, section 6.3: these names are this machine.
        if host == "localhost" || host.ends_with(".localhost") {
            return Route::ThisMachine;
        }
        // No public name ends so: `svc` is no top-level domain, and neither is `local` outside of a link.
        let host = host.trim_end_matches('.');
        match host.ends_with(".svc") || host.ends_with(".cluster.local") {
            true => Route::Cluster,
            false => Route::Network,
        }
    }

    /// Says whether the server is on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.route() == Route::ThisMachine
    }

    /// Returns the host as the address has it, without the port.
    fn name(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Returns scheme, host and port, which name one server.
    pub(super) fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Returns the URL of a path below the address.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the path would not arrive as it is written.
    pub fn url(&self, path: &str) -> Result<Url, FetchError> {
        let prefix = self.base.path().trim_end_matches('/');
        let wanted = format!("{prefix}{path}");
        let mut url = self.base.clone();
        url.set_path(&wanted);
        if url.path() == wanted {
            return Ok(url);
        }
        Err(FetchError::new(
            FetchErrorKind::Unsupported,
            format!("the path `{path}` cannot be part of a URL"),
        ))
    }

    /// Returns host and port, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.name();
        match self.base.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// Says whether an address leads to a machine's own surroundings, which no router passes on to others.
fn is_near(base: &Url) -> bool {
    let plain = base.username().is_empty() && base.password().is_none();
    let plain = plain && base.query().is_none() && base.fragment().is_none();
    let host = base.host_str().unwrap_or_default();
    plain
        && match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.is_link_local() || address.is_private(),
            Ok(IpAddr::V6(address)) => address.is_unicast_link_local() || address.is_unique_local(),
            Err(_) => host == "metadata.google.internal" || !host.contains('.'),
        }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Site({self})")
    }
}
