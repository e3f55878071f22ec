//! Sleep until the client speaks, a mailbox changes, we are asked to stop, or time is up.

use super::Stream;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// Why a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// [`Stream::read`] has something to say, be it the end.
    Client,
    /// The watched mailbox.
    Mailbox,
    /// The server ends this session.
    Stop,
    Timeout,
}

/// Becomes readable, and stays so, when sessions shall end with BYE. One for all sessions of a process.
#[derive(Clone)]
pub struct Stop(pub Option<Arc<OwnedFd>>);

/// Waits. What rustls has already decrypted counts as the client speaking. `Stop` is told before `Client`, `Client` before `Mailbox`.
pub fn wait(_stream: &Stream, _mailbox: Option<BorrowedFd<'_>>, _stop: &Stop, _deadline: Instant) -> io::Result<Woken> {
    todo!()
}
