//! Change flags: rename files under one lock, with one sync of the directory at the end.

use super::file_name::{self, Letters};
use super::folder::Place;
use super::mailbox::MaildirMailbox;
use crate::limits;
use crate::log::{Level, log};
use crate::storage::{Result, StoreError};
use crate::sys::file::name_too_long;
use crate::types::flag::FlagChange;
use crate::types::{Flags, Uid, UidSet};

/// A name as it was, to go back to.
struct Undo {
    at: usize,
    place: Place,
    name: Box<[u8]>,
}

impl MaildirMailbox {
    pub(super) fn change_flags(
        &mut self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
    ) -> Result<Vec<(Uid, Flags)>> {
        let indices = self.indices(uids);
        if indices.is_empty() {
            return Ok(Vec::new());
        }
        let mut lock = self.folder.lock(limits::TIME_LOCK)?;
        self.refresh_keywords()?;
        if change != FlagChange::Remove && self.keywords.lacks(flags.keywords().iter()) {
            let in_use = self.letters_in_use();
            self.keywords.provide(&self.folder, &mut lock, flags.keywords().iter(), in_use)?;
        }
        let before = self.stat_cur()?;
        let mut undo = Vec::new();
        let mut stored = Vec::with_capacity(indices.len());
        for at in indices {
            lock.touch();
            match self.change_one(at, change, flags, &mut undo) {
                Ok(Some((uid, after))) => stored.push((uid, after)),
                Ok(None) => {}
                Err(error) => return Err(self.undo(undo, error)),
            }
        }
        if let Err(error) = self.keywords.save(&self.folder, &mut lock) {
            return Err(self.undo(undo, error));
        }
        if !undo.is_empty() {
            self.folder.cur.sync()?;
            self.adopt_cur(&before);
        }
        // What others did to these messages meanwhile is told along with what we did.
        for (uid, _) in &stored {
            self.shown.remove(uid);
        }
        Ok(stored)
    }

    fn change_one(
        &mut self,
        at: usize,
        change: FlagChange,
        flags: &Flags,
        undo: &mut Vec<Undo>,
    ) -> Result<Option<(Uid, Flags)>> {
        let renamed = self.with_file(at, |mailbox, message| {
            let letters = file_name::letters(&message.name);
            let after = change.apply(&mailbox.keywords.flags(&message.name), flags);
            let changed = mailbox.keywords.letters(&after, letters);
            let from = mailbox.folder.place(message.place);
            if changed == letters {
                // Nothing to rename; but it should be there.
                from.stat(&message.name)?;
                return Ok((message.uid, after, None));
            }
            let name = file_name::with_letters(&message.name, changed);
            // Flags live in cur only.
            match from.rename_new(&message.name, &mailbox.folder.cur, &name) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    // Another message of that name: it gets one of its own, and the next look finds it.
                    mailbox.folder.cur.rename_new(&name, &mailbox.folder.cur, &file_name::with_fresh_base(&name))?;
                    from.rename_new(&message.name, &mailbox.folder.cur, &name)?;
                }
                other => other?,
            }
            Ok((message.uid, after, Some(name)))
        });
        let renamed = match renamed {
            Err(StoreError::Io(error)) if name_too_long(&error) => {
                return Err(StoreError::Limit("the message's file name has no room for more flags"));
            }
            other => other?,
        };
        let Some((uid, after, name)) = renamed else { return Ok(None) };
        let Some(message) = self.messages.get_mut(at) else { return Ok(None) };
        self.keywords.set_more(message.base(), &after);
        if let Some(name) = name {
            let before = std::mem::replace(&mut message.name, name.into());
            undo.push(Undo { at, place: message.place, name: before });
            message.place = Place::Cur;
        }
        Ok(Some((uid, after)))
    }

    /// Takes back what was done, and gives back why.
    fn undo(&mut self, undo: Vec<Undo>, why: StoreError) -> StoreError {
        if let Err(error) = self.keywords.refresh(&self.folder.dir) {
            log!(Level::Warning, "{}: cannot read keywords: {error}", self.path_shown());
        }
        for Undo { at, place, name } in undo.into_iter().rev() {
            let Some(message) = self.messages.get(at) else { continue };
            match self.folder.cur.rename_new(&message.name, self.folder.place(place), &name) {
                Ok(()) => {
                    if let Some(message) = self.messages.get_mut(at) {
                        (message.name, message.place) = (name, place);
                    }
                }
                Err(error) => {
                    // It keeps the new flags; then the client must hear of them.
                    log!(Level::Warning, "{}: cannot take a flag change back: {error}", self.path_shown());
                    self.shown.entry(message.uid).or_insert_with(|| self.keywords.flags(&name));
                }
            }
        }
        let _ = self.folder.cur.sync();
        why
    }

    /// Letters that some message carries, named or not.
    pub(super) fn letters_in_use(&self) -> Letters {
        let mut used = Letters::default();
        self.messages.iter().for_each(|m| used.add(file_name::letters(&m.name)));
        used
    }
}
