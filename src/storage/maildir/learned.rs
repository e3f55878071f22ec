//! What a session found out about messages and has not written into the index yet: many at a time cost little more than one.

use super::mailbox::MaildirMailbox;
use crate::log::{Level, log};
use crate::storage::Kept;
use crate::types::Uid;
use std::collections::{BTreeMap, HashMap};

/// Sizes, dates and kept octets by UID.
#[derive(Default)]
pub struct Learned {
    sizes: BTreeMap<Uid, u64>,
    dates: BTreeMap<Uid, i64>,
    kept: HashMap<(Uid, u8), Vec<u8>>,
    /// Octets in `kept`.
    octets: usize,
}

impl Learned {
    /// So much is gathered before it is written.
    const OCTETS: usize = 1 << 20;
    const ENTRIES: usize = 4096;

    pub fn size(&self, uid: Uid) -> Option<u64> {
        self.sizes.get(&uid).copied()
    }

    pub fn set_size(&mut self, uid: Uid, size: u64) {
        self.sizes.insert(uid, size);
    }

    pub fn date(&self, uid: Uid) -> Option<i64> {
        self.dates.get(&uid).copied()
    }

    pub fn set_date(&mut self, uid: Uid, date: i64) {
        self.dates.insert(uid, date);
    }

    pub fn kept(&self, uid: Uid, kind: Kept) -> Option<&[u8]> {
        self.kept.get(&(uid, kind as u8)).map(Vec::as_slice)
    }

    pub fn keep(&mut self, uid: Uid, kind: Kept, octets: &[u8]) {
        self.octets += octets.len();
        self.kept.insert((uid, kind as u8), octets.to_vec());
    }

    fn is_empty(&self) -> bool {
        self.sizes.is_empty() && self.dates.is_empty() && self.kept.is_empty()
    }

    fn is_much(&self) -> bool {
        self.octets > Self::OCTETS || self.sizes.len() + self.dates.len() + self.kept.len() > Self::ENTRIES
    }
}

impl MaildirMailbox {
    pub(super) fn keep_much_learned(&mut self) {
        if self.learned.is_much() {
            self.keep_learned();
        }
    }

    /// Writes what was learned into the index. What cannot be written is learned again some time.
    pub(super) fn keep_learned(&mut self) {
        if self.learned.is_empty() {
            return;
        }
        let learned = std::mem::take(&mut self.learned);
        self.held = None;
        let written = self.with_index(|mailbox, index| {
            let mut writing = index.write()?;
            let Some(record) = writing.record(mailbox.folder.inode())?.filter(|r| mailbox.is_ours(r)) else {
                return Ok(());
            };
            let mut rows: Vec<u32> = learned.sizes.keys().chain(learned.dates.keys()).map(|uid| uid.get()).collect();
            rows.sort_unstable();
            rows.dedup();
            writing.edit(record.number, rows.into_iter(), |entry| {
                let mut row = entry.row;
                if let Some(uid) = Uid::new(row.uid) {
                    row.set_size(learned.size(uid).or(row.size()));
                    learned.date(uid).into_iter().for_each(|date| row.set_date(date));
                }
                super::index::table::Edit::Row(row)
            })?;
            let mut kept: Vec<_> = learned.kept.iter().collect();
            kept.sort_unstable_by_key(|((uid, kind), _)| (*kind, *uid));
            for ((uid, kind), octets) in kept {
                // What was expunged meanwhile has no row, and needs none of this.
                if let Some(kind) = kind_of(*kind) {
                    writing.keep(record.number, uid.get(), kind, octets)?;
                }
            }
            writing.commit()?;
            Ok(())
        });
        if let Err(error) = written {
            log!(Level::Debug, "not kept in the index: {error}");
        }
    }
}

fn kind_of(number: u8) -> Option<Kept> {
    [Kept::Envelope, Kept::Structure, Kept::Header].into_iter().find(|kind| *kind as u8 == number)
}
