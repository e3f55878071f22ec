//! Bring the view up to date: UID list and directories under one lock, UIDs for what is new, and what is gone only after a second look.

use super::courier;
use super::file_name;
use super::folder::Place;
use super::interop::dovecot_uidlist::{Fields, Header, Record};
use super::interop::dovecot_uidvalidity;
use super::lock::Lock;
use super::mailbox::{MaildirMailbox, Message};
use super::recent;
use super::scan::{Found, Listing, Stamp};
use super::uid_list::{self, Refreshed};
use super::watch::Watch;
use crate::limits;
use crate::log::{Level, Quoted, log};
use crate::storage::{Access, Changes, Result, StoreError};
use crate::sys::file::{Kind, Stat};
use crate::types::Uid;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io;

/// How often `new` is listed in one look, while mail keeps arriving.
const PASSES: usize = 5;
/// Seconds after which two names of one file are no delivery in progress.
const OLD_LINK: i64 = 30;

/// What a scan found, by message of the view and beyond it.
struct Scan {
    listing: Listing,
    /// For each message of the view, where in the listing it is.
    seen: Vec<Option<Found>>,
    strangers: Vec<Found>,
    /// Two names of one message were listed.
    duplicates: bool,
    /// `cur` was listed too.
    complete: bool,
}

/// Records that may belong to files we do not know, by base.
pub(super) type Unmatched = HashMap<Box<[u8]>, (Uid, Fields)>;

impl MaildirMailbox {
    /// What [`crate::storage::Mailbox::sync`] promises.
    pub(super) fn look(&mut self) -> Result<Changes> {
        self.folder.check()?;
        let noticed = self.watch.as_ref().is_some_and(Watch::drain);
        let (new, cur) = (self.stat_part(b"new")?, self.stat_part(b"cur")?);
        let first = self.uid_validity.is_none();
        let replaced = !self.new_stamp.is_of(&new) || !self.cur_stamp.is_of(&cur);
        if !first && replaced {
            return Err(StoreError::NoSuchMailbox);
        }
        let look_in_cur = first || self.cur_stamp.is_outdated(&cur) || (noticed && self.cur_stamp.in_doubt());
        let look_in_new = look_in_cur || self.new_stamp.is_outdated(&new) || noticed;
        let mut changes = std::mem::take(&mut self.pending);
        if look_in_new
            || !self.list.is_current(&self.folder.dir)
            || !self.keywords.is_current(&self.folder.dir)
            || self.sizes_are_worth_recording()
        {
            let looked = self.look_closely(look_in_cur, &mut changes);
            self.messages.sort_unstable_by_key(|m| m.uid);
            if let Err(error) = looked {
                // What was learnt until then is told next time, and nothing of it is taken for read.
                self.pending = changes;
                self.list.distrust();
                self.cur_stamp.distrust();
                return Err(error);
            }
        }
        self.settle(&mut changes);
        Ok(changes)
    }

