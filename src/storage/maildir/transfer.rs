//! Copy by hard link, move by rename; undone as a whole on failure.

use super::arrivals::{self, Arrival, Before};
use super::deliver::{Staged, Staging, Targets, create_in_tmp, targets};
use super::expunge::Removal;
use super::file_name::{self, Letters};
use super::folder::{Folder, Place};
use super::index::table::Edit;
use super::interop::dovecot_uidlist::Fields;
use super::keywords::KeywordTable;
use super::lock::Lock;
use super::mailbox::{Located, MaildirMailbox};
use super::uid_list;
use crate::limits;
use crate::log::{Level, log};
use crate::storage::{Access, Copied, Partly, Result, StoreError};
use crate::sys::file::{Kind, must_copy, set_modified, stat_file};
use crate::types::{MailboxName, Uid, UidSet};
use std::io;

/// A message that has been moved.
struct Moved {
    source: Uid,
    /// Where it was.
    from: (Place, Vec<u8>),
    arrival: Arrival,
}

/// Where a message is to be in the target.
struct Planned {
    place: Place,
    name: Vec<u8>,
    fields: Fields,
    /// The letters by which that was planned.
    letters: Letters,
}

impl Planned {
    /// Place and name for a message which by now is marked so: system flags follow what another program changed since.
    fn adapted(&self, letters: Letters) -> (Place, Vec<u8>) {
        if letters == self.letters {
            return (self.place, self.name.clone());
        }
        let mut new = kept(letters);
        file_name::letters(&self.name).iter().filter(u8::is_ascii_lowercase).for_each(|letter| new.insert(letter));
        (Place::Cur, file_name::with_letters(&self.name, new))
    }
}

impl MaildirMailbox {
    pub(super) fn copy_to(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        let target = self.root.target(target)?;
        self.refresh_keywords()?;
        let mut staging = Staging::new(&self.root, target);
        let mut sources = Vec::new();
        for mut located in self.locate(uids)? {
            let Some(uid) = Uid::new(located.row.uid) else { continue };
            let copy = |mailbox: &Self, located: &Located| mailbox.stage_copy(located, &staging.folder);
            let Some(unique) = self.with_file(&mut located, None, copy)? else { continue };
            staging.staged.push(self.staged(&located, unique));
            sources.push(uid);
        }
        if sources.is_empty() {
            return self.nothing_copied(&staging.folder);
        }
        staging.check_quota()?;
        let mut lock = staging.folder.lock(limits::TIME_LOCK)?;
        let (uid_validity, uids) = staging.publish(&mut lock)?;
        Ok(Copied { uid_validity, pairs: sources.into_iter().zip(uids).collect() })
    }

