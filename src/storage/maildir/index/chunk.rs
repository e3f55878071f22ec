//! Messages of the table, about a page full at a time: rows of fixed size in one value, their file names in another.
//!
//! A chunk of rows is `highest modseq (8) *row`, and each row `uid (4) bits (4) letters (8) modseq (8) size (8) date (8)`. A chunk of names is
//! `*end (4)`, as many as rows, then the entries that end there, counted from behind the ends: `name [NUL fields]`. Little-endian throughout.

use super::seal::SEAL;
use crate::storage::maildir::file_name::{self, Letters};
use crate::storage::maildir::folder::Place;
use crate::types::ModSeq;

/// Octets of a row.
pub const ROW: usize = 40;
/// Octets before the rows.
const HEAD: usize = 8;
/// Rows of a full chunk: with LMDB's own header and the seal they fill a page of 4096 octets.
pub const FULL: usize = (4096 - 16 - SEAL - HEAD) / ROW;

/// It lies in `new`.
const NEW: u32 = 1;
/// The whole name stands among the names, since it is not base and letters in the usual order.
const ODD: u32 = 2;
/// It has keywords beyond the 26 letters.
const MORE: u32 = 4;

/// Stands for what is not known.
const NO_SIZE: u64 = u64::MAX;
const NO_DATE: i64 = i64::MIN;

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    pub uid: u32,
    bits: u32,
    /// Those that a row has room for.
    pub letters: Packed,
    pub modseq: u64,
    size: u64,
    date: i64,
}

/// The letters of names that mean something: `a` to `z` and `A` to `Z`, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Packed(pub u64);

impl Packed {
    /// Those of these letters that are letters.
    pub fn of(letters: Letters) -> Self {
        const LOWER: u128 = (1 << 26) - 1;
        let (lower, upper) = (letters.bits() >> b'a' & LOWER, letters.bits() >> b'A' & LOWER);
        Self((lower | upper << 26) as u64)
    }

    pub fn letters(self) -> Letters {
        const LOWER: u64 = (1 << 26) - 1;
        Letters::of_bits(u128::from(self.0 & LOWER) << b'a' | u128::from(self.0 >> 26 & LOWER) << b'A')
    }

    pub fn has(self, letter: u8) -> bool {
        bit(letter).is_some_and(|bit| self.0 & 1 << bit != 0)
    }
}

fn bit(letter: u8) -> Option<u32> {
    match letter {
        b'a'..=b'z' => Some(u32::from(letter - b'a')),
        b'A'..=b'Z' => Some(u32::from(letter - b'A') + 26),
        _ => None,
    }
}

impl Row {
    /// A message of which nothing is known but its file, and the name to be kept of that.
    pub fn new(uid: u32, place: Place, name: &[u8], modseq: ModSeq) -> (Self, &[u8]) {
        let mut row = Self {
            uid,
            bits: 0,
            letters: Packed::default(),
            modseq: modseq.get(),
            size: file_name::wire_size(name).unwrap_or(NO_SIZE),
            date: NO_DATE,
        };
        let kept = row.set_name(place, name);
        (row, kept)
    }

    /// The file got this name: gives what is to be kept of it.
    pub fn set_name<'a>(&mut self, place: Place, name: &'a [u8]) -> &'a [u8] {
        let letters = file_name::letters(name);
        self.letters = Packed::of(letters);
        self.bits &= !(NEW | ODD);
        if place == Place::New {
            self.bits |= NEW;
        }
        let base = file_name::base(name);
        if is_plain(base, name, place, self.letters) {
            return base;
        }
        self.bits |= ODD;
        name
    }

    pub fn place(&self) -> Place {
        if self.bits & NEW != 0 { Place::New } else { Place::Cur }
    }

    pub fn has_more(&self) -> bool {
        self.bits & MORE != 0
    }

    pub fn set_more(&mut self, more: bool) {
        self.bits = if more { self.bits | MORE } else { self.bits & !MORE };
    }

    /// Wire octets, if known.
    pub fn size(&self) -> Option<u64> {
        (self.size != NO_SIZE).then_some(self.size)
    }

    pub fn set_size(&mut self, size: Option<u64>) {
        self.size = size.unwrap_or(NO_SIZE);
    }

    /// INTERNALDATE in seconds since 1970, if known.
    pub fn date(&self) -> Option<i64> {
        (self.date != NO_DATE).then_some(self.date)
    }

    pub fn set_date(&mut self, date: i64) {
        self.date = date;
    }

    /// The file's name, from what was kept of it.
    pub fn name(&self, kept: &[u8]) -> Vec<u8> {
        let mut name = Vec::with_capacity(kept.len() + 16);
        name.extend_from_slice(kept);
        if self.bits & (ODD | NEW) == 0 {
            name.extend_from_slice(b":2,");
            name.extend(self.letters.letters().iter());
        }
        name
    }

    /// Whether the file has this name, without making one.
    pub fn is_named(&self, kept: &[u8], place: Place, name: &[u8]) -> bool {
        if self.place() != place {
            return false;
        }
        if self.bits & ODD != 0 {
            return kept == name;
        }
        name.len() >= kept.len() && &name[..kept.len()] == kept && is_plain(kept, name, place, self.letters)
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.uid.to_le_bytes());
        out.extend_from_slice(&self.bits.to_le_bytes());
        out.extend_from_slice(&self.letters.0.to_le_bytes());
        out.extend_from_slice(&self.modseq.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.date.to_le_bytes());
    }

    fn read(octets: &[u8; ROW]) -> Self {
        let u32_at = |at: usize| octets.get(at..at + 4).and_then(|o| o.try_into().ok()).map_or(0, u32::from_le_bytes);
        let u64_at = |at: usize| octets.get(at..at + 8).and_then(|o| o.try_into().ok()).map_or(0, u64::from_le_bytes);
        Self {
            uid: u32_at(0),
            bits: u32_at(4),
            letters: Packed(u64_at(8)),
            modseq: u64_at(16),
            size: u64_at(24),
            date: u64_at(32).cast_signed(),
        }
    }
}

