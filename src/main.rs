//! The program: parse, run, exit code.

#![forbid(unsafe_code)]

mod cli;
mod diagnostics;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::main())
}
