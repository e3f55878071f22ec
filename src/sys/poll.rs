//! poll(2) with a deadline, restarted after signals.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// What is waited for on one descriptor, and whether it came.
pub struct Watch<'a> {
    fd: BorrowedFd<'a>,
    flags: PollFlags,
    ready: bool,
}

impl<'a> Watch<'a> {
    /// Something to read, the end of the stream, or an error.
    pub fn input(fd: BorrowedFd<'a>) -> Self {
        Self { fd, flags: PollFlags::POLLIN, ready: false }
    }

    /// Room to write, or an error.
    pub fn output(fd: BorrowedFd<'a>) -> Self {
        Self { fd, flags: PollFlags::POLLOUT, ready: false }
    }

    /// Whether it came, as of the last [`poll`].
    pub fn is_ready(&self) -> bool {
        self.ready
    }
}

/// Waits until one of them is ready; false when the deadline comes first. A deadline that is past only looks. Without a
/// deadline it waits for ever.
pub fn poll(watches: &mut [Watch<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    let mut fds: Vec<PollFd<'_>> = watches.iter().map(|watch| PollFd::new(watch.fd, watch.flags)).collect();
    loop {
        match nix::poll::poll(&mut fds, timeout(deadline)) {
            Ok(0) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
            Ok(count) => {
                for (watch, fd) in watches.iter_mut().zip(&fds) {
                    let came = fd.revents().unwrap_or(PollFlags::empty());
                    if came.contains(PollFlags::POLLNVAL) {
                        return Err(Errno::EBADF.into());
                    }
                    watch.ready = !came.is_empty();
                }
                return Ok(count > 0);
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Rounded up to the next millisecond, so that a wait of less than one does not spin. At most some minutes: poll() is
/// then called again.
fn timeout(deadline: Option<Instant>) -> PollTimeout {
    const LONGEST: Duration = Duration::from_secs(600);
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now()).min(LONGEST);
    PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn tells_which_descriptor_is_ready() {
        let (a, mut b) = UnixStream::pair().unwrap();
        let (c, _d) = UnixStream::pair().unwrap();
        b.write_all(b"x").unwrap();
        let mut watches = [Watch::input(c.as_fd()), Watch::input(a.as_fd()), Watch::output(c.as_fd())];
        assert!(poll(&mut watches, None).unwrap());
        assert_eq!(watches.map(|w| w.is_ready()), [false, true, true]);
    }

    #[test]
    fn a_past_deadline_only_looks() {
        let (a, _b) = UnixStream::pair().unwrap();
        assert!(!poll(&mut [Watch::input(a.as_fd())], Some(Instant::now())).unwrap());
    }

    #[test]
    fn the_other_end_closing_is_ready() {
        let (a, b) = UnixStream::pair().unwrap();
        drop(b);
        let mut watches = [Watch::input(a.as_fd())];
        assert!(poll(&mut watches, None).unwrap());
        assert!(watches[0].is_ready());
    }
}
