//! What the index knows of a mailbox as a whole: its numbers, and what the folder looked like when the table was true.

use super::{Failure, Reading, Result, Writing};
use crate::storage::maildir::interop::dovecot_keywords::Keywords;
use crate::storage::maildir::scan::Stamp;
use crate::storage::maildir::uid_list::ListState;
use crate::types::{ModSeq, UidValidity};

/// A mailbox. Found by the inode of its directory, which outlives renames; whether it is that mailbox still, the UID list's first line says.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// The mailbox in the keys of the other tables.
    pub number: u32,
    /// Counts the changes of the table's messages and of this record.
    pub version: u64,
    pub uid_validity: UidValidity,
    /// No UID below it will be given to a message that is not in the table.
    pub uid_next: u32,
    /// Of the last change.
    pub highest: ModSeq,
    /// From here on the history of expunges is complete.
    pub floor: ModSeq,
    /// How many ranges of UIDs the history has.
    pub expunged: u64,
    pub messages: u32,
    /// How many of them lie in `new`.
    pub in_new: u32,
    pub new: Stamp,
    pub cur: Stamp,
    pub list: ListState,
    /// What letters stood for when the table was last changed.
    pub keywords: Keywords,
}

impl Record {
    /// What [`Record::read`] reads.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.number(self.number.into());
        out.number(self.version);
        out.number(self.uid_validity.get().into());
        out.number(self.uid_next.into());
        out.number(self.highest.get());
        out.number(self.floor.get());
        out.number(self.expunged);
        out.number(self.messages.into());
        out.number(self.in_new.into());
        self.new.write(&mut out);
        self.cur.write(&mut out);
        self.list.write(&mut out);
        out.octets(&self.keywords.write());
        out.0
    }

    /// `None` if it is damaged.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let mut from = Reader(octets);
        let record = Self {
            number: from.number()?,
            version: from.number()?,
            uid_validity: UidValidity::new(from.number()?)?,
            uid_next: from.number()?,
            highest: ModSeq::new(from.number()?)?,
            floor: ModSeq::new(from.number()?)?,
            expunged: from.number()?,
            messages: from.number()?,
            in_new: from.number()?,
            new: Stamp::read(&mut from)?,
            cur: Stamp::read(&mut from)?,
            list: ListState::read(&mut from)?,
            keywords: Keywords::parse(from.octets()?),
        };
        from.0.is_empty().then_some(record)
    }
}

impl Record {
    /// [`Failure::Damaged`] unless the table has as many messages as this says.
    pub fn check_count(&self, messages: usize) -> Result<()> {
        if messages == self.messages as usize {
            Ok(())
        } else {
            Err(Failure::damaged("messages of a mailbox are missing"))
        }
    }
}

fn record_key(inode: u64) -> [u8; 9] {
    let mut key = [b'i'; 9];
    key[1..].copy_from_slice(&inode.to_be_bytes());
    key
}

/// The inode in the key of a record.
pub fn inode_of(key: &[u8]) -> Option<u64> {
    key.strip_prefix(b"i")?.try_into().ok().map(u64::from_be_bytes)
}

impl Reading<'_> {
    /// The mailbox in the directory of this inode, if the index has one.
    pub fn record(&self, inode: u64) -> Result<Option<Record>> {
        let Some(octets) = self.index.records.get(&self.txn, &record_key(inode))? else { return Ok(None) };
        Record::read(octets).map(Some).ok_or(Failure::damaged("the record of a mailbox"))
    }
}

impl Writing<'_> {
    /// As [`Reading::record`], with nobody else writing.
    pub fn record(&self, inode: u64) -> Result<Option<Record>> {
        let Some(octets) = self.index.records.get(&self.txn, &record_key(inode))? else { return Ok(None) };
        Record::read(octets).map(Some).ok_or(Failure::damaged("the record of a mailbox"))
    }

    /// Keeps the record, its version counted up.
    pub fn set_record(&mut self, inode: u64, record: &mut Record) -> Result<()> {
        record.version = record.version.wrapping_add(1);
        self.index.records.put(&mut self.txn, &record_key(inode), &record.write())
    }

    /// A number that no mailbox of the index had before.
    pub fn new_number(&mut self) -> Result<u32> {
        let last = self.index.records.get(&self.txn, b"last")?;
        let last = last.and_then(|octets| Some(u32::from_le_bytes(octets.try_into().ok()?))).unwrap_or(0);
        let next = last.checked_add(1).ok_or(Failure::damaged("no number is left for a mailbox"))?;
        self.index.records.put(&mut self.txn, b"last", &next.to_le_bytes())?;
        Ok(next)
    }

    /// Forgets the mailbox in the directory of this inode.
    pub fn forget(&mut self, inode: u64) -> Result<()> {
        // One that cannot be read is forgotten all the same.
        let number = match self.record(inode) {
            Ok(Some(record)) => Some(record.number),
            _ => None,
        };
        self.index.records.delete(&mut self.txn, &record_key(inode))?;
        number.map_or(Ok(()), |number| self.clear(number))
    }
}

/// Numbers and octets one behind the other.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }
}

/// Reads what [`Writer`] wrote; `None` where it is something else.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        T::try_from(u64::from_le_bytes(*number)).ok()
    }

    pub fn octets(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (octets, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(octets)
    }
}
