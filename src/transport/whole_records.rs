//! The wire below rustls, which takes octets as they come and gives none back: never one behind the end of a TLS record, so that
//! another process can go on where rustls has stopped.

use super::suite::HEADER;
use super::wire::Wire;
use std::io::{self, Read, Write};

/// Reads a header, then the body of which it tells, and nothing ahead.
pub(super) struct WholeRecords {
    pub wire: Wire,
    /// The connection stays here, and all may be read that there is: so it costs fewer calls.
    ahead: bool,
    header: [u8; HEADER],
    /// Octets of the header that have been read.
    have: usize,
    /// Octets of the body that have not.
    missing: usize,
}

impl WholeRecords {
    pub fn new(wire: Wire) -> Self {
        Self { wire, ahead: false, header: [0; HEADER], have: 0, missing: 0 }
    }

    /// From now on reads whatever there is.
    pub fn read_ahead(&mut self) {
        self.ahead = true;
    }

    /// Whether the next octet is the first of a record.
    pub fn is_between_records(&self) -> bool {
        !self.ahead && self.have == 0 && self.missing == 0
    }
}

impl Read for WholeRecords {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ahead {
            return self.wire.read(buffer);
        }
        if self.missing > 0 {
            let most = self.missing.min(buffer.len());
            let count = self.wire.read(buffer.get_mut(..most).unwrap_or_default())?;
            self.missing -= count.min(self.missing);
            return Ok(count);
        }
        let wanted = self.header.get_mut(self.have..).unwrap_or_default();
        let most = wanted.len().min(buffer.len());
        let wanted = wanted.get_mut(..most).unwrap_or_default();
        let count = self.wire.read(wanted)?;
        if let (Some(from), Some(to)) = (wanted.get(..count), buffer.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.have += count;
        if self.have == HEADER {
            let [.., high, low] = self.header;
            self.missing = u16::from_be_bytes([high, low]).into();
            self.have = 0;
        }
        Ok(count)
    }
}

impl Write for WholeRecords {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.wire.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.flush()
    }
}
