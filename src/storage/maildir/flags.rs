//! Change flags: rename files under one lock, with one sync of the directory at the end.

use super::file_name::{self, Letters};
use super::folder::Place;
use super::index::table::Edit;
use super::lock::Lock;
use super::mailbox::{Located, MaildirMailbox};
use crate::limits;
use crate::log::{Level, log};
use crate::storage::{Result, StoreError, Stored};
use crate::sys::file::name_too_long;
use crate::types::flag::FlagChange;
use crate::types::{Flags, Uid, UidSet};
use std::collections::BTreeMap;

/// A message as it was, to go back to.
struct Undo {
    uid: u32,
    place: Place,
    before: Vec<u8>,
    after: Vec<u8>,
    /// Its keywords without letters.
    numbers: Vec<u16>,
}

/// What is to be changed.
struct Change<'a> {
    change: FlagChange,
    flags: &'a Flags,
}

/// So many messages are looked up and noted together.
const BATCH: usize = 8192;

impl MaildirMailbox {
    pub(super) fn change_flags(
        &mut self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Stored> {
        if uids.intersection(self.view.uids()).is_empty() {
            return Ok(Stored::default());
        }
        let mut lock = self.folder.lock(limits::TIME_LOCK)?;
        self.refresh_keywords()?;
        if unchanged_since.is_some() {
            // What other programs did must have its time before times are compared.
            self.catch_up(&mut lock)?;
        }
        if let Some(since) = unchanged_since {
            let all = self.locate(uids)?;
            if all.iter().all(|located| located.row.modseq > since) {
                let modified = all.iter().filter_map(|located| Uid::new(located.row.uid)).collect();
                return Ok(Stored { flags: Vec::new(), modified });
            }
        }
        if change != FlagChange::Remove && self.keywords.lacks(flags.keywords().iter()) {
            let in_use = self.letters_in_use();
            self.keywords.provide(&self.folder, &mut lock, flags.keywords().iter(), in_use)?;
        }
        let (mut undo, mut stored) = (Vec::new(), Stored::default());
        let wanted: Vec<Uid> = uids.intersection(self.view.uids()).iter().collect();
        for batch in wanted.chunks(BATCH) {
            let batch: UidSet = batch.iter().copied().collect();
            let change = Change { change, flags };
            if let Err(error) = self.change_batch(&batch, &change, unchanged_since, &mut lock, &mut undo, &mut stored) {
                return Err(self.undo(undo, &mut lock, error));
            }
        }
        if !undo.is_empty() {
            self.folder.cur.sync()?;
        }
        // What others did to these messages meanwhile is told along with what we did.
        for (uid, _) in &stored.flags {
            self.renamed_flags.remove(*uid);
        }
        Ok(stored)
    }

    fn change_batch(
        &mut self,
        uids: &UidSet,
        change: &Change<'_>,
        unchanged_since: Option<u64>,
        lock: &mut Lock,
        undo: &mut Vec<Undo>,
        stored: &mut Stored,
    ) -> Result<()> {
        let before = self.stat_cur()?;
        let mut changed: BTreeMap<u32, (Vec<u8>, bool)> = BTreeMap::new();
        for mut located in self.locate(uids)? {
            lock.touch();
            let Some(uid) = Uid::new(located.row.uid) else { continue };
            if unchanged_since.is_some_and(|since| located.row.modseq > since) {
                stored.modified.insert(uid);
                continue;
            }
            let Some((flags, other)) = self.change_one(&mut located, change, lock, undo)? else { continue };
            self.show_more(uid, self.keywords.more_flags(located.base()));
            if !other {
                // What others did to it is told along.
                self.view.show(&located.row);
            } else {
                let more = self.keywords.has_more(located.base());
                changed.insert(located.row.uid, (located.name, more));
            }
            stored.flags.push((uid, flags));
        }
        self.keywords.save(&self.folder, lock)?;
        if changed.is_empty() {
            return Ok(());
        }
        let uids: Vec<u32> = changed.keys().copied().collect();
        self.note(&uids, &before, |entry, modseq| {
            let mut row = entry.row;
            row.modseq = modseq.get();
            let Some((name, more)) = changed.get(&row.uid) else { return Edit::Row(row) };
            row.set_more(*more);
            // What only has other further keywords may lie in `new` still.
            let place = if name.contains(&b':') { Place::Cur } else { row.place() };
            let kept = row.set_name(place, name);
            if kept == entry.kept { Edit::Row(row) } else { Edit::All(row, kept.to_vec(), entry.fields.to_vec()) }
        })
    }

    /// The message's flags now, and whether they were others; `None` if it is gone.
    fn change_one(
        &mut self,
        located: &mut Located,
        Change { change, flags }: &Change<'_>,
        lock: &mut Lock,
        undo: &mut Vec<Undo>,
    ) -> Result<Option<(Flags, bool)>> {
        let renamed = self.with_file(located, Some(lock), |mailbox, located| {
            let letters = file_name::letters(&located.name);
            let before = mailbox.keywords.flags(&located.name);
            let after = change.apply(&before, flags);
            let changed = mailbox.keywords.letters(&after, letters);
            let from = mailbox.folder.place(located.place());
            if changed == letters {
                // Nothing to rename; but it should be there.
                from.stat(&located.name)?;
                let other = before != after;
                return Ok((after, other, None));
            }
            let name = file_name::with_letters(&located.name, changed);
            // Flags live in cur only.
            match from.rename_new(&located.name, &mailbox.folder.cur, &name) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    // Another message of that name: it gets one of its own, and the next look finds it.
                    mailbox.folder.cur.rename_new(&name, &mailbox.folder.cur, &file_name::with_fresh_base(&name))?;
                    from.rename_new(&located.name, &mailbox.folder.cur, &name)?;
                }
                other => other?,
            }
            Ok((after, true, Some(name)))
        });
        let renamed = match renamed {
            Err(StoreError::Io(error)) if name_too_long(&error) => {
                return Err(StoreError::Limit("the message's file name has no room for more flags"));
            }
            other => other?,
        };
        let Some((after, other, name)) = renamed else { return Ok(None) };
        let numbers = self.keywords.numbers(located.base());
        self.keywords.set_more(located.base(), &after);
        if name.is_some() || self.keywords.numbers(located.base()) != numbers {
            let place = located.place();
            let before = located.name.clone();
            if let Some(name) = name {
                located.name = name;
                located.row.set_name(Place::Cur, &located.name);
            }
            undo.push(Undo { uid: located.row.uid, place, before, after: located.name.clone(), numbers });
        }
        Ok(Some((after, other)))
    }

    /// Takes back what was done, and gives back why.
    fn undo(&mut self, undo: Vec<Undo>, lock: &mut Lock, why: StoreError) -> StoreError {
        for Undo { place, before, after, .. } in undo.iter().rev().filter(|undo| undo.before != undo.after) {
            if let Err(error) = self.folder.cur.rename_new(after, self.folder.place(*place), before) {
                // It keeps the new flags, of which the client will hear.
                log!(Level::Warning, "{}: cannot take a flag change back: {error}", self.path_shown());
            }
        }
        let _ = self.folder.cur.sync();
        let had = undo.iter().map(|undo| (file_name::base(&undo.before), &undo.numbers));
        self.keywords.put_back(&self.folder, lock, had);
        for undo in &undo {
            let more = self.keywords.more_flags(file_name::base(&undo.before));
            Uid::new(undo.uid).into_iter().for_each(|uid| self.show_more(uid, more.clone()));
        }
        // The index learns what the disk has.
        if let Err(error) = self.refresh_keywords().and_then(|()| self.find_again(Some(lock))) {
            log!(Level::Warning, "{}: cannot look at what was taken back: {error}", self.path_shown());
        }
        why
    }

    /// Brings the index up to date if the disk shows that it is not.
    pub(super) fn catch_up(&mut self, lock: &mut Lock) -> Result<()> {
        self.with_index(|mailbox, index| {
            let record = mailbox.record(&index.read()?)?;
            let (new, cur) = (mailbox.stat_part(b"new")?, mailbox.stat_cur()?);
            let in_cur = record.as_ref().is_none_or(|record| record.cur.is_outdated(&cur));
            if in_cur || record.is_none_or(|record| mailbox.must_look(&record, &new, false)) {
                mailbox.update(index, Some(lock), in_cur)?;
            }
            Ok(())
        })
    }

    /// Letters that some message carries, named or not.
    pub(super) fn letters_in_use(&self) -> Letters {
        let mut used = Letters::default();
        self.view.messages().iter().for_each(|shown| used.add(shown.letters()));
        used
    }
}
