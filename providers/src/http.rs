//! HTTP for every store that speaks it: one lazily opened client, one way to send, errors told apart.
//!
//! A backend parses its address into a [`Site`] once, describes each call as a [`Request`], and gets an
//! [`Answer`] for whatever status the server chose. What a status means is the backend's business; what a
//! refused connection, a bad certificate, a cut body or a page of HTML means is the same everywhere, and
//! is decided here.

mod answer;
mod failure;
mod gate;
mod notes;
mod options;
mod site;
mod tls;

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};

pub use answer::Answer;
pub use gate::AT_ONCE;
pub use options::{Hosts, TlsOptions};
pub use site::{Route, Site, segment};
pub use tls::{ClientFiles, Tls};

/// What makes two clients different.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    /// `None` where nothing is encrypted: no authorities need to be loaded then.
    tls: Option<Tls>,
    /// Where the server is, and so whether a proxy may come between.
    route: Route,
}

/// The clients of this process.
#[derive(Default)]
pub struct Http {
    clients: Mutex<HashMap<ClientKey, reqwest::Client>>,
    gates: gate::Gates,
    notes: notes::Notes,
}

impl Http {
    /// Returns the client for a site, building it the first time.
    ///
    /// # Errors
    ///
    /// `Unsupported` where a file of certificates or the client's key cannot be read or is none;
    /// `Unavailable` where an `https` site needs the system's authorities and there are none.
    pub fn client(&self, site: &Site) -> Result<reqwest::Client, FetchError> {
        let key = ClientKey { tls: site.is_encrypted().then(|| site.tls().clone()), route: site.route() };
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
    // What is not encrypted stays inside a cluster, too, whatever proxy the environment names.
    if matches!(key.route, Route::ThisMachine | Route::Beside)
        || (key.route == Route::Cluster && key.tls.is_none())
    {
        builder = builder.no_proxy();
    }
    builder = match &key.tls {
        Some(tls) => tls.apply(builder)?,
        // Reading the system's authorities takes milliseconds, and fails where there are none.
        None => builder.tls_certs_only([]),
    };
    // No name server is asked about this machine: it could lead off it, with nothing encrypted.
    if key.tls.is_none() && key.route == Route::ThisMachine {
        builder = builder.dns_resolver(ThisMachine);
    }
    builder.build().map_err(|error| failure::of_client(&error, key.tls.as_ref()))
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
    if site.is_encrypted() && site.tls().accept_any {
        cx.notice(&format!(
            "`{}` does not check the certificate of `{}` (`insecure_skip_verify`): whoever is on the network \
             can read and change every secret",
            cx.store(),
            site.host()
        ));
    }
    let _permit = cx.http().gates.pass(cx, site).await?;
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
