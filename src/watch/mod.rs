//! Whether values have changed since they were last looked at, and when to look again.

mod fingerprint;
mod told;

pub use fingerprint::{Fingerprint, Fingerprinter};
pub use told::Told;
