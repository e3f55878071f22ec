//! Stream: plain or TLS, begun here or elsewhere, behind one reader and writer, and waiting.

pub mod handover;
pub mod proxy;
mod records;
pub mod signing;
mod suite;
pub mod tls;
pub mod wait;
mod whole_records;
mod wire;

use crate::limits;
use crate::sys::poll::{Watch, poll};
use handover::{TrafficSecrets, Unread};
use records::Records;
use rustls::{ServerConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use whole_records::WholeRecords;
use wire::Wire;

/// The octets to and from one client. Every wait has an end.
pub struct Stream {
    layer: Layer,
    /// What another process has read and not used.
    unread: Unread,
    received: u64,
    sent: u64,
}

enum Layer {
    Plain(Wire),
    Tls(Box<Tls>),
    /// A TLS connection that another process has begun.
    Records(Box<Records>),
}

/// A TLS connection. Boxed: it is large, and the plain stream is not.
struct Tls {
    stream: StreamOwned<ServerConnection, WholeRecords>,
    secrets: Arc<TrafficSecrets>,
    /// What went wrong while waiting; the next read tells it.
    failed: Option<io::Error>,
}

impl Stream {
    /// Over one socket, or over two descriptors (standard input and output).
    pub fn plain(input: OwnedFd, output: OwnedFd) -> io::Result<Self> {
        Ok(Self::over(Wire::new(input, Some(output), limits::TIME_STALLED_BEFORE_LOGIN)))
    }

    /// Over one connected socket.
    pub fn socket(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self::over(Wire::new(socket, None, limits::TIME_STALLED_BEFORE_LOGIN)))
    }

    fn over(wire: Wire) -> Self {
        Self { layer: Layer::Plain(wire), unread: Unread::default(), received: 0, sent: 0 }
    }

    /// The server side of a TLS handshake over this stream, nothing of which may have been read ahead. The client has
    /// been told why when it fails.
    pub fn start_tls(self, config: &tls::TlsConfig, deadline: Instant) -> io::Result<Self> {
        let Layer::Plain(wire) = self.layer else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS is already on"));
        };
        if !self.unread.rest().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "something was read ahead"));
        }
        let secrets = Arc::new(TrafficSecrets::default());
        let connection = ServerConnection::new(config.of_connection(secrets.clone())).map_err(io::Error::other)?;
        let mut tls = Tls { stream: StreamOwned::new(connection, WholeRecords::new(wire)), secrets, failed: None };
        if let Err(error) = tls.handshake(deadline) {
            // The alert, as far as it goes.
            let _ = tls.send_waiting();
            tls.stream.sock.wire.close();
            return Err(error);
        }
        Ok(Self { layer: Layer::Tls(Box::new(tls)), ..self })
    }

    /// Whether what is sent is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self.layer, Layer::Tls(_) | Layer::Records(_))
    }

    /// For the log: `TLSv1.3 TLS13_AES_128_GCM_SHA256`, or `None`.
    pub fn tls_description(&self) -> Option<String> {
        let tls = match &self.layer {
            Layer::Plain(_) => return None,
            Layer::Tls(tls) => tls,
            Layer::Records(records) => return Some(records.description()),
        };
        let version = match tls.stream.conn.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
            rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3",
            _ => "TLS",
        };
        Some(format!("{version} {:?}", tls.stream.conn.negotiated_cipher_suite()?.suite()))
    }

    /// What can be read now; blocks if there is nothing, so call [`wait::wait`] first. Zero at the end of the stream.
    /// `UnexpectedEof` if a TLS peer vanished without close_notify.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ahead = self.unread.read(buffer);
        if ahead > 0 {
            self.received = self.received.saturating_add(ahead as u64);
            return Ok(ahead);
        }
        let count = loop {
            let result = match &mut self.layer {
                Layer::Plain(wire) => wire.read(buffer),
                Layer::Tls(tls) => match tls.failed.take() {
                    Some(error) => Err(error),
                    None => tls.stream.read(buffer),
                },
                Layer::Records(records) => records.read(buffer),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.received = self.received.saturating_add(count as u64);
        Ok(count)
    }

    /// Sends all; `TimedOut` if the client takes nothing for the time of `set_stall`.
    pub fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.layer {
            Layer::Plain(wire) => wire.write_all(octets)?,
            Layer::Tls(tls) => {
                let mut left = octets;
                while !left.is_empty() {
                    let count = tls.stream.conn.writer().write(left)?;
                    tls.send_waiting()?;
                    if count == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    left = left.get(count..).unwrap_or_default();
                }
            }
            Layer::Records(records) => records.write_all(octets)?,
        }
        self.sent = self.sent.saturating_add(octets.len() as u64);
        Ok(())
    }

    /// Says that the connection stays in this process: it cannot be handed over any more, and is read the faster for it.
    pub fn settle(&mut self) {
        if let Layer::Tls(tls) = &mut self.layer {
            tls.stream.sock.read_ahead();
            tls.secrets.forget();
        }
    }

    /// How long a client may take nothing of what is sent.
    pub fn set_stall(&mut self, limit: Duration) {
        match &mut self.layer {
            Layer::Plain(wire) => wire.stall = limit,
            Layer::Tls(tls) => tls.stream.sock.wire.stall = limit,
            Layer::Records(records) => records.wire.stall = limit,
        }
    }

    /// Octets received and sent so far, plaintext.
    pub fn counters(&self) -> (u64, u64) {
        (self.received, self.sent)
    }

    /// Says goodbye (close_notify) and ends the sending side.
    pub fn close(&mut self) {
        match &mut self.layer {
            Layer::Plain(wire) => wire.close(),
            Layer::Tls(tls) => {
                tls.stream.conn.send_close_notify();
                // A peer that is gone already need not hear it.
                let _ = tls.send_waiting();
                tls.stream.sock.wire.close();
            }
            Layer::Records(records) => records.close(),
        }
    }

    fn input(&self) -> BorrowedFd<'_> {
        match &self.layer {
            Layer::Plain(wire) => wire.input(),
            Layer::Tls(tls) => tls.stream.sock.wire.input(),
            Layer::Records(records) => records.wire.input(),
        }
    }

    /// Whether [`Stream::read`] has something to say without looking at the descriptor.
    fn has_read_ahead(&mut self) -> bool {
        if !self.unread.rest().is_empty() {
            return true;
        }
        match &mut self.layer {
            Layer::Plain(_) => false,
            Layer::Tls(tls) => tls.has_something_to_say(),
            Layer::Records(records) => records.has_something_to_say(),
        }
    }

    /// To be called when the descriptor is readable. False if [`Stream::read`] would have to wait all the same, as for
    /// the rest of a TLS record.
    fn take_in(&mut self) -> bool {
        match &mut self.layer {
            Layer::Plain(_) => true,
            Layer::Tls(tls) => tls.take_in(),
            Layer::Records(records) => records.take_in(),
        }
    }
}

