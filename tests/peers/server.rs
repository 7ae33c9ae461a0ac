//! The fake Infisical of the tests as a program of its own, for clients that others wrote.
//!
//! ```text
//! cargo run --example fake-infisical -- 2025|2026
//! ```
//!
//! Prints its address, and ends when its standard input does. What it holds is below.

#![allow(dead_code, unused_imports, reason = "most of the fake is for the tests")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "as in the tests, whose code this is"
)]

#[path = "../support"]
mod support {
    pub(crate) mod infisical;
    pub(crate) mod jwt;
    pub(crate) mod loopback;
    pub(crate) mod tls;
}

use std::io::{Read as _, Write as _};

use support::infisical::{Generation, Infisical};

fn main() {
    let generation = match std::env::args().nth(1).as_deref() {
        Some("2025") => Generation::June2025,
        Some("2026") => Generation::July2026,
        _ => panic!("which generation: 2025 or 2026?"),
    };
    // Lenient: others' clients send what a server drops without a word.
    let server = Infisical::new(generation)
        .lenient()
        .project("9cd41904-ea03-4da2-aff5-cafa69d1eadc", "payroll", &["dev", "prod"])
        .identity("4b2f1c7e-6d1f-4a52-8a6e-0f4c5d3b2a19", "client-secret-of-the-peers")
        .secret("dev", "/", "PLAIN", "plain")
        .secret("dev", "/", "EMPTY", "")
        .secret("dev", "/", "LINES", "-----BEGIN KEY-----\nabc=\n-----END KEY-----\n")
        .secret("dev", "/", "ODD", "\" ' \\ $x `y` #z\t\u{fc} \u{1f600}")
        .secret("dev", "/", "HOST", "db.example.com")
        .secret("dev", "/", "URL", "postgres://${HOST}/${dev.app.deep.NAME}")
        .secret("dev", "/app/deep", "NAME", "orders")
        .secret("dev", "/app/deep", "VERSIONED", "first")
        .secret("dev", "/app/deep", "VERSIONED", "second")
        .secret("dev", "/shared", "PLAIN", "of shared")
        .secret("dev", "/shared", "ONLY_SHARED", "imported")
        .secret("dev", "/other", "ONLY_SHARED", "imported later, so it wins")
        .folder("dev", "/importing")
        .secret("dev", "/importing", "PLAIN", "its own")
        .import(("dev", "/importing"), ("dev", "/shared"))
        .import(("dev", "/importing"), ("dev", "/other"))
        .start();
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", server.url()).expect("a reader");
    stdout.flush().expect("a reader");
    let mut rest = String::new();
    std::io::stdin().read_to_string(&mut rest).unwrap();
}
