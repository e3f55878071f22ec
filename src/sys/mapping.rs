//! Memory that is a file's: the system can write it to the disk and have it back, unlike what a process allocates.

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

/// A file that only grows, and that nobody else can find: it has lost its name.
#[derive(Debug)]
pub struct Nameless {
    file: File,
    size: u64,
}

/// A part of such a file.
#[derive(Debug)]
pub struct Mapped {
    start: NonNull<c_void>,
    length: usize,
}

impl Nameless {
    /// Of a file that is open for reading and writing, empty, and unlinked already.
    pub fn new(file: File) -> Self {
        Self { file, size: 0 }
    }

    /// Adds these octets, a whole number of pages, and maps them for reading.
    pub fn add(&mut self, octets: &[u8]) -> io::Result<Mapped> {
        let length = NonZeroUsize::new(octets.len()).ok_or(io::ErrorKind::InvalidInput)?;
        let offset = i64::try_from(self.size).map_err(io::Error::other)?;
        // Written and not stored through the mapping, so that a full disk is an error and no signal.
        self.file.write_all_at(octets, self.size)?;
        // SAFETY: a new mapping at an address of the system's choice, of octets that are in the file. Nobody can cut off or change a file that has no name
        // and is open here only, but for who may look into this process's descriptors: that is its own user.
        let start = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, &self.file, offset)? };
        self.size += octets.len() as u64;
        Ok(Mapped { start, length: octets.len() })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: this much is mapped for reading as long as `self` lives, and never written again.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and whoever read it had it borrowed. It cannot fail for what was mapped.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

// SAFETY: memory that nobody writes may be read by any thread, and unmapped by any.
unsafe impl Send for Mapped {}
// SAFETY: the same.
unsafe impl Sync for Mapped {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_read_again() {
        let mut file = Nameless::new(tempfile::tempfile().unwrap());
        let pieces: Vec<Vec<u8>> = (1..4).map(|n| vec![n; 1 << 16]).collect();
        let mapped: Vec<Mapped> = pieces.iter().map(|piece| file.add(piece).unwrap()).collect();
        drop(file);
        assert!(mapped.iter().zip(&pieces).all(|(mapped, piece)| **mapped == **piece));
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let read_only = File::open("/dev/null").unwrap();
        assert!(Nameless::new(read_only).add(&[0; 1 << 16]).is_err());
        assert!(Nameless::new(tempfile::tempfile().unwrap()).add(&[]).is_err());
    }
}
