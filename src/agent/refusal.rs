//! Why an id has no value, as the program that asked is told: a code and a fixed text, never what a store said.

use dsops_providers::contract::FetchErrorKind;

use crate::config::{Code, ConfigError};
use crate::resolve::Cause;

/// Declares each reason once, with its code and its text.
macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $code:literal: $message:literal;)*) => {
        /// Why an id has no value.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[$doc])* $variant,)*
        }

        impl Refusal {
            /// Every reason, for the table in the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the code. Programs branch on it: it never changes.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// Returns the text, which is the same for every secret.
            #[must_use]
            pub fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)*
                }
            }
        }
    };
}

refusals! {
    /// It is absent, or may not be asked for: the two look the same.
    NotFound = "NOT_FOUND": "there is no such secret here";
    /// It is no id by the grammar.
    InvalidId = "INVALID_ID": "this is no id";
    /// The credentials of the store are missing, wrong or expired.
    Unauthenticated = "UNAUTHENTICATED": "the store refused the credentials";
    /// The credentials do not reach the secret.
    Forbidden = "FORBIDDEN": "the credentials do not reach this secret";
    /// The store keeps the value from this caller.
    Hidden = "HIDDEN": "the store keeps this value from this caller";
    /// The store asks for a pause.
    RateLimited = "RATE_LIMITED": "the store asks for a pause";
    /// The store cannot be reached, or cannot serve.
    Unavailable = "UNAVAILABLE": "the store cannot be reached";
    /// There was no answer in time.
    TimedOut = "TIMED_OUT": "the store did not answer in time";
    /// The store's answer cannot be used.
    Malformed = "MALFORMED": "the store's answer cannot be used";
    /// The store cannot do what the reference asks of it.
    Unsupported = "UNSUPPORTED": "the store cannot do what this reference asks of it";
    /// A program that the store needs is not here.
    ToolMissing = "TOOL_MISSING": "a program that the store needs is not here";
    /// The configuration cannot be used for this id.
    Configuration = "CONFIGURATION": "the configuration cannot be used for this secret";
    /// A policy forbids it.
    Policy = "POLICY": "a policy forbids this secret here";
    /// A transform cannot use the value.
    Transform = "TRANSFORM": "the value could not be transformed";
    /// The value is empty.
    Empty = "EMPTY": "the value is empty";
    /// The value is what stands where a value was taken out.
    Placeholder = "PLACEHOLDER": "the value is a placeholder";
    /// The value is not text.
    NotText = "NOT_TEXT": "the value is not text, which JSON cannot carry";
    /// The answer would be longer than the program reads.
    TooLarge = "TOO_LARGE": "the values are too large for one answer";
}

impl Refusal {
    /// Returns the reason for what stopped a variable.
    #[must_use]
    pub fn of_cause(cause: &Cause) -> Self {
        match cause {
            Cause::Fetch { error, .. } => Self::of_kind(error.kind()),
            Cause::Config(error) => Self::of_config(error),
            Cause::Transform(_) => Self::Transform,
            Cause::Empty => Self::Empty,
            Cause::Steers => Self::Policy,
        }
    }

    /// Returns the reason for a mistake in the configuration.
    #[must_use]
    pub fn of_config(error: &ConfigError) -> Self {
        match error.code {
            Code::PolicyDenied => Self::Policy,
            Code::VersionUnsupported | Code::FieldUnsupported | Code::ReferenceInvalid => Self::Unsupported,
            _ => Self::Configuration,
        }
    }

    fn of_kind(kind: FetchErrorKind) -> Self {
        match kind {
            // Only what `optional`, `default` and `fallback` are for: who asks may have them too.
            FetchErrorKind::NotFound | FetchErrorKind::VersionNotFound => Self::NotFound,
            FetchErrorKind::PlaceNotFound => Self::Configuration,
            FetchErrorKind::Hidden => Self::Hidden,
            FetchErrorKind::Unauthenticated => Self::Unauthenticated,
            FetchErrorKind::Forbidden => Self::Forbidden,
            FetchErrorKind::RateLimited => Self::RateLimited,
            FetchErrorKind::TimedOut => Self::TimedOut,
            FetchErrorKind::Malformed | FetchErrorKind::Damaged | FetchErrorKind::Dangling => Self::Malformed,
            FetchErrorKind::Unsupported => Self::Unsupported,
            FetchErrorKind::ToolMissing => Self::ToolMissing,
            _ => Self::Unavailable,
        }
    }
}
