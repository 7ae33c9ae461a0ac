//! HTTP for every store that speaks it: one lazily opened client, one way to send, errors told apart.
//!
//! A backend parses its address into a [`Site`] once, describes each call as a [`Request`], and gets an
//! [`Answer`] for whatever status the server chose. What a status means is the backend's business; what a
//! refused connection, a bad certificate, a cut body or a page of HTML means is the same everywhere, and
//! is decided here.

mod answer;
mod failure;
mod site;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Mutex;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};

pub use answer::Answer;
pub use site::{Site, segment};

/// What a store asks of TLS. Stores that ask for the same share a client and its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate will do.
    pub accept_any: bool,
}

/// What makes two clients different.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    /// `None` where nothing is encrypted: no authorities need to be loaded then.
    tls: Option<Tls>,
    /// Whether the server is on this machine, where no proxy may come between.
    loopback: bool,
}

/// The clients of this process.
#[derive(Default)]
pub struct Http {
    clients: Mutex<HashMap<ClientKey, reqwest::Client>>,
}

impl Http {
    /// Returns the client for a site, building it the first time.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the CA file cannot be read or holds no certificate; `Unavailable` where an
    /// `https` site needs the system's authorities and there are none.
    pub fn client(&self, site: &Site) -> Result<reqwest::Client, FetchError> {
        let key =
            ClientKey { tls: site.is_encrypted().then(|| site.tls().clone()), loopback: site.is_loopback() };
        let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(&key)?;
        clients.insert(key, client.clone());
        Ok(client)
    }
}

fn build(key: &ClientKey) -> Result<reqwest::Client, FetchError> {
    // Ignored where another part of the process has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("dsops/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    if key.loopback {
        builder = builder.no_proxy();
    }
    builder = match &key.tls {
        // Reading the system's authorities takes milliseconds, and fails where there are none.
        // Where nothing is encrypted no name server is asked either: it could lead off this machine.
        None if key.loopback => builder.tls_certs_only([]).dns_resolver(ThisMachine),
        // A metadata service is next to this machine, and no proxy must see what it says.
        None => builder.tls_certs_only([]).no_proxy(),
        Some(tls) => with_tls(builder, tls)?,
    };
    builder.build().map_err(|error| failure::of_client(&error))
}

/// Resolves every name to this machine, as RFC 6761, section 6.3, has it for `localhost` and what is below it.
/// The C library asks the network for the latter.
struct ThisMachine;

impl Resolve for ThisMachine {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
        Box::pin(std::future::ready(Ok(Box::new(addresses) as Addrs)))
    }
}

fn with_tls(mut builder: reqwest::ClientBuilder, tls: &Tls) -> Result<reqwest::ClientBuilder, FetchError> {
    if let Some(path) = &tls.ca_file {
        let unusable = |why: String| {
            FetchError::new(FetchErrorKind::Unsupported, format!("the CA file `{}` {why}", path.display()))
                .help("name a PEM file with the authority's certificate")
        };
        let pem = std::fs::read(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|_| unusable("holds no certificate".to_owned()))?;
        if certificates.is_empty() {
            return Err(unusable("holds no certificate".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    }
    if tls.accept_any {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

/// One call, without its credentials, so that it can be sent again with others.
#[derive(Clone)]
pub struct Request {
    method: reqwest::Method,
    path: String,
    query: Vec<(Cow<'static, str>, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Zeroizing<Vec<u8>>>,
}

impl Request {
    /// Starts a GET. The path begins with a slash; build the parts that are names with [`segment`].
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(reqwest::Method::GET, path.into())
    }

    /// Starts a POST.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(reqwest::Method::POST, path.into())
    }

    fn new(method: reqwest::Method, path: String) -> Self {
        Self { method, path, query: Vec::new(), headers: Vec::new(), body: None }
    }

    /// Adds a parameter to the query.
    #[must_use]
    pub fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header that says nothing about anybody.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(mut self, body: Zeroizing<Vec<u8>>) -> Self {
        self.body = Some(body);
        self
    }

    /// Adds a header that holds a credential, after a prefix such as `Bearer `.
    ///
    /// # Errors
    ///
    /// `Unauthenticated` where the credential has bytes that no header can carry.
    pub fn secret_header(
        mut self,
        name: HeaderName,
        prefix: &str,
        credential: &SecretValue,
    ) -> Result<Self, FetchError> {
        let mut text = Zeroizing::new(Vec::with_capacity(prefix.len() + credential.len()));
        text.extend_from_slice(prefix.as_bytes());
        text.extend_from_slice(credential.expose());
        let mut value = HeaderValue::from_bytes(&text).map_err(|_| {
            FetchError::new(
                FetchErrorKind::Unauthenticated,
                "the credential has characters that no HTTP header can carry",
            )
            .help("copy the credential again, without line breaks")
        })?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }
}

/// Sends a call within the time that the store has left, and reads the whole answer.
///
/// # Errors
///
/// `Unavailable`, `TimedOut` or `Malformed` where no whole answer came. Any status is an answer.
pub async fn send(cx: &Context, site: &Site, request: Request) -> Result<Answer, FetchError> {
    let url = site.url(&request.path)?;
    let client = cx.http().client(site)?;
    let mut call = client.request(request.method, url).header(reqwest::header::ACCEPT, "application/json");
    if !request.query.is_empty() {
        call = call.query(&request.query);
    }
    for (name, value) in request.headers {
        call = call.header(name, value);
    }
    if let Some(body) = &request.body {
        call = call.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_vec());
    }
    if let Some(left) = cx.time_left()? {
        call = call.timeout(left);
    }
    cx.meter().request();
    let started = std::time::Instant::now();
    let sent = call.send().await;
    // Neither query nor path: they name secrets, and a log is read by more people than the file.
    tracing::debug!(
        store = cx.store(),
        host = site.host(),
        status = sent.as_ref().ok().map(|response| response.status().as_u16()),
        milliseconds = started.elapsed().as_millis(),
        "request"
    );
    let response = sent.map_err(|error| failure::of_request(&error, site))?;
    Answer::read(response, site).await
}

#[cfg(test)]
mod tests;
