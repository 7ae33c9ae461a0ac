//! HTTP clients, opened when the first request needs one and shared by every store.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::contract::{FetchError, FetchErrorKind};

/// What a store asks of TLS. Stores that ask for the same share a client and its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate will do.
    pub accept_any: bool,
}

/// The clients of this process.
#[derive(Default)]
pub struct Http {
    clients: Mutex<HashMap<Tls, reqwest::Client>>,
}

impl Http {
    /// Returns the client for these options, building it the first time.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the CA file cannot be read or holds no certificate.
    pub fn client(&self, tls: &Tls) -> Result<reqwest::Client, FetchError> {
        let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(client) = clients.get(tls) {
            return Ok(client.clone());
        }
        let client = build(tls)?;
        clients.insert(tls.clone(), client.clone());
        Ok(client)
    }
}

fn build(tls: &Tls) -> Result<reqwest::Client, FetchError> {
    // Ignored where another part of the process has installed one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("dsops/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none());
    if let Some(path) = &tls.ca_file {
        let unusable = |why: String| {
            FetchError::new(FetchErrorKind::Unsupported, format!("the CA file `{}` {why}", path.display()))
                .help("name a PEM file with the authority's certificate")
        };
        let pem = std::fs::read(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|_| unusable("holds no certificate".to_owned()))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if tls.accept_any {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build().map_err(|error| {
        FetchError::new(FetchErrorKind::Unavailable, "no HTTPS client can be made")
            .temporary(false)
            .caused_by(error)
    })
}
