//! From an environment to a running command: find it, and become it or watch over it.

mod error;
mod files;
mod find;
mod given;
mod harden;
mod inner;
mod interrupt;
mod keeper;
mod launch;
mod replace;
mod session;
mod signals;
mod spawn;
mod start;
mod streams;
mod supervise;
mod target;
mod witness;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::environment::ChildEnvironment;

pub use error::{ExecError, ExecErrorKind};
pub use files::{Files, Place};
pub use find::find;
pub use harden::{Hardened, harden};
pub use inner::inner;
pub use interrupt::interruptible;
pub use keeper::Keeper;
pub use replace::replace;
pub use spawn::ChildSide;
pub use supervise::{Change, Changes, Ended, KILL_AFTER, Supervision, supervise};

/// What to start, and in which environment.
pub struct Command {
    /// The program as it was given; it is the child's `argv[0]`.
    pub program: OsString,
    /// The arguments after the program.
    pub args: Vec<OsString>,
    /// The directory that the child starts in, where it is not the current one.
    pub working_dir: Option<PathBuf>,
    /// All that the child gets as its environment.
    pub environment: ChildEnvironment,
    /// Where the files of the environment lie, where they lie in a directory.
    pub files: Place,
}
