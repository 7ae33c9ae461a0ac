//! The process that a command gets: signals, terminals, ends, descriptors and all else as without dsops.
//!
//! Each test runs one table of `docs/reference/exec.md`, every cell of it; see [`table`].
//! `UPDATE=1 cargo test --test process` writes what was seen into the page.

// `cfg(test)` tells clippy that these are test code as well, where a failed expectation may panic.
#[cfg(test)]
mod ends;
#[cfg(test)]
mod families;
#[cfg(test)]
mod inherited;
#[cfg(test)]
mod init;
#[cfg(test)]
mod keyboard;
#[cfg(test)]
mod run;
#[cfg(test)]
mod shells;
#[cfg(test)]
mod signals;
#[cfg(test)]
mod streams;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod table;
#[cfg(test)]
mod terminal;
#[cfg(test)]
mod timeouts;
