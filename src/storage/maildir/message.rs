//! A message's file, open for reading.

use crate::message::line_ends::ToWire;
use crate::storage::StoredMessage;
use crate::types::Uid;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Sizes that reading proved wrong: UID, stored octets, wire octets.
#[derive(Clone, Debug, Default)]
pub struct Corrections(Arc<Mutex<Vec<(Uid, u64, u64)>>>);

impl Corrections {
    fn add(&self, uid: Uid, stored: u64, wire: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((uid, stored, wire));
    }

    pub fn take(&self) -> Vec<(Uid, u64, u64)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads the file as it was when opened: what is appended later is not shown. If it is read from beginning to end, its wire octets are
/// counted on the way.
pub struct FileMessage {
    file: File,
    size: u64,
    uid: Uid,
    /// What the name or the list says.
    wire: Option<u64>,
    counter: ToWire,
    counted: u64,
    counted_to: u64,
    corrections: Corrections,
}

impl FileMessage {
    pub fn new(file: File, size: u64, uid: Uid, wire: Option<u64>, corrections: Corrections) -> Self {
        Self { file, size, uid, wire, counter: ToWire::new(), counted: 0, counted_to: 0, corrections }
    }
}

impl StoredMessage for FileMessage {
    fn stored_size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = rest.min(buffer.len());
        let buffer = &mut buffer[..wanted];
        let mut got = 0;
        while got < wanted {
            match self.file.read_at(&mut buffer[got..], offset + got as u64) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if offset == self.counted_to && got > 0 {
            self.counted += self.counter.count(&buffer[..got]);
            self.counted_to += got as u64;
            if self.counted_to == self.size && self.wire.is_some_and(|w| w != self.counted) {
                self.corrections.add(self.uid, self.size, self.counted);
            }
        }
        Ok(got)
    }
}

/// The wire octets of a file, by reading all of it.
pub fn count_wire(file: &File) -> io::Result<u64> {
    let (mut counter, mut total, mut offset, mut buffer) = (ToWire::new(), 0, 0, vec![0; 64 * 1024]);
    loop {
        match file.read_at(&mut buffer, offset) {
            Ok(0) => return Ok(total),
            Ok(got) => {
                total += counter.count(&buffer[..got]);
                offset += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether the file begins like gzip, bzip2, zstd, xz or lz4 data, which no message does.
pub fn is_compressed(file: &File) -> io::Result<bool> {
    let mut start = [0; 6];
    let got = file.read_at(&mut start, 0)?;
    let magic: [&[u8]; 5] = [b"\x1f\x8b\x08", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"\x04\x22\x4d\x18"];
    Ok(magic.iter().any(|m| start[..got].starts_with(m)))
}
