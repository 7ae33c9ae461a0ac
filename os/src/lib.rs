//! What dsops needs from the system that no safe library offers: four calls, and nothing else.
//!
//! - What this process was started with, before the Rust runtime changes it: [`started_with`].
//! - Dispositions of signals, to hand them to a command as they were given: [`ignore`], [`reset`].
//! - Signals by number, since real-time signals have no names: [`send`].
//!
//! Each function is safe to call; the reason stands at each `unsafe` block. Nothing else may be added here that a
//! well-kept library does.

#![cfg(unix)]

mod signal;
mod startup;

pub use signal::{ignore, reset, send};
pub use startup::{StartedWith, started_with};
