//! What a store asks of TLS: authorities to trust besides the system's, and who we are.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::contract::{FetchError, FetchErrorKind};

/// What a store asks of TLS. Stores that ask for the same share a client and its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// A PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate will do.
    pub accept_any: bool,
    /// The certificate that says who we are, where the server asks for one.
    pub client: Option<ClientFiles>,
}

/// A client certificate and its private key, each in a PEM file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientFiles {
    /// The certificate, and behind it those between it and its authority.
    pub certificate: PathBuf,
    /// The private key, not encrypted.
    pub key: PathBuf,
}

impl Tls {
    /// Puts what is asked into a client.
    pub(super) fn apply(
        &self,
        mut builder: reqwest::ClientBuilder,
    ) -> Result<reqwest::ClientBuilder, FetchError> {
        if let Some(path) = &self.ca_file {
            builder = builder.tls_certs_merge(authorities(path)?);
        }
        if let Some(files) = &self.client {
            builder = builder.identity(files.identity()?);
        }
        if self.accept_any {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        Ok(builder)
    }
}

fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, FetchError> {
    const HELP: &str = "name a PEM file with the authority's certificate";
    let pem = read("the CA file", path, HELP)?;
    let none = || unusable("the CA file", path, "holds no certificate", HELP);
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| none())?;
    if certificates.is_empty() { Err(none()) } else { Ok(certificates) }
}

impl ClientFiles {
    fn identity(&self) -> Result<reqwest::Identity, FetchError> {
        let (certificate, key) = ("the client certificate", "the client key");
        let (cert_help, key_help) = (
            "name a PEM file with the certificate in `tls.client_cert`",
            "name a PEM file with the certificate's private key in `tls.client_key`",
        );
        let chain = read(certificate, &self.certificate, cert_help)?;
        let whole = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
        if whole.is_ok_and(|found| found.is_empty()) || CertificateDer::from_pem_slice(&chain).is_err() {
            return Err(unusable(certificate, &self.certificate, "holds no certificate", cert_help));
        }
        let secret = read(key, &self.key, key_help)?;
        if is_encrypted(&secret) {
            return Err(unusable(
                key,
                &self.key,
                "is encrypted",
                "decrypt it, as with `openssl pkey -in KEY -out PLAIN`, and name that file in `tls.client_key`",
            ));
        }
        if PrivateKeyDer::from_pem_slice(&secret).is_err() {
            return Err(unusable(key, &self.key, "holds no private key", key_help));
        }
        // One text, as the client wants it, with the key first: one that the certificate's file holds, too,
        // does not count.
        let mut both = Zeroizing::new(Vec::with_capacity(secret.len() + chain.len() + 1));
        both.extend_from_slice(&only_keys(&secret));
        both.push(b'\n');
        both.extend_from_slice(&only_certificates(&chain));
        reqwest::Identity::from_pem(&both)
            .map_err(|_| unusable(key, &self.key, "cannot be used with the client certificate", key_help))
    }
}

/// Says whether a key is locked with a passphrase, in either of the two ways that PEM has for it.
fn is_encrypted(pem: &[u8]) -> bool {
    let has = |words: &[u8]| pem.windows(words.len()).any(|window| window == words);
    has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// Returns the blocks of a PEM text that are private keys.
fn only_keys(pem: &[u8]) -> Zeroizing<Vec<u8>> {
    blocks(pem, |label| label.ends_with(b"PRIVATE KEY"))
}

/// Returns the blocks of a PEM text that are certificates.
fn only_certificates(pem: &[u8]) -> Zeroizing<Vec<u8>> {
    blocks(pem, |label| label == b"CERTIFICATE")
}

fn blocks(pem: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(pem.len() + 1));
    let mut inside = false;
    for line in pem.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii();
        let label = |start: &[u8]| {
            let rest = text.strip_prefix(start)?;
            rest.strip_suffix(b"-----").map(<[u8]>::to_vec)
        };
        if label(b"-----BEGIN ").is_some_and(|label| wanted(&label)) {
            inside = true;
        }
        if inside {
            kept.extend_from_slice(line);
        }
        if label(b"-----END ").is_some() {
            inside = false;
        }
    }
    kept
}

fn read(what: &str, path: &Path, help: &'static str) -> Result<Zeroizing<Vec<u8>>, FetchError> {
    crate::files::read(path).map_err(|error| unusable(what, path, &format!("cannot be read: {error}"), help))
}

fn unusable(what: &str, path: &Path, why: &str, help: &'static str) -> FetchError {
    FetchError::new(FetchErrorKind::Unsupported, format!("{what} `{}` {why}", path.display())).help(help)
}
