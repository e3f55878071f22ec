//! The table of a mailbox's messages: chunks of rows and of names, keyed by mailbox and the first UID that the chunk had when it was made.

use super::chunk::{Builder, Names, Row, Rows, write_rows};
use super::record::Record;
use super::seal::Table;
use super::{Failure, Index, Reading, Result, Writing, key};
use crate::types::UidSet;
use heed::{AnyTls, RoTxn};

/// A message as the table has it.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub row: Row,
    /// What was kept of its file's name.
    pub kept: &'a [u8],
    /// The fields of its record in the UID list, as they stand there.
    pub fields: &'a [u8],
}

impl Entry<'_> {
    pub fn name(&self) -> Vec<u8> {
        self.row.name(self.kept)
    }
}

/// What becomes of a message in [`Writing::edit`].
pub enum Edit {
    /// Its row; name and fields stay.
    Row(Row),
    /// Row, what is kept of the name, and fields.
    All(Row, Vec<u8>, Vec<u8>),
    Remove,
}

/// A chunk as it lies in the database.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    first: u32,
    pub rows: Rows<'a>,
}

/// A chunk copied out of the database.
#[derive(Debug, Default)]
pub struct Ahead {
    rows: Vec<u8>,
    names: Vec<u8>,
}

impl Ahead {
    /// The message as it was then, if it is in this chunk.
    pub fn find(&self, uid: u32) -> Option<Entry<'_>> {
        let rows = Rows::new(&self.rows)?;
        let at = rows.find(uid)?;
        let (kept, fields) = Names::new(&self.names, rows.len())?.get(at)?;
        Some(Entry { row: rows.get(at)?, kept, fields })
    }
}

/// The chunk that has this UID if any has.
fn chunk_of<'t>(table: Table, txn: &'t RoTxn<'_, AnyTls>, mailbox: u32, uid: u32) -> Result<Option<(u32, &'t [u8])>> {
    let Some((found, octets)) = table.get_up_to(txn, &key(mailbox, uid))? else { return Ok(None) };
    Ok(first_of(found, mailbox).map(|first| (first, octets)))
}

/// The first UID in the key of a chunk of this mailbox.
fn first_of(key: &[u8], mailbox: u32) -> Option<u32> {
    let first = key.strip_prefix(&mailbox.to_be_bytes())?;
    first.try_into().ok().map(u32::from_be_bytes)
}

fn rows(octets: &[u8]) -> Result<Rows<'_>> {
    Rows::new(octets).ok_or(Failure::damaged("the messages of a mailbox"))
}

fn names<'t>(index: &Index, txn: &'t RoTxn<'_, AnyTls>, mailbox: u32, first: u32, rows: usize) -> Result<Names<'t>> {
    let octets = index.names.get(txn, &key(mailbox, first))?;
    octets.and_then(|octets| Names::new(octets, rows)).ok_or(Failure::damaged("the names of a mailbox"))
}

