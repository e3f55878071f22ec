//! Mailbox in memory; the reference for the others.

use super::bell::Bell;
use super::folder::{Folder, Message};
use super::user::Shared;
use crate::limits;
use crate::storage::{Access, Changes, Copied, Mailbox, Result, StoreError, Stored, StoredMessage};
use crate::types::flag::FlagChange;
use crate::types::{DateTime, Flags, Keyword, MailboxName, ModSeq, ObjectId, SystemFlag, Uid, UidSet, UidValidity};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// What one session sees of a [`Folder`].
pub(super) struct OpenMailbox {
    user: Shared,
    uid_validity: UidValidity,
    access: Access,
    /// The state of the last sync, with the flags stored through this mailbox since.
    uids: UidSet,
    uid_next: Uid,
    recent: UidSet,
    flags: BTreeMap<Uid, Flags>,
    keywords: Vec<Keyword>,
    /// How many of `keywords` the last sync knew.
    keywords_told: usize,
    /// [`Folder::changes`] at the last sync.
    changes: u64,
    /// Made when first asked for.
    bell: Option<Arc<Bell>>,
}

impl OpenMailbox {
    pub fn open(user: Shared, name: &MailboxName, access: Access) -> Result<Self> {
        let uid_validity = user.lock().folder_named(name)?.uid_validity;
        let mut mailbox = Self {
            user,
            uid_validity,
            access,
            uids: UidSet::new(),
            uid_next: Uid::MIN,
            recent: UidSet::new(),
            flags: BTreeMap::new(),
            keywords: Vec::new(),
            keywords_told: 0,
            // Not what any folder has, so that the first sync looks.
            changes: u64::MAX,
            bell: None,
        };
        mailbox.sync()?;
        Ok(mailbox)
    }

    /// Those of `uids` that this session knows: what came since the last sync is none of its business.
    fn known(&self, uids: &UidSet) -> UidSet {
        uids.intersection(&self.uids)
    }

    fn check_writable(&self) -> Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StoreError::NoPermission),
        }
    }

    fn message(&self, uid: Uid) -> Result<Message> {
        if !self.uids.contains(uid) {
            return Err(StoreError::Expunged);
        }
        let mut user = self.user.lock();
        user.folder(self.uid_validity)?.messages.get(&uid).cloned().ok_or(StoreError::Expunged)
    }
}

impl Mailbox for OpenMailbox {
    fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    fn uid_next(&self) -> Uid {
        self.uid_next
    }

    fn uids(&self) -> &UidSet {
        &self.uids
    }

    fn recent(&self) -> &UidSet {
        &self.recent
    }

    fn sync(&mut self) -> Result<Changes> {
        let mut user = self.user.lock();
        let folder = user.folder(self.uid_validity)?;
        if let Some(bell) = &self.bell {
            bell.hush();
        }
        if self.changes == folder.changes {
            return Ok(Changes::default());
        }
        let now: UidSet = folder.messages.keys().copied().collect();
        let changes = Changes {
            arrived: now.difference(&self.uids),
            expunged: self.uids.difference(&now),
            flags: changed_flags(&self.flags, folder),
            new_keywords: folder.keywords.len() > self.keywords_told,
        };
        self.flags.retain(|uid, _| !changes.expunged.contains(*uid));
        for uid in changes.arrived.iter().chain(changes.flags.iter()) {
            if let Some(message) = folder.messages.get(&uid) {
                self.flags.insert(uid, message.flags.clone());
            }
        }
        self.recent = self.recent.difference(&changes.expunged).union(&folder.untold.intersection(&changes.arrived));
        if self.access == Access::ReadWrite {
            folder.untold = UidSet::new();
        }
        (self.uids, self.uid_next, self.changes) = (now, folder.uid_next, folder.changes);
        self.keywords.clone_from(&folder.keywords);
        self.keywords_told = self.keywords.len();
        Ok(changes)
    }

