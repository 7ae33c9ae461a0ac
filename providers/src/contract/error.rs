//! Why a store did not give a value: data, without a position and without the value.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// What went wrong. The kind alone decides whether to ask again and with which code to exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FetchErrorKind {
    /// The store, asked directly, says there is no such secret, or no such folder to hold it.
    NotFound,
    /// The place that the store's options name is not there: a project, an environment. No absence, since a
    /// mistake in an option says nothing about any secret.
    PlaceNotFound,
    /// The secret is there, the version asked for is not.
    VersionNotFound,
    /// The secret is there, and its value is put together from one that is not.
    Dangling,
    /// The secret is there, and its value is kept from this caller.
    Hidden,
    /// The credentials are missing, wrong, used up or expired.
    Unauthenticated,
    /// The credentials are good, and do not reach this.
    Forbidden,
    /// The store asks for a pause.
    RateLimited,
    /// The store cannot be reached, or says that it cannot serve now.
    Unavailable,
    /// The store's deadline passed.
    TimedOut,
    /// The answer is not what the store's documents promise.
    Malformed,
    /// The store cannot do what the reference or an option asks of it.
    Unsupported,
    /// A program or feature that the store needs is not here.
    ToolMissing,
    /// What the store keeps on this machine is damaged or unsafely kept.
    Damaged,
}

impl FetchErrorKind {
    /// Returns the stable name, as it stands in error codes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::PlaceNotFound => "place_not_found",
            Self::VersionNotFound => "version_not_found",
            Self::Dangling => "dangling",
            Self::Hidden => "hidden",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::ToolMissing => "tool_missing",
            Self::Damaged => "damaged",
        }
    }
}

/// One refusal or failure of a store.
///
/// The message is a lowercase fragment that names what failed and on what; the help is one
/// imperative. Neither ever holds a value. Where the reference stands in `dsops.yaml` is joined by
/// the planner, which knows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    kind: FetchErrorKind,
    message: String,
    /// The message without what somebody else said, where the message quotes it.
    own_words: Option<String>,
    help: Option<String>,
    retry_after: Option<Duration>,
    temporary: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl FetchError {
    /// Returns an error of that kind.
    #[must_use]
    pub fn new(kind: FetchErrorKind, message: impl Into<String>) -> Self {
        let temporary = matches!(kind, FetchErrorKind::RateLimited | FetchErrorKind::Unavailable);
        Self {
            kind,
            message: message.into(),
            own_words: None,
            help: None,
            retry_after: None,
            temporary,
            source: None,
        }
    }

    /// Adds the message for where nothing may be shown that somebody else chose: an outside program may put a value
    /// into what it says.
    #[must_use]
    pub fn in_own_words(mut self, message: impl Into<String>) -> Self {
        self.own_words = Some(message.into());
        self
    }

    /// Adds the one thing to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the pause that the store asked for.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Overrides whether asking again can help: a cut answer may be whole the next time, a name
    /// that does not resolve will not.
    #[must_use]
    pub fn temporary(mut self, temporary: bool) -> Self {
        self.temporary = temporary;
        self
    }

    /// Adds the error below this one. Its text is shown, so it must not hold a value.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns the kind.
    #[must_use]
    pub fn kind(&self) -> FetchErrorKind {
        self.kind
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the message without what an outside program said, where it quotes one.
    #[must_use]
    pub fn own_words(&self) -> Option<&str> {
        self.own_words.as_deref()
    }

    /// Returns the advice, if there is one.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Returns the pause that the store asked for.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Says whether the same request may succeed a moment later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// Says whether the error is an absence, which `optional`, `default` and `fallback` are for.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self.kind, FetchErrorKind::NotFound | FetchErrorKind::VersionNotFound)
    }
}
