//! Tells the CI system that dsops runs in what to mask in its log.
//!
//! The runners of GitHub Actions and Azure Pipelines read their commands from both streams of a step, which are pipes to
//! them (`ScriptHandler.cs` of actions/runner and `NodeHandler.cs` of azure-pipelines-agent pass both on to one reader of
//! commands). On anything but a pipe a command would be a value in the open: a file keeps it, a terminal shows it.

use std::io::{self, Write as _};
use std::os::fd::AsFd;

use dsops::ci::{self, Runner};
use dsops_providers::contract::SecretValue;
use nix::sys::stat::{SFlag, fstat};

use super::session::Session;

/// A stream of dsops that a runner may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Its stdout.
    Stdout,
    /// Its stderr.
    Stderr,
}

impl Stream {
    /// Says whether a program reads it.
    fn is_pipe(self) -> bool {
        let status = match self {
            Self::Stdout => fstat(io::stdout().as_fd()),
            Self::Stderr => fstat(io::stderr().as_fd()),
        };
        status.is_ok_and(|status| {
            let kind = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT;
            kind == SFlag::S_IFIFO || kind == SFlag::S_IFSOCK
        })
    }

    fn write(self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Self::Stderr => io::stderr().lock().write_all(text),
        }
    }
}

/// Has the values masked, on the first of the streams that a program reads, and says what is not.
///
/// Does nothing outside of CI, and where the runner has no way: GitLab and CircleCI mask only what is stored with them. When it
/// returns, the runner has been told; it reads in order, so that nothing written later on the same stream comes before.
/// False where it should have been told and could not be.
pub(crate) fn mask<'a>(
    session: &Session,
    variables: impl IntoIterator<Item = (&'a str, &'a SecretValue)>,
    streams: &[Stream],
) -> bool {
    let Some(runner) = Runner::detect(&session.env) else { return true };
    let not_masked = |why: &str| {
        session.output.warn(&format!(
            "the log of {} is not masked: {why}; run the command with `--mask`, or keep values out of the log",
            runner.name()
        ));
        false
    };
    let unmasked = if runner == Runner::Buildkite {
        match ci::redact(&session.env, variables) {
            Ok(unmasked) => unmasked,
            Err(error) => return not_masked(&error.to_string()),
        }
    } else {
        let Some((commands, unmasked)) = ci::mask_commands(runner, variables) else { return true };
        if !commands.is_empty() {
            let Some(stream) = streams.iter().find(|stream| stream.is_pipe()) else {
                return not_masked("none of the output goes to the runner");
            };
            if let Err(error) = stream.write(&commands) {
                return not_masked(&format!("the runner could not be told: {error}"));
            }
        }
        unmasked
    };
    if !unmasked.is_empty() {
        session
            .output
            .remark(&format!("too short or too common to be masked in the log: {}", unmasked.join(", ")));
    }
    true
}
