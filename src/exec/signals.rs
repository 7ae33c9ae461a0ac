//! The signals that reach dsops while it watches over a command.
//!
//! On Linux they are blocked and read from signalfd(2): no handler but one is installed, so that dsops can
//! still end by a signal, ignored signals stay ignored in the child, and each signal tells whether
//! the kernel or a process sent it. Elsewhere handlers are installed, and that is guessed.

use std::io;

use nix::sys::signal::{SigSet, Signal};

/// One signal that arrived, by number: real-time signals have no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) signal: i32,
    pub(super) sender: Sender,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The kernel, about dsops itself or to all of the foreground group of its terminal.
    Kernel,
    /// Another process, to dsops or to its group.
    Process,
    /// dsops itself, to the group that it is in.
    Itself,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod platform {
    use nix::sys::signalfd::{SfdFlags, SignalFd};
    use tokio::io::unix::AsyncFd;
    use tokio::signal::unix::{self, SignalKind};

    use super::{Received, Sender, SigSet, io};

    /// The stream of signals. They stay blocked when it is dropped: dsops ends then as the command ended, and
    /// not by a signal that came too late for it.
    pub(in crate::exec) struct Signals {
        fd: AsyncFd<SignalFd>,
        before: SigSet,
    }

    impl Signals {
        /// Starts to collect signals. No other thread may be running: it would take them.
        #[expect(
            deprecated,
            reason = "what replaces `AsyncFd::new` is `unsafe`; a `SignalFd` owns its descriptor"
        )]
        pub(in crate::exec) fn collect() -> io::Result<Self> {
            // Started with `SIGCHLD` ignored, dsops would never hear of a child: a handler, which is
            // never run since the signal is blocked, is all that can be put in its place.
            let _ = unix::signal(SignalKind::child())?;
            // All there are: real-time signals, and faults too, which a process may send as well. A fault of
            // dsops itself ends it all the same, since the kernel does not let one wait.
            let set = SigSet::all();
            let fd = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
            let fd = AsyncFd::new(fd)?;
            let before = SigSet::thread_get_mask()?;
            set.thread_block()?;
            Ok(Self { fd, before })
        }

        /// Returns the mask that the child gets.
        pub(in crate::exec) fn mask_before(&self) -> &SigSet {
            &self.before
        }

        /// Waits for the next signal.
        pub(in crate::exec) async fn next(&self) -> io::Result<Received> {
            loop {
                let mut ready = self.fd.readable().await?;
                let Some(info) = ready.get_inner().read_signal()? else {
                    ready.clear_ready();
                    continue;
                };
                let signal = i32::try_from(info.ssi_signo).unwrap_or(0);
                // `SI_KERNEL` and every reason of the kernel's own are positive: sigaction(2). The
                // `SIGPIPE` of a write has no reason, and says that this process is the sender.
                let sender = match info.ssi_code > 0 {
                    true => Sender::Kernel,
                    false if info.ssi_pid == std::process::id() => Sender::Itself,
                    false => Sender::Process,
                };
                return Ok(Received { signal, sender });
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod platform {
    use std::future::poll_fn;
    use std::sync::{Mutex, PoisonError};
    use std::task::Poll;

    use tokio::signal::unix::{self, SignalKind};

    use super::{Received, Sender, SigSet, Signal, io};

    /// What is left alone: what cannot be caught, the faults of a process itself, which a handler would repeat for
    /// ever, and `SIGPIPE`, which tells a process about its own writes.
    const LEFT_ALONE: [Signal; 9] = [
        Signal::SIGKILL,
        Signal::SIGSTOP,
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGSYS,
        Signal::SIGPIPE,
    ];

    /// The stream of signals. Handlers cannot be taken back without `unsafe`.
    pub(in crate::exec) struct Signals {
        streams: Mutex<Vec<(i32, unix::Signal)>>,
        before: SigSet,
    }

    impl Signals {
        /// Starts to collect signals.
        pub(in crate::exec) fn collect() -> io::Result<Self> {
            let streams = Signal::iterator()
                .filter(|signal| !LEFT_ALONE.contains(signal))
                .filter_map(|signal| {
                    Some((signal as i32, unix::signal(SignalKind::from_raw(signal as i32)).ok()?))
                })
                .collect();
            Ok(Self { streams: Mutex::new(streams), before: SigSet::thread_get_mask()? })
        }

        /// Returns the mask that the child gets.
        pub(in crate::exec) fn mask_before(&self) -> &SigSet {
            &self.before
        }

        /// Waits for the next signal.
        pub(in crate::exec) async fn next(&self) -> io::Result<Received> {
            poll_fn(|cx| {
                let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
                for (signal, stream) in streams.iter_mut() {
                    if stream.poll_recv(cx).is_ready() {
                        let sender =
                            if super::is_from_terminal(*signal) { Sender::Kernel } else { Sender::Process };
                        return Poll::Ready(Ok(Received { signal: *signal, sender }));
                    }
                }
                Poll::Pending
            })
            .await
        }
    }
}

pub(super) use platform::Signals;

/// Says whether a terminal sends this signal to its whole foreground group: termios(3) and tty_ioctl(4).
pub(super) fn is_from_terminal(signal: i32) -> bool {
    [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGWINCH]
        .iter()
        .any(|from_terminal| *from_terminal as i32 == signal)
}
