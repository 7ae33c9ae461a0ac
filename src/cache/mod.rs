//! What is kept between runs: tokens, sealed under the credential that they were given for.

mod directory;
mod lock;
mod seal;
mod tokens;

pub use directory::{Directory, directory};
pub use tokens::{KeptToken, Tokens};