impl Tls {
    fn handshake(&mut self, deadline: Instant) -> io::Result<()> {
        let StreamOwned { conn, sock } = &mut self.stream;
        loop {
            while conn.wants_write() {
                conn.write_tls(sock)?;
            }
            if !conn.is_handshaking() {
                return Ok(());
            }
            if !poll(&mut [Watch::input(sock.wire.input())], Some(deadline))? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time"));
            }
            if conn.read_tls(sock)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            conn.process_new_packets().map_err(invalid)?;
        }
    }

    fn send_waiting(&mut self) -> io::Result<()> {
        while self.stream.conn.wants_write() {
            self.stream.conn.write_tls(&mut self.stream.sock)?;
        }
        Ok(())
    }

    fn has_something_to_say(&mut self) -> bool {
        if self.failed.is_some() {
            return true;
        }
        match self.stream.conn.process_new_packets() {
            Ok(state) => state.plaintext_bytes_to_read() > 0 || state.peer_has_closed(),
            Err(error) => {
                self.failed = Some(invalid(error));
                let _ = self.send_waiting();
                true
            }
        }
    }

    fn take_in(&mut self) -> bool {
        match self.stream.conn.read_tls(&mut self.stream.sock) {
            // Without close_notify: the read will say so.
            Ok(0) => true,
            Ok(_) => self.has_something_to_say(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => false,
            Err(error) => {
                self.failed = Some(error);
                true
            }
        }
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
