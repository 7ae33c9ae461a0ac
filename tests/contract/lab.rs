//! The state of the servers that were recorded, deduced from what they answered.

use std::collections::HashMap;
use std::time::Duration;

use crate::client::Call;
use crate::support::infisical::{
    Fault, Generation, Identity, Infisical, Method, Proof, Server, ServiceToken,
};
use crate::support::jwt;
use crate::transcript::{Exchange, Transcript};

/// An id that no server has.
const UNKNOWN_ID: &str = "00000000-0000-4000-8000-000000000000";

/// A fake in the state of the recording, with the tokens that its exchanges use.
pub(crate) struct Lab {
    pub(crate) server: Server,
    generation: Generation,
    group: String,
    identities: HashMap<String, (String, String)>,
    tokens: HashMap<String, String>,
    tags: HashMap<String, String>,
}

impl Lab {
    pub(crate) fn of(transcript: &Transcript) -> Self {
        let generation = transcript.generation();
        let (project, foreign) = match generation {
            Generation::June2025 => {
                ("d2f964f8-a151-4d02-8d5e-07f5213a02b6", "f6cba663-585b-4add-b15b-060d022ce8de")
            }
            Generation::July2026 => {
                ("9cd41904-ea03-4da2-aff5-cafa69d1eadc", "6d06ae69-1fc6-40b7-b807-61a7ad44fb04")
            }
        };
        let identities = identities(transcript);
        let mut server = seeded(Infisical::new(generation).lenient(), project, foreign);
        for (name, (id, secret)) in &identities {
            server = server.identity_with(limits(name, Identity::new(id, secret), project));
        }
        for identity in proving(&transcript.exchanges) {
            server = server.identity_with(identity.member_of(&[project]));
        }
        for token in service_tokens() {
            server = server.service_token(token);
        }
        let lab = Self {
            server: server.start(),
            generation,
            group: transcript.group.clone(),
            identities,
            tokens: HashMap::new(),
            tags: HashMap::new(),
        };
        lab.catch_up();
        lab
    }

    /// Does what earlier groups had left behind on the recorded server.
    fn catch_up(&self) {
        let newer = self.generation == Generation::July2026;
        let number: u32 = self.group[..2].parse().unwrap();
        self.server.change(|world| {
            if newer && number >= 7 {
                world.secret("dev", "/shared", "W3_REF", "${NOT_THERE}");
                world.secret("dev", "/shared", "W4_REF", "${NOT_THERE}");
            }
            if number >= 8 {
                world.folder("dev", "/made-v1/by/one/leaf");
            }
            if number >= 8 && newer {
                world.folder("dev", "/made-v2/by/one/leaf");
            }
            if number == 18 {
                for name in ["a%b", "a?b", "a#b", "ä", "a+b", ".", "..", "a=b", "a b"] {
                    // The older server had refused a name with a space.
                    if newer || name != "a b" {
                        world.secret("dev", "/shared", name, "v");
                    }
                }
                world.secret("dev", "/shared", "batch", "x");
            }
            if number == 19 {
                world.secret("dev", "/shared", &"N".repeat(100), "v").secret(
                    "dev",
                    "/shared",
                    &"N".repeat(101),
                    "v",
                );
            }
        });
    }

    /// Does what happened on the recorded server right before an exchange.
    pub(crate) fn before(&self, exchange: &Exchange) {
        let name = exchange.name.as_str();
        self.server.change(|world| match (&self.group[..2], name) {
            ("03", "use-expired" | "renew-within-ttl" | "renew-until-max-2") => {
                world.advance(Duration::from_secs(3));
            }
            ("07", "list-v2") => {
                world.folder("dev", "/made-v1/by/one/leaf");
            }
            ("10", "list-inm-after-write-v3" | "list-inm-after-write-v4") => {
                world.secret("dev", "/shared", "ETAG_TMP", "x");
            }
            ("10", "list-inm-after-revert-v3" | "list-inm-after-revert-v4") => {
                world.delete("dev", "/shared", "ETAG_TMP");
            }
            ("12", "by-id-v3" | "by-id-v4") => {
                let id = exchange.path.rsplit('/').next().unwrap();
                world.adjust("dev", "/", "DB_PASSWORD", |secret| secret.set_id(id));
            }
            ("19", "masked-list-allowed") => {
                let (short, long) = ("N".repeat(100), "N".repeat(101));
                world.delete("dev", "/shared", &short).delete("dev", "/shared", &long);
            }
            ("22", "renamed-new-name-v1-v3") => {
                world.secret("dev", "/shared", "VX", "x1").secret("dev", "/shared", "VX", "x2");
                world.rename("dev", "/shared", "VX", "VY");
            }
            ("22", "deleted-v1-v3") => {
                world.delete("dev", "/shared", "VY");
            }
            ("22", "recreated-latest-v3") => {
                world.secret("dev", "/shared", "VZ", "first-1").secret("dev", "/shared", "VZ", "first-2");
                world.delete("dev", "/shared", "VZ").secret("dev", "/shared", "VZ", "second-1");
            }
            ("22", "recreated-v2-again-v3") => {
                world.secret("dev", "/shared", "VZ", "second-2");
            }
            ("22", "old-version-expanded-v3") => {
                world
                    .secret("dev", "/shared", "VR", "${SHARED_TOKEN}-one")
                    .secret("dev", "/shared", "VR", "two");
            }
            _ => {}
        });
        match (&self.group[..2], name) {
            ("15", "list-429") => {
                self.server.fault("GET /api/v4/secrets", Fault::rate_limited(Some(58)).times(1))
            }
            ("15", "login-429") => self.server.fault("*", Fault::rate_limited(Some(56)).times(1)),
            _ => {}
        }
    }

