//! A descriptor that becomes readable when a mailbox changes.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// Two ends of a socket pair, and whether an octet is in it: never more than one, so ringing never blocks. Rung and hushed only with
/// the user's lock held.
pub(super) struct Bell {
    striker: UnixStream,
    ear: UnixStream,
    ringing: AtomicBool,
}

impl Bell {
    pub fn new() -> io::Result<Self> {
        let (striker, ear) = UnixStream::pair()?;
        striker.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self { striker, ear, ringing: AtomicBool::new(false) })
    }

    /// Makes it readable.
    pub fn ring(&self) {
        if !self.ringing.swap(true, Ordering::Relaxed) && !matches!((&self.striker).write(b"!"), Ok(1)) {
            self.ringing.store(false, Ordering::Relaxed);
        }
    }

    /// Makes it unreadable.
    pub fn hush(&self) {
        // Read before the flag falls: should the read fail, the bell goes on ringing and the next sync tries again.
        if self.ringing.load(Ordering::Relaxed) && matches!((&self.ear).read(&mut [0]), Ok(1)) {
            self.ringing.store(false, Ordering::Relaxed);
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ear.as_fd()
    }
}
