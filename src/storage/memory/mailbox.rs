//! Mailbox in memory; the reference for the others.

use super::bell::Bell;
use super::folder::{Folder, Message};
use super::user::Shared;
use crate::limits;
use crate::storage::{Access, Changes, Copied, Mailbox, Partly, Result, StoreError, Stored, StoredMessage};
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
    shown: BTreeMap<Uid, Shown>,
    highest_modseq: ModSeq,
    keywords: Vec<Keyword>,
    /// How many of `keywords` the last sync knew.
    keywords_told: usize,
    /// [`Folder::changes`] at the last sync.
    changes: u64,
    /// Made when first asked for.
    bell: Option<Arc<Bell>>,
}

/// What of a message may change.
#[derive(Clone)]
struct Shown {
    flags: Flags,
    modseq: ModSeq,
}

impl Shown {
    fn of(message: &Message) -> Self {
        Self { flags: message.flags.clone(), modseq: message.modseq }
    }
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
            shown: BTreeMap::new(),
            highest_modseq: ModSeq::MIN,
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
            flags: changed_flags(&self.shown, folder),
            new_keywords: folder.keywords.len() > self.keywords_told,
        };
        self.shown.retain(|uid, _| !changes.expunged.contains(*uid));
        for (&uid, message) in &folder.messages {
            // Flags that were changed and changed back have a new time too.
            if self.shown.get(&uid).is_none_or(|shown| shown.modseq != message.modseq) {
                self.shown.insert(uid, Shown::of(message));
            }
        }
        self.highest_modseq = folder.highest_modseq;
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
        self.shown.get(&uid).map(|shown| shown.flags.clone())
    }

    fn id(&self) -> ObjectId {
        super::folder::id(self.uid_validity)
    }

    fn highest_modseq(&self) -> ModSeq {
        self.highest_modseq
    }

    fn modseq(&self, uid: Uid) -> Option<ModSeq> {
        self.shown.get(&uid).map(|shown| shown.modseq)
    }

    fn vanished_since(&mut self, since: ModSeq) -> Result<UidSet> {
        let mut user = self.user.lock();
        let vanished = user.folder(self.uid_validity)?.history.since(since);
        let Some(last) = Uid::new(self.uid_next.get() - 1) else { return Ok(UidSet::new()) };
        let ever = UidSet::range(Uid::MIN, last).difference(&self.uids);
        Ok(match vanished {
            Some(vanished) => vanished.intersection(&ever),
            None => ever,
        })
    }

    fn save_date(&mut self, uid: Uid) -> Result<Option<DateTime>> {
        Ok(Some(self.message(uid)?.saved))
    }

    fn email_id(&mut self, uid: Uid) -> Result<ObjectId> {
        Ok(ObjectId::new('E', self.message(uid)?.email))
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

    fn store(
        &mut self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Stored> {
        self.check_writable()?;
        let known = self.known(uids);
        let mut user = self.user.lock();
        let folder = user.folder(self.uid_validity)?;
        let there = known.iter().filter_map(|uid| Some((uid, folder.messages.get(&uid)?.modseq)));
        let (modified, there): (Vec<_>, Vec<_>) =
            there.partition(|(_, modseq)| unchanged_since.is_some_and(|since| modseq.get() > since));
        let mut stored = Stored { flags: Vec::new(), modified: modified.into_iter().map(|(uid, _)| uid).collect() };
        if there.is_empty() {
            return Ok(stored);
        }
        let given = if change == FlagChange::Remove {
            flags.clone()
        } else {
            folder.check_keywords(flags)?;
            folder.intern(flags)
        };
        let up_to_date = self.changes == folder.changes;
        let mut now = None;
        for (uid, _) in there {
            let Some(before) = folder.messages.get(&uid).map(|message| &message.flags) else { continue };
            let after = change.apply(before, &given);
            // RFC 7162 section 3.1.11: what is so already keeps its time.
            let changed = (after != *before).then(|| *now.get_or_insert_with(|| folder.next_modseq()));
            let Some(message) = folder.messages.get_mut(&uid) else { continue };
            if let Some(modseq) = changed {
                (message.flags, message.modseq) = (after, modseq);
            }
            self.shown.insert(uid, Shown::of(message));
            self.highest_modseq = self.highest_modseq.max(message.modseq);
            stored.flags.push((uid, message.flags.clone()));
        }
        if now.is_some() {
            folder.changed(self.bell.as_ref());
        }
        self.keywords.clone_from(&folder.keywords);
        if up_to_date && self.keywords_told == self.keywords.len() {
            self.changes = folder.changes;
        }
        Ok(stored)
    }

    fn expunge(&mut self, uids: &UidSet) -> Result<Partly<UidSet>> {
        self.check_writable()?;
        let mut user = self.user.lock();
        let messages = &user.folder(self.uid_validity)?.messages;
        let deleted = |flags: Option<&Flags>| flags.is_some_and(|flags| flags.has(SystemFlag::Deleted));
        let taken_back = |uid: &Uid| {
            let now = messages.get(uid).map(|message| &message.flags);
            now.is_some() && deleted(self.shown.get(uid).map(|shown| &shown.flags)) && !deleted(now)
        };
        let doomed = self.known(uids).iter().filter(|uid| !taken_back(uid)).collect();
        user.expunge(self.uid_validity, &doomed).map(Partly::whole)
    }

    fn copy(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        self.user.lock().copy(self.uid_validity, &self.known(uids), target)
    }

    fn move_to(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Partly<Copied>> {
        self.check_writable()?;
        let mut user = self.user.lock();
        let copied = user.copy(self.uid_validity, &self.known(uids), target)?;
        user.expunge(self.uid_validity, &copied.pairs.iter().map(|&(source, _)| source).collect())?;
        Ok(Partly::whole(copied))
    }
}

/// The messages that have other flags in the folder than in the view.
fn changed_flags(view: &BTreeMap<Uid, Shown>, folder: &Folder) -> UidSet {
    let differs = |(uid, shown): (&Uid, &Shown)| {
        let now = folder.messages.get(uid)?;
        (now.flags != shown.flags).then_some(*uid)
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
