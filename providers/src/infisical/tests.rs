//! The backend against a server in this process, whose bodies have the shapes that real servers were
//! seen to answer with (of June 2025 and of July 2026).

mod expansion;
mod kinds;
mod login;
mod options;
mod personal;
mod reading;
mod refusals;
mod server;
mod versions;
