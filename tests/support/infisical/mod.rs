//! A fake Infisical that answers like the real one, in two generations, and checks every request that it gets.
//!
//! ```ignore
//! let server = Infisical::new(Generation::July2026)
//!     .project("9cd41904-ea03-4da2-aff5-cafa69d1eadc", "lab", &["dev", "prod"])
//!     .secret("dev", "/payments", "KEY", "value")
//!     .identity("client-id", "client-secret")
//!     .start();
//! // … run the program against server.url() …
//! assert_eq!(server.count("GET /api/v3/secrets/raw"), 1);
//! ```
//!
//! What it answers was taken from exchanges recorded with real servers of June 2025 and July 2026; the test target
//! `contract` replays them. What was not recorded is marked "not seen" where it is decided.
//!
//! The real server drops what it does not know, so that a misspelt flag is a default and no error. This one keeps a
//! list of such things, and dropping it fails the test, unless [`Infisical::lenient`] was called.

mod answer;
mod caller;
mod check;
mod etag;
mod expand;
mod fault;
mod get_one;
mod identity;
mod list;
mod login;
mod permission;
mod place;
mod projects;
mod proof;
mod request;
mod routes;
mod rows;
mod server;
mod spoil;
mod world;

pub(crate) use fault::Fault;
pub(crate) use identity::{Identity, ServiceToken};
pub(crate) use permission::Rule;
pub(crate) use proof::{Method, Proof};
pub(crate) use request::Seen;
pub(crate) use server::{Infisical, Server};
pub(crate) use world::{Generation, Secret, World};
