//! Sockets beyond what std offers.

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, Shutdown, getsockopt, send, shutdown, sockopt};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Whether a descriptor is a socket of any kind.
pub fn is_socket(fd: BorrowedFd<'_>) -> bool {
    getsockopt(&fd, sockopt::SockType).is_ok()
}

/// Sends what fits now, without waiting (`WouldBlock`) and without SIGPIPE. The descriptor itself may be blocking, and shared with other processes.
pub fn send_now(socket: impl AsFd, octets: &[u8]) -> io::Result<usize> {
    loop {
        match send(socket.as_fd().as_raw_fd(), octets, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EINTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// Ends the sending side.
pub fn end_sending(socket: impl AsFd) -> io::Result<()> {
    shutdown(socket.as_fd().as_raw_fd(), Shutdown::Write).map_err(io::Error::from)
}
