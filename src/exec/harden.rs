//! Keeps the memory of this process from other processes and from disk while it holds values.

use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

/// The protection of this process, and what it was before.
#[derive(Clone, Copy, Debug)]
#[must_use = "the child must get the limits that dsops was started with"]
pub struct Hardened {
    core: Option<(rlim_t, rlim_t)>,
}

/// Turns core dumps off and, on Linux, keeps debuggers and `/proc/self/mem` closed to others of the same user.
///
/// Call it before the first value is there. Only the soft limit changes, so that the child can
/// get back what it would have had. A system that refuses is no reason not to run: the values are as
/// safe there as in the child.
pub fn harden() -> Hardened {
    let hardened = Hardened { core: getrlimit(Resource::RLIMIT_CORE).ok() };
    hardened.renew();
    hardened
}

impl Hardened {
    /// Gives the limits back, for a child to inherit. What execve(2) itself resets needs nothing.
    pub(super) fn lift(&self) {
        self.set_core(|soft| soft);
    }

    /// Protects again what stays behind after a child has started.
    pub(super) fn renew(&self) {
        self.set_core(|_| 0);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let _ = nix::sys::prctl::set_dumpable(false);
    }

    fn set_core(&self, soft_limit: impl Fn(rlim_t) -> rlim_t) {
        if let Some((soft, hard)) = self.core {
            let _ = setrlimit(Resource::RLIMIT_CORE, soft_limit(soft), hard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_soft_limit_changes_and_it_comes_back() {
        let before = getrlimit(Resource::RLIMIT_CORE).unwrap();
        let hardened = harden();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), (0, before.1));
        #[cfg(target_os = "linux")]
        {
            assert!(!nix::sys::prctl::get_dumpable().unwrap());
            nix::sys::prctl::set_dumpable(true).unwrap();
        }
        hardened.lift();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE).unwrap(), before);
    }
}
