//! What the kernel takes as arguments and environment of a new program: execve(2), "Limits on size of arguments and environment".

use std::mem::size_of;

/// What dsops leaves free below the kernel's limit. The kernel also counts the path of the program
/// and, for a script, its interpreter and its path once more; those are known only when it starts.
pub(super) const MARGIN: usize = 8 * 1024;

/// The limits in force. They follow the resource limits, so ask right before the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    string: usize,
    total: usize,
}

impl Limits {
    /// Returns the limits of this kernel.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn of_kernel() -> Self {
        use nix::sys::resource::{Resource, getrlimit};

        // `MAX_ARG_STRLEN` is 32 pages. A page is taken for 4 KiB everywhere: where pages are
        // larger a value would fit here and on no other machine.
        const STRING: usize = 32 * 4096;
        // A quarter of the stack, at most three quarters of `_STK_LIM` (8 MiB), at least 32 pages.
        // sysconf(3) knows the floor and not, in older versions of glibc, the ceiling.
        const FLOOR: usize = 32 * 4096;
        const CEILING: usize = 6 * 1024 * 1024;
        let quarter = getrlimit(Resource::RLIMIT_STACK)
            .ok()
            .and_then(|(soft, _)| usize::try_from(soft / 4).ok())
            .unwrap_or(FLOOR);
        Self { string: STRING, total: quarter.clamp(FLOOR, CEILING) }
    }

    /// Returns the limits of this kernel: `ARG_MAX` is 1 MiB on macOS and at least 256 KiB on the
    /// BSDs, and a single string has no limit of its own.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn of_kernel() -> Self {
        let total = if cfg!(target_vendor = "apple") { 1024 * 1024 } else { 256 * 1024 };
        Self { string: total, total }
    }

    /// Returns the size up to which one string is taken, its NUL included.
    pub(super) fn string(&self) -> usize {
        self.string
    }

    /// Returns the size up to which all strings and their pointers are taken together.
    pub(super) fn total(&self) -> usize {
        self.total - MARGIN
    }

    /// Says whether one string fits, its NUL included in the size.
    pub(super) fn takes(&self, size: usize) -> bool {
        size <= self.string
    }

    /// Returns what a string of that size costs: its bytes and one pointer.
    pub(super) fn cost(&self, size: usize) -> usize {
        size + size_of::<usize>()
    }
}
