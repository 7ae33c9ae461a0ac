//! Who is asking: access tokens of identities, service tokens, and what the server makes of anything else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::answer::{Answer, not_found, refuse, something_went_wrong};
use super::request::Asked;
use super::world::{AccessToken, Generation, World, hash, id_of};

/// A caller that the server has recognised.
#[derive(Clone, Copy)]
pub(super) enum Caller {
    Identity(usize),
    Service(usize),
}

impl Caller {
    /// Returns a name for the server's memory of what it answered to whom.
    pub(super) fn key(self) -> String {
        match self {
            Self::Identity(index) => format!("identity {index}"),
            Self::Service(index) => format!("service {index}"),
        }
    }
}

impl World {
    /// Looks at the credentials of a request, which happens on every route, also on those that need none.
    pub(super) fn caller(&mut self, asked: &Asked) -> Result<Option<Caller>, Box<Answer>> {
        if let Some(key) = asked.header("x-api-key") {
            return Err(self.refuse_api_key(key));
        }
        let Some(authorization) = asked.header("authorization") else {
            return Ok(None);
        };
        // The first seven characters are cut off unread, so that `bearer` and `Basic` pass as well.
        let token: String = authorization.chars().skip(7).collect();
        if token.starts_with("st.") {
            return self.service_caller(&token).map(Some);
        }
        let identity = self.check_token(&token, Use::Request)?;
        Ok(Some(Caller::Identity(identity)))
    }

    fn refuse_api_key(&self, key: &str) -> Box<Answer> {
        match (self.generation, key.split('.').count()) {
            (Generation::July2026, _) => refuse(
                400,
                "BadRequest",
                "API key authentication is not supported anymore. Please switch to identity authentication.",
            ),
            // The older server looks the middle part up as an id, and trips where there is none.
            (Generation::June2025, 3) => {
                refuse(401, "UnauthorizedError", "You are not allowed to access this resource")
            }
            (Generation::June2025, _) => something_went_wrong("Find by id"),
        }
    }

    fn service_caller(&mut self, text: &str) -> Result<Caller, Box<Answer>> {
        let parts: Vec<&str> = text.split('.').collect();
        // A fourth part, the old client-side key, is ignored.
        let [_, id, secret, ..] = parts.as_slice() else {
            return Err(something_went_wrong("InternalServerError"));
        };
        let unknown = || not_found(format!("Service token with ID '{id}' not found"));
        let index = self.service_tokens.iter().position(|token| token.id == *id).ok_or_else(unknown)?;
        let token = &mut self.service_tokens[index];
        if token.expired {
            // The server deletes it while saying so: the next answer is 404.
            token.id.clear();
            return Err(refuse(403, "ForbiddenError", "Service token has expired"));
        }
        if token.secret != *secret {
            return Err(refuse(401, "UnauthorizedError", "Invalid service token"));
        }
        Ok(Caller::Service(index))
    }

    /// Checks an access token and returns its identity.
    pub(super) fn check_token(&mut self, token: &str, purpose: Use) -> Result<usize, Box<Answer>> {
        let refuse_token = |message: &str| Err(refuse(403, "TokenError", message));
        if token.is_empty() {
            return refuse_token("jwt must be provided");
        }
        if !is_jwt(token) {
            let message = "The provided access token is malformed. Please use a valid token or generate a new one \
                           and try again.";
            return refuse_token(message);
        }
        let (now, generation) = (self.now(), self.generation);
        let Some(known) = self.tokens.get_mut(token) else {
            return refuse_token("invalid signature");
        };
        if known.expires.is_some_and(|expires| expires <= now) {
            return refuse_token("Your token has expired. Please re-authenticate.");
        }
        let refuse_state = |message: &str| Err(refuse(401, "UnauthorizedError", message));
        if known.revoked {
            return refuse_state(match (generation, purpose) {
                (Generation::June2025, _) => "No identity access token found",
                (Generation::July2026, Use::Request) => "Failed to authorize: token has been revoked",
                (Generation::July2026, Use::Renewal) => "Cannot renew: token has been revoked",
            });
        }
        if known.over_age && generation == Generation::July2026 {
            return refuse_state("Identity access token exceeded max age, please re-authenticate");
        }
        match known.uses_left.as_mut() {
            None => {}
            Some(0) => {
                return refuse_state(match generation {
                    Generation::June2025 => {
                        "Unable to renew because access token number of uses limit reached"
                    }
                    Generation::July2026 => "Failed to authorize: token usage limit reached",
                });
            }
            Some(left) => *left -= 1,
        }
        Ok(known.identity)
    }

    /// Gives out an access token.
    pub(super) fn issue(&mut self, identity: usize, created: Duration, ttl: Option<u64>) -> String {
        let expires = ttl.map(|ttl| self.now() + Duration::from_secs(ttl));
        let token = self.sign(identity, ttl);
        let uses_left = self.identities[identity].token_uses;
        let entry = AccessToken { identity, created, expires, uses_left, revoked: false, over_age: false };
        self.tokens.insert(token.clone(), entry);
        token
    }

    /// Makes a token of the form and the length that the real ones have: about 400 characters, over 900 on 2026.
    fn sign(&mut self, identity: usize, ttl: Option<u64>) -> String {
        let serial = self.next_id();
        let issued = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut claims = json!({
            "identityId": id_of(&("identity", identity)),
            "clientSecretId": id_of(&("client secret", identity)),
            "identityAccessTokenId": serial,
            "authTokenType": "identityAccessToken",
            "iat": issued,
        });
        if let Some(ttl) = ttl {
            claims["exp"] = (issued + ttl).into();
        }
        if self.is_2026() {
            claims["identityName"] = format!("lab-{identity}").into();
            claims["orgId"] = id_of(&"organization").into();
            claims["rootOrgId"] = id_of(&"organization").into();
            claims["authMethod"] = "universal-auth".into();
            claims["identityAuth"] = json!({
                "universalAuth": {
                    "clientId": self.identities[identity].client_id,
                    "trustedIps": [{"type": "ipv4", "prefix": 0, "ipAddress": "0.0.0.0"},
                                   {"type": "ipv6", "prefix": 0, "ipAddress": "::"}],
                },
                "accessTokenTTL": self.identities[identity].ttl,
                "accessTokenMaxTTL": self.identities[identity].max_ttl,
                "accessTokenNumUsesLimit": self.identities[identity].token_uses.unwrap_or(0),
            });
        }
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "typ": "JWT"})), encode(&claims));
        let signature: Vec<u8> = (0..4_u8).flat_map(|part| hash(&(part, &signed)).to_be_bytes()).collect();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What a token is shown for; the words of a refusal differ.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Request,
    Renewal,
}

fn is_jwt(token: &str) -> bool {
    let parts: Vec<&str> = token.split('.').collect();
    let is_object = |part: &&str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        serde_json::from_slice::<Value>(&bytes).is_ok_and(|value| value.is_object())
    };
    parts.len() == 3 && parts.iter().take(2).all(is_object)
}
