//! Self-signed certificates for the loopback servers: what a program must refuse, unless told to trust it.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate that signs itself, with its key, and what a server that has it asks of a connection.
pub(crate) struct Certificate {
    certified: CertifiedKey<KeyPair>,
    protocols: Vec<Vec<u8>>,
    clients: Option<RootCertStore>,
}

impl Certificate {
    /// Makes a certificate for `localhost` and `127.0.0.1`.
    pub(crate) fn loopback() -> Self {
        Self::naming(&["localhost", "127.0.0.1"])
    }

    /// Makes a certificate for other names, so that even a client that trusts it must refuse the loopback server.
    pub(crate) fn naming(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let certified = generate_simple_self_signed(names).expect("a self-signed certificate");
        Self { certified, protocols: Vec::new(), clients: None }
    }

    /// Lets the server offer HTTP/2, and HTTP/1.1 to those who do not take it.
    pub(crate) fn offering_h2(mut self) -> Self {
        self.protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        self
    }

    /// Lets the server talk to nobody but the holder of another certificate.
    pub(crate) fn demanding(mut self, client: &Self) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(client.certified.cert.der().clone()).expect("a certificate");
        self.clients = Some(roots);
        self
    }

    /// Returns the private key as PEM text, in PKCS#8.
    pub(crate) fn key_pem(&self) -> String {
        self.certified.signing_key.serialize_pem()
    }

    /// Returns the same key in SEC1, the older form for keys of elliptic curves, which stands inside of PKCS#8.
    pub(crate) fn key_pem_sec1(&self) -> String {
        use base64::Engine as _;
        let der = self.certified.signing_key.serialize_der();
        let start = [0x02, 0x01, 0x01, 0x04, 0x20];
        let version = der.windows(5).position(|window| window == start).expect("a key of P-256");
        let text = base64::engine::general_purpose::STANDARD.encode(&der[version - 2..]);
        format!("-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n")
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
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions that the provider has");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(roots) => {
                let provider = Arc::new(ring::default_provider());
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), provider).build();
                builder.with_client_cert_verifier(verifier.expect("an authority"))
            }
        };
        let mut config = builder
            .with_single_cert(vec![self.certified.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
            .expect("a key that fits its certificate");
        config.alpn_protocols.clone_from(&self.protocols);
        TlsAcceptor::from(Arc::new(config))
    }
}
