//! Who runs this in Google Cloud: the machine's own service account, or the key file of one.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::login::later;
use crate::contract::{Context, FetchError, FetchErrorKind, SecretValue};
use crate::http::{Request, Site, send};

/// Google's name for the service that tells a machine who it is.
const METADATA: &str = "metadata.google.internal";
/// How long a token signed here is good for, in seconds: one login.
const LIFETIME: u64 = 300;

/// Asks the metadata service for an identity token of the machine's service account.
///
/// # Errors
///
/// `Unauthenticated` where the machine has no such account; `Unavailable` where there is no such service.
pub(super) async fn of_machine(cx: &Context, identity: &str) -> Result<SecretValue, FetchError> {
    // As in Google's own libraries.
    let host = cx.env().get("GCE_METADATA_HOST").map(str::trim).filter(|host| !host.is_empty());
    let site = Site::of_metadata(&format!("http://{}", host.unwrap_or(METADATA)))?;
    let request = Request::get("/computeMetadata/v1/instance/service-accounts/default/identity")
        .query("audience", identity)
        .query("format", "full")
        .header("metadata-flavor", "Google");
    let answer = send(cx, &site, request).await.map_err(|error| {
        FetchError::new(error.kind(), format!("no metadata service of Google Cloud: {}", error.message()))
            .temporary(error.is_temporary())
            .help("run this in Google Cloud, or name a key file in `auth.service_account_key_file`")
    })?;
    match answer.status() {
        200..300 => Ok(SecretValue::copy_of(answer.body().trim_ascii())),
        status @ (408 | 429 | 500..) => Err(later(
            &answer,
            FetchError::new(
                FetchErrorKind::Unavailable,
                format!("`{}` cannot issue an identity token now: status {status}", answer.host()),
            )
            .help("try again later, or look at the machine's service account"),
        )),
        status => Err(unauthorized(format!(
            "`{}` issues no identity token for this machine: status {status}",
            answer.host()
        ))
        .help(
            "attach a service account to the machine, or name a key file in `auth.service_account_key_file`",
        )),
    }
}

/// The parts of a key file that a signature needs. The name of the type of key is checked by its form.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key_id: String,
    private_key: SecretValue,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

/// Signs a token with the key of a service account: Google publishes the other half of it under the account.
///
/// # Errors
///
/// `Unauthenticated` where the file is not there, or is no key file.
pub(super) fn signed_by_key(cx: &Context, path: &str, identity: &str) -> Result<SecretValue, FetchError> {
    let path = cx.resolve_path(path);
    let refuse = |why: &str| {
        unauthorized(format!("the service account's key file `{}` {why}", path.display()))
            .help("name a JSON key file of a service account in `auth.service_account_key_file`")
    };
    let text = crate::files::read(&path).map_err(|error| refuse(&format!("cannot be read: {error}")))?;
    // The decoder's own text may quote the key.
    let file: KeyFile = serde_json::from_slice(&text).map_err(|_| refuse("is no JSON key file"))?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.expose())
        .map_err(|_| refuse("holds no private key in PEM"))?;
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der())
        .map_err(|_| refuse("holds a private key that cannot sign"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let header = Header { alg: "RS256", kid: &file.private_key_id, typ: "JWT" };
    let account = file.client_email.as_str();
    let claims = Claims { iss: account, sub: account, aud: identity, iat: now, exp: now + LIFETIME };
    let mut token = Zeroizing::new(format!("{}.{}", encoded(&header)?, encoded(&claims)?));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
        .map_err(|_| refuse("holds a private key that cannot sign"))?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(&signature));
    Ok(SecretValue::from(token.as_str()))
}

fn encoded(part: &impl Serialize) -> Result<String, FetchError> {
    match serde_json::to_vec(part) {
        Ok(json) => Ok(URL_SAFE_NO_PAD.encode(json)),
        Err(_) => Err(unauthorized("the token for Google Cloud cannot be written".to_owned())),
    }
}

fn unauthorized(message: String) -> FetchError {
    FetchError::new(FetchErrorKind::Unauthenticated, format!("unauthorized: {message}"))
}
