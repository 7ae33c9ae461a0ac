//! Why variables have no value: one failure a cause, with every variable that it stops.

use dsops_providers::contract::{FetchError, FetchErrorKind, Span};

use crate::config::ConfigError;
use crate::transform::TransformError;

/// What stopped a variable.
#[derive(Clone, Debug)]
pub enum Cause {
    /// The store refused or failed.
    Fetch {
        /// The store's name in the file.
        store: String,
        /// The reference, or none where the store as a whole failed.
        reference: Option<String>,
        /// The refusal.
        error: FetchError,
    },
    /// The store's options came out wrong.
    Config(ConfigError),
    /// The value came, and a transform cannot use it.
    Transform(TransformError),
    /// The value came, is empty, and must not be.
    Empty,
    /// An import brought a name that makes programs run something else.
    Steers,
}

impl Cause {
    /// Returns the public code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Fetch { error, .. } => fetch_code(error.kind()),
            Self::Config(error) => error.code.as_str(),
            Self::Transform(error) => error.kind.code(),
            Self::Empty => "dsops::fetch::empty",
            Self::Steers => "dsops::environment::steers",
        }
    }

    /// Says whether the value is simply not there.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Fetch { error, .. } if error.is_absence())
    }
}

/// Returns the public code of a store's refusal.
#[must_use]
pub fn fetch_code(kind: FetchErrorKind) -> &'static str {
    match kind {
        FetchErrorKind::NotFound => "dsops::fetch::not_found",
        FetchErrorKind::PlaceNotFound => "dsops::fetch::place_not_found",
        FetchErrorKind::Dangling => "dsops::fetch::dangling",
        FetchErrorKind::VersionNotFound => "dsops::fetch::version_not_found",
        FetchErrorKind::Hidden => "dsops::fetch::hidden",
        FetchErrorKind::Unauthenticated => "dsops::auth::refused",
        FetchErrorKind::Forbidden => "dsops::auth::denied",
        FetchErrorKind::RateLimited => "dsops::fetch::rate_limited",
        FetchErrorKind::Unavailable => "dsops::fetch::unavailable",
        FetchErrorKind::TimedOut => "dsops::fetch::timed_out",
        FetchErrorKind::Malformed => "dsops::fetch::malformed",
        FetchErrorKind::Unsupported => "dsops::fetch::unsupported",
        FetchErrorKind::ToolMissing => "dsops::fetch::tool_missing",
        FetchErrorKind::Damaged => "dsops::fetch::damaged",
        _ => "dsops::fetch::failed",
    }
}

/// One cause, and what it stops.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The variables, in the order of the file.
    pub variables: Vec<String>,
    /// Where each of them, or its reference, stands.
    pub spans: Vec<Span>,
    /// The cause.
    pub cause: Cause,
}

/// Gathers failures: what stops fifty variables for one reason is said once.
#[derive(Default)]
pub(super) struct Collector(Vec<Failure>);

impl Collector {
    pub(super) fn fetch(&mut self, store: &str, variable: &str, span: Span, error: &FetchError) {
        let cause = Cause::Fetch { store: store.to_owned(), reference: None, error: error.clone() };
        self.add(variable, span, cause);
    }

    pub(super) fn add(&mut self, variable: &str, span: Span, cause: Cause) {
        match self.0.iter_mut().find(|failure| is_same(&failure.cause, &cause)) {
            Some(failure) => {
                failure.variables.push(variable.to_owned());
                failure.spans.push(span);
                if let Cause::Fetch { reference, .. } = &mut failure.cause {
                    *reference = None;
                }
            }
            None => self.0.push(Failure { variables: vec![variable.to_owned()], spans: vec![span], cause }),
        }
    }

    pub(super) fn finish(mut self) -> Vec<Failure> {
        self.0.sort_by_key(|failure| failure.spans.first().copied());
        self.0
    }
}

fn is_same(one: &Cause, other: &Cause) -> bool {
    match (one, other) {
        (Cause::Fetch { store, error, .. }, Cause::Fetch { store: other_store, error: other, .. }) => {
            store == other_store && error.kind() == other.kind() && error.message() == other.message()
        }
        (Cause::Config(error), Cause::Config(other)) => error == other,
        (Cause::Steers, Cause::Steers) => true,
        _ => false,
    }
}
