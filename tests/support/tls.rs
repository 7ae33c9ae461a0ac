//! Self-signed certificates for the loopback servers: what a program must refuse, unless told to trust it.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate that signs itself, with its key.
pub(crate) struct Certificate {
    certified: CertifiedKey<KeyPair>,
}

impl Certificate {
    /// Makes a certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn loopback() -> Self {
        Self::naming(&["localhost", "127.0.0.1"])
    }

    /// Makes a certificate for other names, so that even a client that trusts it must refuse the loopback server.
    pub(crate) fn naming(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Self { certified: generate_simple_self_signed(names).expect("a self-signed certificate") }
    }

    /// Returns the certificate as PEM text, which is what a `ca_cert` file holds.
    pub(crate) fn pem(&self) -> String {
        self.certified.cert.pem()
    }

    /// Writes the PEM text to `path`.
    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, self.pem()).expect("a writable place for the certificate");
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let key = PrivatePkcs8KeyDer::from(self.certified.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions that the provider has")
            .with_no_client_auth()
            .with_single_cert(vec![self.certified.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .expect("a key that fits its certificate");
        TlsAcceptor::from(Arc::new(config))
    }
}
