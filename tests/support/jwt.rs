//! JSON web tokens signed with a key made for tests: what CI providers and clouds issue.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

/// A private key that opens nothing anywhere.
const KEY: &[u8] = include_bytes!("signing-key.der");

/// The key's name, as issuers publish it.
pub(crate) const KEY_ID: &str = "test-key-1";

/// Returns the private key as a service account's key file has it.
pub(crate) fn private_key_pem() -> String {
    let lines: Vec<String> = BASE64_STANDARD
        .encode(KEY)
        .as_bytes()
        .chunks(64)
        .map(|l| String::from_utf8_lossy(l).into())
        .collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

/// Signs claims. Without `exp` they are good for five minutes.
pub(crate) fn sign(claims: &Value, key_id: &str) -> String {
    let mut claims = claims.clone();
    if claims.get("exp").is_none() {
        claims["exp"] = (now() + 300).into();
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT", "kid": key_id})), part(&claims));
    let key = RsaKeyPair::from_pkcs8(KEY).expect("the key of the tests");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .expect("a signature");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// What a token says, once it is found to be one.
pub(crate) struct Token {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// Whether it is signed by the key of the tests.
    pub(crate) genuine: bool,
}

impl Token {
    /// Takes a token apart; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let json = |part: &str| serde_json::from_slice::<Value>(&decode(part)?).ok().filter(Value::is_object);
        let key = RsaKeyPair::from_pkcs8(KEY).expect("the key of the tests");
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref());
        let genuine = public.verify(signed.as_bytes(), &decode(signature)?).is_ok();
        Some(Self { header: json(header)?, claims: json(claims)?, genuine })
    }

    /// Says whether the token is past its end, or has none.
    pub(crate) fn is_expired(&self) -> bool {
        self.claims["exp"].as_u64().is_none_or(|end| end <= now())
    }

    /// Says whether the token is for an audience.
    pub(crate) fn is_for(&self, audience: &str) -> bool {
        match &self.claims["aud"] {
            Value::Array(many) => many.iter().any(|one| one == audience),
            one => one == audience,
        }
    }
}

/// Returns the seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}
