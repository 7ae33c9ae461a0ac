//! The store against real files.

mod damage;
mod identities;
mod store;
mod support;
mod writers;
