//! Remove messages. Their lines in the UID list stay until it is written anew.

use super::file_name;
use super::folder::Place;
use super::mailbox::{MaildirMailbox, Message};
use super::quota;
use crate::limits;
use crate::storage::{Result, StoreError};
use crate::types::{SystemFlag, UidSet};

impl MaildirMailbox {
    /// EXPUNGE: all but those that are shown as deleted and, by the file's present name, no longer are.
    pub(super) fn expunge_files(&mut self, uids: &UidSet) -> Result<UidSet> {
        self.remove_unless(uids, |mailbox, message| {
            let shown = mailbox.shown.get(&message.uid);
            shown.is_some_and(|flags| flags.has(SystemFlag::Deleted))
                && file_name::letters(&message.name).system().all(|flag| flag != SystemFlag::Deleted)
        })
    }

    pub(super) fn remove(&mut self, uids: &UidSet) -> Result<UidSet> {
        self.remove_unless(uids, |_, _| false)
    }

    fn remove_unless(&mut self, uids: &UidSet, spared: impl Fn(&Self, &Message) -> bool) -> Result<UidSet> {
        let indices = self.indices(uids);
        if indices.is_empty() {
            return Ok(UidSet::new());
        }
        let mut lock = match self.folder.lock(limits::TIME_LOCK) {
            Ok(lock) => Some(lock),
            // On a full disk there must be a way to make room; removing alone is safe without the lock.
            Err(StoreError::OverQuota) => None,
            Err(error) => return Err(error),
        };
        let before = self.stat_cur()?;
        let mut removed = UidSet::new();
        let (counted, mut amount) = (quota::is_kept(&self.root), quota::Amount::default());
        let mut failed = None;
        // Mail that cannot be moved to cur can still be removed.
        let left_new = indices.iter().filter_map(|&at| self.messages.get(at)).any(|m| m.place == Place::New);
        for at in indices {
            if let Some(lock) = &mut lock {
                lock.touch();
            }
            let uid = match self.messages.get(at) {
                Some(message) => message.uid,
                None => continue,
            };
            let unlinked = self.with_file(at, |mailbox, message| {
                if spared(mailbox, message) {
                    return Ok(None);
                }
                let dir = mailbox.folder.place(message.place);
                let size = match file_name::stored_size(&message.name) {
                    None if counted => dir.stat(&message.name)?.size,
                    size => size.unwrap_or(0),
                };
                dir.unlink(&message.name)?;
                Ok(Some(size))
            });
            match unlinked {
                Ok(Some(None)) => {}
                Ok(unlinked) => {
                    // By us, or by somebody else before: then it is theirs to report.
                    if let Some(size) = unlinked.flatten() {
                        removed.insert(uid);
                        amount.add(size);
                    }
                    if let Some(message) = self.messages.get_mut(at) {
                        message.gone = true;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        if !removed.is_empty() {
            if counted {
                quota::note(&self.root, amount.gone());
            }
            self.folder.cur.sync()?;
            if left_new {
                self.folder.new.sync()?;
            }
            self.adopt_cur(&before);
        }
        // What could be removed is removed, and reported as such by the next sync.
        match failed {
            Some(error) if removed.is_empty() => Err(error),
            _ => Ok(removed),
        }
    }
}
