//! Faults that end the process while it reads a mapped file: before it ends it leaves a mark, so that nobody opens the damaged file again.
//!
//! Whatever is in a mapped file is taken for sound by the library that maps it. If it is not, that library may read where nothing is mapped (SIGSEGV), beyond the
//! end of a file that was cut off (SIGBUS), or find its own assumptions broken (SIGABRT).

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Once};

/// What the mark is: a line as long as any that it may overwrite.
pub const MARK: &[u8; 64] = b"damaged                                                        \n";
/// So many files may be guarded at once: one for each user whom a process serves.
const MOST: usize = 1024;
const FREE: i32 = -1;
const FAULTS: [Signal; 3] = [Signal::SIGBUS, Signal::SIGSEGV, Signal::SIGABRT];

/// Descriptors that get the mark. Atomics, since a signal handler may read nothing else.
static GUARDED: [AtomicI32; MOST] = [const { AtomicI32::new(FREE) }; MOST];

/// While this lives, a fault writes [`MARK`] at the start of the file.
#[derive(Debug)]
pub struct Guard {
    at: usize,
    _file: Arc<File>,
}

/// Guards from now on: `file`, open for writing, gets the mark. Every file that is guarded gets it, since nothing says which one the fault was in. The process
/// ends by the signal as it would without this.
pub fn guard(file: Arc<File>) -> io::Result<Guard> {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(catch);
    let fd = file.as_raw_fd();
    let free = |place: &AtomicI32| place.compare_exchange(FREE, fd, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    match GUARDED.iter().position(free) {
        Some(at) => Ok(Guard { at, _file: file }),
        None => Err(io::Error::other("too many files are guarded")),
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Before the descriptor is closed, and may become another file's.
        if let Some(place) = GUARDED.get(self.at) {
            place.store(FREE, Ordering::Release);
        }
    }
}

fn catch() {
    // On the stack that Rust has for a stack that ran over.
    let action = SigAction::new(SigHandler::Handler(mark_and_end), SaFlags::SA_ONSTACK, SigSet::empty());
    for signal in FAULTS {
        // SAFETY: the handler calls only what signal-safety(7) allows, and touches nothing but atomics and a constant.
        // It cannot fail for signals that exist and may be caught; without it there is no mark.
        let _ = unsafe { sigaction(signal, &action) };
    }
}

extern "C" fn mark_and_end(signal: libc::c_int) {
    for place in &GUARDED {
        let fd = place.load(Ordering::Acquire);
        if fd != FREE {
            // SAFETY: pwrite(2) reads a constant of this length; a descriptor that is none any more is refused. What it says does not matter: the process ends.
            unsafe { libc::pwrite(fd, MARK.as_ptr().cast(), MARK.len(), 0) };
        }
    }
    // SAFETY: both are allowed in a handler. The signal is blocked until the handler returns, and then does what it does by default.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::{self, Ended, Forked};
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_fault_leaves_its_mark_and_ends_the_process_by_its_signal() {
        for signal in FAULTS {
            let (one, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
            one.write_all_at(&[b'x'; 70], 0).unwrap();
            let child = match process::fork().unwrap() {
                Forked::Child => {
                    let guarded = one.try_clone().map(Arc::new).and_then(guard);
                    drop(other.try_clone().map(Arc::new).and_then(guard));
                    let _ = nix::sys::signal::raise(signal);
                    process::exit_now(i32::from(guarded.is_ok()));
                }
                Forked::Parent(child) => child,
            };
            assert_eq!(process::wait_for(child).unwrap(), Ended::Signal(signal as i32));
            let mut text = [0; 70];
            one.read_exact_at(&mut text, 0).unwrap();
            assert_eq!((&text[..64], &text[64..]), (&MARK[..], &b"xxxxxx"[..]));
            assert_eq!(other.metadata().unwrap().len(), 0);
        }
    }
}
