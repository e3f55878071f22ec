//! To the client: when what waits is sent.

use super::channel::Channel;
use std::io;

/// A buffer full: sent before more is written.
const FULL: usize = 64 * 1024;

impl Channel {
    /// Sends what waits when it is more than a buffer full (64 KiB). To be called after each response of a command that writes many.
    pub fn flush_if_full(&mut self) -> io::Result<()> {
        if self.out.len() < FULL { Ok(()) } else { self.drain() }
    }

    /// Sends what waits. A client that takes nothing for too long ends in `TimedOut`.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = self.drain();
        // A session that idles shall not keep what one large answer needed.
        self.out.shrink_to(FULL / 4);
        sent
    }

    /// In the midst of an answer: the buffer is soon full again.
    fn drain(&mut self) -> io::Result<()> {
        let sent = self.stream.write_all(&self.out);
        self.out.clear();
        sent
    }

    /// Appends a piece of a literal, sending on the way, so that memory stays bounded.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.out.len() + octets.len() > FULL {
            self.drain()?;
        }
        if octets.len() > FULL {
            return self.stream.write_all(octets);
        }
        self.out.extend_from_slice(octets);
        Ok(())
    }

    /// Sends what waits and ends the connection; errors no longer matter.
    pub(super) fn close(&mut self) {
        let _ = self.flush();
        self.stream.close();
    }
}
