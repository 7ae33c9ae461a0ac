//! What an identity can show besides a client secret, and when the server believes it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::{digest, hmac};
use serde_json::{Map, Value};

use super::super::jwt::{KEY_ID, Token};
use super::answer::{Answer, refuse, something_went_wrong};
use super::world::Generation;

/// The logins of an identity besides Universal Auth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    Oidc,
    Jwt,
    Kubernetes,
    Azure,
    Gcp,
    Aws,
    Ldap,
}

impl Method {
    pub(super) const ALL: [Self; 7] =
        [Self::Oidc, Self::Jwt, Self::Kubernetes, Self::Azure, Self::Gcp, Self::Aws, Self::Ldap];

    /// Returns the segment of the path.
    pub(super) fn segment(self) -> &'static str {
        match self {
            Self::Oidc => "oidc-auth",
            Self::Jwt => "jwt-auth",
            Self::Kubernetes => "kubernetes-auth",
            Self::Azure => "azure-auth",
            Self::Gcp => "gcp-auth",
            Self::Aws => "aws-auth",
            Self::Ldap => "ldap-auth",
        }
    }

    /// Returns the name of the route.
    pub(super) fn route(self) -> &'static str {
        match self {
            Self::Oidc => "POST /api/v1/auth/oidc-auth/login",
            Self::Jwt => "POST /api/v1/auth/jwt-auth/login",
            Self::Kubernetes => "POST /api/v1/auth/kubernetes-auth/login",
            Self::Azure => "POST /api/v1/auth/azure-auth/login",
            Self::Gcp => "POST /api/v1/auth/gcp-auth/login",
            Self::Aws => "POST /api/v1/auth/aws-auth/login",
            Self::Ldap => "POST /api/v1/auth/ldap-auth/login",
        }
    }

    /// Returns the fields that the body must have besides `identityId`.
    pub(super) fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Aws => &["iamRequestBody", "iamRequestHeaders"],
            Self::Ldap => &["username", "password"],
            _ => &["jwt"],
        }
    }

    /// Returns the words for an identity that has not this login.
    pub(super) fn not_configured(self) -> String {
        let (name, again) = match self {
            Self::Oidc => ("OIDC", "OIDC auth"),
            Self::Jwt => ("JWT", "JWT auth"),
            Self::Kubernetes => ("Kubernetes", "Kubernetes auth"),
            Self::Azure => ("Azure", "Azure Auth"),
            Self::Gcp => ("GCP", "GCP auth"),
            Self::Aws => ("AWS", "AWS auth"),
            Self::Ldap => ("LDAP", "LDAP auth"),
        };
        format!("{name} auth method not found for identity, did you configure {again}?")
    }
}

/// What a login of an identity asks for.
#[derive(Clone)]
pub(crate) enum Proof {
    /// A signed token of an issuer, with an audience, a subject (`*` at its end stands for anything) and a claim.
    Token {
        method: Method,
        issuer: String,
        audience: String,
        subject: String,
        claim: Option<(String, String)>,
    },
    /// A request signed by these keys of AWS.
    Aws { access_key: String, secret_key: String, session: Option<String> },
    /// A user of a directory.
    Ldap { username: String, password: String },
}

impl Proof {
    /// Makes the proof by a token of one issuer for one audience, whatever the subject.
    pub(crate) fn token(method: Method, issuer: &str, audience: &str) -> Self {
        let (issuer, audience, subject) = (issuer.into(), audience.into(), "*".into());
        Self::Token { method, issuer, audience, subject, claim: None }
    }

    /// Binds the token to a subject.
    pub(crate) fn of_subject(mut self, bound: &str) -> Self {
        if let Self::Token { subject, .. } = &mut self {
            *subject = bound.into();
        }
        self
    }

    /// Binds the token to a claim.
    pub(crate) fn with_claim(mut self, name: &str, value: &str) -> Self {
        if let Self::Token { claim, .. } = &mut self {
            *claim = Some((name.into(), value.into()));
        }
        self
    }

    /// Makes the proof by a signed request.
    pub(crate) fn aws(access_key: &str, secret_key: &str, session: Option<&str>) -> Self {
        let session = session.map(str::to_owned);
        Self::Aws { access_key: access_key.into(), secret_key: secret_key.into(), session }
    }

    /// Makes the proof by a password.
    pub(crate) fn ldap(username: &str, password: &str) -> Self {
        Self::Ldap { username: username.into(), password: password.into() }
    }

    pub(super) fn is_of(&self, wanted: Method) -> bool {
        match self {
            Self::Token { method, .. } => *method == wanted,
            Self::Aws { .. } => wanted == Method::Aws,
            Self::Ldap { .. } => wanted == Method::Ldap,
        }
    }

    /// Decides on a login's body.
    pub(super) fn check(&self, generation: Generation, body: &Value) -> Result<(), Box<Answer>> {
        let text = |name: &str| body[name].as_str().unwrap_or_default();
        match self {
            Self::Token { .. } => self.check_token(generation, text("jwt")),
            Self::Ldap { username, password } => {
                let same = text("username") == username && text("password") == password;
                if same { Ok(()) } else { Err(unauthorized("Invalid credentials")) }
            }
            // The refusal of AWS was not seen: its own answer fails inside of the server.
            Self::Aws { access_key, secret_key, session } => {
                let signed = Signed::read(text("iamRequestBody"), text("iamRequestHeaders"));
                let good = signed.is_some_and(|signed| {
                    signed.is_by(access_key, secret_key, session.as_deref()) && signed.is_fresh()
                });
                if good { Ok(()) } else { Err(something_went_wrong("InternalServerError")) }
            }
        }
    }

