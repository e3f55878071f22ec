//! Signals as something to poll: each sets its flag and makes a descriptor readable.

use nix::sys::signal::{SigSet, SigmaskHow};
use signal_hook::SigId;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the processes of a daemon tell each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGTERM
    Terminate,
    /// SIGINT
    Interrupt,
    /// SIGHUP
    Reload,
    /// SIGCHLD
    ChildEnded,
}

impl Signal {
    fn number(self) -> libc::c_int {
        match self {
            Signal::Terminate => SIGTERM,
            Signal::Interrupt => SIGINT,
            Signal::Reload => SIGHUP,
            Signal::ChildEnded => SIGCHLD,
        }
    }
}

/// Signals that no longer end the process.
pub struct Signals {
    wake: UnixStream,
    caught: Vec<(Signal, Arc<AtomicBool>)>,
    actions: Vec<SigId>,
}

impl Signals {
    /// Catches these from now on.
    pub fn catch(signals: &[Signal]) -> io::Result<Self> {
        let (wake, write) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let mut this = Self { wake, caught: Vec::new(), actions: Vec::new() };
        for &signal in signals {
            let flag = Arc::new(AtomicBool::new(false));
            // The flag first: whoever is woken must find it.
            this.actions.push(signal_hook::flag::register(signal.number(), flag.clone())?);
            this.actions.push(signal_hook::low_level::pipe::register(signal.number(), write.try_clone()?)?);
            this.caught.push((signal, flag));
        }
        Ok(this)
    }

    /// Readable when [`Signals::take`] has something to tell.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Which signals came since the last call. Several of one kind count as one.
    pub fn take(&self) -> Vec<Signal> {
        let mut octets = [0; 256];
        while matches!((&self.wake).read(&mut octets), Ok(1..)) {}
        self.caught.iter().filter(|(_, flag)| flag.swap(false, Ordering::SeqCst)).map(|(signal, _)| *signal).collect()
    }

    /// A descriptor that becomes readable with the first signal and stays so.
    pub fn into_descriptor(mut self) -> io::Result<OwnedFd> {
        self.actions.clear();
        Ok(self.wake.try_clone()?.into())
    }

    /// The signals are ignored from now on, in a process that has inherited this and will close its descriptors.
    pub fn ignore(&mut self) {
        for action in self.actions.drain(..) {
            signal_hook::low_level::unregister(action);
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ignore();
    }
}

/// Signals do what they do by default from now on. For a forked process that runs code of others: what was caught would
/// be written to a descriptor that is now closed, or worse, one of theirs with the same number.
pub fn restore_defaults() {
    for signal in [Signal::Terminate, Signal::Interrupt, Signal::Reload, Signal::ChildEnded] {
        // SAFETY: the default action runs no code of this process.
        unsafe { libc::signal(signal.number(), libc::SIG_DFL) };
    }
}

/// Signals that would end a daemon are ignored from now on, and what was caught is no more: for a forked process that ends by itself.
pub fn ignore_all() {
    restore_defaults();
    for signal in [Signal::Terminate, Signal::Interrupt, Signal::Reload] {
        // SAFETY: to ignore a signal runs no code of this process.
        unsafe { libc::signal(signal.number(), libc::SIG_IGN) };
    }
}

/// While this lives no signal reaches the thread; those that came meanwhile are delivered at its end.
pub struct Blocked(SigSet);

/// Blocks all signals. For the time of a fork, so that none is handled by a child that is not ready for it.
pub fn block() -> io::Result<Blocked> {
    Ok(Blocked(SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?))
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Fails for no mask that the system itself has given out.
        let _ = self.0.thread_set_mask();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::{Watch, poll};
    use crate::sys::process::{self, Ended, Forked};

    #[test]
    fn a_signal_is_told_once() {
        let signals = Signals::catch(&[Signal::Reload]).unwrap();
        nix::sys::signal::raise(nix::sys::signal::SIGHUP).unwrap();
        assert!(poll(&mut [Watch::input(signals.descriptor())], None).unwrap());
        assert_eq!(signals.take(), [Signal::Reload]);
        assert_eq!(signals.take(), []);
        assert!(!poll(&mut [Watch::input(signals.descriptor())], Some(std::time::Instant::now())).unwrap());
    }

    #[test]
    fn a_caught_signal_can_be_made_to_end_a_forked_process() {
        let _caught = Signals::catch(&[Signal::Interrupt]).unwrap();
        let child = match process::fork().unwrap() {
            Forked::Child => {
                restore_defaults();
                let _ = nix::sys::signal::raise(nix::sys::signal::SIGINT);
                process::exit_now(0);
            }
            Forked::Parent(child) => child,
        };
        assert_eq!(process::wait_for(child).unwrap(), Ended::Signal(SIGINT));
    }
}
