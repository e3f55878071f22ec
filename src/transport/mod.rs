//! Stream: plain or TLS behind one reader and writer, and waiting.

pub mod tls;
pub mod wait;

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The octets to and from one client. Every wait has an end.
pub struct Stream {}

impl Stream {
    /// Over one socket, or over two descriptors (standard input and output).
    pub fn plain(_input: OwnedFd, _output: OwnedFd) -> io::Result<Self> {
        todo!()
    }

    /// Over one connected socket.
    pub fn socket(_socket: OwnedFd) -> io::Result<Self> {
        todo!()
    }

    /// The server side of a TLS handshake over this stream, nothing of which may have been read ahead.
    pub fn start_tls(self, _config: &tls::TlsConfig, _deadline: Instant) -> io::Result<Self> {
        todo!()
    }

    pub fn is_tls(&self) -> bool {
        todo!()
    }

    /// For the log: `TLSv1.3 TLS13_AES_128_GCM_SHA256`, or `None`.
    pub fn tls_description(&self) -> Option<String> {
        todo!()
    }

    /// What can be read now; blocks if there is nothing, so call [`wait::wait`] first. Zero at the end of the stream.
    /// `UnexpectedEof` if a TLS peer vanished without close_notify.
    pub fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        todo!()
    }

    /// Sends all; `TimedOut` if the client takes nothing for the time of `set_stall`.
    pub fn write_all(&mut self, _octets: &[u8]) -> io::Result<()> {
        todo!()
    }

    /// How long a client may take nothing of what is sent.
    pub fn set_stall(&mut self, _limit: Duration) {
        todo!()
    }

    /// Octets received and sent so far, plaintext.
    pub fn counters(&self) -> (u64, u64) {
        todo!()
    }

    /// Says goodbye (close_notify) and ends the sending side.
    pub fn close(&mut self) {
        todo!()
    }
}