    /// Makes the recorded request one that this server understands: real tokens, secrets and tags.
    pub(crate) fn call<'a>(&mut self, exchange: &'a Exchange) -> Call<'a> {
        let mut headers = Vec::new();
        for (name, value) in &exchange.headers {
            let value = match name.as_str() {
                "Authorization" => self.authorization(exchange, value),
                "If-None-Match" => self.known_tag(value),
                _ => value.clone(),
            };
            headers.push((name.clone(), value));
        }
        let body = exchange.body.as_ref().map(|body| match body {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let body = body.map(|body| self.fill_body(exchange, body).into_bytes());
        Call { method: &exchange.method, path: &exchange.path, headers, body }
    }

    /// Remembers which tag this server has for a recorded one.
    pub(crate) fn learn_tag(&mut self, recorded: &str, answered: &str) {
        self.tags.entry(recorded.into()).or_insert_with(|| answered.into());
    }

    fn known_tag(&self, value: &str) -> String {
        let (weak, tag) = value.strip_prefix("W/").map_or(("", value), |tag| ("W/", tag));
        format!("{weak}{}", self.tags.get(tag).map_or(tag, String::as_str))
    }

    fn fill_body(&mut self, exchange: &Exchange, body: String) -> String {
        let body = match body.contains("<jwt>") {
            true if self.group.starts_with("16") => body.replace("<jwt>", &identity_token(&exchange.name)),
            true => body.replace("<jwt>", &self.token(&holder(&self.group, &exchange.name))),
            false => body,
        };
        self.identities
            .iter()
            .fold(body, |body, (name, (_, secret))| body.replace(&format!("<clientSecret:{name}>"), secret))
    }

    fn authorization(&mut self, exchange: &Exchange, value: &str) -> String {
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        let token = match token {
            "<accessToken>" => self.token(&holder(&self.group, &exchange.name)),
            "<accessToken of a viewer>" => self.token("viewer"),
            "<accessToken of an identity outside the project>" => self.token("outsider"),
            "<accessToken of an identity that may describe dev secrets but read values only under /app>" => {
                self.token("masked")
            }
            "<expired accessToken>" => {
                let token = self.token("lab-short expired");
                self.server.change(|world| {
                    world.advance(Duration::from_secs(3));
                });
                token
            }
            "<jwt with a wrong signature>" => {
                let token = self.token("lab-admin");
                let (signed, signature) = token.rsplit_once('.').unwrap();
                format!("{signed}.{}", signature.chars().rev().collect::<String>())
            }
            "<user:password>" => "dXNlcjpwYXNzd29yZA==".into(),
            "<serviceToken_glob_rw>" => service_token("glob"),
            "<serviceToken_glob_rw>.<key>" => format!("{}.{}", service_token("glob"), "f".repeat(32)),
            "<serviceToken_app_read>" => service_token("app"),
            "<serviceToken_root_read>" => service_token("root"),
            "<serviceToken_two_read>" => service_token("two"),
            "<serviceToken_short>" => service_token("short"),
            "st.<id>.<wrong secret>" => format!("st.{}.wrong", service_id("glob")),
            "st.<unknown id>.<secret>" => format!("st.{UNKNOWN_ID}.secret"),
            "st.<id>" => format!("st.{}", service_id("glob")),
            literal => literal.to_owned(),
        };
        format!("{scheme} {token}")
    }

    /// Returns the token of a holder, logging in the first time. A holder is an identity and, after a space, a
    /// word that sets one of its tokens apart.
    fn token(&mut self, holder: &str) -> String {
        if let Some(token) = self.tokens.get(holder) {
            return token.clone();
        }
        let identity = holder.split(' ').next().unwrap();
        let (id, secret) = self.identities[identity].clone();
        let token = if identity == "bootstrap" {
            let mut token = String::new();
            self.server.change(|world| token = world.dashboard_token(&id));
            token
        } else {
            let body = serde_json::json!({"clientId": id, "clientSecret": secret});
            let answer =
                Call::json("/api/v1/auth/universal-auth/login", &body).send(&self.server.url()).unwrap();
            let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            answer["accessToken"]
                .as_str()
                .unwrap_or_else(|| panic!("no token for {holder}: {answer}"))
                .to_owned()
        };
        self.tokens.insert(holder.into(), token.clone());
        token
    }
}

