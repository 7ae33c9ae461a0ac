//! The process that a command gets: signals, terminals, ends, descriptors and all else as without dsops.

// `cfg(test)` tells clippy that these are test code as well, where a failed expectation may panic.
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod terminal;
