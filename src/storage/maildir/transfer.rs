//! Copy by hard link, move by rename; undone as a whole on failure.

use super::arrivals::{self, Arrival, Before};
use super::deliver::{Staged, Targets, create_in_tmp, targets};
use super::expunge::Removal;
use super::file_name::{self, Letters};
use super::folder::{Folder, Place};
use super::interop::dovecot_uidlist::Fields;
use super::keywords::KeywordTable;
use super::lock::Lock;
use super::mailbox::{Located, MaildirMailbox};
use super::quota;
use super::uid_list::{self, Dealt};
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
        let all = self.locate(uids)?;
        if all.is_empty() {
            return self.nothing_copied(&target);
        }
        let (counted, mut amount) = (quota::is_kept(&self.root), quota::Amount::default());
        if counted {
            all.iter().for_each(|located| amount.add(self.stored_size(located)));
            quota::check(&self.root, amount)?;
        }
        let mut lock = target.lock(limits::TIME_LOCK)?;
        let (plan, keywords) = self.plan(&all, &target, &mut lock)?;
        let before = Before::of(&target)?;
        let (mut sources, mut copied) = (Vec::new(), Vec::new());
        let copy = || -> Result<Dealt> {
            for (mut located, planned) in all.into_iter().zip(plan) {
                lock.touch();
                let Some(uid) = Uid::new(located.row.uid) else { continue };
                // Where the lock is that of the source too, a search for the file must not wait for it.
                let held = if target.is_same(&self.folder) { Some(&mut lock) } else { None };
                let made = self.with_file(&mut located, held, |mailbox, located| {
                    let (place, name) = planned.adapted(file_name::letters(&located.name));
                    mailbox.make_copy(located, &target, place, &name)?;
                    Ok((place, name))
                })?;
                let Some((place, name)) = made else { continue };
                sources.push(uid);
                copied.push((place, name, planned.fields, located.row.date()));
            }
            target.sync_places(copied.iter().map(|copy| copy.0))?;
            let new: Vec<(&[u8], Fields)> =
                copied.iter().map(|(_, name, fields, _)| (file_name::base(name), fields.clone())).collect();
            uid_list::append_to(&target.dir, &mut lock, &new)
        };
        let dealt = match copy() {
            Ok(dealt) => dealt,
            Err(error) => {
                for (place, name, ..) in copied {
                    let _ = target.place(place).unlink(&name);
                }
                return Err(error);
            }
        };
        if sources.is_empty() {
            return self.nothing_copied(&target);
        }
        if counted {
            quota::note(&self.root, amount);
        }
        let arrivals = copied.into_iter().zip(&dealt.uids).map(|((place, name, fields, date), &uid)| {
            let more = keywords.has_more(file_name::base(&name));
            Arrival { uid, place, name, fields, date, more }
        });
        let letters = keywords.is_loaded().then(|| keywords.letters_meaning());
        arrivals::note(&self.root, &target, &before, &dealt, letters, &arrivals.collect::<Vec<_>>());
        Ok(Copied { uid_validity: dealt.uid_validity, pairs: sources.into_iter().zip(dealt.uids).collect() })
    }

    /// A further name for a message's file, in its place at once since there is nothing that could be seen half written; or a copy where that cannot be.
    fn make_copy(&self, message: &Located, target: &Folder, place: Place, name: &[u8]) -> io::Result<()> {
        let (source, there) = (self.folder.place(message.place()), target.place(place));
        match source.link(&message.name, there, name) {
            Ok(()) => {
                return match there.stat(name) {
                    Ok(stat) if stat.kind == Kind::File => Ok(()),
                    // Something else took its name.
                    other => {
                        let _ = there.unlink(name);
                        other.and(Err(io::ErrorKind::InvalidInput.into()))
                    }
                };
            }
            Err(error) if must_copy(&error) => {}
            Err(error) => return Err(error),
        }
        let mut from = source.open_file(&message.name)?;
        let (unique, mut to) = create_in_tmp(&target.tmp, target.file_mode)?;
        let mut copy = || -> io::Result<()> {
            io::copy(&mut from, &mut to)?;
            set_modified(&to, stat_file(&from)?.modified.seconds)?;
            to.sync_all()?;
            target.tmp.rename_new(&unique, there, name)
        };
        copy().inspect_err(|_| {
            let _ = target.tmp.unlink(&unique);
        })
    }

    /// Octets as stored, by the name or else by a look.
    fn stored_size(&self, message: &Located) -> u64 {
        let look = || self.folder.place(message.place()).stat(&message.name).map_or(0, |stat| stat.size);
        file_name::stored_size(&message.name).unwrap_or_else(look)
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
        let (plan, keywords) = self.plan(&all, &target, &mut target_lock)?;
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
        target.sync_places(moved.iter().map(|m| m.arrival.place))?;
        self.folder.sync_places(moved.iter().map(|m| m.from.0))?;
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
        self.note_gone(&gone, &before, Some(&mut lock))?;
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
    fn plan(&self, all: &[Located], target: &Folder, lock: &mut Lock) -> Result<(Vec<Planned>, KeywordTable)> {
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