    fn watch(&mut self) -> Option<BorrowedFd<'_>> {
        if self.bell.is_none() {
            let bell = Arc::new(Bell::new().ok()?);
            let mut user = self.user.lock();
            match user.folder(self.uid_validity) {
                Ok(folder) => {
                    folder.add_bell(&bell);
                    if folder.changes != self.changes {
                        bell.ring();
                    }
                }
                Err(_) => bell.ring(),
            }
            self.bell = Some(bell);
        }
        self.bell.as_ref().map(|bell| bell.as_fd())
    }

    fn flags(&self, uid: Uid) -> Option<Flags> {
        self.flags.get(&uid).cloned()
    }

    fn id(&self) -> ObjectId {
        super::folder::id(self.uid_validity)
    }

    fn highest_modseq(&self) -> ModSeq {
        ModSeq::MIN
    }

    fn modseq(&self, uid: Uid) -> Option<ModSeq> {
        self.uids.contains(uid).then_some(ModSeq::MIN)
    }

    fn vanished_since(&mut self, _: ModSeq) -> Result<UidSet> {
        Ok(UidSet::new())
    }

    fn save_date(&mut self, uid: Uid) -> Result<Option<DateTime>> {
        self.message(uid).map(|_| None)
    }

    fn email_id(&mut self, uid: Uid) -> Result<ObjectId> {
        let octets = self.message(uid)?.octets;
        Ok(ObjectId::new('E', octets.as_ptr() as usize as u128))
    }

    fn keywords(&self) -> Vec<Keyword> {
        self.keywords.clone()
    }

    fn can_create_keywords(&self) -> bool {
        self.keywords.len() < limits::KEYWORDS_OF_MAILBOX
    }

    fn internal_date(&mut self, uid: Uid) -> Result<DateTime> {
        Ok(self.message(uid)?.date)
    }

    fn size(&mut self, uid: Uid) -> Result<u64> {
        Ok(self.message(uid)?.octets.len() as u64)
    }

    fn read(&mut self, uid: Uid) -> Result<Box<dyn StoredMessage>> {
        Ok(Box::new(Octets(self.message(uid)?.octets)))
    }

    fn store(&mut self, uids: &UidSet, change: FlagChange, flags: &Flags, _: Option<u64>) -> Result<Stored> {
        self.check_writable()?;
        let known = self.known(uids);
        let mut user = self.user.lock();
        let folder = user.folder(self.uid_validity)?;
        let there: Vec<Uid> = known.iter().filter(|uid| folder.messages.contains_key(uid)).collect();
        if there.is_empty() {
            return Ok(Stored::default());
        }
        let given = if change == FlagChange::Remove {
            flags.clone()
        } else {
            folder.check_keywords(flags)?;
            folder.intern(flags)
        };
        let up_to_date = self.changes == folder.changes;
        let mut stored = Vec::with_capacity(there.len());
        let mut changed = false;
        for uid in there {
            if let Some(message) = folder.messages.get_mut(&uid) {
                let after = change.apply(&message.flags, &given);
                changed |= after != message.flags;
                message.flags = after.clone();
                self.flags.insert(uid, after.clone());
                stored.push((uid, after));
            }
        }
        if changed {
            folder.changed(self.bell.as_ref());
        }
        self.keywords.clone_from(&folder.keywords);
        if up_to_date && self.keywords_told == self.keywords.len() {
            self.changes = folder.changes;
        }
        Ok(Stored { flags: stored, modified: UidSet::new() })
    }

    fn expunge(&mut self, uids: &UidSet) -> Result<UidSet> {
        self.check_writable()?;
        let mut user = self.user.lock();
        let messages = &user.folder(self.uid_validity)?.messages;
        let deleted = |flags: Option<&Flags>| flags.is_some_and(|flags| flags.has(SystemFlag::Deleted));
        let taken_back = |uid: &Uid| {
            let now = messages.get(uid).map(|message| &message.flags);
            now.is_some() && deleted(self.flags.get(uid)) && !deleted(now)
        };
        let doomed = self.known(uids).iter().filter(|uid| !taken_back(uid)).collect();
        user.expunge(self.uid_validity, &doomed)
    }

    fn copy(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        self.user.lock().copy(self.uid_validity, &self.known(uids), target)
    }

    fn move_to(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        self.check_writable()?;
        let mut user = self.user.lock();
        let copied = user.copy(self.uid_validity, &self.known(uids), target)?;
        user.expunge(self.uid_validity, &copied.pairs.iter().map(|&(source, _)| source).collect())?;
        Ok(copied)
    }
}

/// The messages that have other flags in the folder than in the view.
fn changed_flags(view: &BTreeMap<Uid, Flags>, folder: &Folder) -> UidSet {
    let differs = |(uid, flags): (&Uid, &Flags)| {
        let now = folder.messages.get(uid)?;
        (now.flags != *flags).then_some(*uid)
    };
    view.iter().filter_map(differs).collect()
}

/// A message's content.
struct Octets(Arc<[u8]>);

impl StoredMessage for Octets {
    fn stored_size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}
