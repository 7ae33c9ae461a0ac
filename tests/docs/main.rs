//! The documents against the program: every code, page, block and example is what the binary really does.
//!
//! Generated pages are rewritten with `UPDATE=1 cargo test --test docs`.

// `cfg(test)` tells clippy that these are test code as well, where a failed expectation may panic.
#[cfg(test)]
mod action;
#[cfg(test)]
mod blocks;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod fence;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod house;
#[cfg(test)]
mod links;
#[cfg(test)]
mod options;
#[cfg(test)]
mod project;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod recipes;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod session;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
