//! The logins of identities, renewal and revocation.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::jwt::Token;
use super::answer::{Answer, Answered, not_found, refuse, required, something_went_wrong};
use super::caller::Use;
use super::proof::Method;
use super::request::Asked;
use super::world::{Generation, World};

/// How long a lockout lasts.
const LOCKOUT: Duration = Duration::from_secs(300);

/// The oldest that a 2026 server lets a token without an expiry of its own become, in seconds.
const MAX_AGE: u64 = 7_776_000;

impl World {
    /// `POST /api/v1/auth/universal-auth/login`
    pub(super) fn universal_login(&mut self, asked: &Asked) -> Answered {
        let fields = asked.fields()?;
        let [client_id, client_secret] = text_fields(&fields, ["clientId", "clientSecret"])?;
        let Some(index) = self.identities.iter().position(|identity| identity.client_id == client_id) else {
            return Err(match self.generation {
                Generation::June2025 => not_found("No identity with specified client ID was found"),
                Generation::July2026 => unauthorized("Invalid credentials"),
            });
        };
        let (now, generation) = (self.now(), self.generation);
        let identity = &mut self.identities[index];
        if identity.address_refused {
            let message = "You are not allowed to access this resource from the current IP address";
            return Err(refuse(403, "ForbiddenError", message));
        }
        if identity.locked_until.is_some_and(|until| now < until) {
            return Err(unauthorized(
                "This identity auth method is temporarily locked, please try again later",
            ));
        }
        if identity.client_secret != client_secret {
            identity.failures += 1;
            if generation == Generation::July2026 && identity.failures >= identity.lockout_after {
                (identity.failures, identity.locked_until) = (0, Some(now + LOCKOUT));
            }
            return Err(unauthorized("Invalid credentials"));
        }
        if identity.secret_expired {
            return Err(unauthorized("Access denied due to expired client secret"));
        }
        match identity.logins_left.as_mut() {
            None => {}
            Some(0) => return Err(unauthorized("Access denied due to client secret usage limit reached")),
            Some(left) => *left -= 1,
        }
        identity.failures = 0;
        self.check_organization(&fields)?;
        let (ttl, max) = (self.identities[index].ttl, self.identities[index].max_ttl);
        let (ttl, answered) = self.lifetime(ttl);
        let token = self.issue(index, now, ttl);
        Ok(Answer::ok(token_body(&token, answered, max)))
    }

    /// `POST /api/v1/auth/<method>/login`
    pub(super) fn login_by(&mut self, method: Method, asked: &Asked) -> Answered {
        let fields = asked.fields()?;
        let needed: Vec<&str> =
            std::iter::once("identityId").chain(method.fields().iter().copied()).collect();
        let missing: Vec<&str> = needed.into_iter().filter(|name| !fields[*name].is_string()).collect();
        if !missing.is_empty() {
            return Err(required(&missing));
        }
        let id = fields["identityId"].as_str().unwrap_or_default();
        if !is_uuid(id) {
            // Seen for OIDC only.
            return Err(something_went_wrong("Find one"));
        }
        let found = self.identities.iter().enumerate().find_map(|(index, identity)| {
            let proof = identity.proofs.iter().find(|proof| proof.is_of(method))?;
            (identity.id == id).then(|| (index, proof.clone()))
        });
        let Some((index, proof)) = found else {
            return Err(match (method, self.generation) {
                (Method::Ldap, Generation::June2025) => unauthorized("Invalid credentials"),
                (Method::Ldap, Generation::July2026) => {
                    not_found(format!("Identity with ID '{id}' not found"))
                }
                _ => not_found(method.not_configured()),
            });
        };
        if self.identities[index].address_refused {
            let message = "You are not allowed to access this resource from the current IP address";
            return Err(refuse(403, "ForbiddenError", message));
        }
        proof.check(self.generation, &fields)?;
        // A machine's token of Google Cloud, or one signed by a key file, is for the identity alone.
        if method == Method::Gcp
            && !Token::parse(fields["jwt"].as_str().unwrap_or_default()).is_some_and(|token| token.is_for(id))
        {
            return Err(unauthorized("Access denied: GCP audience not allowed."));
        }
        self.check_organization(&fields)?;
        let (ttl, max) = (self.identities[index].ttl, self.identities[index].max_ttl);
        let (ttl, answered) = self.lifetime(ttl);
        let now = self.now();
        let token = self.issue(index, now, ttl);
        Ok(Answer::ok(token_body(&token, answered, max)))
    }

