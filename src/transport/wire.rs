//! The descriptors below a stream: a socket, or two pipes. No write waits longer than the stall limit; the descriptors
//! themselves stay as they came, since standard input may be shared with the shell that started us.

use crate::sys::poll::{Watch, poll};
use crate::sys::socket;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a pipe takes without waiting once poll(2) calls it writable (PIPE_BUF).
const PIPE_PIECE: usize = 4096;

/// How long a peer that goes on sending is listened to after our last word. A close with unread input would reset the
/// connection, and the reset may overtake the last word.
const LINGER: Duration = Duration::from_secs(1);

/// The descriptors to and from one client.
pub(super) struct Wire {
    input: File,
    /// `None`: the input is a socket that goes both ways.
    output: Option<File>,
    output_is_socket: bool,
    pub(super) stall: Duration,
}

impl Wire {
    pub(super) fn new(input: OwnedFd, output: Option<OwnedFd>, stall: Duration) -> Self {
        let output_is_socket = socket::is_socket(output.as_ref().unwrap_or(&input).as_fd());
        Self { input: input.into(), output: output.map(File::from), output_is_socket, stall }
    }

    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    fn output(&mut self) -> &mut File {
        self.output.as_mut().unwrap_or(&mut self.input)
    }

    /// Ends the sending side, then takes what still comes for a moment.
    pub(super) fn close(&mut self) {
        if !self.output_is_socket {
            return;
        }
        if socket::end_sending(self.output()).is_err() || !socket::is_socket(self.input.as_fd()) {
            return;
        }
        let deadline = Instant::now() + LINGER;
        let mut unread = [0; 4096];
        while Instant::now() < deadline
            && matches!(poll(&mut [Watch::input(self.input.as_fd())], Some(deadline)), Ok(true))
            && matches!(self.input.read(&mut unread), Ok(1..))
        {}
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

impl Write for Wire {
    /// `TimedOut` when nothing at all could be written for the stall limit. From then on nothing is waited for any more: a
    /// goodbye to a client that takes nothing would only keep the session.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let deadline = Instant::now() + self.stall;
        loop {
            let stalled = if self.output_is_socket {
                match socket::send_now(self.output(), octets) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                    result => return result,
                }
            } else {
                false
            };
            if !poll(&mut [Watch::output(self.output().as_fd())], Some(deadline))? {
                self.stall = Duration::ZERO;
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"));
            }
            if !stalled {
                return self.output().write(octets.get(..PIPE_PIECE).unwrap_or(octets));
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_client_that_took_nothing_is_waited_for_once() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut wire = Wire::new(ours.into(), None, Duration::from_millis(500));
        let began = Instant::now();
        assert_eq!(wire.write_all(&vec![0; 8 << 20]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        for _ in 0..10 {
            assert_eq!(wire.write(b"x").unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}
