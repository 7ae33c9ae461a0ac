//! The fake servers of `tests/support` against what the real ones answered.
//!
//! A contract test: no real server can be had here through a package client, so that the exchanges recorded with
//! two generations of one stand in for it. `transcripts/` holds them with ids, dates and tokens taken out; every
//! value in them was made up for the recording.

// `cfg(test)` tells clippy that the helpers below are test code as well, where a failed expectation may panic.
#[cfg(test)]
mod client;
#[cfg(test)]
mod exceptions;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod replay;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod transcript;