/// Says whose token a recorded exchange used, where the recording only says that it was one.
fn holder(group: &str, name: &str) -> String {
    let holder = match (&group[..2], name) {
        // A token that a revocation ends must not be that of the exchanges that follow.
        ("03", "renew-ok" | "revoke-ok" | "use-after-revoke" | "renew-after-revoke" | "revoke-twice") => {
            "lab-admin first"
        }
        ("03", "use-expired" | "renew-expired" | "renew-within-ttl") => "lab-short first",
        ("03", "renew-until-max-1" | "renew-until-max-2") => "lab-short second",
        ("03", "use-limit-1" | "use-limit-2" | "use-limit-3") => "lab-uses",
        ("17", "renew-ok" | "old-token-after-renew" | "revoke-ok" | "use-after-revoke") => "lab-minute",
        ("17", "renew-default-ttl" | "use-after-renew-default-ttl") => "lab-admin",
        ("17", "use-ttl-zero") => "lab-noexp",
        ("17", "bootstrap-token") => "bootstrap",
        _ => "lab-admin",
    };
    holder.into()
}

/// Collects the client ids that the recording shows, by the names of the client secrets.
fn identities(transcript: &Transcript) -> HashMap<String, (String, String)> {
    let names = [
        "lab-admin",
        "lab-oneuse",
        "lab-csexpired",
        "lab-lockout",
        "lab-noexp",
        "lab-short",
        "lab-uses",
        "lab-minute",
        "viewer",
        "outsider",
        "masked",
        "bootstrap",
    ];
    let entry = |name: &str| (name.to_owned(), (format!("client-{name}"), format!("secret-of-{name}")));
    let mut identities: HashMap<String, (String, String)> = names.into_iter().map(entry).collect();
    for body in transcript.exchanges.iter().filter_map(|exchange| exchange.body.as_ref()) {
        let (Some(id), Some(secret)) = (body["clientId"].as_str(), body["clientSecret"].as_str()) else {
            continue;
        };
        let name = secret.strip_prefix("<clientSecret:").and_then(|rest| rest.strip_suffix('>'));
        if let Some(known) = name.and_then(|name| identities.get_mut(name)) {
            known.0 = id.into();
        }
    }
    identities
}

const ISSUER: &str = "https://issuer.example.test";

/// The two identities of the recorded logins by a token, whose ids only their requests show.
fn proving(exchanges: &[Exchange]) -> Vec<Identity> {
    let id = |method: &str| {
        let path = format!("/api/v1/auth/{method}/login");
        let of = |exchange: &&Exchange| exchange.path == path && exchange.status == 200;
        let body = exchanges.iter().find(of)?.body.as_ref()?;
        body["identityId"].as_str().map(str::to_owned)
    };
    let oidc = id("oidc-auth").map(|id| {
        let proof = Proof::token(Method::Oidc, ISSUER, "https://infisical.example.test");
        let proof = proof.of_subject("repo:acme/app:*").with_claim("repository", "acme/app");
        Identity::proving(&id, proof).token_ttl(600, 600)
    });
    let jwt = id("jwt-auth").map(|id| Identity::proving(&id, Proof::token(Method::Jwt, ISSUER, "resolver")));
    [oidc, jwt].into_iter().flatten().collect()
}

/// Makes the token of a recorded login, as the name of the exchange says what was wrong about it.
fn identity_token(name: &str) -> String {
    let (method, what) = name.split_once('-').unwrap();
    let audience = if method == "jwt" { "resolver" } else { "https://infisical.example.test" };
    let mut claims = serde_json::json!({
        "iss": ISSUER, "aud": audience, "sub": "repo:acme/app:ref", "repository": "acme/app",
    });
    let mut key = jwt::KEY_ID;
    match what {
        "wrong-audience" => claims["aud"] = "another".into(),
        "wrong-subject" => claims["sub"] = "repo:other/app:ref".into(),
        "wrong-claim" => claims["repository"] = "other/app".into(),
        "missing-claim" => drop(claims.as_object_mut().unwrap().remove("repository")),
        "wrong-issuer" => claims["iss"] = "https://other.example.test".into(),
        "expired" => claims["exp"] = 1.into(),
        "unknown-kid" => key = "nope",
        "list-audience" => claims["aud"] = vec!["another", audience].into(),
        _ => {}
    }
    jwt::sign(&claims, key)
}

