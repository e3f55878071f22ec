//! Sockets beyond what std offers.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, Shutdown, SockFlag, SockType, SockaddrIn, SockaddrIn6, bind, getsockopt, listen,
    recv, send, setsockopt, shutdown, socket, socketpair, sockopt,
};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Whether a descriptor is a socket of any kind.
pub fn is_socket(fd: BorrowedFd<'_>) -> bool {
    getsockopt(&fd, sockopt::SockType).is_ok()
}

/// Sends what fits now, without waiting (`WouldBlock`) and without SIGPIPE. The descriptor itself may be blocking, and
/// shared with other processes.
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

/// Ends both sides, for everybody who has a descriptor of it.
pub fn end_both(socket: impl AsFd) -> io::Result<()> {
    shutdown(socket.as_fd().as_raw_fd(), Shutdown::Both).map_err(io::Error::from)
}

/// Whether a descriptor is a socket that waits for connections.
pub fn is_listening(fd: BorrowedFd<'_>) -> bool {
    getsockopt(&fd, sockopt::AcceptConn).unwrap_or(false)
}

/// A socket that waits for connections at this address. An IPv6 one takes no IPv4 connections, so that both can be
/// bound.
pub fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if address.is_ipv6() {
        let yes: libc::c_int = 1;
        // SAFETY: the option's value is an int, and that is what the pointer and the length say.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_IPV6,
                libc::IPV6_V6ONLY,
                (&raw const yes).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    match address {
        SocketAddr::V4(v4) => bind(socket.as_raw_fd(), &SockaddrIn::from(v4))?,
        SocketAddr::V6(v6) => bind(socket.as_raw_fd(), &SockaddrIn6::from(v6))?,
    }
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}

/// Lets the system notice that a silent peer is gone.
pub fn keep_alive(socket: impl AsFd) {
    // A socket that is not TCP has no use for it.
    let _ = setsockopt(&socket, sockopt::KeepAlive, &true);
}

/// A descriptor that this process was started with, as its owner; `None` if it is not open.
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_GETFD has no effect on a descriptor, open or not.
    if number < 0 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open. Each is asked for once, at the start, before this process has opened anything of
    // its own.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    // SAFETY: sets the close-on-exec flag of a descriptor that is ours.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    Some(fd)
}

/// Two ends between which messages keep their bounds.
pub fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?)
}

/// The next message of a pair, cut to the buffer; zero when the other end is closed.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(socket.as_fd().as_raw_fd(), buffer, MsgFlags::empty()) {
            Err(Errno::EINTR) => {}
            result => return result.map_err(io::Error::from),
        }
    }
}

/// The same, `WouldBlock` if there is none yet.
pub fn receive_now(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    recv(socket.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from)
}

/// A look at a descriptor that this process was started with; `None` if it is not open.
pub fn borrow_inherited(number: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: F_GETFD has no effect on a descriptor, open or not.
    if number < 0 || unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open and nobody owns it, so that nobody closes it before `inherited` makes an owner.
    Some(unsafe { BorrowedFd::borrow_raw(number) })
}
