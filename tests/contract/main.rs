//! The fake servers of `tests/support` against what the real ones answered.
//!
//! A contract test: no real server can be had here through a package client, so that the exchanges recorded with
//! two generations of one stand in for it.

// `cfg(test)` tells clippy that the helpers below are test code as well, where a failed expectation may panic.
#[cfg(test)]
mod client;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
