//! Note in the index what this session itself put into a folder, so that nobody has to list it for that.

use super::folder::{Folder, Place};
use super::index::Result;
use super::index::chunk::Row;
use super::interop::dovecot_keywords::Keywords;
use super::interop::dovecot_uidlist::Fields;
use super::root::Root;
use super::scan::Stamp;
use super::uid_list::Dealt;
use crate::log::{Level, log};
use crate::sys::clock;
use crate::sys::file::Stat;
use crate::types::Uid;

/// `new` and `cur` of a folder before it was changed.
pub struct Before {
    new: Stat,
    cur: Stat,
}

impl Before {
    pub fn of(folder: &Folder) -> std::io::Result<Self> {
        Ok(Self { new: folder.new.stat_self()?, cur: folder.cur.stat_self()? })
    }
}

/// A message that came.
pub struct Arrival {
    pub uid: Uid,
    pub place: Place,
    pub name: Vec<u8>,
    pub fields: Fields,
    /// INTERNALDATE in seconds since 1970, where it is known without looking.
    pub date: Option<i64>,
    /// It has keywords beyond the 26 letters.
    pub more: bool,
}

/// Under the folder's lock, after files and UID list were written. Where the index did not know the folder as it was before, the next look at the folder
/// finds the messages.
pub fn note(
    root: &Root,
    folder: &Folder,
    before: &Before,
    dealt: &Dealt,
    keywords: Option<&Keywords>,
    all: &[Arrival],
) {
    if let Err(failure) = try_to_note(root, folder, before, dealt, keywords, all) {
        log!(Level::Debug, "new messages are not in the index yet: {failure}");
    }
}

fn try_to_note(
    root: &Root,
    folder: &Folder,
    before: &Before,
    dealt: &Dealt,
    keywords: Option<&Keywords>,
    all: &[Arrival],
) -> Result<()> {
    let Ok(index) = root.index() else { return Ok(()) };
    let mut writing = index.write()?;
    let Some(mut record) = writing.record(folder.inode())? else { return Ok(()) };
    let first = all.first().map_or(0, |arrival| arrival.uid.get());
    let is_current = folder.has_stamps(&record.new, &record.cur)
        && record.uid_validity == dealt.uid_validity
        && !record.new.changed(&before.new)
        && !record.cur.changed(&before.cur)
        && first >= record.uid_next
        && record.list.advance(dealt);
    if !is_current {
        return Ok(());
    }
    record.highest = record.highest.next(clock::microseconds());
    let modseq = record.highest;
    let rows = all.iter().map(|arrival| {
        let (mut row, kept) = Row::new(arrival.uid.get(), arrival.place, &arrival.name, modseq);
        row.set_size(row.size().or_else(|| arrival.fields.wire_size()));
        arrival.date.into_iter().for_each(|date| row.set_date(date));
        row.set_more(arrival.more);
        (row, kept, arrival.fields.octets())
    });
    writing.append(record.number, rows)?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    record.messages = record.messages.saturating_add(count(all.len()));
    record.in_new = record.in_new.saturating_add(count(all.iter().filter(|a| a.place == Place::New).count()));
    record.uid_next = dealt.uids.last().map_or(record.uid_next, |last| last.get().saturating_add(1));
    for (place, stamp, before) in
        [(Place::New, &mut record.new, &before.new), (Place::Cur, &mut record.cur, &before.cur)]
    {
        let after = folder.place(place).stat_self()?;
        if after.modified != before.modified {
            // Should anything have escaped us before, the look that this stamp asks for finds it.
            *stamp = Stamp::after_writing(&after);
        }
    }
    keywords.into_iter().for_each(|keywords| record.keywords = keywords.clone());
    writing.set_record(folder.inode(), &mut record)?;
    writing.commit()
}
