//! Who can log in: machine identities with their limits and proofs, and legacy service tokens.

use std::time::Duration;

use super::permission::Rule;
use super::proof::Proof;

/// A machine identity, with Universal Auth and other logins.
pub(crate) struct Identity {
    /// The id, by which all logins but Universal Auth name it.
    pub(super) id: String,
    /// What it can log in by besides a client secret.
    pub(super) proofs: Vec<Proof>,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) ttl: u64,
    pub(super) max_ttl: u64,
    pub(super) token_uses: Option<u32>,
    pub(super) logins_left: Option<u32>,
    pub(super) secret_expired: bool,
    pub(super) address_refused: bool,
    pub(super) lockout_after: u32,
    pub(super) failures: u32,
    pub(super) locked_until: Option<Duration>,
    /// Projects that it is in; all of them when absent.
    pub(super) member_of: Option<Vec<String>>,
    /// Where it may see that a secret is there; everywhere when absent.
    pub(super) describe: Option<Vec<Rule>>,
    /// Where it may read values; everywhere when absent.
    pub(super) read: Option<Vec<Rule>>,
}

/// A legacy service token.
pub(crate) struct ServiceToken {
    pub(super) id: String,
    pub(super) secret: String,
    pub(super) name: String,
    pub(super) project: Option<String>,
    pub(super) scopes: Vec<Rule>,
    pub(super) permissions: Vec<&'static str>,
    pub(super) expired: bool,
}

impl Identity {
    /// Makes an identity with the server's defaults: tokens for 30 days, lockout after three failures, all rights.
    pub(crate) fn new(client_id: &str, client_secret: &str) -> Self {
        Self {
            id: super::world::id_of(&("identity", client_id)),
            proofs: Vec::new(),
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            ttl: 2_592_000,
            max_ttl: 2_592_000,
            token_uses: None,
            logins_left: None,
            secret_expired: false,
            address_refused: false,
            lockout_after: 3,
            failures: 0,
            locked_until: None,
            member_of: None,
            describe: None,
            read: None,
        }
    }

    /// Makes an identity without Universal Auth, which logs in by what it can prove.
    pub(crate) fn proving(id: &str, proof: Proof) -> Self {
        // A client id that no client can have.
        let identity = Self::new(&format!("\0{id}"), "\0");
        Self { id: id.into(), proofs: vec![proof], ..identity }
    }

    /// Lets the identity log in by something else, too.
    pub(crate) fn or_by(mut self, proof: Proof) -> Self {
        self.proofs.push(proof);
        self
    }

    /// Sets how many seconds a token lives, and how many it can be renewed up to.
    pub(crate) fn token_ttl(mut self, ttl: u64, max: u64) -> Self {
        (self.ttl, self.max_ttl) = (ttl, max);
        self
    }

    /// Sets how many requests a token is good for.
    pub(crate) fn token_uses(mut self, uses: u32) -> Self {
        self.token_uses = Some(uses);
        self
    }

    /// Sets how many logins are left to the client secret.
    pub(crate) fn logins(mut self, left: u32) -> Self {
        self.logins_left = Some(left);
        self
    }

    /// Makes the client secret one past its lifetime.
    pub(crate) fn with_expired_secret(mut self) -> Self {
        self.secret_expired = true;
        self
    }

    /// Makes the server refuse the address that the login comes from.
    pub(crate) fn with_refused_address(mut self) -> Self {
        self.address_refused = true;
        self
    }

    /// Sets after how many failed logins the identity is locked (2026 only).
    pub(crate) fn lockout_after(mut self, failures: u32) -> Self {
        self.lockout_after = failures;
        self
    }

    /// Lets the identity into these projects only, by id.
    pub(crate) fn member_of(mut self, projects: &[&str]) -> Self {
        self.member_of = Some(projects.iter().map(ToString::to_string).collect());
        self
    }

    /// Lets the identity see that secrets are there in these places only: environment and path glob.
    pub(crate) fn may_describe(mut self, environment: &str, path: &str) -> Self {
        self.describe.get_or_insert_default().push(Rule::new(environment, path));
        self
    }

    /// Lets the identity read values in these places only: environment and path glob.
    pub(crate) fn may_read(mut self, environment: &str, path: &str) -> Self {
        self.read.get_or_insert_default().push(Rule::new(environment, path));
        self
    }
}

impl ServiceToken {
    /// Takes the token apart as users have it: `st.<id>.<secret>`.
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = text.split('.').skip(1).map(ToString::to_string);
        let (id, secret) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (scopes, permissions) = (Vec::new(), vec!["read"]);
        Self { id, secret, name: "st-test".into(), project: None, scopes, permissions, expired: false }
    }

    /// Adds a scope: environment and path, where `/**` is everything below.
    pub(crate) fn scope(mut self, environment: &str, path: &str) -> Self {
        self.scopes.push(Rule::new(environment, path));
        self
    }

    /// Makes the token one past its lifetime.
    pub(crate) fn expired(mut self) -> Self {
        self.expired = true;
        self
    }

    /// Lets the token write, too.
    pub(crate) fn with_write(mut self) -> Self {
        self.permissions = vec!["read", "write"];
        self
    }

    /// Names the token, as its details show.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }
}