    fn stat_part(&self, name: &[u8]) -> Result<Stat> {
        match self.folder.dir.stat_through(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::NoSuchMailbox),
            other => Ok(other?),
        }
    }

    fn look_closely(&mut self, look_in_cur: bool, changes: &mut Changes) -> Result<()> {
        let mut lock = self.lock_for_news()?;
        self.without_uid = false;
        let vanished: HashSet<Box<[u8]>> = if self.keywords.any_has_more() {
            self.messages.iter().filter(|m| m.gone).map(|m| m.base().into()).collect()
        } else {
            HashSet::new()
        };
        let (mut unmatched, list_made) = self.read_list(lock.as_mut())?;
        self.refresh_keywords()?;
        let scan = self.scan(look_in_cur, lock.is_some(), &unmatched)?;
        self.take_seen(&scan, changes);
        let (mut arrived, mut dealt) = (Vec::new(), Vec::new());
        for found in &scan.strangers {
            let name = scan.listing.name(found);
            // A record below what we have told of is that of a message which was gone and came back: that needs a new UID.
            match unmatched.remove(file_name::base(name)).filter(|(uid, _)| uid.get() >= self.uid_next) {
                Some((uid, fields)) => arrived.push((found, uid, fields)),
                None => dealt.push(found),
            }
        }
        let highest = arrived.iter().map(|(_, uid, _)| uid.get()).max().unwrap_or(0);
        let untold = self.list.header().and_then(|h| recent::first_untold(&self.folder.dir, h.uid_validity));
        for (found, uid, fields) in arrived {
            if untold.map_or(found.fresh, |first| uid.get() >= first) {
                self.recent.insert(uid);
            }
            changes.arrived.insert(uid);
            self.messages.push(Message::new(uid, found.place, scan.listing.name(found), fields));
        }
        let mut next = self.uid_next.max(highest.saturating_add(1));
        if let Some(lock) = &mut lock {
            self.clean_keywords(&scan, &vanished, lock);
            self.deal(lock, &scan.listing, dealt, list_made, changes)?;
            next = self.list.next_uid().max(next);
        } else {
            if !dealt.is_empty() {
                self.look_again();
            }
            self.waiting = unmatched;
        }
        self.messages.sort_unstable_by_key(|m| m.uid);
        // Never lower than it was, whatever another program wrote.
        self.uid_next = next;
        self.uid_validity = self.list.header().map(|h| h.uid_validity);
        if lock.is_some() {
            self.note_told(untold, list_made);
        }
        if let Some(lock) = lock.as_mut().filter(|_| scan.complete || self.sizes_are_worth_recording()) {
            self.tidy_list(lock);
        }
        Ok(())
    }

    /// Notes what this session is told of, so that no other calls it recent. With a new list, and no mail but in `new`, nothing was told yet.
    fn note_told(&mut self, untold: Option<u32>, list_made: bool) {
        let first = match self.access {
            Access::ReadWrite => self.uid_next,
            Access::ReadOnly if list_made && self.messages.iter().all(|m| m.place == Place::New) => {
                self.messages.first().map_or(self.uid_next, |m| m.uid.get())
            }
            Access::ReadOnly => return,
        };
        if let Some(uid_validity) = self.uid_validity
            && untold != Some(first)
            && let Err(error) = recent::write(&self.folder.dir, self.folder.file_mode, uid_validity, first)
            && self.said.first_time(b":recent")
        {
            log!(Level::Notice, "{}: cannot note what is recent: {error}", self.path_shown());
        }
    }

    /// A letter that got its name, or a further keyword, gives other flags to messages whose names are as before: the next sync tells.
    pub(super) fn refresh_keywords(&mut self) -> Result<()> {
        if let Some(before) = self.keywords.refresh(&self.folder.dir)? {
            let files = self.messages.iter().map(|m| (m.uid, &*m.name));
            for (uid, flags) in self.keywords.changed_since(&before, files) {
                self.shown.entry(uid).or_insert(flags);
            }
        }
        Ok(())
    }

    /// Forgets the further keywords of messages that a complete look under the lock did not show.
    fn clean_keywords(&mut self, scan: &Scan, vanished: &HashSet<Box<[u8]>>, lock: &mut Lock) {
        if !scan.complete || self.access != Access::ReadWrite || !self.keywords.any_has_more() {
            return;
        }
        let bases = scan.listing.iter().map(|(_, name)| file_name::base(name));
        let mut live: HashSet<&[u8]> = bases.filter(|base| self.keywords.has_more(base)).collect();
        // A file that came under the name of one that went before is another message.
        live.retain(|base| !vanished.contains(*base));
        self.keywords.keep_more(&live);
        if let Err(error) = self.keywords.save(&self.folder, lock)
            && self.said.first_time(b":keywords")
        {
            log!(Level::Notice, "{}: cannot forget old keywords: {error}", self.path_shown());
        }
    }

    /// The lock, or `None` if it cannot be had but there is a list to show the mailbox by.
    fn lock_for_news(&mut self) -> Result<Option<Lock>> {
        match self.folder.lock(limits::TIME_LOCK_FOR_NEWS) {
            Ok(lock) => Ok(Some(lock)),
            Err(StoreError::NoSuchMailbox) => Err(StoreError::NoSuchMailbox),
            Err(error) => {
                if self.uid_validity.is_none() && self.folder.dir.stat(uid_list::FILE).is_err() {
                    return Err(error);
                }
                if self.said.first_time(b":lock") {
                    log!(Level::Warning, "{}: cannot lock: {error}", self.path_shown());
                }
                Ok(None)
            }
        }
    }

    /// Reads what is new in the UID list, makes one if there is none (and says so), and says which files it knows that we do not.
    fn read_list(&mut self, mut lock: Option<&mut Lock>) -> Result<(Unmatched, bool)> {
        loop {
            let (records, replaced) = match self.list.refresh(&self.folder.dir)? {
                Refreshed::Unchanged => (Vec::new(), false),
                Refreshed::Appended(records) => (records, false),
                Refreshed::Replaced(records) => (records, true),
                Refreshed::Missing | Refreshed::Broken(_) if lock.is_none() => {
                    return Err(StoreError::Io(io::Error::other("the UID list cannot be read, nor another made")));
                }
                Refreshed::Broken(why) => {
                    log!(Level::Error, "{}: UID list cannot be used and is set aside: {why}", self.path_shown());
                    uid_list::set_aside(&self.folder.dir)?;
                    continue;
                }
                Refreshed::Missing => {
                    if let Some(records) = self.import_list(lock.as_deref_mut())? {
                        return Ok((self.compare(records, true), true));
                    }
                    self.make_list(lock.as_deref_mut())?;
                    // We know what we have just written.
                    return Ok((Unmatched::new(), self.uid_validity.is_none()));
                }
            };
            let header = self.list.header();
            if self.uid_validity.is_some() && self.uid_validity != header.map(|h| h.uid_validity) {
                return Err(StoreError::NoSuchMailbox);
            }
            return Ok((self.compare(records, replaced), false));
        }
    }

    /// The list of a folder that comes from Courier.
    fn import_list(&mut self, lock: Option<&mut Lock>) -> Result<Option<Vec<Record>>> {
        let Some(lock) = lock.filter(|_| self.uid_validity.is_none()) else { return Ok(None) };
        let Some((mut header, records)) = courier::import(&self.folder, lock)? else { return Ok(None) };
        header.guid = Header::new(header.uid_validity, new_guid()).guid;
        let lines = records.iter().map(|r| (r.uid, r.fields.clone(), &*r.base));
        self.list.rewrite(&self.folder.dir, &header, lines)?;
        courier::done(&self.folder);
        Ok(Some(records))
    }

    /// A new list; for a folder that is open already, the one that vanished, from what we know of it.
    fn make_list(&mut self, lock: Option<&mut Lock>) -> Result<()> {
        if let Some(lock) = lock {
            lock.touch();
        }
        let mut header = match (self.list.header(), self.uid_validity) {
            (Some(header), Some(_)) => {
                log!(Level::Error, "{}: UID list vanished and is written again", self.path_shown());
                header.clone()
            }
            _ => Header::new(dovecot_uidvalidity::next(&self.root.dir), new_guid()),
        };
        header.next_uid = header.next_uid.max(self.uid_next).max(self.list.next_uid());
        let messages = &self.messages;
        let records = messages.iter().filter(|m| !m.gone).map(|m| (m.uid, m.fields.clone(), m.base()));
        self.list.rewrite(&self.folder.dir, &header, records)
    }

    /// Compares records with the view: what has another UID now, or none, is no longer the message we knew.
    fn compare(&mut self, records: Vec<Record>, replaced: bool) -> Unmatched {
        let mut unmatched = std::mem::take(&mut self.waiting);
        if records.is_empty() && !replaced {
            return unmatched;
        }
        if replaced {
            unmatched.clear();
        }
        let renamed = if replaced { self.take_renamed(&records) } else { 0 };
        for record in records {
            // The same base twice: the later UID counts.
            unmatched.insert(record.base, (record.uid, record.fields));
        }
        let mut lost = 0;
        for message in self.messages.iter_mut().filter(|m| !m.gone) {
            match unmatched.get(message.base()) {
                Some((uid, _)) if *uid == message.uid => {
                    if let Some((_, fields)) = unmatched.remove(message.base()) {
                        message.fields = fields;
                    }
                    continue;
                }
                None if !replaced => continue,
                _ => {}
            }
            message.gone = true;
            lost += 1;
        }
        if lost + renamed > 0 {
            log!(Level::Notice, "{}: another program's UID list: {lost} lost, {renamed} renamed", self.path_shown());
        }
        unmatched
    }

    /// A list written anew may give a UID to the same message under another name: one whose wrong sizes were taken out of its name.
    fn take_renamed(&mut self, records: &[Record]) -> usize {
        let mut renamed = 0;
        for message in self.messages.iter_mut().filter(|m| !m.gone) {
            let Ok(at) = records.binary_search_by_key(&message.uid, |r| r.uid) else { continue };
            let Some(record) = records.get(at).filter(|r| *r.base != *message.base()) else { continue };
            let unique = |base: &[u8]| base.split(|&b| b == b',').next().map(<[u8]>::to_vec);
            if unique(&record.base) == unique(message.base()) {
                let info = message.name.get(message.base().len()..).unwrap_or_default();
                // Its keywords went along; the file that says so is read next.
                self.keywords.copy_more(message.base(), &record.base);
                message.name = [&*record.base, info].concat().into();
                renamed += 1;
            }
        }
        renamed
    }

    fn scan(&mut self, look_in_cur: bool, locked: bool, expected: &Unmatched) -> Result<Scan> {
        let may_move = locked && self.access == Access::ReadWrite;
        let cur_before = self.stat_part(b"cur")?;
        let mut listing = Listing::default();
        let mut moved = 0;
        let mut stuck = HashSet::new();
        for _ in 0..PASSES {
            let stamp = Stamp::before_reading(&self.stat_part(b"new")?);
            let mut pass = Listing::default();
            pass.read(&self.folder, Place::New, &mut self.said)?;
            let mut moved_now = 0;
            for (found, name) in pass.iter() {
                if stuck.contains(name) {
                    continue;
                }
                match if may_move { self.move_to_cur(found, name) } else { Ok(None) } {
                    Ok(Some(target)) => {
                        listing.add(&target, Place::Cur, true, false);
                        moved_now += 1;
                    }
                    Ok(None) => {
                        stuck.insert(name.to_vec());
                        listing.add(name, Place::New, true, found.unsure);
                    }
                    // Somebody else moved it: cur shows it.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        if self.said.first_time(b":new") {
                            log!(Level::Warning, "{}: new mail cannot be moved to cur: {error}", self.path_shown());
                        }
                        stuck.insert(name.to_vec());
                        listing.add(name, Place::New, true, found.unsure);
                    }
                }
            }
            self.new_stamp = stamp;
            moved += moved_now;
            if moved_now == 0 {
                break;
            }
        }
        let mut scan =
            Scan { listing, seen: Vec::new(), strangers: Vec::new(), duplicates: false, complete: look_in_cur };
        self.match_names(&mut scan);
        scan.complete |= self.needs_cur(&scan, expected);
        if scan.complete {
            self.cur_stamp = Stamp::before_reading(&self.stat_part(b"cur")?);
            scan.listing.read(&self.folder, Place::Cur, &mut self.said)?;
            self.match_names(&mut scan);
            if self.has_missing(&scan) {
                // One listing may miss a file that is being renamed; two do not.
                scan.listing.read(&self.folder, Place::New, &mut self.said)?;
                scan.listing.read(&self.folder, Place::Cur, &mut self.said)?;
                self.match_names(&mut scan);
            }
        } else if moved > 0 && !self.cur_stamp.changed(&cur_before) {
            self.cur_stamp = Stamp::after_writing(&self.stat_part(b"cur")?);
        }
        if may_move && scan.duplicates {
            self.resolve_duplicates(&mut scan)?;
        }
        Ok(scan)
    }

    /// Moves a file from `new` to `cur`. `None` if it must stay; NotFound if it is not there any more.
    fn move_to_cur(&self, found: &Found, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        if found.unsure && self.folder.new.stat(name)?.kind != Kind::File {
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

    /// Matches what was listed with the view. Of two names of one message the one listed last counts.
    fn match_names(&self, scan: &mut Scan) {
        scan.seen.clear();
        scan.seen.resize(self.messages.len(), None);
        scan.strangers.clear();
        if scan.listing.is_empty() {
            return;
        }
        let mut duplicates = false;
        let known: HashMap<&[u8], usize> =
            self.messages.iter().enumerate().filter(|(_, m)| !m.gone).map(|(at, m)| (m.base(), at)).collect();
        let listing = &scan.listing;
        for (found, name) in listing.iter() {
            match known.get(file_name::base(name)).and_then(|&at| scan.seen.get_mut(at)) {
                Some(seen) => {
                    let before = seen.replace(found.clone());
                    duplicates |= before.is_some_and(|b| b.place != found.place || listing.name(&b) != name);
                }
                None => scan.strangers.push(found.clone()),
            }
        }
        let base = |found: &Found| file_name::base(listing.name(found));
        // A stable sort: what was listed last comes last.
        scan.strangers.sort_by(|a, b| base(a).cmp(base(b)));
        scan.strangers.dedup_by(|later, kept| {
            let same = base(later) == base(kept);
            if same {
                duplicates |= later.place != kept.place || listing.name(later) != listing.name(kept);
                let fresh = kept.fresh || later.fresh;
                later.clone_into(kept);
                kept.fresh = fresh;
            }
            same
        });
        scan.duplicates = duplicates;
    }

    /// Whether what `new` showed cannot be understood without `cur`: a message that was there left it, one that we know in `cur` came again,
    /// or the list knows of a file that has not been seen.
    fn needs_cur(&self, scan: &Scan, expected: &Unmatched) -> bool {
        let odd = |(m, seen): (&Message, &Option<Found>)| !m.gone && (m.place == Place::New) != seen.is_some();
        let met = scan.strangers.iter().filter(|f| expected.contains_key(file_name::base(scan.listing.name(f))));
        self.messages.iter().zip(&scan.seen).any(odd) || met.count() < expected.len()
    }

    fn has_missing(&self, scan: &Scan) -> bool {
        self.messages.iter().zip(&scan.seen).any(|(m, seen)| !m.gone && seen.is_none())
    }

    /// Two files of one name in `cur`, apart from the flags: the second name of an old link is removed, another message gets a name of its own.
    fn resolve_duplicates(&mut self, scan: &mut Scan) -> Result<()> {
        let mut names: HashMap<&[u8], (&Found, &[u8])> = HashMap::new();
        let mut pairs = Vec::new();
        for (found, name) in scan.listing.iter() {
            let base = file_name::base(name);
            if let Some((other, other_name)) = names.insert(base, (found, name))
                && (other_name != name || other.place != found.place)
            {
                pairs.push((other.place, other_name.to_vec(), found.place, name.to_vec()));
            }
        }
        if pairs.is_empty() {
            return Ok(());
        }
        let known: HashSet<(Place, &[u8])> =
            self.messages.iter().filter(|m| !m.gone).map(|m| (m.place, &*m.name)).collect();
        let came_now: HashSet<&[u8]> = scan.listing.iter().filter(|(f, _)| f.fresh).map(|(_, name)| name).collect();
        let mut again = false;
        for (place_a, a, place_b, b) in pairs {
            let stats = (self.folder.place(place_a).stat(&a), self.folder.place(place_b).stat(&b));
            let (Ok(stat_a), Ok(stat_b)) = stats else {
                // It was renamed between two listings; the name that is there counts.
                again = true;
                continue;
            };
            if (stat_a.device, stat_a.inode) == (stat_b.device, stat_b.inode) {
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                let now = i64::try_from(now.as_secs()).unwrap_or(0);
                // Both at once, that is: not one name before and after it was renamed.
                let still = self.folder.place(place_a).stat(&a).is_ok_and(|s| s.inode == stat_b.inode);
                if still && stat_b.links > 1 && now.saturating_sub(stat_b.changed.seconds) > OLD_LINK {
                    self.folder.place(place_b).unlink(&b)?;
                }
            } else {
                // The UID stays with the one that had it: which we know, or which was there first.
                let seniority = |place, name: &[u8], stat: &Stat| {
                    (!known.contains(&(place, name)), came_now.contains(name), stat.modified)
                };
                let a_stays = seniority(place_a, &a, &stat_a) <= seniority(place_b, &b, &stat_b);
                let (place, name) = if a_stays { (place_b, b) } else { (place_a, a) };
                let fresh = file_name::with_fresh_base(&name);
                log!(Level::Warning, "{} is the name of two messages; one becomes {}", Quoted(&name), Quoted(&fresh));
                let _ = self.folder.place(place).rename_new(&name, self.folder.place(place), &fresh);
            }
            again = true;
        }
        if again {
            let mut listing = Listing::default();
            let fresh: HashSet<Vec<u8>> = (scan.listing.iter().filter(|(f, _)| f.fresh))
                .map(|(_, name)| file_name::base(name).to_vec())
                .collect();
            let mut present = Listing::default();
            present.read(&self.folder, Place::New, &mut self.said)?;
            present.read(&self.folder, Place::Cur, &mut self.said)?;
            for (found, name) in present.iter() {
                listing.add(name, found.place, fresh.contains(file_name::base(name)), found.unsure);
            }
            scan.listing = listing;
            self.match_names(scan);
        }
        Ok(())
    }

    /// Takes over what the scan shows of the messages we know.
    fn take_seen(&mut self, scan: &Scan, changes: &mut Changes) {
        for (message, seen) in self.messages.iter_mut().zip(&scan.seen).filter(|(m, _)| !m.gone) {
            let Some(found) = seen else {
                if scan.complete {
                    message.gone = true;
                }
                continue;
            };
            let name = scan.listing.name(found);
            if *message.name != *name {
                if file_name::letters(&message.name) != file_name::letters(name) {
                    changes.flags.insert(message.uid);
                }
                message.name = name.into();
            }
            message.place = found.place;
        }
    }

    /// Gives UIDs to files that have none, in the order of their arrival.
    fn deal(
        &mut self,
        lock: &mut Lock,
        listing: &Listing,
        mut found: Vec<&Found>,
        list_made: bool,
        changes: &mut Changes,
    ) -> Result<()> {
        found.retain(|f| {
            let name = listing.name(f);
            let is_file = !f.unsure || self.folder.place(f.place).stat(name).is_ok_and(|s| s.kind == Kind::File);
            if !is_file && self.said.first_time(name) {
                log!(Level::Warning, "passed over {}, which is no message", Quoted(name));
            }
            is_file
        });
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by(|a, b| file_name::arrival_order(listing.name(a), listing.name(b)));
        let new: Vec<(&[u8], Fields)> =
            found.iter().map(|f| (file_name::base(listing.name(f)), Fields::default())).collect();
        if let Err(error) = self.list.append(&self.folder.dir, lock, self.uid_next, &new) {
            log!(Level::Error, "{}: new messages get no UIDs: {error}", self.path_shown());
            self.look_again();
        }
        // Even if that failed, some lines may have been written: they count.
        let records = match self.list.refresh(&self.folder.dir)? {
            Refreshed::Appended(records) | Refreshed::Replaced(records) => records,
            _ => Vec::new(),
        };
        let mut uids: HashMap<Box<[u8]>, Uid> = records.into_iter().map(|r| (r.base, r.uid)).collect();
        for found in found {
            let name = listing.name(found);
            let Some(uid) = uids.remove(file_name::base(name)) else { continue };
            // Nobody was told of it before us; but mail that was in cur before there was a list is not new.
            if found.fresh || !list_made {
                self.recent.insert(uid);
            }
            changes.arrived.insert(uid);
            self.messages.push(Message::new(uid, found.place, name, Fields::default()));
        }
        Ok(())
    }

    /// Files were found that could not be given UIDs: they are looked for next time, wherever they lie.
    fn look_again(&mut self) {
        self.without_uid = true;
        self.new_stamp.distrust();
        self.cur_stamp.distrust();
    }

    /// Writes the list anew when a quarter of it is dead, or when it is not as it should be. Under the lock, with nothing in the list unread.
    fn tidy_list(&mut self, lock: &mut Lock) {
        let live = self.messages.iter().filter(|m| !m.gone).count();
        let lines = self.list.lines();
        let much_is_dead = self.access == Access::ReadWrite && lines > live && lines.saturating_mul(3) / 4 >= live;
        if !(much_is_dead || self.list.imperfect() || self.sizes_are_worth_recording()) {
            return;
        }
        lock.touch();
        let Some(mut header) = self.list.header().cloned() else { return };
        header.next_uid = self.list.next_uid().max(self.uid_next);
        header.guid.get_or_insert_with(|| Header::new(header.uid_validity, new_guid()).guid.unwrap_or_default());
        let renamed = self.put_sizes_right(lock);
        let messages = &self.messages;
        let records = messages.iter().filter(|m| !m.gone).map(|m| (m.uid, m.fields.clone(), m.base()));
        if let Err(error) = self.list.rewrite(&self.folder.dir, &header, records) {
            log!(Level::Warning, "{}: cannot write the UID list anew: {error}", self.path_shown());
            self.put_names_back(renamed);
        }
    }

    /// At the end, if nobody holds the lock: leaves the sizes for the next session.
    pub(super) fn record_sizes(&mut self) {
        if self.sizes_are_worth_recording()
            && let Ok(mut lock) = Lock::take(&self.folder.dir, uid_list::FILE, std::time::Duration::ZERO)
            && self.folder.check().is_ok()
            && self.list.is_current(&self.folder.dir)
            && self.waiting.is_empty()
        {
            self.tidy_list(&mut lock);
        }
    }

    /// Drops what is gone from the view and completes the changes with what happened between syncs.
    fn settle(&mut self, changes: &mut Changes) {
        changes.expunged = self.messages.iter().filter(|m| m.gone).map(|m| m.uid).collect();
        if !changes.expunged.is_empty() {
            self.messages.retain(|m| !m.gone);
        }
        // What arrived and went within this sync is not told at all.
        let arrived_and_gone = changes.arrived.intersection(&changes.expunged);
        changes.arrived = changes.arrived.difference(&arrived_and_gone);
        changes.expunged = changes.expunged.difference(&arrived_and_gone);
        for (uid, shown) in std::mem::take(&mut self.shown) {
            let now = self.index(uid).and_then(|at| self.messages.get(at)).map(|m| self.keywords.flags(&m.name));
            if now == Some(shown) { changes.flags.remove(uid) } else { changes.flags.insert(uid) }
        }
        changes.flags = changes.flags.difference(&changes.expunged).difference(&changes.arrived);
        let keywords = self.keywords.keywords().len();
        changes.new_keywords = keywords > self.keywords_told;
        self.keywords_told = keywords;
        if !changes.arrived.is_empty() || !changes.expunged.is_empty() {
            self.uids = self.uids.difference(&changes.expunged).union(&changes.arrived);
            self.recent = self.recent.intersection(&self.uids);
        }
    }

    /// After changes of our own to `cur` under the lock: the view knows them, unless somebody else was there since the last look.
    pub(super) fn adopt_cur(&mut self, before: &Stat) {
        /// Up to so many files, listing again costs less than it could spare.
        const SMALL: usize = 2000;
        if self.messages.len() > SMALL
            && !self.cur_stamp.changed(before)
            && let Ok(after) = self.stat_part(b"cur")
        {
            self.cur_stamp = Stamp::after_writing(&after);
        }
    }

    pub(super) fn stat_cur(&self) -> Result<Stat> {
        self.stat_part(b"cur")
    }
}

/// 128 bits that no other mailbox has. They need not be hard to guess.
fn new_guid() -> [u8; 16] {
    let mut guid = [0; 16];
    let moment = std::time::SystemTime::now();
    for half in guid.chunks_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(moment).to_be_bytes());
    }
    guid
}
