//! What was expunged when: for each change that took messages away, their UIDs.
//!
//! Keys are `mailbox (4) modseq (8)`, big-endian; values `*(first (4) last (4))`, little-endian.

use super::record::Record;
use super::{Failure, Reading, Result, Writing};
use crate::limits;
use crate::types::{ModSeq, Uid, UidSet};
use std::ops::Bound;

fn key(mailbox: u32, modseq: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&mailbox.to_be_bytes());
    key[4..].copy_from_slice(&modseq.to_be_bytes());
    key
}

/// The UIDs of an entry; an error if it is none.
pub fn read(octets: &[u8]) -> Result<UidSet> {
    let (ranges, odd) = octets.as_chunks::<8>();
    let mut uids = UidSet::new();
    for range in ranges {
        let half = |at: usize| range.get(at..at + 4).and_then(|o| o.try_into().ok()).map(u32::from_le_bytes);
        match (half(0).and_then(Uid::new), half(4).and_then(Uid::new)) {
            (Some(first), Some(last)) if first <= last => uids.insert_range(first, last),
            _ => return Err(Failure::damaged("the history of a mailbox")),
        }
    }
    if odd.is_empty() { Ok(uids) } else { Err(Failure::damaged("the history of a mailbox")) }
}

/// What [`read`] reads.
pub fn write(uids: &UidSet) -> Vec<u8> {
    let each = |uid: Uid| uid.get().to_le_bytes();
    uids.ranges().flat_map(|(first, last)| [each(first), each(last)].concat()).collect()
}

impl Reading<'_> {
    /// The UIDs that were expunged after this moment.
    pub fn expunged_since(&self, mailbox: u32, since: ModSeq) -> Result<UidSet> {
        let (start, end) = (key(mailbox, since.get()), key(mailbox, u64::MAX));
        let range = (Bound::Excluded(&start[..]), Bound::Included(&end[..]));
        let mut uids = UidSet::new();
        for entry in self.index.history.range(&self.txn, range)? {
            uids = uids.union(&read(entry?.1)?);
        }
        Ok(uids)
    }
}

impl Writing<'_> {
    /// Notes an expunge, the record's last change. When there are too many notes the oldest go, and the record says from when on they are complete.
    pub fn note_expunged(&mut self, record: &mut Record, uids: &UidSet) -> Result<()> {
        let history = self.index.history;
        let at = key(record.number, record.highest.get());
        let before = history.get(&self.txn, &at)?.map(read).transpose()?.unwrap_or_default();
        history.put(&mut self.txn, &at, &write(&before.union(uids)))?;
        record.expunged = record.expunged.saturating_add(uids.ranges().count() as u64);
        while record.expunged > limits::EXPUNGE_HISTORY {
            let prefix = record.number.to_be_bytes();
            let oldest = history.with_prefix(&self.txn, &prefix)?.next().transpose()?;
            let Some((key, ranges)) = oldest.map(|(key, octets)| (key.to_vec(), octets.len() as u64 / 8)) else {
                break;
            };
            let moment = key.get(4..).and_then(|k| k.try_into().ok()).map(u64::from_be_bytes).and_then(ModSeq::new);
            record.floor = moment.map_or(record.floor, |moment| moment.max(record.floor));
            record.expunged = record.expunged.saturating_sub(ranges);
            history.delete(&mut self.txn, &key)?;
        }
        Ok(())
    }
}
