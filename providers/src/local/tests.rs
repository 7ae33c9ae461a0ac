//! The store against real files.

mod conformance;
mod damage;
mod identities;
mod store;
mod support;
mod writers;
