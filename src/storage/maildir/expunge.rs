//! Remove messages. Their lines in the UID list stay until it is written anew.

use super::file_name;
use super::folder::Place;
use super::index::table::Edit;
use super::lock::Lock;
use super::mailbox::{Located, MaildirMailbox};
use super::quota;
use crate::limits;
use crate::log::{Level, log};
use crate::storage::{Partly, Result, StoreError};
use crate::sys::file::Stat;
use crate::types::{SystemFlag, Uid, UidSet};

/// What became of messages that were to be removed. Those that others removed before are in neither set.
#[derive(Default)]
pub(super) struct Removal {
    pub removed: UidSet,
    pub left: UidSet,
    /// The first of what went wrong.
    pub failure: Option<StoreError>,
}

impl MaildirMailbox {
    /// EXPUNGE: all but those that are shown as deleted and, by the file's present name, no longer are.
    pub(super) fn expunge_files(&mut self, uids: &UidSet) -> Result<Partly<UidSet>> {
        let removal = self.remove_unless(uids, |mailbox, uid, located| {
            let deleted = file_name::letter_of(SystemFlag::Deleted);
            let shown = mailbox.view.get(uid).is_some_and(|shown| shown.letters.has(deleted));
            shown && !file_name::letters(&located.name).has(deleted)
        })?;
        match removal.failure {
            Some(failure) if removal.removed.is_empty() => Err(failure),
            failure => Ok(Partly { done: removal.removed, failure }),
        }
    }

    pub(super) fn remove(&mut self, uids: &UidSet) -> Result<Removal> {
        self.remove_unless(uids, |_, _, _| false)
    }

    fn remove_unless(&mut self, uids: &UidSet, spared: impl Fn(&Self, Uid, &Located) -> bool) -> Result<Removal> {
        let all = self.locate(uids)?;
        if all.is_empty() {
            return Ok(Removal::default());
        }
        let mut lock = match self.folder.lock(limits::TIME_LOCK) {
            Ok(lock) => Some(lock),
            // On a full disk there must be a way to make room; removing alone is safe without the lock.
            Err(StoreError::OverQuota) => None,
            Err(error) => return Err(error),
        };
        let before = self.stat_cur()?;
        let (mut removal, mut gone, mut left_new) = (Removal::default(), Vec::new(), false);
        let (counted, mut amount) = (quota::is_kept(&self.root), quota::Amount::default());
        for mut located in all {
            if let Some(lock) = &mut lock {
                lock.touch();
            }
            let Some(uid) = Uid::new(located.row.uid) else { continue };
            let unlinked = self.with_file(&mut located, lock.as_mut(), |mailbox, located| {
                if spared(mailbox, uid, located) {
                    return Ok(None);
                }
                let dir = mailbox.folder.place(located.place());
                let size = match file_name::stored_size(&located.name) {
                    None if counted => dir.stat(&located.name)?.size,
                    size => size.unwrap_or(0),
                };
                dir.unlink(&located.name)?;
                Ok(Some(size))
            });
            match unlinked {
                Ok(Some(Some(size))) => {
                    // Mail that cannot be moved to cur can still be removed.
                    left_new |= located.place() == Place::New;
                    removal.removed.insert(uid);
                    amount.add(size);
                    gone.push(located.row.uid);
                    // A file that comes under its name is another message.
                    self.keywords.forget_more(located.base());
                }
                // By somebody else before: then it is theirs to report.
                Ok(Some(None) | None) => {}
                // The others do not stay because of it.
                Err(error) => {
                    removal.left.insert(uid);
                    removal.failure.get_or_insert(error);
                }
            }
        }
        if gone.is_empty() {
            return Ok(removal);
        }
        if counted {
            quota::note(&self.root, amount.gone());
        }
        if let Err(error) = self.after_removing(&gone, &before, left_new, lock.as_mut()) {
            removal.failure.get_or_insert(error);
        }
        Ok(removal)
    }

    /// What is to be done when files are removed; what fails of it the next look makes good, but for the sync.
    fn after_removing(&mut self, gone: &[u32], before: &Stat, left_new: bool, lock: Option<&mut Lock>) -> Result<()> {
        let synced = self.folder.cur.sync().and_then(|()| if left_new { self.folder.new.sync() } else { Ok(()) });
        self.note_gone(gone, before, lock)?;
        Ok(synced?)
    }

    /// Tells the keywords and the index of messages whose files this session took away; `before` is `cur` before that.
    pub(super) fn note_gone(&mut self, gone: &[u32], before: &Stat, mut lock: Option<&mut Lock>) -> Result<()> {
        if let Some(lock) = lock.as_deref_mut()
            && let Err(error) = self.keywords.save(&self.folder, lock)
        {
            log!(Level::Notice, "{}: cannot forget old keywords: {error}", self.path_shown());
            self.keywords.take_back();
        }
        self.note(gone, before, |_, _| Edit::Remove)?;
        if let Some(lock) = lock {
            self.with_index(|mailbox, index| mailbox.tidy(index, lock))?;
        }
        Ok(())
    }
}
