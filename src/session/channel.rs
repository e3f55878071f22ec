//! Octets to and from the client, buffered: `input` and `output` are its two halves.

use crate::limits;
use crate::protocol::frame::{FrameLimits, Framer};
use crate::transport::Stream;
use crate::transport::handover::Frozen;
use crate::transport::wait::Stop;
use crate::types::secret;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long is waited for what: what [`limits`] says, and less in tests.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the greeting to login.
    pub before_login: Duration,
    pub handshake: Duration,
    /// For a client that takes nothing, before login.
    pub stalled_before_login: Duration,
    /// The same after login; also for one that stops in the middle of a message.
    pub stalled: Duration,
    /// For the next command.
    pub idle: Duration,
    /// Between two lines to a client in IDLE.
    pub keepalive: Duration,
    /// Between two looks at a mailbox that cannot be watched.
    pub poll: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            before_login: limits::TIME_BEFORE_LOGIN,
            handshake: limits::TIME_OF_HANDSHAKE,
            stalled_before_login: limits::TIME_STALLED_BEFORE_LOGIN,
            stalled: limits::TIME_STALLED,
            idle: limits::TIME_IDLE,
            keepalive: limits::TIME_KEEPALIVE,
            poll: limits::TIME_POLL,
        }
    }
}

/// The stream with what was read ahead and what waits to be sent.
pub struct Channel {
    pub(super) stream: Stream,
    pub(super) stop: Stop,
    pub(super) patience: Patience,
    /// Collects the command that is on its way in.
    pub(super) framer: Framer,
    /// What was read.
    pub(super) inbox: Vec<u8>,
    /// How much of `inbox` has been used.
    pub(super) used: usize,
    /// Written and not yet sent. Commands append whole responses to it, or a literal header and then the literal by
    /// [`Channel::send`].
    pub out: Vec<u8>,
}

impl Channel {
    /// With the limits that hold before login.
    pub fn new(stream: Stream, stop: Stop) -> Self {
        let framer = Framer::new(super::input::LIMITS_BEFORE_LOGIN);
        Self { stream, stop, patience: Patience::default(), framer, inbox: Vec::new(), used: 0, out: Vec::new() }
    }

    /// Waits so long from now on.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Takes the channel out of this process once the client has logged in: what waits is sent, and what the client has sent behind
    /// its last command goes along.
    pub fn freeze(mut self) -> io::Result<Frozen> {
        self.flush()?;
        let frozen = self.stream.freeze(self.inbox.get(self.used..).unwrap_or_default());
        secret::wipe(&mut self.inbox);
        frozen
    }

    /// Goes on in another process, over the same socket. The first that comes is what the client has sent already.
    pub fn resume(socket: OwnedFd, frozen: Frozen, stop: Stop) -> io::Result<Self> {
        Ok(Self::new(Stream::thaw(socket, frozen)?, stop))
    }

    /// Commands have these limits from now on; one that was begun is forgotten.
    pub(super) fn set_limits(&mut self, limits: FrameLimits) {
        self.framer = Framer::new(limits);
    }
}