impl Reading<'_> {
    /// The chunks of a mailbox, ascending.
    pub fn chunks(&self, mailbox: u32) -> Result<impl Iterator<Item = Result<Chunk<'_>>>> {
        let prefix = mailbox.to_be_bytes();
        Ok(self.index.rows.with_prefix(&self.txn, &prefix)?.map(move |entry| {
            let (key, octets) = entry?;
            let first = first_of(key, mailbox).ok_or(Failure::damaged("the key of a chunk"))?;
            Ok(Chunk { first, rows: rows(octets)? })
        }))
    }

    /// [`Failure::Damaged`] unless the mailbox has as many messages as its record says: whole chunks may have been lost, and without them messages would seem to
    /// be gone, or new.
    pub fn check(&self, record: &Record) -> Result<()> {
        let mut messages = 0;
        for chunk in self.chunks(record.number)? {
            messages += chunk?.rows.len();
        }
        record.check_count(messages)
    }

    /// The names of a chunk.
    pub fn names(&self, mailbox: u32, chunk: Chunk<'_>) -> Result<Names<'_>> {
        names(self.index, &self.txn, mailbox, chunk.first, chunk.rows.len())
    }

    /// Every message of a mailbox, ascending.
    pub fn each(&self, mailbox: u32, mut take: impl FnMut(Entry<'_>)) -> Result<()> {
        for chunk in self.chunks(mailbox)? {
            let chunk = chunk?;
            let names = self.names(mailbox, chunk)?;
            for (at, row) in chunk.rows.iter().enumerate() {
                let (kept, fields) = names.get(at).ok_or(Failure::damaged("a name"))?;
                take(Entry { row, kept, fields });
            }
        }
        Ok(())
    }

    /// The same one by one; all of them, or an error at once.
    pub fn entries<'a>(&'a self, mailbox: u32) -> Result<impl Iterator<Item = Entry<'a>>> {
        let mut chunks = Vec::new();
        for chunk in self.chunks(mailbox)? {
            let chunk = chunk?;
            let names = self.names(mailbox, chunk)?;
            if !names.are_sound() {
                return Err(Failure::damaged("the names of a mailbox"));
            }
            chunks.push((chunk.rows, names));
        }
        Ok(chunks.into_iter().flat_map(|(rows, names)| {
            rows.iter().enumerate().filter_map(move |(at, row)| {
                let (kept, fields) = names.get(at)?;
                Some(Entry { row, kept, fields })
            })
        }))
    }

    /// A copy of the chunk that has this message; nothing if none has.
    pub fn chunk_with(&self, mailbox: u32, uid: u32) -> Result<Ahead> {
        let Some((first, octets)) = chunk_of(self.index.rows, &self.txn, mailbox, uid)? else {
            return Ok(Ahead::default());
        };
        let names = self.index.names.get(&self.txn, &key(mailbox, first))?.ok_or(Failure::damaged("names"))?;
        Ok(Ahead { rows: octets.to_vec(), names: names.to_vec() })
    }

    /// Those of these messages that are there, ascending.
    pub fn find_all(&self, mailbox: u32, uids: &UidSet, mut take: impl FnMut(Entry<'_>)) -> Result<()> {
        let mut held: Option<(Rows<'_>, Names<'_>, u32)> = None;
        for uid in uids.iter().map(crate::types::Uid::get) {
            // A chunk is looked up once, as long as its UIDs follow.
            if held.as_ref().is_none_or(|(.., last)| uid > *last) {
                held = match chunk_of(self.index.rows, &self.txn, mailbox, uid)? {
                    Some((first, octets)) => {
                        let rows = rows(octets)?;
                        let last = rows.len().checked_sub(1).and_then(|at| rows.get(at)).map_or(0, |row| row.uid);
                        Some((rows, names(self.index, &self.txn, mailbox, first, rows.len())?, last))
                    }
                    None => None,
                };
            }
            let Some((rows, names, _)) = &held else { continue };
            let Some(at) = rows.find(uid) else { continue };
            let row = rows.get(at).ok_or(Failure::damaged("a row"))?;
            let (kept, fields) = names.get(at).ok_or(Failure::damaged("a name"))?;
            take(Entry { row, kept, fields });
        }
        Ok(())
    }
}