    fn check_token(&self, generation: Generation, jwt: &str) -> Result<(), Box<Answer>> {
        let Self::Token { method, issuer, audience, subject, claim } = self else { return Ok(()) };
        let Some(token) = Token::parse(jwt) else { return Err(unauthorized("Invalid JWT")) };
        if token.header["kid"] != KEY_ID {
            return Err(match generation {
                Generation::June2025 => something_went_wrong("InternalServerError"),
                Generation::July2026 => unauthorized(&format!(
                    "Access denied: Unable to verify JWT signature. The signing key '{}' was not found in the OIDC \
                     provider's JWKS endpoint. This may indicate an invalid token or misconfigured OIDC provider.",
                    token.header["kid"].as_str().unwrap_or_default()
                )),
            });
        }
        let denied = |oidc: &str, jwt: &str| {
            let words = if *method == Method::Jwt { jwt } else { oidc };
            unauthorized(&format!("Access denied: {words}"))
        };
        let why = if !token.genuine {
            Some("invalid signature".to_owned())
        } else if token.is_expired() {
            Some("jwt expired".to_owned())
        } else if token.claims["iss"] != *issuer {
            Some(format!("jwt issuer invalid. expected: {issuer}"))
        } else {
            None
        };
        if let Some(why) = why {
            let all = format!("JWT verification failed with all keys. Errors - {why}");
            return Err(denied(&why, &all));
        }
        let own = token.claims["sub"].as_str().unwrap_or_default();
        let fits = match subject.strip_suffix('*') {
            Some(start) => own.starts_with(start),
            None => own == subject,
        };
        if !fits {
            return Err(refuse(403, "ForbiddenError", "Access denied: OIDC subject not allowed."));
        }
        if !token.is_for(audience) {
            return Err(denied("OIDC audience not allowed.", "token audience not allowed"));
        }
        match claim {
            Some((name, _)) if token.claims[name].is_null() => {
                let words = format!("token has no {name} field");
                Err(denied(&words, &words))
            }
            Some((name, value)) if token.claims[name] != **value => {
                Err(denied("OIDC claim not allowed.", "claim not allowed"))
            }
            _ => Ok(()),
        }
    }
}

fn unauthorized(message: &str) -> Box<Answer> {
    refuse(401, "UnauthorizedError", message)
}

/// A signed request of AWS's Signature Version 4, as the real server sends it on.
struct Signed {
    body: String,
    headers: Map<String, Value>,
}

impl Signed {
    fn read(body: &str, headers: &str) -> Option<Self> {
        let decode = |text: &str| BASE64_STANDARD.decode(text).ok();
        let body = String::from_utf8(decode(body)?).ok()?;
        let headers: Map<String, Value> = serde_json::from_slice(&decode(headers)?).ok()?;
        headers.values().all(Value::is_string).then_some(Self { body, headers })
    }

    /// Finds a header whatever its case, as web servers do.
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_str()).unwrap_or_default()
    }

    fn is_fresh(&self) -> bool {
        // Only the day: AWS allows minutes, and a test has no clock of its own for them.
        let today = super::super::jwt::now() / 86_400;
        let date = self.header("x-amz-date");
        date.len() == 16 && (today == day(date) || today == day(date) + 1)
    }

    /// Computes the signature anew: AWS's documents, "Create a signed AWS API request".
    fn is_by(&self, access_key: &str, secret_key: &str, session: Option<&str>) -> bool {
        // Older servers look the header up by this name.
        let Some(authorization) = self.headers.get("Authorization").and_then(Value::as_str) else {
            return false;
        };
        let Some(rest) = authorization.strip_prefix("AWS4-HMAC-SHA256 ") else { return false };
        let part = |name: &str| {
            rest.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
        };
        let scope: Vec<&str> = part("Credential").split('/').collect();
        let [key, date, region, "sts", "aws4_request"] = scope.as_slice() else { return false };
        let of_host = self.header("host") == format!("sts.{region}.amazonaws.com");
        let of_session = self.header("x-amz-security-token") == session.unwrap_or_default();
        let of_body = self.body == "Action=GetCallerIdentity&Version=2011-06-15"
            && self.header("content-length") == self.body.len().to_string();
        if *key != access_key || !of_host || !of_session || !of_body {
            return false;
        }
        let names: Vec<&str> = part("SignedHeaders").split(';').collect();
        let must = ["host", "x-amz-date"].into_iter().chain(session.map(|_| "x-amz-security-token"));
        if !must.into_iter().all(|name| names.contains(&name)) {
            return false;
        }
        let lines: String =
            names.iter().map(|name| format!("{name}:{}\n", self.header(name).trim())).collect();
        let hash = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let canonical = format!("POST\n/\n\n{lines}\n{}\n{}", names.join(";"), hash(&self.body));
        let scope = format!("{date}/{region}/sts/aws4_request");
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", self.header("x-amz-date"), hash(&canonical));
        let step = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
        };
        let mut key = format!("AWS4{secret_key}").into_bytes();
        for text in [date, region, "sts", "aws4_request"] {
            key = step(&key, text);
        }
        hex(&step(&key, &to_sign)) == part("Signature")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the days from 1970 to the date that a text such as `20261124T120000Z` begins with.
fn day(text: &str) -> u64 {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|part| part.parse::<u64>().ok());
    let (year, month, day) =
        (number(0..4).unwrap_or(1970), number(4..6).unwrap_or(1), number(6..8).unwrap_or(1));
    // Howard Hinnant's `days_from_civil`.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
