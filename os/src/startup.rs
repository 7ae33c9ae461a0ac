//! What the process was started with.
//!
//! Before `main`, the Rust runtime ignores `SIGPIPE` and opens `/dev/null` in place of standard descriptors that are
//! closed (`library/std/src/sys/pal/unix/mod.rs`). Nothing tells afterwards what was there before, and a
//! command that takes the place of dsops has to get what dsops was given. So it is looked at earlier, by a function
//! that the loader runs before `main` (ELF's `.init_array`, Mach-O's `__mod_init_func`).

use std::sync::atomic::{AtomicU8, Ordering};

/// What the caller gave to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartedWith {
    /// Whether `SIGPIPE` was ignored.
    pub sigpipe_ignored: bool,
    /// Whether `SIGCHLD` was ignored.
    pub sigchld_ignored: bool,
    /// Which of standard input, output and error were closed.
    pub closed: [bool; 3],
}

const SIGPIPE_IGNORED: u8 = 1 << 3;
const SIGCHLD_IGNORED: u8 = 1 << 4;

/// The descriptors that were closed in the lowest three bits, and the two above.
static RECORDED: AtomicU8 = AtomicU8::new(0);

// SAFETY: the section holds pointers to functions of this very type, which the loader calls once before `main`.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = record;

extern "C" fn record() {
    let mut recorded = 0;
    for descriptor in 0..3 {
        // SAFETY: `F_GETFD` takes no pointer, and fails where the descriptor is not open.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            recorded |= 1 << descriptor;
        }
    }
    for (signal, bit) in [(libc::SIGPIPE, SIGPIPE_IGNORED), (libc::SIGCHLD, SIGCHLD_IGNORED)] {
        if is_ignored(signal) {
            recorded |= bit;
        }
    }
    RECORDED.store(recorded, Ordering::Relaxed);
}

fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: all bytes zero is a valid `sigaction`.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: without a new action the call only writes the current one, to a place that is ours.
    let answer = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut current) };
    answer == 0 && current.sa_sigaction == libc::SIG_IGN
}

/// Returns what the caller gave to this process.
#[must_use]
pub fn started_with() -> StartedWith {
    let recorded = RECORDED.load(Ordering::Relaxed);
    StartedWith {
        sigpipe_ignored: recorded & SIGPIPE_IGNORED != 0,
        sigchld_ignored: recorded & SIGCHLD_IGNORED != 0,
        closed: [0, 1, 2].map(|descriptor| recorded & 1 << descriptor != 0),
    }
}
