//! Octets to and from the client, buffered: `input` and `output` are its two halves.

use crate::protocol::frame::{FrameLimits, Framer};
use crate::transport::Stream;
use crate::transport::wait::Stop;

/// The stream with what was read ahead and what waits to be sent.
pub struct Channel {
    pub(super) stream: Stream,
    pub(super) stop: Stop,
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
        Self { stream, stop, framer, inbox: Vec::new(), used: 0, out: Vec::new() }
    }

    /// Commands have these limits from now on; one that was begun is forgotten.
    pub(super) fn set_limits(&mut self, limits: FrameLimits) {
        self.framer = Framer::new(limits);
    }
}
