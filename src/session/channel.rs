//! Octets to and from the client, buffered: `input` and `output` are its two halves.

use crate::transport::Stream;
use crate::transport::wait::Stop;
use std::io;

/// The stream with what was read ahead and what waits to be sent.
pub struct Channel {
    pub(super) stream: Stream,
    pub(super) stop: Stop,
    /// Read and not yet used.
    pub(super) inbox: Vec<u8>,
    /// Written and not yet sent. Commands append whole responses to it, or a literal header and then the literal by
    /// [`Channel::send`].
    pub out: Vec<u8>,
}

impl Channel {
    pub fn new(_stream: Stream, _stop: Stop) -> Self {
        todo!()
    }

    /// Sends what waits when it is more than a buffer full (64 KiB). To be called after each response of a command that writes many.
    pub fn flush_if_full(&mut self) -> io::Result<()> {
        todo!()
    }

    /// Sends what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        todo!()
    }

    /// Appends a piece of a literal, sending on the way, so that memory stays bounded.
    pub fn send(&mut self, _octets: &[u8]) -> io::Result<()> {
        todo!()
    }
}
