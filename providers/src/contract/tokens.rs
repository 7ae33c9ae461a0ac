//! Tokens that outlive the run: one login serves every process that has the same credential.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::{Context, FetchError, SecretValue};

/// What a login gave.
pub struct Token {
    /// The token.
    pub value: SecretValue,
    /// How long it lives from now; `None` where the server names no end.
    pub lifetime: Option<Duration>,
}

/// A token to use.
pub struct HeldToken {
    /// The token.
    pub value: SecretValue,
    /// When a new login should replace it, from now on: at nine tenths of its life, since it may run
    /// out between two calls of one batch. `None` where no end is known.
    pub replace_in: Option<Duration>,
    /// Whether an earlier login gave it, perhaps of another process. It may have been revoked since.
    pub kept: bool,
}

impl HeldToken {
    /// Returns a token that a login of this process has just given.
    #[must_use]
    pub fn fresh(token: Token) -> Self {
        Self { value: token.value, replace_in: token.lifetime.map(usable), kept: false }
    }
}

/// Returns the part of a token's life that it is used for.
#[must_use]
pub fn usable(lifetime: Duration) -> Duration {
    lifetime.mul_f64(0.9)
}

/// Which token is meant.
pub struct TokenKey<'a> {
    /// Where and as whom it was given: server, method, identity. Not secret.
    pub place: String,
    /// The credential that such a token is given for. What is kept opens with it alone, so it must not
    /// be one that can be guessed, as a person's password can.
    pub credential: &'a SecretValue,
}

/// Keeps tokens between runs, and lets one process log in for all that wait.
#[async_trait]
pub trait TokenCache: Send + Sync {
    /// Returns the kept token, or logs in and keeps what that gives.
    ///
    /// `refused` is a token that the server no longer takes: it is not returned again.
    ///
    /// # Errors
    ///
    /// Those of the login. A refusal that another process met while this one waited for it is shared:
    /// identities lock after a few refused logins. What keeps a token from being kept is no error.
    async fn obtain(
        &self,
        cx: &Context,
        key: &TokenKey<'_>,
        refused: Option<&SecretValue>,
        login: BoxFuture<'_, Result<Token, FetchError>>,
    ) -> Result<HeldToken, FetchError>;
}

/// Keeps nothing: every run logs in.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTokens;

#[async_trait]
impl TokenCache for NoTokens {
    async fn obtain(
        &self,
        _: &Context,
        _: &TokenKey<'_>,
        _: Option<&SecretValue>,
        login: BoxFuture<'_, Result<Token, FetchError>>,
    ) -> Result<HeldToken, FetchError> {
        login.await.map(HeldToken::fresh)
    }
}