    /// Returns the seconds until a new token's expiry, and the number that the answer states.
    fn lifetime(&self, ttl: u64) -> (Option<u64>, u64) {
        match (ttl, self.generation) {
            (0, Generation::June2025) => (None, 0),
            (0, Generation::July2026) => (Some(MAX_AGE), MAX_AGE),
            (ttl, _) => (Some(ttl), ttl),
        }
    }

    fn check_organization(&self, fields: &Value) -> Result<(), Box<Answer>> {
        match fields["organizationSlug"].as_str() {
            // The older server does not know the field.
            Some(slug) if self.is_2026() && !self.organizations.iter().any(|known| known == slug) => {
                Err(not_found(format!("Sub organization with name {slug} not found")))
            }
            _ => Ok(()),
        }
    }

    /// `POST /api/v1/auth/token/renew`
    pub(super) fn renew(&mut self, asked: &Asked) -> Answered {
        let [token] = text_fields(&asked.fields()?, ["accessToken"])?;
        let index = self.check_token(&token, Use::Renewal)?;
        let (now, generation) = (self.now(), self.generation);
        let (ttl, max) = (self.identities[index].ttl, self.identities[index].max_ttl);
        let entry = self.tokens.get_mut(&token).expect("a token that was just checked");
        let created = entry.created;
        let last = created + Duration::from_secs(max);
        if max == 0 || now + Duration::from_secs(ttl) < last {
            let (ttl, answered) = self.lifetime(ttl);
            let renewed = self.issue(index, created, ttl);
            return Ok(Answer::ok(token_body(&renewed, answered, max)));
        }
        if generation == Generation::June2025 {
            // The older server deletes the token that it refuses to renew.
            entry.revoked = true;
            return Err(unauthorized("Failed to renew MI access token past its Max TTL expiration"));
        }
        if now >= last {
            return Err(unauthorized("Cannot renew: identity access token has reached its max TTL"));
        }
        let left = (last - now).as_secs_f64().round().max(1.0);
        let left = Duration::from_secs_f64(left).as_secs();
        let renewed = self.issue(index, created, Some(left));
        Ok(Answer::ok(token_body(&renewed, left, max)))
    }

    /// `POST /api/v1/auth/token/revoke`
    pub(super) fn revoke(&mut self, asked: &Asked) -> Answered {
        let [token] = text_fields(&asked.fields()?, ["accessToken"])?;
        if self.generation == Generation::July2026
            && self.tokens.get(&token).is_some_and(|token| token.revoked)
        {
            return Ok(Answer::ok(json!({"message": "Successfully revoked access token"})));
        }
        self.check_token(&token, Use::Renewal)?;
        self.tokens.get_mut(&token).expect("a token that was just checked").revoked = true;
        Ok(Answer::ok(json!({"message": "Successfully revoked access token"})))
    }
}

fn text_fields<const N: usize>(fields: &Value, names: [&'static str; N]) -> Result<[String; N], Box<Answer>> {
    let missing: Vec<&str> = names.iter().copied().filter(|name| !fields[*name].is_string()).collect();
    if !missing.is_empty() {
        return Err(required(&missing));
    }
    Ok(names.map(|name| fields[name].as_str().unwrap_or_default().trim().to_owned()))
}

fn unauthorized(message: &str) -> Box<Answer> {
    refuse(401, "UnauthorizedError", message)
}

fn token_body(token: &str, expires_in: u64, max: u64) -> Value {
    json!({"accessToken": token, "expiresIn": expires_in, "accessTokenMaxTTL": max, "tokenType": "Bearer"})
}

/// Says whether text has the form of a UUID.
pub(super) fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
