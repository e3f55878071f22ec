//! Bring the index and the view up to date: UID list and directories under one lock, UIDs for what is new, and what is gone only after a
//! second look.
//!
//! The index has what every session knows of the folder, with stamps that say what the disk looked like then. Where they still hold there is nothing to do
//! but to take over what other sessions wrote there.

use super::courier;
use super::file_name;
use super::folder::Place;
use super::index::chunk::Row;
use super::index::record::Record;
use super::index::table::{Ahead, Edit};
use super::index::{Index, Reading};
use super::interop::dovecot_uidlist::{Fields, Header};
use super::interop::dovecot_uidvalidity;
use super::listing::{Found, Listing};
use super::lock::Lock;
use super::mailbox::MaildirMailbox;
use super::matching::{Conflict, Matching, Seat};
use super::recent;
use super::records::{ByBase, RecordAt, Records};
use super::scan::{Stamp, TICK, each_message};
use super::uid_list::{self, Refreshed};
use super::watch::Watch;
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::storage::{Access, Changes, Result, StoreError};
use crate::sys::clock;
use crate::sys::file::{Kind, Stat};
use crate::sys::process;
use crate::types::{ModSeq, Uid, UidSet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::Instant;

/// How often `new` is listed in one look, while mail keeps arriving.
const PASSES: usize = 5;
/// How often a look begins anew because others changed the index meanwhile, or files shared a name.
const TRIES: usize = 5;
/// Messages of a first table, or of the list, that are written together: the database keeps in memory what one change writes, and some of it for good.
const PIECE: usize = 50_000;
/// How often a folder is listed in one look for messages that were not seen, while another program changes its names.
const LISTINGS: usize = 10;
/// Seconds after which two names of one file are no delivery in progress.
const OLD_LINK: i64 = 30;

/// What the UID list says beyond the index.
#[derive(Default)]
struct News {
    /// Records of the list that may belong to files we do not know.
    unmatched: ByBase,
    /// Messages of the index that the list has no more, or whose files have another UID now.
    lost: HashSet<u32>,
    /// Messages whose records have other fields.
    fields: BTreeMap<u32, Fields>,
    /// Messages that the list has by another base, which differs in sizes only.
    bases: HashMap<u32, Box<[u8]>>,
    /// There is no list: this is to be its first line.
    to_be_made: Option<Header>,
}

/// What a look at the directories found, beyond the matching.
struct Scan<'t> {
    matching: Matching<'t>,
    new: Stamp,
    /// Of `cur`, if that was listed too.
    cur: Option<Stamp>,
    /// What was not seen is gone.
    complete: bool,
    /// `cur` before and after files were moved there, if it was not listed.
    moved: Option<(Stat, Stat)>,
    /// Messages under other bases.
    rebased: Vec<u32>,
}

/// Records of the list whose files were not seen yet. They may be of messages long gone; but a file that is missed now would get another UID later.
struct Awaited<'n> {
    records: &'n ByBase,
    /// By the places of the records.
    came: Vec<bool>,
    left: usize,
}

impl<'n> Awaited<'n> {
    fn new(records: &'n ByBase, strangers: &Listing) -> Self {
        let mut this = Self { records, came: vec![false; records.places()], left: records.len() };
        if this.any() {
            for (_, name) in strangers.iter() {
                this.came(file_name::base(name));
            }
        }
        this
    }

    fn any(&self) -> bool {
        self.left > 0
    }

    /// A file was seen; whether it is one of them.
    fn came(&mut self, base: &[u8]) -> bool {
        let came = self.records.find(base).and_then(|at| self.came.get_mut(at.get()));
        let is_first = came.is_some_and(|came| !std::mem::replace(came, true));
        self.left -= usize::from(is_first);
        is_first
    }
}

/// What is to become of the index.
#[derive(Default)]
struct Plan {
    renamed: BTreeMap<u32, Seat>,
    fields: BTreeMap<u32, Fields>,
    /// Whether they have further keywords.
    more: BTreeMap<u32, bool>,
    /// Messages with other flags though their names are as before.
    touched: HashSet<u32>,
    gone: UidSet,
    /// Ascending.
    arrived: Vec<Arrived>,
}

/// A file that has a UID and is to come into the index.
#[derive(Clone, Copy)]
struct Arrived {
    uid: Uid,
    found: Found,
    /// Its record, if it was in the list.
    record: RecordAt,
}

impl MaildirMailbox {
    /// What [`crate::storage::Mailbox::sync`] promises.
    pub(super) fn look(&mut self) -> Result<Changes> {
        self.folder.check()?;
        self.root.check_index()?;
        self.ahead = Ahead::default();
        self.held = None;
        let noticed = self.watch.as_ref().is_some_and(Watch::drain);
        let (new, cur) = (self.stat_part(b"new")?, self.stat_part(b"cur")?);
        if !self.folder.has_parts(&new, &cur) {
            return Err(StoreError::NoSuchMailbox);
        }
        let mut changes = self.with_index(|mailbox, index| mailbox.look_with(index, (&new, &cur), noticed))?;
        changes.flags = changes.flags.union(&std::mem::take(&mut self.renamed_flags)).difference(&changes.expunged);
        changes.flags = changes.flags.difference(&changes.arrived).intersection(self.view.uids());
        let keywords = self.keywords.keywords().len();
        changes.new_keywords = keywords > self.keywords_told;
        self.keywords_told = keywords;
        Ok(changes)
    }