impl Writing<'_> {
    /// Changes or removes those of these messages that are there; `uids` ascending.
    pub fn edit(
        &mut self,
        mailbox: u32,
        uids: impl Iterator<Item = u32>,
        mut edit: impl FnMut(Entry<'_>) -> Edit,
    ) -> Result<()> {
        let mut uids = uids.peekable();
        while let Some(&uid) = uids.peek() {
            let Some((first, octets)) = chunk_of(self.index.rows, &self.txn, mailbox, uid)? else {
                uids.next();
                continue;
            };
            let old: Vec<Row> = rows(octets)?.iter().collect();
            let Some(last) = old.last().map(|row| row.uid).filter(|&last| uid <= last) else {
                uids.next();
                continue;
            };
            let old_names = names(self.index, &self.txn, mailbox, first, old.len())?;
            let mut new = Builder::default();
            let mut names_change = false;
            for (at, row) in old.iter().enumerate() {
                while uids.next_if(|&uid| uid < row.uid).is_some() {}
                let (kept, fields) = old_names.get(at).ok_or(Failure::damaged("a name"))?;
                if uids.next_if(|&uid| uid == row.uid).is_none() {
                    new.push(*row, kept, fields);
                    continue;
                }
                match edit(Entry { row: *row, kept, fields }) {
                    Edit::Row(row) => new.push(row, kept, fields),
                    Edit::All(row, kept, fields) => {
                        names_change = true;
                        new.push(row, &kept, &fields);
                    }
                    Edit::Remove => names_change = true,
                }
            }
            while uids.next_if(|&uid| uid <= last).is_some() {}
            let key = key(mailbox, first);
            if !names_change {
                self.index.rows.put(&mut self.txn, &key, &write_rows(&new.rows))?;
            } else if let Some((_, rows, names)) = new.finish() {
                self.index.rows.put(&mut self.txn, &key, &rows)?;
                self.index.names.put(&mut self.txn, &key, &names)?;
            } else {
                self.index.rows.delete(&mut self.txn, &key)?;
                self.index.names.delete(&mut self.txn, &key)?;
            }
        }
        Ok(())
    }

    /// Adds messages behind the last: row, what is kept of the name, fields; ascending.
    pub fn append<'n>(
        &mut self,
        mailbox: u32,
        messages: impl Iterator<Item = (Row, &'n [u8], &'n [u8])>,
    ) -> Result<()> {
        let mut chunk = Builder::default();
        // The last chunk is gone on with while it has room.
        let mut at = None;
        if let Some((first, octets)) = chunk_of(self.index.rows, &self.txn, mailbox, u32::MAX)? {
            let rows = rows(octets)?;
            if rows.len() < super::chunk::FULL {
                let names = names(self.index, &self.txn, mailbox, first, rows.len())?;
                for (at, row) in rows.iter().enumerate() {
                    let (kept, fields) = names.get(at).ok_or(Failure::damaged("a name"))?;
                    chunk.push(row, kept, fields);
                }
                at = Some(first);
            }
        }
        for (row, kept, fields) in messages {
            if chunk.is_full() {
                self.put(mailbox, at.take(), &mut chunk)?;
            }
            chunk.push(row, kept, fields);
        }
        self.put(mailbox, at, &mut chunk)
    }

    fn put(&mut self, mailbox: u32, at: Option<u32>, chunk: &mut Builder) -> Result<()> {
        let Some((first, rows, names)) = chunk.finish() else { return Ok(()) };
        let key = key(mailbox, at.unwrap_or(first));
        self.index.rows.put(&mut self.txn, &key, &rows)?;
        self.index.names.put(&mut self.txn, &key, &names)
    }

    /// Forgets what is kept of messages that are gone.
    pub fn purge(&mut self, mailbox: u32) -> Result<()> {
        let index = self.index;
        let mut live: Vec<u32> = Vec::new();
        let prefix = mailbox.to_be_bytes();
        for entry in index.rows.with_prefix(&self.txn, &prefix)? {
            live.extend(rows(entry?.1)?.iter().map(|row| row.uid));
        }
        for table in [index.envelopes, index.structures, index.headers] {
            let mut dead = Vec::new();
            for key in table.keys(&self.txn, &prefix)? {
                let key = key?;
                if first_of(key, mailbox).is_none_or(|uid| live.binary_search(&uid).is_err()) {
                    dead.push(key.to_vec());
                }
            }
            for key in dead {
                table.delete(&mut self.txn, &key)?;
            }
        }
        Ok(())
    }

    /// Takes away all that is kept of a mailbox by its number.
    pub fn clear(&mut self, mailbox: u32) -> Result<()> {
        let start = key(mailbox, 0);
        let end = key(mailbox.saturating_add(1), 0);
        let range = (std::ops::Bound::Included(&start[..4]), std::ops::Bound::Excluded(&end[..4]));
        let index = self.index;
        let tables = [index.rows, index.names, index.history, index.envelopes, index.structures, index.headers];
        for table in tables {
            table.delete_range(&mut self.txn, range)?;
        }
        Ok(())
    }
}