fn limits(name: &str, identity: Identity, project: &str) -> Identity {
    let identity = identity.member_of(if matches!(name, "outsider" | "bootstrap") {
        &[]
    } else {
        std::slice::from_ref(&project)
    });
    match name {
        "lab-oneuse" => identity.logins(0),
        "lab-csexpired" => identity.with_expired_secret(),
        "lab-lockout" => identity.lockout_after(2),
        "lab-noexp" => identity.token_ttl(0, 0),
        "lab-short" => identity.token_ttl(2, 5),
        "lab-uses" => identity.token_uses(2),
        "lab-minute" => identity.token_ttl(60, 600),
        "masked" => identity.may_describe("dev", "/**").may_read("dev", "/app"),
        _ => identity,
    }
}

fn service_id(name: &str) -> String {
    format!(
        "11111111-1111-4111-8111-{:0>12}",
        format!("{:x}", name.len() * 1000 + usize::from(name.as_bytes()[0]))
    )
}

fn service_token(name: &str) -> String {
    format!("st.{}.{}", service_id(name), "a".repeat(32))
}

fn service_tokens() -> Vec<ServiceToken> {
    let token = |name: &str| ServiceToken::new(&service_token(name)).named(&format!("st-{name}"));
    vec![
        token("glob").scope("dev", "/**").with_write(),
        token("app").scope("dev", "/app"),
        token("root").scope("dev", "/"),
        token("two").scope("dev", "/app").scope("prod", "/app"),
        token("short").scope("dev", "/").expired(),
    ]
}

fn seeded(server: Infisical, project: &str, foreign: &str) -> Infisical {
    server
        .project(foreign, "foreign", &["dev"])
        .project(project, "resolver-lab", &["dev", "staging", "prod"])
        .secret("dev", "/", "API_URL", "https://${DB_HOST}/v1")
        .secret("dev", "/", "BROKEN", "pre-${NOPE}-post")
        .secret("dev", "/", "CROSS", "x-${prod.app.APP_KEY}-y")
        .secret("dev", "/", "CROSS_ROOT", "${prod.DB_HOST}")
        .secret("dev", "/", "DB_HOST", "db.dev.test")
        .secret("dev", "/", "DB_PASSWORD", "pw-v1")
        .secret("dev", "/", "DB_PASSWORD", "pw-v2")
        .secret("dev", "/", "DB_PASSWORD", "pw-v3")
        .with(|world| {
            let label = ("rotated by lab", ["backend"], [("owner", "lab")]);
            world.adjust("dev", "/", "DB_PASSWORD", |secret| secret.label(label.0, &label.1, &label.2));
        })
        .secret("dev", "/", "DOLLAR", "a$b$$c")
        .secret("dev", "/", "EMPTY", "")
        .secret("dev", "/", "JSON_VAL", r#"{"a":"b\n"}"#)
        .secret("dev", "/", "MULTILINE", "line1\nline2\n")
        .secret("dev", "/", "SPACES", "padded")
        .secret("dev", "/", "UNICODE", "päß→🔑")
        .secret("dev", "/", "lower.case-key", "odd")
        .secret("dev", "/app", "APP_KEY", "app-dev")
        .secret("dev", "/app/nested", "DEEP_KEY", "deep-dev")
        .secret("dev", "/shared", "APP_KEY", "shadowed-by-app")
        .secret("dev", "/shared", "SHARED_TOKEN", "shared-dev")
        .secret("dev", "/shared", "REL_REF", "${SHARED_TOKEN}")
        .secret("prod", "/", "DB_HOST", "db.prod.test")
        .secret("prod", "/app", "APP_KEY", "app-prod")
        .folder("prod", "/app/nested")
        .secret("prod", "/shared", "SHARED_TOKEN", "shared-prod")
        .secret("prod", "/shared", "ONLY_PROD", "only-prod")
        .secret("staging", "/", "CIRC_A", "first")
        .secret("staging", "/", "CIRC_B", "${CIRC_A}")
        .secret("staging", "/", "CIRC_A", "${CIRC_B}")
        .import(("dev", "/app"), ("dev", "/shared"))
        .import(("dev", "/app"), ("prod", "/shared"))
}
