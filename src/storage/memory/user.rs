//! One user's mailboxes: their names, their UIDVALIDITYs, what is subscribed.

use super::folder::{self, Folder, Message};
use crate::limits;
use crate::storage::{Copied, Listed, Result, StoreError, special_use};
use crate::types::{MailboxName, SpecialUse, Uid, UidSet, UidValidity};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A user's mail and its one lock. Nothing waits while holding it.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<Mutex<User>>);

impl Shared {
    /// Every change is checked before it is begun, so a thread that panicked left nothing half done.
    pub fn lock(&self) -> MutexGuard<'_, User> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One user's mail.
pub(super) struct User {
    names: BTreeMap<MailboxName, UidValidity>,
    /// No two mailboxes that a user ever had share a UIDVALIDITY, so it says which is which, whatever their names are.
    folders: BTreeMap<UidValidity, Folder>,
    pub subscriptions: Vec<MailboxName>,
    last_validity: u32,
    /// The EMAILID given last. The first comes from the clock, so that a server that starts anew does not give those of its last life again.
    last_email: u128,
    /// By [`Message::cost`].
    cost: u64,
}

/// Where the clock gives none.
const FIRST_VALIDITY: UidValidity = UidValidity::new(1).unwrap();

impl Default for User {
    fn default() -> Self {
        // Seconds, so that a server that starts anew with nothing does not give the values of its last life again.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_secs());
        let uid_validity = u32::try_from(now).ok().and_then(UidValidity::new).unwrap_or(FIRST_VALIDITY);
        Self {
            names: [(MailboxName::inbox(), uid_validity)].into(),
            folders: [(uid_validity, Folder::new(uid_validity, None))].into(),
            subscriptions: Vec::new(),
            last_validity: uid_validity.get(),
            last_email: u128::from(folder::microseconds()) << 64,
            cost: 0,
        }
    }
}

impl User {
    /// By its name now.
    pub fn folder_named(&mut self, name: &MailboxName) -> Result<&mut Folder> {
        let uid_validity = *self.names.get(name).ok_or(StoreError::NoSuchMailbox)?;
        self.folder(uid_validity)
    }

    /// By its UIDVALIDITY, which it keeps when it is renamed.
    pub fn folder(&mut self, uid_validity: UidValidity) -> Result<&mut Folder> {
        self.folders.get_mut(&uid_validity).ok_or(StoreError::NoSuchMailbox)
    }

    pub fn list(&self) -> Vec<Listed> {
        let folders = self.names.iter().filter_map(|(name, validity)| Some((name, self.folders.get(validity)?)));
        folders
            .map(|(name, folder)| Listed {
                name: name.clone(),
                special_use: folder.special_use,
                marked: Some(!folder.untold.is_empty()),
            })
            .collect()
    }

    pub fn create(&mut self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<UidValidity> {
        if self.names.contains_key(name) {
            return Err(StoreError::AlreadyExists);
        }
        if let Some(wanted) = special_use {
            if !special_use::can_be_given(wanted) {
                return Err(StoreError::SpecialUse("no mailbox can be made for this special use"));
            }
            if self.folders.values().any(|f| f.special_use == special_use) {
                return Err(StoreError::SpecialUse("another mailbox has this special use"));
            }
        }
        if self.names.len() >= limits::MAILBOXES {
            return Err(StoreError::Limit("too many mailboxes"));
        }
        let next = self.last_validity.checked_add(1).and_then(UidValidity::new);
        let uid_validity = next.ok_or(StoreError::Limit("no UIDVALIDITY is left"))?;
        self.last_validity = uid_validity.get();
        self.names.insert(name.clone(), uid_validity);
        self.folders.insert(uid_validity, Folder::new(uid_validity, special_use));
        Ok(uid_validity)
    }

    pub fn delete(&mut self, name: &MailboxName) -> Result<()> {
        if name.is_inbox() {
            return Err(StoreError::Cannot("INBOX cannot be deleted"));
        }
        let Some(uid_validity) = self.names.remove(name) else {
            return Err(StoreError::NoSuchMailbox);
        };
        if let Some(mut folder) = self.folders.remove(&uid_validity) {
            self.cost -= folder.messages.values().map(Message::cost).sum::<u64>();
            folder.changed(None);
        }
        Ok(())
    }

    /// The folders keep their UIDVALIDITY, so those who have them open go on with them under their new names.
    pub fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        if self.names.contains_key(to) {
            return Err(StoreError::AlreadyExists);
        }
        if from.is_inbox() {
            return self.rename_inbox(to);
        }
        let mut renamed = Vec::new();
        for old in self.names.keys() {
            let Some(new) = old.moved(from, to) else { continue };
            if MailboxName::parse(new.as_str()).is_err() {
                return Err(StoreError::Limit("the name of a mailbox below would become too long"));
            }
            // A name that is itself given up, as in a/b/b to a/b when a/b becomes a, is free.
            if self.names.contains_key(&new) && new.moved(from, to).is_none() {
                return Err(StoreError::AlreadyExists);
            }
            renamed.push((old.clone(), new));
        }
        if renamed.is_empty() {
            return Err(StoreError::NoSuchMailbox);
        }
        let folders: Vec<_> =
            renamed.into_iter().filter_map(|(old, new)| Some((new, self.names.remove(&old)?))).collect();
        self.names.extend(folders);
        Ok(())
    }

