//! What a store has to be, for dsops to ask it for values.
//!
//! A backend is a folder that implements [`Provider`] and [`Backend`]. Everything that dsops shows
//! about it (schema, docs, completion, doctor, `init`) derives from that one declaration.

mod access;
mod answers;
mod backend;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod context;
mod credential;
mod decode;
mod error;
mod explorer;
mod finding;
mod locator;
mod node;
mod provider;
mod secret;
mod tokens;

pub use access::{Access, Grant, Rules};
pub use answers::Answers;
pub use backend::{
    About, AuthMethod, Backend, Cost, Descriptor, LocatorError, LocatorPart, OpenError, Parts,
};
pub use context::{Context, ContextBuilder, EnvSnapshot, Meter, NoPrompt, Prompt};
pub use credential::{Credential, Literal};
pub use decode::{DecodeError, DecodeErrorKind, Expand, NoExpansion, decode};
pub use error::{FetchError, FetchErrorKind};
pub use explorer::{Configured, Depth, EnvironmentEntry, Explorer, Place, ProjectEntry, SecretName};
pub use finding::{Finding, Status};
pub use locator::Locator;
pub use node::{Key, Node, NodeKind, Scalar, Span};
pub use provider::{Entry, ListQuery, Lister, Listings, Provider, Writer};
pub use secret::SecretValue;
pub use tokens::{HeldToken, NoTokens, Token, TokenCache, TokenKey, usable};