/// Whether a name is the base with these letters in the usual order, or in `new` the base alone.
fn is_plain(base: &[u8], name: &[u8], place: Place, letters: Packed) -> bool {
    let info = name.get(base.len()..).unwrap_or_default();
    if place == Place::New {
        return info.is_empty();
    }
    let Some(found) = info.strip_prefix(b":2,") else { return false };
    let mut seen = 0u64;
    let mut last = 0;
    for &letter in found {
        let Some(bit) = bit(letter).filter(|_| letter > last) else { return false };
        last = letter;
        seen |= 1 << bit;
    }
    seen == letters.0
}

/// The rows of a chunk, as they lie in the database.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    highest: u64,
    rows: &'a [[u8; ROW]],
}

impl<'a> Rows<'a> {
    /// `None` if it is damaged.
    pub fn new(octets: &'a [u8]) -> Option<Self> {
        let (head, rest) = octets.split_first_chunk::<HEAD>()?;
        let (rows, odd) = rest.as_chunks::<ROW>();
        odd.is_empty().then_some(Self { highest: u64::from_le_bytes(*head), rows })
    }

    /// No row has a greater modseq.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn get(&self, at: usize) -> Option<Row> {
        self.rows.get(at).map(Row::read)
    }

    pub fn iter(self) -> impl Iterator<Item = Row> + 'a {
        self.rows.iter().map(Row::read)
    }

    /// Where this UID stands.
    pub fn find(&self, uid: u32) -> Option<usize> {
        self.rows.binary_search_by_key(&uid, |row| Row::read(row).uid).ok()
    }
}

/// The names of a chunk, as they lie in the database.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    ends: &'a [[u8; 4]],
    text: &'a [u8],
}

impl<'a> Names<'a> {
    /// `None` if there is no room for so many.
    pub fn new(octets: &'a [u8], rows: usize) -> Option<Self> {
        let (ends, text) = octets.split_at_checked(rows.checked_mul(4)?)?;
        Some(Self { ends: ends.as_chunks().0, text })
    }

    /// Whether every entry can be read.
    pub fn are_sound(&self) -> bool {
        let ends = self.ends.iter().map(|end| u32::from_le_bytes(*end) as usize);
        ends.is_sorted() && self.ends.last().is_none_or(|end| u32::from_le_bytes(*end) as usize <= self.text.len())
    }

    /// What was kept of a name, and the fields of its record in the UID list.
    pub fn get(&self, at: usize) -> Option<(&'a [u8], &'a [u8])> {
        let end = |at: usize| Some(u32::from_le_bytes(*self.ends.get(at)?) as usize);
        let start = if at == 0 { 0 } else { end(at - 1)? };
        let entry = self.text.get(start..end(at)?)?;
        Some(match memchr::memchr(0, entry) {
            Some(nul) => (&entry[..nul], &entry[nul + 1..]),
            None => (entry, b""),
        })
    }
}

/// A chunk on its way into the database.
#[derive(Default)]
pub struct Builder {
    pub rows: Vec<Row>,
    ends: Vec<u32>,
    text: Vec<u8>,
}

