//! Secrets for programs that fetch them by running dsops: a request of ids, an answer of values and errors.
//!
//! The protocol is that of OpenClaw's exec providers (release 2026.9.6), which the `exec` store speaks from the other
//! side. [`Request`] → [`Selection`] → its plan is resolved → [`Selection::answers`] → [`answer`].

mod id;
mod protocol;
mod refusal;
mod selection;

pub use id::{is_id, reference_of};
pub use protocol::{MOST_BYTES, MOST_IDS, Request, RequestError, Said, answer};
pub use refusal::Refusal;
pub use selection::Selection;
