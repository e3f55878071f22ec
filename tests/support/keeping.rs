//! A store that keeps what sessions give it to keep, in front of one that does not; counts what is read of the messages.

use imapd::testing::storage::{
    Access, Append, Changes, Copied, Kept, Listed, MailStore, Mailbox, MailboxStatus, Partly, Result, StatusWanted,
    Stored, StoredMessage,
};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{
    DateTime, Flags, Keyword, MailboxName, ModSeq, ObjectId, SpecialUse, SystemFlag, Uid, UidSet, UidValidity,
};
use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

/// What is kept for all sessions, and what they did.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    values: HashMap<(UidValidity, Uid, u8), Vec<u8>>,
    /// A size that is told in place of the true one, until somebody reads the whole message.
    lie: Option<u64>,
    counts: Counts,
}

/// Since the last look.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Messages that were opened.
    pub opened: u64,
    /// Octets that were read of them.
    pub octets: u64,
    /// Values that were kept.
    pub kept: u64,
}

impl Shelf {
    pub fn wrap(&self, store: Box<dyn MailStore>) -> Box<dyn MailStore> {
        Box::new(Store { store, shelf: self.clone() })
    }

    /// What was done since this was last asked.
    pub fn counts(&self) -> Counts {
        std::mem::take(&mut self.0.lock().unwrap().counts)
    }

    /// Puts octets in front of every value, as if another program had made them.
    pub fn spoil(&self, before: &[u8]) {
        for value in self.0.lock().unwrap().values.values_mut() {
            value.splice(0..0, before.iter().copied());
        }
    }

    /// Forgets the values of this kind.
    pub fn forget(&self, kind: Kept) {
        self.0.lock().unwrap().values.retain(|key, _| key.2 != kind as u8);
    }

    /// Says of every message that it has this size, until it was read to its end.
    pub fn lie(&self, size: u64) {
        self.0.lock().unwrap().lie = Some(size);
    }
}

struct Store {
    store: Box<dyn MailStore>,
    shelf: Shelf,
}

impl MailStore for Store {
    fn list(&mut self) -> Result<Vec<Listed>> {
        self.store.list()
    }
    fn create(&mut self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<Option<ObjectId>> {
        self.store.create(name, special_use)
    }
    fn delete(&mut self, name: &MailboxName) -> Result<()> {
        self.store.delete(name)
    }
    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        self.store.rename(from, to)
    }
    fn subscriptions(&mut self) -> Result<Vec<MailboxName>> {
        self.store.subscriptions()
    }
    fn subscribe(&mut self, name: &MailboxName) -> Result<()> {
        self.store.subscribe(name)
    }
    fn unsubscribe(&mut self, name: &MailboxName) -> Result<()> {
        self.store.unsubscribe(name)
    }
    fn status(&mut self, name: &MailboxName, wanted: StatusWanted) -> Result<MailboxStatus> {
        self.store.status(name, wanted)
    }
    fn open(&mut self, name: &MailboxName, access: Access) -> Result<Box<dyn Mailbox>> {
        Ok(Box::new(Open { mailbox: self.store.open(name, access)?, shelf: self.shelf.clone() }))
    }
    fn append(&mut self, name: &MailboxName) -> Result<Box<dyn Append + '_>> {
        self.store.append(name)
    }
}

struct Open {
    mailbox: Box<dyn Mailbox>,
    shelf: Shelf,
}

impl Mailbox for Open {
    fn uid_validity(&self) -> UidValidity {
        self.mailbox.uid_validity()
    }
    fn id(&self) -> ObjectId {
        self.mailbox.id()
    }
    fn uid_next(&self) -> Uid {
        self.mailbox.uid_next()
    }
    fn uids(&self) -> &UidSet {
        self.mailbox.uids()
    }
    fn recent(&self) -> &UidSet {
        self.mailbox.recent()
    }
    fn sync(&mut self) -> Result<Changes> {
        self.mailbox.sync()
    }
    fn watch(&mut self) -> Option<BorrowedFd<'_>> {
        self.mailbox.watch()
    }
    fn flags(&self, uid: Uid) -> Option<Flags> {
        self.mailbox.flags(uid)
    }
    fn with_flag(&self, flag: SystemFlag) -> UidSet {
        self.mailbox.with_flag(flag)
    }
    fn highest_modseq(&self) -> ModSeq {
        self.mailbox.highest_modseq()
    }
    fn modseq(&self, uid: Uid) -> Option<ModSeq> {
        self.mailbox.modseq(uid)
    }
    fn vanished_since(&mut self, since: ModSeq) -> Result<UidSet> {
        self.mailbox.vanished_since(since)
    }
    fn keywords(&self) -> Vec<Keyword> {
        self.mailbox.keywords()
    }
    fn can_create_keywords(&self) -> bool {
        self.mailbox.can_create_keywords()
    }
    fn internal_date(&mut self, uid: Uid) -> Result<DateTime> {
        self.mailbox.internal_date(uid)
    }
    fn save_date(&mut self, uid: Uid) -> Result<Option<DateTime>> {
        self.mailbox.save_date(uid)
    }
    fn email_id(&mut self, uid: Uid) -> Result<ObjectId> {
        self.mailbox.email_id(uid)
    }
    fn kept(&mut self, uid: Uid, kind: Kept, take: &mut dyn FnMut(&[u8])) -> bool {
        let shelf = self.shelf.0.lock().unwrap();
        let value = shelf.values.get(&(self.mailbox.uid_validity(), uid, kind as u8));
        value.filter(|_| self.mailbox.uids().contains(uid)).map(|value| take(value)).is_some()
    }
    fn keep(&mut self, uid: Uid, kind: Kept, octets: &[u8]) {
        let mut shelf = self.shelf.0.lock().unwrap();
        shelf.counts.kept += 1;
        shelf.values.insert((self.mailbox.uid_validity(), uid, kind as u8), octets.to_vec());
    }
    fn size(&mut self, uid: Uid) -> Result<u64> {
        let lie = self.shelf.0.lock().unwrap().lie;
        lie.map_or_else(|| self.mailbox.size(uid), Ok)
    }
    fn read(&mut self, uid: Uid) -> Result<Box<dyn StoredMessage>> {
        let message = self.mailbox.read(uid)?;
        self.shelf.0.lock().unwrap().counts.opened += 1;
        Ok(Box::new(Message { message, shelf: self.shelf.clone(), read_to: 0 }))
    }
    fn store(
        &mut self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Stored> {
        self.mailbox.store(uids, change, flags, unchanged_since)
    }
    fn expunge(&mut self, uids: &UidSet) -> Result<Partly<UidSet>> {
        self.mailbox.expunge(uids)
    }
    fn copy(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Copied> {
        self.mailbox.copy(uids, target)
    }
    fn move_to(&mut self, uids: &UidSet, target: &MailboxName) -> Result<Partly<Copied>> {
        self.mailbox.move_to(uids, target)
    }
}

struct Message {
    message: Box<dyn StoredMessage>,
    shelf: Shelf,
    read_to: u64,
}

impl StoredMessage for Message {
    fn stored_size(&self) -> u64 {
        self.message.stored_size()
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.message.read_at(offset, buffer)?;
        let mut shelf = self.shelf.0.lock().unwrap();
        shelf.counts.octets += count as u64;
        if offset == self.read_to {
            self.read_to += count as u64;
        }
        if self.read_to == self.message.stored_size() {
            shelf.lie = None;
        }
        Ok(count)
    }
}