    pub(super) fn stat_part(&self, name: &[u8]) -> Result<Stat> {
        match self.folder.dir.stat_through(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NoSuchMailbox),
            other => Ok(other?),
        }
    }

    fn look_with(&mut self, index: &Index, (new, cur): (&Stat, &Stat), noticed: bool) -> Result<Changes> {
        let record = self.record(&index.read()?)?;
        let in_cur = record.as_ref().is_none_or(|r| r.cur.is_outdated(cur) || (noticed && r.cur.in_doubt()));
        let mut fresh = UidSet::new();
        let untold = self.untold(record.as_ref());
        let mut told = false;
        if in_cur || record.as_ref().is_none_or(|r| self.must_look(r, new, noticed)) {
            let mut lock = self.lock_for_news(record.is_some())?;
            fresh = self.update(index, lock.as_mut(), in_cur)?;
            told = lock.is_some();
            if told {
                self.note_told(index, untold)?;
            }
        }
        let reading = index.read()?;
        let Some(record) = self.record(&reading)? else { return Err(StoreError::NoSuchMailbox) };
        let changes = self.view.adopt(index, &reading, &record)?;
        let renamed = self.renamed_flags.intersection(self.view.uids());
        self.more.retain(|uid, _| !changes.expunged.contains(*uid));
        if self.keywords.any_has_more() || !self.more.is_empty() {
            let looked_at = changes.arrived.union(&changes.flags).union(&renamed);
            reading.find_all(record.number, &looked_at, |entry| {
                let more = self.keywords.more_flags(file_name::base(entry.kept));
                Uid::new(entry.row.uid).into_iter().for_each(|uid| self.show_more(uid, more.clone()));
            })?;
        }
        drop(reading);
        if self.header.is_none() {
            self.header = record.list.header();
            self.list.resume(&record.list);
        }
        self.uid_next = self.uid_next.max(record.uid_next);
        if !changes.arrived.is_empty() || !changes.expunged.is_empty() {
            let is_recent = |uid: &Uid| untold.map_or(fresh.contains(*uid), |first| uid.get() >= first);
            let recent: UidSet = changes.arrived.iter().filter(is_recent).collect();
            self.recent = self.recent.union(&recent).intersection(self.view.uids());
            if !recent.is_empty() && !told {
                self.note_told(index, untold)?;
            }
        }
        Ok(changes)
    }

    /// Whether `new`, the list or the keywords are others than the index has.
    pub(super) fn must_look(&self, record: &Record, new: &Stat, noticed: bool) -> bool {
        record.new.is_outdated(new)
            || (noticed && record.new.in_doubt())
            || self.without_uid
            || self.check_more
            || (self.access == Access::ReadWrite && record.in_new > 0 && self.header.is_none())
            || (self.access == Access::ReadWrite && !self.wrong_sizes.is_empty())
            || !record.list.is_current(&self.folder.dir)
            || !self.keywords.is_current(&self.folder.dir)
            || record.keywords != *self.keywords.letters_meaning()
    }

    /// The index's record of this folder, if it is of this folder. [`StoreError::NoSuchMailbox`] if it is, but its UIDs were dealt anew.
    pub(super) fn record(&self, reading: &Reading<'_>) -> Result<Option<Record>> {
        Ok(reading.record(self.folder.inode())?.filter(|record| self.is_ours(record)))
    }

    pub(super) fn is_ours(&self, record: &Record) -> bool {
        let validity = self.header.as_ref().map(|header| header.uid_validity);
        self.folder.has_stamps(&record.new, &record.cur) && validity.is_none_or(|known| known == record.uid_validity)
    }

    /// The first UID that no session was told of, if that is known.
    fn untold(&self, record: Option<&Record>) -> Option<u32> {
        let validity = record.map(|r| r.uid_validity).or_else(|| self.header.as_ref().map(|h| h.uid_validity));
        validity.and_then(|validity| recent::first_untold(&self.folder.dir, validity))
    }

    /// Notes what this session is told of, so that no other calls it recent. With a new list, and no mail but in `new`, nothing was told yet.
    fn note_told(&mut self, index: &Index, untold: Option<u32>) -> Result<()> {
        let reading = index.read()?;
        let Some(record) = self.record(&reading)? else { return Ok(()) };
        let first = match self.access {
            Access::ReadWrite => record.uid_next,
            Access::ReadOnly if untold.is_none() && record.in_new == record.messages => {
                let chunk = reading.chunks(record.number)?.next().transpose()?;
                chunk.and_then(|chunk| chunk.rows.get(0)).map_or(record.uid_next, |row| row.uid)
            }
            Access::ReadOnly => return Ok(()),
        };
        if untold != Some(first)
            && let Err(error) = recent::write(&self.folder.dir, self.folder.file_mode, record.uid_validity, first)
            && self.said.first_time(b":recent")
        {
            log!(Level::Notice, "{}: cannot note what is recent: {error}", self.path_shown());
        }
        Ok(())
    }

    /// The lock, or `None` if it cannot be had but there is a list to show the mailbox by.
    fn lock_for_news(&mut self, is_known: bool) -> Result<Option<Lock>> {
        match self.folder.lock(limits::TIME_LOCK_FOR_NEWS) {
            Ok(lock) => Ok(Some(lock)),
            Err(StoreError::NoSuchMailbox) => Err(StoreError::NoSuchMailbox),
            Err(error) => {
                if !is_known && self.folder.dir.stat(uid_list::FILE).is_err() {
                    return Err(error);
                }
                if self.said.first_time(b":lock") {
                    log!(Level::Warning, "{}: cannot lock: {error}", self.path_shown());
                }
                Ok(None)
            }
        }
    }

    /// Looks at everything, since a file was not where the index has it.
    pub(super) fn find_again(&mut self, mut lock: Option<&mut Lock>) -> Result<()> {
        let mut own = None;
        if lock.is_none() {
            own = self.lock_for_news(true)?;
        }
        self.with_index(|mailbox, index| {
            let lock = match lock.as_deref_mut() {
                None => own.as_mut(),
                lock => lock,
            };
            mailbox.update(index, lock, true).map(drop)
        })
    }

    /// Brings the index up to date with the disk; gives the UIDs of messages that nobody was told of before. Without the lock, files that have no UID
    /// stay unknown.
    pub(super) fn update(&mut self, index: &Index, mut lock: Option<&mut Lock>, in_cur: bool) -> Result<UidSet> {
        let mut in_cur = in_cur;
        for left in (0..TRIES).rev() {
            match self.update_once(index, lock.as_deref_mut(), in_cur, left > 0)? {
                Some(fresh) => {
                    if let Some(lock) = lock {
                        self.tidy(index, lock)?;
                    }
                    if in_cur {
                        // The names of a large folder, which a session that may idle for hours needs no more.
                        process::give_memory_back();
                    }
                    return Ok(fresh);
                }
                // Files shared a name, or another session was faster: all of it again.
                None => in_cur = true,
            }
        }
        // Others keep it up to date.
        let is_known = self.record(&index.read()?)?.is_some();
        if is_known { Ok(UidSet::new()) } else { Err(StoreError::InUse) }
    }

    /// `None` if it is to be done again. Where programs rename files all the time, two names of one file are `resolved` only so often.
    fn update_once(
        &mut self,
        index: &Index,
        mut lock: Option<&mut Lock>,
        in_cur: bool,
        resolved: bool,
    ) -> Result<Option<UidSet>> {
        self.ahead = Ahead::default();
        self.without_uid = false;
        let reading = index.read()?;
        let mut before = self.record(&reading)?;
        before.as_ref().map(|record| reading.check(record)).transpose()?;
        let mut news = self.read_list(&reading, &mut before, lock.as_deref_mut())?;
        let number = before.as_ref().map(|record| record.number);
        let mut plan = Plan::default();
        self.take_keywords(&reading, before.as_ref(), &mut plan)?;
        let mut scan = self.scan(&reading, before.as_ref(), in_cur, lock.is_some(), &news)?;
        if !scan.matching.conflicts.is_empty() {
            let conflicts = std::mem::take(&mut scan.matching.conflicts);
            if resolved && lock.is_some() && self.access == Access::ReadWrite && self.resolve(conflicts)? {
                return Ok(None);
            }
        }
        if scan.complete {
            plan.gone = scan.matching.missing();
        }
        let lost: UidSet = news.lost.iter().copied().filter_map(Uid::new).collect();
        plan.gone = plan.gone.union(&lost);
        plan.renamed = std::mem::take(&mut scan.matching.renamed);
        plan.renamed.retain(|uid, _| !news.lost.contains(uid));
        plan.fields = std::mem::take(&mut news.fields);
        let first_new = before.as_ref().map_or(1, |record| record.uid_next).max(self.uid_next);
        let (mut fresh, list_made) = (UidSet::new(), news.to_be_made.is_some());
        let is_new = before.is_none();
        let mut strangers = std::mem::take(&mut scan.matching.strangers);
        // A record below what we have told of is that of a message which was gone and came back: that needs a new UID. What this session shows it
        // knows better than an index that is made anew.
        let shown = if is_new { self.view.uids() } else { &UidSet::new() };
        let counts = |uid: Uid| uid.get() >= first_new || shown.contains(uid);
        let mut dealt = std::mem::take(&mut strangers.found);
        plan.arrived.reserve_exact(dealt.len().min(news.unmatched.len()));
        let mut refused = Vec::new();
        let mut take = |found: Found, (uid, record): (Uid, RecordAt)| {
            if !counts(uid) {
                refused.push(found);
                return;
            }
            if found.fresh() {
                fresh.insert(uid);
            }
            plan.arrived.push(Arrived { uid, found, record });
        };
        if !news.unmatched.is_empty() {
            dealt.retain(|found| {
                let record = news.unmatched.remove(file_name::base(strangers.name(found)));
                record.map(|record| take(*found, record)).is_none()
            });
        }
        if scan.cur.is_some() && !news.unmatched.is_empty() && !dealt.is_empty() {
            // A name may have got other sizes since the list was written.
            let unique = |name: &[u8]| Box::<[u8]>::from(file_name::unique_part(name));
            let by_unique: HashMap<_, _> = news.unmatched.iter().map(|(at, r)| (unique(r.base), at)).collect();
            dealt.retain(|found| {
                let at = by_unique.get(file_name::unique_part(strangers.name(found)));
                let Some(record) = at.and_then(|at| news.unmatched.remove_at(*at)) else { return true };
                scan.rebased.push(record.0.get());
                take(*found, record);
                false
            });
        }
        if !refused.is_empty() {
            dealt.append(&mut refused);
            strangers.found = dealt;
            strangers.sort();
            dealt = std::mem::take(&mut strangers.found);
        }
        let highest = plan.arrived.iter().map(|arrived| arrived.uid.get()).max().unwrap_or(0);
        let mut next = first_new.max(highest.saturating_add(1));
        if let Some(lock) = lock.as_deref_mut() {
            let all = plan.arrived.iter().map(|arrived| &arrived.found).chain(&dealt);
            let bases = all.map(|found| file_name::base(strangers.name(found)));
            self.clean_keywords(&reading, number, scan.cur.is_some(), bases, &plan, lock)?;
            let to_be_made = news.to_be_made.take();
            let uids = self.deal(lock, &reading, number, &strangers, &mut dealt, to_be_made, next, &plan)?;
            plan.arrived.reserve_exact(uids.len());
            for (uid, found) in uids.into_iter().zip(dealt) {
                // Nobody was told of it before us; but mail that was in cur before there was a list is not new.
                if found.fresh() || !list_made {
                    fresh.insert(uid);
                }
                plan.arrived.push(Arrived { uid, found, record: RecordAt::NONE });
            }
            next = self.list.next_uid().max(next);
        } else {
            self.without_uid = !dealt.is_empty();
        }
        plan.arrived.sort_unstable_by_key(|arrived| arrived.uid);
        let rebased = !scan.rebased.is_empty();
        let Scan { matching, new, cur, moved, .. } = scan;
        drop(matching);
        drop(reading);
        let texts = (&strangers, &news.unmatched);
        let done = self.write(index, before, plan, texts, next, (new, cur, moved))?;
        if done && rebased && lock.is_some() {
            self.rewrite_list(index)?;
        }
        Ok(done.then_some(fresh))
    }

    /// Writes what was found into the index; `false` if another session has written there meanwhile.
    fn write(
        &mut self,
        index: &Index,
        before: Option<Record>,
        plan: Plan,
        (names, records): (&Listing, &ByBase),
        uid_next: u32,
        (new, cur, moved): (Stamp, Option<Stamp>, Option<(Stat, Stat)>),
    ) -> Result<bool> {
        let Some(header) = self.list.header().cloned() else { return Err(StoreError::NoSuchMailbox) };
        let mut writing = index.write()?;
        let current = writing.record(self.folder.inode())?;
        if before.as_ref().is_some_and(|before| current.as_ref().map(|now| now.version) != Some(before.version)) {
            return Ok(false);
        }
        let is_new = before.is_none();
        let mut record = match before {
            Some(record) => record,
            None => {
                if current.is_some_and(|current| self.is_ours(&current) && current.uid_validity == header.uid_validity)
                {
                    // Another session was faster.
                    return Ok(false);
                }
                writing.forget(self.folder.inode())?;
                let first = self.view.highest().next(clock::microseconds());
                Record {
                    number: writing.new_number()?,
                    version: 0,
                    uid_validity: header.uid_validity,
                    uid_next,
                    highest: first,
                    floor: first,
                    expunged: 0,
                    messages: 0,
                    in_new: 0,
                    new,
                    cur: Stamp::default(),
                    list: self.list.state(),
                    keywords: Default::default(),
                }
            }
        };
        let unchanged = record.clone();
        let Plan { renamed, mut fields, more, touched, gone, arrived } = plan;
        let changed =
            !(renamed.is_empty() && fields.is_empty() && more.is_empty() && touched.is_empty() && gone.is_empty());
        let modseq = if is_new { record.highest } else { record.highest.next(clock::microseconds()) };
        // Files that only lie elsewhere are nothing that a client hears of.
        let mut is_told = !arrived.is_empty();
        if changed {
            let mut uids: Vec<u32> =
                renamed.keys().chain(fields.keys()).chain(more.keys()).chain(&touched).copied().collect();
            uids.extend(gone.iter().map(Uid::get));
            uids.sort_unstable();
            uids.dedup();
            let mut removed = UidSet::new();
            let (messages, in_new) = (&mut record.messages, &mut record.in_new);
            writing.edit(unchanged.number, uids.into_iter(), |entry| {
                let mut row = entry.row;
                if Uid::new(row.uid).is_some_and(|uid| gone.contains(uid)) {
                    is_told = true;
                    removed.extend(Uid::new(row.uid));
                    *messages = messages.saturating_sub(1);
                    *in_new = in_new.saturating_sub(u32::from(row.place() == Place::New));
                    return Edit::Remove;
                }
                let was_new = row.place() == Place::New;
                let mut kept = entry.kept.to_vec();
                if let Some((place, name)) = renamed.get(&row.uid) {
                    let letters = row.letters;
                    if file_name::base(entry.kept) != file_name::base(name) {
                        row.set_size(file_name::wire_size(name));
                    }
                    kept = row.set_name(*place, name).to_vec();
                    if row.letters != letters {
                        row.modseq = modseq.get();
                    }
                }
                if let Some(&more) = more.get(&row.uid) {
                    row.set_more(more);
                    row.modseq = modseq.get();
                }
                if touched.contains(&row.uid) {
                    row.modseq = modseq.get();
                }
                is_told |= row.modseq == modseq.get();
                *in_new = in_new.saturating_sub(u32::from(was_new)) + u32::from(row.place() == Place::New);
                let fields = fields.remove(&row.uid).map_or_else(|| entry.fields.to_vec(), |f| f.octets().to_vec());
                Edit::All(row, kept, fields)
            })?;
            if is_told {
                record.highest = modseq;
            }
            if !removed.is_empty() {
                writing.note_expunged(&mut record, &removed)?;
            }
        }
        if !arrived.is_empty() {
            record.highest = modseq;
            record.messages = record.messages.saturating_add(u32::try_from(arrived.len()).unwrap_or(u32::MAX));
            let rows = arrived.iter().map(|Arrived { uid, found, record }| {
                let (name, fields) = (names.name(found), records.fields(*record));
                let (mut row, kept) = Row::new(uid.get(), found.place, name, modseq);
                row.set_more(self.keywords.has_more(file_name::base(name)));
                if row.size().is_none() {
                    row.set_size(Fields::of(fields).wire_size());
                }
                (row, kept, fields)
            });
            let in_new = arrived.iter().filter(|arrived| arrived.found.place == Place::New).count();
            record.in_new = record.in_new.saturating_add(u32::try_from(in_new).unwrap_or(0));
            if is_new && arrived.len() > PIECE {
                // Nobody sees the rows of a mailbox without its record: they go in by pieces.
                writing.commit()?;
                let mut rows = rows.peekable();
                while rows.peek().is_some() {
                    let mut piece = index.write()?;
                    piece.append(record.number, rows.by_ref().take(PIECE))?;
                    piece.commit()?;
                }
                writing = index.write()?;
                if writing.record(self.folder.inode())?.is_some() {
                    // Another session was faster.
                    writing.clear(record.number)?;
                    writing.commit()?;
                    return Ok(false);
                }
            } else {
                writing.append(record.number, rows)?;
            }
        }
        record.new = new;
        match (cur, moved) {
            (Some(cur), _) => record.cur = cur,
            (None, Some((before, after))) if !record.cur.changed(&before) => record.cur = Stamp::after_writing(&after),
            _ => {}
        }
        if self.without_uid {
            // They are looked for next time, wherever they lie.
            record.new.distrust();
            record.cur.distrust();
        }
        record.uid_next = record.uid_next.max(uid_next);
        record.list = self.list.state();
        record.keywords = self.keywords.letters_meaning().clone();
        if is_new || record != unchanged {
            writing.set_record(self.folder.inode(), &mut record)?;
            writing.commit()?;
        }
        self.header = Some(header);
        Ok(true)
    }

    /// Reads what is new in the UID list and compares it with the index. `before` becomes `None` if it turns out to be another mailbox's.
    fn read_list(
        &mut self,
        reading: &Reading<'_>,
        before: &mut Option<Record>,
        mut lock: Option<&mut Lock>,
    ) -> Result<News> {
        match before {
            Some(record) => self.list.resume(&record.list),
            // All of it is to be read.
            None => self.list = uid_list::UidListFile::default(),
        }
        let (records, replaced) = loop {
            match self.list.refresh(&self.folder.dir)? {
                Refreshed::Unchanged => break (Records::default(), false),
                Refreshed::Appended(records) => break (records, false),
                Refreshed::Replaced(records) => break (records, true),
                Refreshed::Missing | Refreshed::Broken(_) if lock.is_none() => {
                    return Err(StoreError::Io(io::Error::other("the UID list cannot be read, nor another made")));
                }
                Refreshed::Broken(why) => {
                    log!(Level::Error, "{}: UID list cannot be used and is set aside: {why}", self.path_shown());
                    uid_list::set_aside(&self.folder.dir)?;
                }
                Refreshed::Missing => {
                    if let Some(records) = self.import_list(before.as_ref(), lock.as_deref_mut())? {
                        return self.compare(reading, None, records, true);
                    }
                    let header = self.header_to_be(before.as_ref());
                    return Ok(News { to_be_made: Some(header), ..News::default() });
                }
            }
        };
        let Some(header) = self.list.header() else { return Err(StoreError::NoSuchMailbox) };
        if self.header.as_ref().is_some_and(|known| known.uid_validity != header.uid_validity) {
            return Err(StoreError::NoSuchMailbox);
        }
        if before.as_ref().is_some_and(|record| {
            let known = record.list.header().and_then(|header| header.guid);
            record.uid_validity != header.uid_validity
                || (known.is_some() && header.guid.is_some() && known != header.guid)
        }) {
            // The directory of a mailbox that is gone was given to another.
            *before = None;
        }
        self.compare(reading, before.as_ref(), records, replaced)
    }

    /// The list of a folder that comes from Courier.
    fn import_list(&mut self, before: Option<&Record>, lock: Option<&mut Lock>) -> Result<Option<Records>> {
        let Some(lock) = lock.filter(|_| self.header.is_none() && before.is_none()) else { return Ok(None) };
        let Some((mut header, records)) = courier::import(&self.folder, lock)? else { return Ok(None) };
        header.provide_guid(new_guid());
        let lines = records.iter().map(|r| (r.uid, r.fields.octets(), &*r.base));
        self.list.rewrite(&self.folder.dir, &header, lines)?;
        courier::done(&self.folder);
        let mut listed = Records::in_tmp(Some(self.folder.tmp.clone()));
        records.iter().for_each(|record| listed.push(record.as_listed()));
        Ok(Some(listed))
    }

    /// The first line of a list that is to be made; for a folder that the index knows, of the one that vanished.
    fn header_to_be(&self, before: Option<&Record>) -> Header {
        let known = self.header.clone().or_else(|| before?.list.header());
        let mut header = match known {
            Some(header) => {
                log!(Level::Error, "{}: UID list vanished and is written again", self.path_shown());
                header
            }
            None => Header::new(dovecot_uidvalidity::next(&self.root.dir), new_guid()),
        };
        let next = before.map_or(1, |record| record.uid_next);
        header.next_uid = header.next_uid.max(self.uid_next).max(self.list.next_uid()).max(next);
        header.provide_guid(new_guid());
        header
    }

    /// Compares records with the index: what has another UID now, or none, is no longer the message we knew.
    fn compare(
        &mut self,
        reading: &Reading<'_>,
        before: Option<&Record>,
        records: Records,
        replaced: bool,
    ) -> Result<News> {
        let mut news = News::default();
        let Some(record) = before else {
            news.unmatched = ByBase::new(records);
            return Ok(news);
        };
        let mut unmatched = Records::in_tmp(Some(self.folder.tmp.clone()));
        // Records of what was expunged are of no interest.
        let known = record.uid_next;
        let mut listed = records.iter().peekable();
        if replaced {
            reading.each(record.number, |entry| {
                while let Some(other) = listed.next_if(|r| r.uid.get() < entry.row.uid) {
                    if other.uid.get() >= known {
                        unmatched.push(other);
                    }
                }
                match listed.next_if(|r| r.uid.get() == entry.row.uid) {
                    Some(same) => {
                        let base = file_name::base(entry.kept);
                        if same.base != base {
                            if file_name::unique_part(same.base) == file_name::unique_part(base) {
                                news.bases.insert(entry.row.uid, same.base.into());
                            } else {
                                news.lost.insert(entry.row.uid);
                            }
                        }
                        if same.fields != entry.fields {
                            news.fields.insert(entry.row.uid, Fields::of(same.fields));
                        }
                    }
                    None => drop(news.lost.insert(entry.row.uid)),
                }
            })?;
        }
        listed.filter(|other| other.uid.get() >= known).for_each(|other| unmatched.push(other));
        news.unmatched = ByBase::new(unmatched);
        if !news.unmatched.is_empty() {
            reading.each(record.number, |entry| {
                if news.unmatched.contains(file_name::base(entry.kept)) {
                    news.lost.insert(entry.row.uid);
                }
            })?;
        }
        if !news.lost.is_empty() {
            log!(Level::Notice, "{}: another program's UID list: {} lost", self.path_shown(), news.lost.len());
        }
        Ok(news)
    }

    /// A letter that got its name, or a further keyword, gives other flags to messages whose names are as before: the next sync tells.
    pub(super) fn refresh_keywords(&mut self) -> Result<()> {
        self.with_index(|mailbox, index| {
            let reading = index.read()?;
            let record = mailbox.record(&reading)?;
            let mut plan = Plan::default();
            mailbox.take_keywords(&reading, record.as_ref(), &mut plan)?;
            // Their rows are put right by the next update.
            mailbox.check_more |= !plan.more.is_empty();
            Ok(())
        })
    }

    fn take_keywords(&mut self, reading: &Reading<'_>, record: Option<&Record>, plan: &mut Plan) -> Result<()> {
        // In the midst of a change of our own, under the lock, what is not saved yet must not be lost.
        let before = if self.keywords.is_unsaved() { None } else { self.keywords.refresh(&self.folder.dir)? };
        if let Some(before) = &before {
            let changed = super::index::chunk::Packed::of(self.keywords.changed_letters(before.letters()));
            let affected = self.view.messages().iter().filter(|shown| shown.letters.0 & changed.0 != 0);
            affected.for_each(|shown| self.renamed_flags.insert(shown.uid));
        }
        let Some(record) = record else { return Ok(()) };
        let letters = super::index::chunk::Packed::of(self.keywords.changed_letters(&record.keywords));
        let any_more = before.as_ref().is_some_and(|b| b.any_has_more()) || self.keywords.any_has_more();
        let look_at_more = any_more && (before.is_some() || std::mem::take(&mut self.check_more));
        if letters.0 == 0 && !look_at_more {
            return Ok(());
        }
        reading.each(record.number, |entry| {
            if entry.row.letters.0 & letters.0 != 0 {
                plan.touched.insert(entry.row.uid);
            }
            let base = file_name::base(entry.kept);
            if look_at_more {
                let has = self.keywords.has_more(base);
                if has != entry.row.has_more() {
                    plan.more.insert(entry.row.uid, has);
                }
                if before.as_ref().is_some_and(|before| self.keywords.has_other_more(before, base)) {
                    Uid::new(entry.row.uid).into_iter().for_each(|uid| self.renamed_flags.insert(uid));
                }
            }
        })?;
        Ok(())
    }

    /// Forgets the further keywords of messages that a complete look under the lock did not show.
    fn clean_keywords<'f>(
        &mut self,
        reading: &Reading<'_>,
        number: Option<u32>,
        complete: bool,
        strangers: impl Iterator<Item = &'f [u8]>,
        plan: &Plan,
        lock: &mut Lock,
    ) -> Result<()> {
        let may_forget = self.access == Access::ReadWrite && !self.keywords.is_unsaved();
        if !complete || !may_forget || !self.keywords.any_has_more() {
            return Ok(());
        }
        let mut live: HashSet<Vec<u8>> = HashSet::new();
        let mut dead: HashSet<Vec<u8>> = HashSet::new();
        if let Some(number) = number {
            reading.each(number, |entry| {
                let base = file_name::base(entry.kept);
                if self.keywords.has_more(base) {
                    let gone = Uid::new(entry.row.uid).is_some_and(|uid| plan.gone.contains(uid));
                    // A file that came under the name of one that went before is another message.
                    if gone {
                        dead.insert(base.to_vec())
                    } else {
                        live.insert(base.to_vec())
                    };
                    if let Some((_, name)) = plan.renamed.get(&entry.row.uid).filter(|_| !gone) {
                        let now = file_name::base(name);
                        self.keywords.copy_more(base, now);
                        live.insert(now.to_vec());
                    }
                }
            })?;
        }
        live.extend(strangers.filter(|base| !dead.contains(*base)).map(<[u8]>::to_vec));
        self.keywords.keep_more(&live.iter().map(Vec::as_slice).collect());
        if let Err(error) = self.keywords.save(&self.folder, lock) {
            self.keywords.take_back();
            if self.said.first_time(b":keywords") {
                log!(Level::Notice, "{}: cannot forget old keywords: {error}", self.path_shown());
            }
        }
        Ok(())
    }

    fn scan<'t>(
        &mut self,
        reading: &'t Reading<'_>,
        before: Option<&Record>,
        in_cur: bool,
        locked: bool,
        news: &News,
    ) -> Result<Scan<'t>> {
        let may_move = locked && self.access == Access::ReadWrite;
        let number = before.map(|record| record.number);
        let cur_before = self.stat_part(b"cur")?;
        let mut listing = Listing::of(&self.folder);
        let (new, moved) = self.take_new(&mut listing, may_move)?;
        let sight = |matching: &mut Matching<'_>, listing: &Listing| {
            listing.iter().for_each(|(f, name)| matching.sight(f.place, name, f.fresh(), f.unsure()));
        };
        if !in_cur && let Some(record) = before {
            let matching = if listing.is_empty() && record.in_new == 0 && news.lost.is_empty() {
                Matching::of_some(reading, None, &self.folder, &listing, &news.lost)?
            } else {
                let mut matching = Matching::of_some(reading, number, &self.folder, &listing, &news.lost)?;
                sight(&mut matching, &listing);
                matching
            };
            let met = || {
                let strangers = matching.strangers.iter();
                strangers.filter(|(_, name)| news.unmatched.contains(file_name::base(name))).count()
            };
            // What `new` showed cannot be understood without `cur`: a message that was there left it, one that we know in `cur` came again, or
            // the list knows of a file that has not been seen, or no longer of one.
            let needs_cur = matching.misses_any()
                || matching.came_again
                || !news.lost.is_empty()
                || !news.bases.is_empty()
                || met() < news.unmatched.len();
            if !needs_cur {
                let moved = moved.then_some(cur_before).zip(self.stat_part(b"cur").ok());
                let mut matching = matching;
                matching.strangers.check()?;
                matching.sort_strangers();
                return Ok(Scan { matching, new, cur: None, complete: false, moved, rebased: Vec::new() });
            }
        }
        let mut matching = Matching::of_all(reading, number, &self.folder, &news.lost)?;
        sight(&mut matching, &listing);
        drop(listing);
        let mut cur = Stamp::before_reading(&self.stat_part(b"cur")?);
        each_message(&self.folder, Place::Cur, &mut self.said, |name, unsure| {
            matching.sight(Place::Cur, name, false, unsure);
        })?;
        let mut awaited = Awaited::new(&news.unmatched, &matching.strangers);
        let mut complete = true;
        if matching.misses_any() || awaited.any() {
            complete = self.look_for_missing(&mut matching, &mut awaited)?;
        }
        matching.strangers.check()?;
        matching.sort_strangers();
        let rebased = matching.match_by_unique_part();
        if !complete {
            // Who is missing now is looked for next time.
            cur.distrust();
        }
        Ok(Scan { matching, new, cur: Some(cur), complete, moved: None, rebased })
    }

    /// A listing may miss a file that is being renamed, and so may the next if it is renamed again. What is missing is gone for sure only when a listing
    /// has not shown it under which the directories did not change; gives whether there was such a one.
    fn look_for_missing(&mut self, matching: &mut Matching<'_>, awaited: &mut Awaited<'_>) -> Result<bool> {
        let (mut before, mut since) = (self.stamps()?, Instant::now());
        for _ in 0..LISTINGS {
            // From the next tick of the file system's clock on, a change shows in the time of the directory.
            let ticked = since.elapsed() >= TICK || !before.iter().any(Stamp::in_doubt);
            for place in [Place::New, Place::Cur] {
                each_message(&self.folder, place, &mut self.said, |name, unsure| {
                    matching.sight_missing(place, name, unsure, |base| awaited.came(base));
                })?;
            }
            if !matching.misses_any() && !awaited.any() {
                return Ok(true);
            }
            let after = self.stamps()?;
            if !before.iter().zip(&after).all(|(before, after)| before.is_of_same_time(after)) {
                (before, since) = (after, Instant::now());
            } else if ticked {
                return Ok(true);
            } else {
                std::thread::sleep(TICK.saturating_sub(since.elapsed()));
            }
        }
        Ok(false)
    }

    fn stamps(&self) -> Result<[Stamp; 2]> {
        Ok([Stamp::before_reading(&self.stat_part(b"new")?), Stamp::before_reading(&self.stat_part(b"cur")?)])
    }

    /// Lists `new`, moving what it holds to `cur` if that may be. Says whether anything was moved.
    fn take_new(&mut self, listing: &mut Listing, may_move: bool) -> Result<(Stamp, bool)> {
        let (mut moved, mut stuck) = (false, HashSet::new());
        let mut stamp = Stamp::default();
        for _ in 0..PASSES {
            stamp = Stamp::before_reading(&self.stat_part(b"new")?);
            let mut pass = Listing::of(&self.folder);
            pass.read(&self.folder, Place::New, &mut self.said)?;
            pass.check()?;
            let mut moved_now = false;
            for (found, name) in pass.iter() {
                if stuck.contains(name) {
                    continue;
                }
                let stays = match if may_move { self.move_to_cur(found, name) } else { Ok(None) } {
                    Ok(Some(target)) => {
                        listing.add(&target, Place::Cur, true, false);
                        moved_now = true;
                        false
                    }
                    Ok(None) => true,
                    // Somebody else moved it: cur shows it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                    Err(error) => {
                        if self.said.first_time(b":new") {
                            log!(Level::Warning, "{}: new mail cannot be moved to cur: {error}", self.path_shown());
                        }
                        true
                    }
                };
                if stays {
                    stuck.insert(name.to_vec());
                    listing.add(name, Place::New, true, found.unsure());
                }
            }
            moved |= moved_now;
            if !moved_now {
                break;
            }
        }
        listing.check()?;
        Ok((stamp, moved))
    }

    /// Moves a file from `new` to `cur`. `None` if it must stay; NotFound if it is not there any more.
    fn move_to_cur(&self, found: &Found, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if found.unsure() && self.folder.new.stat(name)?.kind != Kind::File {
            return Ok(None);
        }
        let mut target = name.to_vec();
        if !name.contains(&b':') {
            target.extend_from_slice(b":2,");
        }
        match self.folder.new.rename_new(name, &self.folder.cur, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let (a, b) = (self.folder.new.stat(name)?, self.folder.cur.stat(&target)?);
                if (a.device, a.inode) == (b.device, b.inode) {
                    // Somebody stopped between link and unlink.
                    self.folder.new.unlink(name)?;
                    return Ok(Some(target));
                }
                let fresh = file_name::with_fresh_base(&target);
                log!(Level::Warning, "{} is the name of two messages; one becomes {}", Quoted(name), Quoted(&fresh));
                self.folder.new.rename_new(name, &self.folder.cur, &fresh)?;
                Ok(Some(fresh))
            }
            other => other.map(|()| Some(target)),
        }
    }

    /// Two files of one name, apart from the flags: the second name of an old link is removed, another message gets a name of its own. Says whether
    /// anything is to be looked at again.
    fn resolve(&mut self, conflicts: Vec<Conflict>) -> Result<bool> {
        let mut again = false;
        for Conflict { seats: [(place_a, a), (place_b, b)], known, fresh } in conflicts {
            let stats = (self.folder.place(place_a).stat(&a), self.folder.place(place_b).stat(&b));
            let (Ok(stat_a), Ok(stat_b)) = stats else {
                // It was renamed between two listings; the name that is there counts.
                again = true;
                continue;
            };
            if (stat_a.device, stat_a.inode) == (stat_b.device, stat_b.inode) {
                let now = i64::try_from(clock::microseconds() / 1_000_000).unwrap_or(0);
                // Both at once, that is: not one name before and after it was renamed.
                let still = self.folder.place(place_a).stat(&a).is_ok_and(|s| s.inode == stat_b.inode);
                if still && stat_b.links > 1 && now.saturating_sub(stat_b.changed.seconds) > OLD_LINK {
                    self.folder.place(place_b).unlink(&b)?;
                    again = true;
                }
                again |= !still;
                continue;
            }
            // The UID stays with the one that had it: which we know, or which was there first.
            let a_stays = (!known[0], fresh[0], stat_a.modified) <= (!known[1], fresh[1], stat_b.modified);
            let (place, name) = if a_stays { (place_b, b) } else { (place_a, a) };
            let other = file_name::with_fresh_base(&name);
            log!(Level::Warning, "{} is the name of two messages; one becomes {}", Quoted(&name), Quoted(&other));
            let _ = self.folder.place(place).rename_new(&name, self.folder.place(place), &other);
            again = true;
        }
        Ok(again)
    }

    /// Gives UIDs to files that have none, in the order of their arrival. Makes the list if there is none.
    #[allow(clippy::too_many_arguments)]
    fn deal(
        &mut self,
        lock: &mut Lock,
        reading: &Reading<'_>,
        number: Option<u32>,
        names: &Listing,
        found: &mut Vec<Found>,
        to_be_made: Option<Header>,
        floor: u32,
        plan: &Plan,
    ) -> Result<Vec<Uid>> {
        found.retain(|f| {
            let name = names.name(f);
            let is_file = !f.unsure() || self.folder.place(f.place).stat(name).is_ok_and(|s| s.kind == Kind::File);
            if !is_file && self.said.first_time(name) {
                log!(Level::Warning, "passed over {}, which is no message", Quoted(name));
            }
            is_file
        });
        let base = |found: &Found| file_name::base(names.name(found));
        if let Some(mut header) = to_be_made {
            lock.touch();
            let uids = uid_list::deal(header.next_uid.max(floor), found.len())?;
            header.next_uid = uids.last().map_or(header.next_uid, |last| last.get().saturating_add(1));
            let known = number.map(|number| reading.entries(number)).transpose()?;
            let known = known.into_iter().flatten().filter_map(|entry| {
                let uid = Uid::new(entry.row.uid).filter(|uid| !plan.gone.contains(*uid))?;
                Some((uid, entry.fields, file_name::base(entry.kept)))
            });
            let new = uids.iter().zip(&*found).map(|(&uid, f)| (uid, &b""[..], base(f)));
            self.list.rewrite(&self.folder.dir, &header, known.chain(new))?;
            return Ok(uids);
        }
        let mut uids = Vec::new();
        for some in found.chunks(PIECE) {
            let new: Vec<(&[u8], Fields)> = some.iter().map(|f| (base(f), Fields::default())).collect();
            match self.list.append(&self.folder.dir, lock, floor, &new) {
                Ok(more) => uids.extend(more),
                Err(error) => {
                    log!(Level::Error, "{}: new messages get no UIDs: {error}", self.path_shown());
                    // Some lines may have been written, and count next time.
                    self.without_uid = true;
                    break;
                }
            }
        }
        Ok(uids)
    }

    /// Writes the list anew when a quarter of it is dead, or when it is not as it should be. Under the lock, straight after an update.
    pub(super) fn tidy(&mut self, index: &Index, lock: &mut Lock) -> Result<()> {
        if self.without_uid {
            return Ok(());
        }
        let Some(record) = self.record(&index.read()?)? else { return Ok(()) };
        self.list.resume(&record.list);
        if !self.list.is_current(&self.folder.dir) {
            // The next look reads it first.
            return Ok(());
        }
        let (lines, live) = (self.list.lines(), record.messages as usize);
        let much_is_dead = self.access == Access::ReadWrite && lines > live && lines.saturating_mul(3) / 4 >= live;
        if !(much_is_dead || self.list.imperfect() || self.has_wrong_sizes()) {
            return Ok(());
        }
        lock.touch();
        let renamed = self.rename_wrong_sizes(lock)?;
        if let Err(error) = self.rewrite_list(index) {
            log!(Level::Warning, "{}: cannot write the UID list anew: {error}", self.path_shown());
            self.put_names_back(renamed);
        }
        Ok(())
    }

    /// Writes the list anew from the index. Under the lock, straight after an update.
    pub(super) fn rewrite_list(&mut self, index: &Index) -> Result<()> {
        let Some(mut header) = self.list.header().cloned() else { return Ok(()) };
        {
            let reading = index.read()?;
            let Some(record) = self.record(&reading)? else { return Ok(()) };
            header.next_uid = self.list.next_uid().max(record.uid_next);
            header.provide_guid(new_guid());
            let entries = reading.entries(record.number)?;
            let records = entries.filter_map(|e| Some((Uid::new(e.row.uid)?, e.fields, file_name::base(e.kept))));
            self.list.rewrite(&self.folder.dir, &header, records)?;
            self.header = Some(header);
        }
        let mut writing = index.write()?;
        if let Some(mut record) = writing.record(self.folder.inode())?.filter(|record| self.is_ours(record)) {
            record.list = self.list.state();
            writing.set_record(self.folder.inode(), &mut record)?;
            let number = record.number;
            writing.purge(number)?;
            writing.commit()?;
        }
        Ok(())
    }

    pub(super) fn stat_cur(&self) -> Result<Stat> {
        self.stat_part(b"cur")
    }

    /// Writes a change that this session made to the folder's files, under its lock, into the index: `edit` for each of these messages, by
    /// their new modseq. `before` is `cur` before the change. If the index fails, the next look finds out what was done.
    pub(super) fn note(
        &mut self,
        uids: &[u32],
        before: &Stat,
        mut edit: impl FnMut(super::index::table::Entry<'_>, ModSeq) -> Edit,
    ) -> Result<()> {
        self.ahead = Ahead::default();
        let index = self.root.index()?;
        let noted = (|| -> super::index::Result<()> {
            let mut writing = index.write()?;
            let Some(mut record) = writing.record(self.folder.inode())?.filter(|record| self.is_ours(record)) else {
                return Ok(());
            };
            record.highest = record.highest.next(clock::microseconds());
            let modseq = record.highest;
            let mut removed = UidSet::new();
            let mut shown = Vec::new();
            let (messages, in_new) = (&mut record.messages, &mut record.in_new);
            let number = record.number;
            writing.edit(number, uids.iter().copied(), |entry| {
                let (uid, was_new) = (entry.row.uid, entry.row.place() == Place::New);
                *in_new = in_new.saturating_sub(u32::from(was_new));
                let edited = edit(entry, modseq);
                match &edited {
                    Edit::Row(row) | Edit::All(row, ..) => {
                        *in_new += u32::from(row.place() == Place::New);
                        shown.push(*row);
                    }
                    Edit::Remove => {
                        *messages = messages.saturating_sub(1);
                        removed.extend(Uid::new(uid));
                    }
                }
                edited
            })?;
            if !removed.is_empty() {
                writing.note_expunged(&mut record, &removed)?;
            }
            if !record.cur.changed(before)
                && let Ok(after) = self.stat_part(b"cur")
            {
                record.cur = Stamp::after_writing(&after);
            }
            record.keywords = self.keywords.letters_meaning().clone();
            writing.set_record(self.folder.inode(), &mut record)?;
            writing.commit()?;
            shown.iter().for_each(|row| self.view.show(row));
            Ok(())
        })();
        match noted {
            Err(failure) => self.root.change_index(index, &failure),
            Ok(()) => Ok(()),
        }
    }
}

/// 128 bits that no other mailbox has. They need not be hard to guess.
pub(super) fn new_guid() -> [u8; 16] {
    let mut guid = [0; 16];
    let moment = std::time::SystemTime::now();
    for half in guid.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(moment).to_be_bytes());
    }
    guid
}