    /// To a new mailbox the messages are new, and from INBOX they are gone (RFC 8474 section 4).
    fn rename_inbox(&mut self, to: &MailboxName) -> Result<()> {
        let uid_validity = self.create(to, None)?;
        let inbox = self.folder_named(&MailboxName::inbox())?;
        let (untold, keywords, uid_next) = (inbox.untold.clone(), inbox.keywords.clone(), inbox.uid_next);
        let all = inbox.messages.keys().copied().collect();
        let mut messages = inbox.remove(&all);
        inbox.changed(None);
        let folder = self.folder(uid_validity)?;
        let (modseq, saved) = (folder.next_modseq(), folder::now());
        messages.values_mut().for_each(|message| (message.modseq, message.saved) = (modseq, saved));
        (folder.messages, folder.untold, folder.keywords, folder.uid_next) = (messages, untold, keywords, uid_next);
        Ok(())
    }

    /// That so many octets more are allowed.
    pub fn check_cost(&self, more: u64) -> Result<()> {
        let fits = self.cost.checked_add(more).is_some_and(|cost| cost <= limits::MEMORY_OF_USER);
        if fits { Ok(()) } else { Err(StoreError::OverQuota) }
    }

    /// Adds messages that are new.
    pub fn append(&mut self, to: UidValidity, mut messages: Vec<Message>) -> Result<Vec<Uid>> {
        for message in &mut messages {
            self.last_email += 1;
            message.email = self.last_email;
        }
        self.add(to, messages)
    }

    /// Adds messages to a mailbox, all or none.
    fn add(&mut self, to: UidValidity, messages: Vec<Message>) -> Result<Vec<Uid>> {
        let cost = messages.iter().map(Message::cost).sum();
        self.check_cost(cost)?;
        let folder = self.folder(to)?;
        folder.check_uids(messages.len())?;
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let modseq = folder.next_modseq();
        let uids = messages.into_iter().map(|message| folder.add(message, modseq)).collect();
        folder.changed(None);
        self.cost += cost;
        Ok(uids)
    }

    /// Copies those messages that exist, all or none.
    pub fn copy(&mut self, from: UidValidity, uids: &UidSet, to: &MailboxName) -> Result<Copied> {
        let source = self.folder(from)?;
        let messages = uids.iter().filter_map(|uid| Some((uid, source.messages.get(&uid)?.clone())));
        let (sources, messages): (Vec<Uid>, Vec<Message>) = messages.unzip();
        let uid_validity = self.folder_named(to)?.uid_validity;
        let copies = self.add(uid_validity, messages)?;
        Ok(Copied { uid_validity, pairs: sources.into_iter().zip(copies).collect() })
    }

    /// Removes messages and says which were there.
    pub fn expunge(&mut self, from: UidValidity, uids: &UidSet) -> Result<UidSet> {
        let folder = self.folder(from)?;
        let removed = folder.remove(uids);
        if !removed.is_empty() {
            folder.changed(None);
        }
        self.cost -= removed.values().map(Message::cost).sum::<u64>();
        Ok(removed.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{DateTime, Flags};

    fn message(octets: usize) -> Message {
        Message::new(vec![b'x'; octets], DateTime::utc(0), Flags::new())
    }

    #[test]
    fn what_is_removed_costs_nothing_any_more() {
        let mut user = User::default();
        let other = MailboxName::parse("other").unwrap();
        let inbox = user.folder_named(&MailboxName::inbox()).unwrap().uid_validity;
        user.create(&other, None).unwrap();
        let uids: UidSet = user.add(inbox, vec![message(100), message(0)]).unwrap().into_iter().collect();
        user.copy(inbox, &uids, &other).unwrap();
        assert_eq!(user.cost, 4 * 256 + 200);
        user.expunge(inbox, &uids).unwrap();
        user.delete(&other).unwrap();
        assert_eq!(user.cost, 0);
    }

    #[test]
    fn a_users_mail_is_bounded() {
        let mut user = User { cost: limits::MEMORY_OF_USER - 300, ..User::default() };
        let inbox = user.folder_named(&MailboxName::inbox()).unwrap().uid_validity;
        assert!(matches!(user.add(inbox, vec![message(0), message(0)]), Err(StoreError::OverQuota)));
        assert!(user.folder(inbox).unwrap().messages.is_empty());
        user.add(inbox, vec![message(0)]).unwrap();
    }
}
