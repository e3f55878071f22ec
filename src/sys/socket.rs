//! Sockets beyond what std offers.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType, SockaddrIn,
    SockaddrIn6, bind, getsockopt, listen, recv, recvmsg, send, sendmsg, setsockopt, shutdown, socket, socketpair,
    sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
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

/// Sends one message to the other end of a pair, waiting for room, without SIGPIPE.
pub fn send_message(socket: impl AsFd, octets: &[u8]) -> io::Result<()> {
    loop {
        match send(socket.as_fd().as_raw_fd(), octets, MsgFlags::MSG_NOSIGNAL) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop).map_err(io::Error::from),
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

/// The most descriptors that one message can carry (SCM_MAX_FD).
const DESCRIPTORS_OF_MESSAGE: usize = 253;

/// Sends a message with a descriptor, without waiting and without SIGPIPE.
pub fn send_descriptor(socket: impl AsFd, octets: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let (pieces, descriptors) = ([IoSlice::new(octets)], [descriptor.as_raw_fd()]);
    let with = [ControlMessage::ScmRights(&descriptors)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &pieces, &with, flags, None) {
            Err(Errno::EINTR) => {}
            Ok(count) if count == octets.len() => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The next message of a pair and the one descriptor that came with it, without waiting. Zero octets when the other end is closed. A message that is longer than
/// the buffer, or has several descriptors, is an error (`InvalidData`); the descriptors are closed then.
pub fn receive_descriptor(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    // Room for as many as can come: those that did not fit would be open all the same, on some systems, and nobody's.
    let mut space = nix::cmsg_space!([RawFd; DESCRIPTORS_OF_MESSAGE]);
    let mut pieces = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut pieces, Some(&mut space), flags)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            // SAFETY: the kernel has just made these descriptors for this process; nobody else knows them.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) || descriptors.len() > 1 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((message.bytes, descriptors.pop()))
}

/// The next message, without waiting: its length even if it is cut to the buffer, so that a message that is too long is told from one that fits. Zero when the
/// other end is closed.
pub fn receive_whole_now(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    recv(socket.as_fd().as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC).map_err(io::Error::from)
}

/// Whether nobody has the other end of a pair any more. What it has sent before may still be there to be received.
pub fn peer_is_gone(socket: impl AsFd) -> bool {
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    // It fails where memory is short; then nothing is known.
    nix::poll::poll(&mut fds, PollTimeout::ZERO).is_ok()
        && fds.iter().any(|fd| fd.revents().is_some_and(|came| came.intersects(PollFlags::POLLHUP)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    fn open_descriptors() -> usize {
        std::fs::read_dir("/proc/self/fd").unwrap().count()
    }

    #[test]
    fn a_descriptor_arrives_with_its_message_and_is_closed_on_exec() {
        let (ours, theirs) = message_pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        send_descriptor(&ours, b"one", file.as_fd()).unwrap();
        send_now(&ours, b"none").unwrap();
        let mut buffer = [0; 16];
        let (length, descriptor) = receive_descriptor(&theirs, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"one");
        let descriptor = descriptor.unwrap();
        // SAFETY: F_GETFD has no effect.
        assert_eq!(unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFD) }, libc::FD_CLOEXEC);
        file.write_all(b"x").unwrap();
        let mut same = std::fs::File::from(descriptor);
        same.rewind().unwrap();
        assert_eq!(same.read(&mut buffer).unwrap(), 1);
        assert!(matches!(receive_descriptor(&theirs, &mut buffer), Ok((4, None))));
        assert_eq!(receive_descriptor(&theirs, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(ours);
        eventually(|| matches!(receive_descriptor(&theirs, &mut buffer), Ok((0, None))));
    }

    /// Processes that other tests fork have copies of our descriptors for a moment.
    fn eventually(mut what: impl FnMut() -> bool) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !what() {
            assert!(std::time::Instant::now() < deadline);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// In a process of its own: other tests open descriptors too.
    #[test]
    fn of_several_descriptors_none_stays_open() {
        use crate::sys::process::{self, Ended, Forked};
        let child = match process::fork().unwrap() {
            Forked::Child => {
                let (ours, theirs) = message_pair().unwrap();
                let before = open_descriptors();
                let mut right = true;
                for count in [2, 3, DESCRIPTORS_OF_MESSAGE] {
                    let many = vec![ours.as_raw_fd(); count];
                    let sent = sendmsg::<()>(
                        ours.as_raw_fd(),
                        &[IoSlice::new(b"x")],
                        &[ControlMessage::ScmRights(&many)],
                        MsgFlags::empty(),
                        None,
                    );
                    let came = receive_descriptor(&theirs, &mut [0; 4]);
                    right &= sent.is_ok() && came.is_err_and(|error| error.kind() == io::ErrorKind::InvalidData);
                }
                // Too long a message, too.
                right &= send_descriptor(&ours, &[0; 5], ours.as_fd()).is_ok();
                right &= receive_descriptor(&theirs, &mut [0; 4]).is_err();
                process::exit_now(i32::from(!right || open_descriptors() != before))
            }
            Forked::Parent(child) => child,
        };
        assert_eq!(process::wait_for(child).unwrap(), Ended::Exit(0));
    }

    #[test]
    fn a_closed_end_is_noticed_and_an_overlong_message_too() {
        let (ours, theirs) = message_pair().unwrap();
        assert!(!peer_is_gone(&ours));
        send_now(&theirs, &[1; 9]).unwrap();
        assert_eq!(receive_whole_now(&ours, &mut [0; 4]).unwrap(), 9);
        drop(theirs);
        eventually(|| peer_is_gone(&ours));
        assert_eq!(receive_whole_now(&ours, &mut [0; 4]).unwrap(), 0);
    }
}
