//! Very many short texts, such as the names of a million files: no allocation for each, and little memory for all of them.
//!
//! They are kept in pieces. Beyond so many, pieces that are full lie in a file without a name in the folder's `tmp`, mapped: the system can take that memory
//! back. Where there can be no such file they stay in memory.

use super::file_name;
use crate::sys::file::Dir;
use crate::sys::mapping::{Mapped, Nameless};
use std::io;
use std::sync::Arc;

/// Octets of a piece: what 16 bits can count, and whole pages of every system.
const PIECE: usize = 1 << 16;
/// So many octets stay in memory. Folders of some ten thousand messages need no more.
pub const IN_MEMORY: usize = 64 * PIECE;

/// Texts, each found again by what [`Texts::add`] gave.
#[derive(Debug, Default)]
pub struct Texts {
    /// The last is in memory.
    pieces: Vec<Piece>,
    spill: Spill,
    /// Something had no place.
    overflowed: bool,
}

/// Where a text is: its piece, where it begins there, and its length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Text {
    piece: u16,
    start: u16,
    length: u16,
}

#[derive(Debug)]
enum Piece {
    Memory(Vec<u8>),
    File(Mapped),
}

/// Where full pieces go.
#[derive(Debug, Default)]
enum Spill {
    #[default]
    Nowhere,
    /// A file to be made there.
    In(Arc<Dir>),
    File(Nameless),
}

impl Texts {
    /// Of which many may lie in a file in `tmp`.
    pub fn in_tmp(tmp: Option<Arc<Dir>>) -> Self {
        Self { spill: tmp.map_or(Spill::Nowhere, Spill::In), ..Self::default() }
    }

    /// Keeps a text. One for which there is no place is left out, which [`Texts::overflowed`] says: it is too long for a file name or a line of the UID
    /// list, or is one of more than four gibibytes.
    pub fn add(&mut self, text: &[u8]) -> Text {
        let place = if text.is_empty() { Some(Text::default()) } else { self.keep(text) };
        self.overflowed |= place.is_none();
        place.unwrap_or_default()
    }

    fn keep(&mut self, text: &[u8]) -> Option<Text> {
        let length = u16::try_from(text.len()).ok()?;
        if self.room() < text.len() {
            self.next_piece();
        }
        let piece = u16::try_from(self.pieces.len() - 1).ok()?;
        let Piece::Memory(octets) = self.pieces.last_mut()? else { return None };
        let start = u16::try_from(octets.len()).ok()?;
        octets.extend_from_slice(text);
        Some(Text { piece, start, length })
    }

    /// Octets that the last piece has room for.
    fn room(&self) -> usize {
        match self.pieces.last() {
            Some(Piece::Memory(octets)) => PIECE - octets.len(),
            _ => 0,
        }
    }

    pub fn get(&self, text: Text) -> &[u8] {
        let piece = match self.pieces.get(usize::from(text.piece)) {
            Some(Piece::Memory(octets)) => octets.as_slice(),
            Some(Piece::File(octets)) => &**octets,
            None => return &[],
        };
        let start = usize::from(text.start);
        piece.get(start..start + usize::from(text.length)).unwrap_or_default()
    }

    /// Whether a text was left out.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    fn next_piece(&mut self) {
        if self.pieces.len() > IN_MEMORY / PIECE
            && let Some(last) = self.pieces.last_mut()
            && let Piece::Memory(octets) = last
        {
            octets.resize(PIECE, 0);
            if let Some(mapped) = self.spill.add(octets) {
                *last = Piece::File(mapped);
            }
        }
        self.pieces.push(Piece::Memory(Vec::with_capacity(PIECE)));
    }
}

impl Spill {
    /// `None` if it must stay in memory.
    fn add(&mut self, octets: &[u8]) -> Option<Mapped> {
        if let Spill::In(tmp) = self {
            *self = match nameless(tmp) {
                Ok(file) => Spill::File(Nameless::new(file)),
                Err(_) => Spill::Nowhere,
            };
        }
        let Spill::File(file) = self else { return None };
        let mapped = file.add(octets);
        if mapped.is_err() {
            // A full disk, or no room for further mappings: it will not be better with the next.
            *self = Spill::Nowhere;
        }
        mapped.ok()
    }
}

fn nameless(tmp: &Dir) -> io::Result<std::fs::File> {
    let name = file_name::unique();
    let file = tmp.create_new(&name, 0o600)?;
    tmp.unlink(&name)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(n: usize) -> Vec<u8> {
        format!("{n}.{}", "x".repeat(n % 300)).into_bytes()
    }

    /// More than stay in memory.
    const COUNT: usize = 2 * IN_MEMORY / 150;

    fn kept(mut texts: Texts) -> Texts {
        let places: Vec<Text> = (0..COUNT).map(|n| texts.add(&name(n))).collect();
        let empty = texts.add(b"");
        assert!(!texts.overflowed() && texts.get(empty).is_empty());
        assert!(places.is_sorted());
        places.into_iter().enumerate().for_each(|(n, place)| assert_eq!(texts.get(place), name(n)));
        texts
    }

    #[test]
    fn texts_come_back_from_memory_and_from_a_file_without_a_name() {
        let place = tempfile::tempdir().unwrap();
        let tmp = Arc::new(Dir::open(place.path()).unwrap());
        let texts = kept(Texts::in_tmp(Some(tmp.clone())));
        let in_memory = texts.pieces.iter().filter(|piece| matches!(piece, Piece::Memory(_))).count();
        assert_eq!((in_memory, texts.pieces.len() > in_memory * 3 / 2), (IN_MEMORY / PIECE + 1, true));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
        // Where there can be no file.
        kept(Texts::default());
        drop(place);
        kept(Texts::in_tmp(Some(tmp)));
    }

    #[test]
    fn what_is_too_long_is_left_out_and_told() {
        let mut texts = Texts::default();
        let long = texts.add(&[b'x'; PIECE]);
        assert!(texts.overflowed() && texts.get(long).is_empty());
        let mut texts = Texts::default();
        let longest = [b'x'; PIECE - 1];
        let (one, other) = (texts.add(&longest), texts.add(&longest));
        assert!(!texts.overflowed() && texts.get(one) == longest && texts.get(other) == longest);
    }
}
