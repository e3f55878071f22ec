//! Records of a UID list in memory, of which there may be very many: sixteen octets for each beside its text.

use super::slots::Slots;
use super::texts::{Text, Texts};
use crate::sys::file::Dir;
use crate::types::Uid;
use std::sync::Arc;

/// Records in the order of the list.
#[derive(Debug, Default)]
pub struct Records {
    texts: Texts,
    records: Vec<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    /// `None` if it was taken away.
    uid: Option<Uid>,
    base: Text,
    fields: Text,
}

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listed<'a> {
    pub uid: Uid,
    /// As they stand in the line.
    pub fields: &'a [u8],
    pub base: &'a [u8],
}

impl Records {
    /// Of which many may lie in a file in `tmp`.
    pub fn in_tmp(tmp: Option<Arc<Dir>>) -> Self {
        Self { texts: Texts::in_tmp(tmp), records: Vec::new() }
    }

    pub fn push(&mut self, record: Listed<'_>) {
        let (base, fields) = (self.texts.add(record.base), self.texts.add(record.fields));
        self.records.push(Kept { uid: Some(record.uid), base, fields });
    }

    /// Takes the last away.
    pub fn pop(&mut self) {
        self.records.pop();
    }

    pub fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        self.records.iter().filter_map(|kept| self.listed(kept))
    }

    /// Whether there was no room for one of them.
    pub fn overflowed(&self) -> bool {
        self.texts.overflowed()
    }

    fn listed(&self, kept: &Kept) -> Option<Listed<'_>> {
        Some(Listed { uid: kept.uid?, fields: self.texts.get(kept.fields), base: self.texts.get(kept.base) })
    }
}

/// The place of a record among all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordAt(u32);

impl RecordAt {
    /// Of none.
    pub const NONE: Self = Self(u32::MAX);

    /// Below [`ByBase::places`].
    pub fn get(self) -> usize {
        self.0 as usize
    }
}

/// Records to be found, and taken away, by their bases. Of two with one base the later counts.
#[derive(Debug, Default)]
pub struct ByBase {
    records: Records,
    slots: Slots,
    live: usize,
}

impl ByBase {
    pub fn new(records: Records) -> Self {
        let slots = Slots::with_room_for(records.records.len());
        let mut this = Self { records, slots, live: 0 };
        (0..this.records.records.len()).for_each(|at| this.enter(at));
        this
    }

    pub fn contains(&self, base: &[u8]) -> bool {
        self.find(base).is_some()
    }

    /// Takes a record away: its UID, and its place for [`ByBase::fields`].
    pub fn remove(&mut self, base: &[u8]) -> Option<(Uid, RecordAt)> {
        self.remove_at(self.find(base)?)
    }

    /// The same by what [`ByBase::iter`] gave.
    pub fn remove_at(&mut self, at: RecordAt) -> Option<(Uid, RecordAt)> {
        let uid = self.records.records.get_mut(at.get())?.uid.take()?;
        self.live -= 1;
        Some((uid, at))
    }

    /// The fields of a record, also of one that was taken away.
    pub fn fields(&self, at: RecordAt) -> &[u8] {
        self.records.records.get(at.get()).map_or(b"", |kept| self.records.texts.get(kept.fields))
    }

    pub fn len(&self) -> usize {
        self.live
    }

    /// Those that were taken away included.
    pub fn places(&self) -> usize {
        self.records.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// Those that were not taken away.
    pub fn iter(&self) -> impl Iterator<Item = (RecordAt, Listed<'_>)> {
        let all = (0..).map(RecordAt).zip(&self.records.records);
        all.filter_map(|(at, kept)| Some((at, self.records.listed(kept)?)))
    }

    /// The place of the record with this base, unless it was taken away.
    pub fn find(&self, base: &[u8]) -> Option<RecordAt> {
        let found = self.slots.find(base, |at| {
            let kept = self.records.records.get(at).filter(|kept| kept.uid.is_some());
            kept.is_some_and(|kept| self.records.texts.get(kept.base) == base)
        });
        u32::try_from(found?).ok().map(RecordAt)
    }

    fn enter(&mut self, at: usize) {
        let Some(base) = self.records.records.get(at).map(|kept| kept.base) else { return };
        let earlier = self.find(self.records.texts.get(base));
        self.slots.put(self.records.texts.get(base), at);
        self.live += 1;
        earlier.and_then(|earlier| self.remove_at(earlier));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed<'a>(uid: u32, base: &'a str, fields: &'a str) -> Listed<'a> {
        Listed { uid: Uid::new(uid).unwrap(), fields: fields.as_bytes(), base: base.as_bytes() }
    }

    #[test]
    fn records_come_back_in_their_order() {
        assert_eq!(size_of::<Kept>(), 16);
        let mut records = Records::default();
        let all = [listed(1, "a", ""), listed(5, "b", "W7 Gx"), listed(9, "c", "")];
        all.iter().for_each(|one| records.push(*one));
        assert_eq!(records.iter().collect::<Vec<_>>(), all);
        records.pop();
        assert_eq!(records.iter().collect::<Vec<_>>(), all[..2]);
    }

    #[test]
    fn records_are_found_by_base_and_the_later_of_two_counts() {
        let mut records = Records::default();
        [listed(1, "a", "S1"), listed(2, "b", ""), listed(3, "a", "S3")].iter().for_each(|one| records.push(*one));
        (10..1000).for_each(|n| records.push(listed(n, &format!("{}", n % 400), "")));
        let mut by_base = ByBase::new(records);
        assert_eq!(by_base.len(), 402);
        assert!(by_base.contains(b"b") && !by_base.contains(b"c"));
        let (uid, fields) = by_base.remove(b"a").unwrap();
        assert_eq!((uid.get(), by_base.fields(fields)), (3, &b"S3"[..]));
        assert!(by_base.remove(b"a").is_none());
        assert_eq!(by_base.remove(b"399").map(|(uid, _)| uid.get()), Some(799));
        assert_eq!(by_base.remove(b"100").map(|(uid, _)| uid.get()), Some(900));
        assert_eq!((by_base.len(), by_base.iter().count()), (399, 399));
        let at = by_base.iter().next().unwrap().0;
        assert_eq!(by_base.remove_at(at).map(|(uid, _)| uid.get()), Some(2));
        assert!(!by_base.is_empty() && ByBase::default().find(b"x").is_none());
    }
}