    /// A further name for a message's file in the target's `tmp`, or a copy where that cannot be.
    fn stage_copy(&self, message: &Located, target: &Folder) -> io::Result<Vec<u8>> {
        let source = self.folder.place(message.place());
        let unique = file_name::unique();
        match source.link(&message.name, &target.tmp, &unique) {
            Ok(()) => {
                return match target.tmp.stat(&unique) {
                    Ok(stat) if stat.kind == Kind::File => Ok(unique),
                    // Something else took its name.
                    other => {
                        let _ = target.tmp.unlink(&unique);
                        other.and(Err(io::ErrorKind::InvalidInput.into()))
                    }
                };
            }
            Err(error) if must_copy(&error) || error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let mut from = source.open_file(&message.name)?;
        let (unique, mut to) = create_in_tmp(&target.tmp, target.file_mode)?;
        let mut copy = || -> io::Result<()> {
            io::copy(&mut from, &mut to)?;
            set_modified(&to, stat_file(&from)?.modified.seconds)?;
            to.sync_all()
        };
        match copy() {
            Ok(()) => Ok(unique),
            Err(error) => {
                let _ = target.tmp.unlink(&unique);
                Err(error)
            }
        }
    }

    fn staged(&self, message: &Located, unique: Vec<u8>) -> Staged {
        let letters = file_name::letters(&message.name);
        let sizes = file_name::stored_size(&message.name).zip(self.known_size(message));
        Staged {
            unique,
            sizes,
            flags: self.keywords.flags(&message.name),
            kept: kept(letters),
            fields: fields(message, self.known_size(message).filter(|_| sizes.is_none())),
            date: message.row.date(),
        }
    }

    fn nothing_copied(&self, target: &Folder) -> Result<Copied> {
        let mut list = uid_list::UidListFile::default();
        list.refresh(&target.dir)?;
        let header = list.header().ok_or(StoreError::NoSuchMailbox)?;
        Ok(Copied { uid_validity: header.uid_validity, pairs: Vec::new() })
    }

    pub(super) fn move_files(&mut self, uids: &UidSet, target_name: &MailboxName) -> Result<Partly<Copied>> {
        let target = self.root.target(target_name)?;
        let across = self.folder.cur.stat_self()?.device != target.cur.stat_self()?.device;
        if across || target.is_same(&self.folder) {
            return self.move_by_copy(uids, target_name, target);
        }
        if uids.intersection(self.view.uids()).is_empty() {
            return self.nothing_copied(&target).map(Partly::whole);
        }
        let (mut lock, mut target_lock) = self.lock_both(&target)?;
        self.refresh_keywords()?;
        let all = self.locate(uids)?;
        let (plan, keywords) = self.plan_move(&all, &target, &mut target_lock)?;
        // The UIDs come first: should we be stopped between, some are lost, but no message ever has two.
        let new: Vec<(&[u8], Fields)> =
            plan.iter().map(|planned| (file_name::base(&planned.name), planned.fields.clone())).collect();
        let (before, target_before) = (self.stat_cur()?, Before::of(&target)?);
        let dealt = uid_list::append_to(&target.dir, &mut target_lock, &new)?;
        let mut moved: Vec<Moved> = Vec::new();
        for ((mut located, planned), &uid) in all.into_iter().zip(plan).zip(&dealt.uids) {
            lock.touch();
            target_lock.touch();
            let renamed = self.with_file(&mut located, Some(&mut lock), |mailbox, located| {
                let (place, name) = planned.adapted(file_name::letters(&located.name));
                mailbox.folder.place(located.place()).rename_new(&located.name, target.place(place), &name)?;
                Ok((place, name))
            });
            match renamed {
                Ok(Some((place, name))) => moved.extend(Uid::new(located.row.uid).map(|source| Moved {
                    source,
                    from: (located.place(), std::mem::take(&mut located.name)),
                    arrival: Arrival {
                        uid,
                        place,
                        more: keywords.has_more(file_name::base(&name)),
                        name,
                        fields: planned.fields,
                        date: located.row.date(),
                    },
                })),
                Ok(None) => {}
                Err(error) => {
                    self.move_back(moved, &target);
                    return Err(error);
                }
            }
        }
        // First where they are now: after a crash in between they are in both, not in none.
        for place in [Place::New, Place::Cur] {
            if moved.iter().any(|m| m.arrival.place == place) {
                target.place(place).sync()?;
            }
        }
        self.folder.cur.sync()?;
        self.folder.new.sync()?;
        let mut sources = Vec::with_capacity(moved.len());
        let (pairs, arrivals): (Vec<(Uid, Uid)>, Vec<Arrival>) = (moved.into_iter())
            .map(|m| {
                sources.push(m.from);
                ((m.source, m.arrival.uid), m.arrival)
            })
            .unzip();
        let letters = keywords.is_loaded().then(|| keywords.letters_meaning());
        arrivals::note(&self.root, &target, &target_before, &dealt, letters, &arrivals);
        let gone: Vec<u32> = pairs.iter().map(|(source, _)| source.get()).collect();
        for (_, name) in &sources {
            self.keywords.forget_more(file_name::base(name));
        }
        if let Err(error) = self.keywords.save(&self.folder, &mut lock) {
            log!(Level::Notice, "{}: cannot forget old keywords: {error}", self.path_shown());
            self.keywords.take_back();
        }
        self.note(&gone, &before, |_, _| Edit::Remove)?;
        self.with_index(|mailbox, index| mailbox.tidy(index, &mut lock))?;
        Ok(Partly::whole(Copied { uid_validity: dealt.uid_validity, pairs }))
    }

    /// Where a rename does not do: copies, then removes the originals. "The server SHOULD NOT leave any message in both mailboxes" (RFC 6851
    /// section 3.3): the copy of an original that cannot be removed is taken back.
    fn move_by_copy(&mut self, uids: &UidSet, target_name: &MailboxName, target: Folder) -> Result<Partly<Copied>> {
        let mut copied = self.copy_to(uids, target_name)?;
        let sources: UidSet = copied.pairs.iter().map(|(source, _)| *source).collect();
        let removal = match self.remove(&sources) {
            Ok(removal) => removal,
            Err(failure) => Removal { left: sources, failure: Some(failure), ..Removal::default() },
        };
        let (moved, left): (Vec<_>, Vec<_>) =
            copied.pairs.into_iter().partition(|(source, _)| !removal.left.contains(*source));
        copied.pairs = moved;
        if !left.is_empty() {
            let doubled: UidSet = left.into_iter().map(|(_, copy)| copy).collect();
            // Read-only: this is nobody's look at the mailbox, and takes \\Recent from none.
            let taken_back = MaildirMailbox::open(&self.root, target, Access::ReadOnly)
                .and_then(|mut target| target.remove(&doubled));
            if let Some(failure) = taken_back.map_or_else(Some, |taken_back| taken_back.failure) {
                log!(Level::Error, "{}: a move that failed has left copies behind: {failure}", self.path_shown());
            }
        }
        Ok(Partly { done: copied, failure: removal.failure })
    }

    /// Both locks, taken in the order of the paths, so that two sessions that move in opposite directions do not wait for each other.
    fn lock_both(&self, target: &Folder) -> Result<(Lock, Lock)> {
        if self.folder.path < target.path {
            let lock = self.folder.lock(limits::TIME_LOCK)?;
            Ok((lock, target.lock(limits::TIME_LOCK)?))
        } else {
            let lock = target.lock(limits::TIME_LOCK)?;
            Ok((self.folder.lock(limits::TIME_LOCK)?, lock))
        }
    }

    /// Place, name and record of each message in the target, and the keywords there.
    fn plan_move(&self, all: &[Located], target: &Folder, lock: &mut Lock) -> Result<(Vec<Planned>, KeywordTable)> {
        let staged: Vec<Staged> = all.iter().map(|m| self.staged(m, file_name::unique())).collect();
        let Targets { seats, keywords } = targets(target, lock, &staged)?;
        let planned = seats.into_iter().zip(staged).zip(all).map(|(((place, name), staged), message)| {
            let letters = file_name::letters(&message.name);
            Planned { place, name, fields: staged.fields, letters }
        });
        Ok((planned.collect(), keywords))
    }

    fn move_back(&mut self, moved: Vec<Moved>, target: &Folder) {
        for Moved { from: (place, name), arrival, .. } in moved.into_iter().rev() {
            let back = target.place(arrival.place).rename_new(&arrival.name, self.folder.place(place), &name);
            if let Err(error) = back {
                // The next look finds it where it is now.
                log!(Level::Error, "{}: cannot take a move back: {error}", self.path_shown());
            }
        }
    }
}

/// Letters that another folder may understand: all but those of keywords, which are each folder's own.
fn kept(letters: Letters) -> Letters {
    let mut kept = Letters::default();
    letters.iter().filter(|letter| !letter.is_ascii_lowercase()).for_each(|letter| kept.insert(letter));
    kept
}

/// What the target's list says of a message: who it was, and its size if the name cannot say it.
fn fields(message: &Located, size: Option<u64>) -> Fields {
    let mut fields = Fields::default();
    fields.set(b'G', message.fields.get(b'G').unwrap_or_else(|| message.base()));
    if let Some(wire) = size {
        fields.set(b'W', wire.to_string().as_bytes());
    }
    fields
}
