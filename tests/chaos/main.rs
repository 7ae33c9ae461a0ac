//! What has to hold over many runs: in random weather, and over a long life.

// `cfg(test)` tells clippy that the helpers below are test code as well, where a failed expectation may panic.
#[cfg(test)]
mod chaos;
#[cfg(test)]
mod flatness;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod random;
#[cfg(test)]
mod run;
#[cfg(test)]
mod scene;
#[cfg(test)]
#[path = "../support/mod.rs"]
mod support;
#[cfg(test)]
mod vault;
#[cfg(test)]
mod weather;