impl Builder {
    pub fn push(&mut self, row: Row, kept: &[u8], fields: &[u8]) {
        self.rows.push(row);
        self.text.extend_from_slice(kept);
        if !fields.is_empty() {
            self.text.push(0);
            self.text.extend_from_slice(fields);
        }
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    pub fn is_full(&self) -> bool {
        self.rows.len() >= FULL
    }

    /// The two values, if there is any row.
    pub fn finish(&mut self) -> Option<(u32, Vec<u8>, Vec<u8>)> {
        let first = self.rows.first()?.uid;
        let rows = write_rows(&self.rows);
        let mut names = Vec::with_capacity(self.ends.len() * 4 + self.text.len());
        self.ends.iter().for_each(|end| names.extend_from_slice(&end.to_le_bytes()));
        names.extend_from_slice(&self.text);
        self.rows.clear();
        self.ends.clear();
        self.text.clear();
        Some((first, rows, names))
    }
}

/// The value of rows alone, when no name changed.
pub fn write_rows(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + rows.len() * ROW);
    let highest = rows.iter().map(|row| row.modseq).max().unwrap_or(0);
    out.extend_from_slice(&highest.to_le_bytes());
    rows.iter().for_each(|row| row.write(&mut out));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modseq() -> ModSeq {
        ModSeq::new(7).unwrap()
    }

    #[test]
    fn every_name_comes_back_as_it_was() {
        for (place, name, kept) in [
            (Place::New, "1.a.host", "1.a.host"),
            (Place::New, "1.a.host:2,S", "1.a.host:2,S"),
            (Place::Cur, "1.a.host:2,", "1.a.host"),
            (Place::Cur, "1.a.host,S=5,W=6:2,FSTabz", "1.a.host,S=5,W=6"),
            (Place::Cur, "1.a.host:2,SF", "1.a.host:2,SF"),
            (Place::Cur, "1.a.host:2,SS", "1.a.host:2,SS"),
            (Place::Cur, "1.a.host", "1.a.host"),
            (Place::Cur, "1.a.host:1,xyz", "1.a.host:1,xyz"),
            (Place::Cur, "1.a.host:2,S,foo=bar", "1.a.host:2,S,foo=bar"),
            (Place::Cur, "1.a.host:2,!S", "1.a.host:2,!S"),
            (Place::Cur, "a:b:2,S", "a:b:2,S"),
        ] {
            let (row, text) = Row::new(3, place, name.as_bytes(), modseq());
            assert_eq!((text, row.place()), (kept.as_bytes(), place), "{name}");
            assert_eq!(row.name(text), name.as_bytes());
            assert!(row.is_named(text, place, name.as_bytes()));
            assert!(!row.is_named(text, place, format!("{name}x").as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_chunk_gives_back_its_rows_and_names() {
        let mut chunk = Builder::default();
        for uid in [3, 5, 9] {
            let name = format!("{uid}.x:2,S");
            let (mut row, kept) = Row::new(uid, Place::Cur, name.as_bytes(), modseq());
            row.set_date(-5);
            row.set_more(uid == 5);
            chunk.push(row, kept, if uid == 9 { b"W5 Gx" } else { b"" });
        }
        let (first, rows, names) = chunk.finish().unwrap();
        let rows = Rows::new(&rows).unwrap();
        let names = Names::new(&names, rows.len()).unwrap();
        assert_eq!((first, rows.len(), rows.highest(), rows.find(5), rows.find(4)), (3, 3, 7, Some(1), None));
        assert_eq!(
            rows.iter().map(|row| (row.uid, row.has_more())).collect::<Vec<_>>(),
            [(3, false), (5, true), (9, false)]
        );
        assert_eq!(names.get(2), Some((&b"9.x"[..], &b"W5 Gx"[..])));
        assert_eq!(names.get(3), None);
        assert_eq!(rows.get(0).and_then(|row| row.date()), Some(-5));
        assert!(chunk.finish().is_none());
        assert!(Rows::new(&[0; 9]).is_none() && Rows::new(&[]).is_none());
    }

    #[test]
    fn damaged_chunks_are_never_read_beyond_their_end() {
        arbtest::arbtest(|u| {
            let octets: Vec<u8> = u.arbitrary()?;
            let rows = u.int_in_range(0..=20)?;
            if let Some(names) = Names::new(&octets, rows) {
                (0..=rows).for_each(|at| assert!(names.get(at).is_none_or(|(kept, _)| kept.len() <= octets.len())));
            }
            if let Some(rows) = Rows::new(&octets) {
                rows.iter().for_each(drop);
            }
            Ok(())
        });
    }
}
