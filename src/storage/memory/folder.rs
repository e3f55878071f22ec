//! One mailbox's messages as they are now, whoever looks.

use super::bell::Bell;
use super::history::History;
use crate::limits;
use crate::storage::{MailboxStatus, Result, StatusWanted, StoreError};
use crate::sys::clock;
use crate::types::{DateTime, Flags, Keyword, ModSeq, ObjectId, SpecialUse, SystemFlag, Uid, UidSet, UidValidity};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

/// A message of one mailbox; its octets may be shared with copies.
#[derive(Clone)]
pub(super) struct Message {
    /// As stored and on the wire: every LF has its CR.
    pub octets: Arc<[u8]>,
    pub date: DateTime,
    pub flags: Flags,
    /// EMAILID, the same in every copy.
    pub email: u128,
    /// When it came into this mailbox.
    pub saved: DateTime,
    /// When that was, or its flags last changed, in the times of this mailbox.
    pub modseq: ModSeq,
}

impl Message {
    /// One that is in no mailbox yet.
    pub fn new(octets: Vec<u8>, date: DateTime, flags: Flags) -> Self {
        Self { octets: octets.into(), date, flags, email: 0, saved: date, modseq: ModSeq::MIN }
    }

    /// What it counts towards [`limits::MEMORY_OF_USER`]. Each message costs something, so that empty ones are bounded too; copies share
    /// their octets and count nevertheless, as in any quota.
    pub fn cost(&self) -> u64 {
        const EACH: u64 = 256;
        self.octets.len() as u64 + EACH
    }
}

/// MAILBOXID: no two mailboxes of a user share a UIDVALIDITY.
pub(super) fn id(uid_validity: UidValidity) -> ObjectId {
    ObjectId::new('M', uid_validity.get().into())
}

/// A mailbox without its name, which belongs to the user.
pub(super) struct Folder {
    pub uid_validity: UidValidity,
    /// The next that will be given; [`Uid::MAX`] is never given.
    pub uid_next: Uid,
    pub messages: BTreeMap<Uid, Message>,
    /// In the order of their first use; never taken away.
    pub keywords: Vec<Keyword>,
    /// Messages of which no session that may take \Recent has been told.
    pub untold: UidSet,
    /// As CREATE asked.
    pub special_use: Option<SpecialUse>,
    /// Not below that of any message or expunge.
    pub highest_modseq: ModSeq,
    pub history: History,
    /// Counts the changes, so that an open mailbox sees at once that there was none.
    pub changes: u64,
    bells: Vec<Weak<Bell>>,
}

impl Folder {
    pub fn new(uid_validity: UidValidity, special_use: Option<SpecialUse>) -> Self {
        Self {
            uid_validity,
            uid_next: Uid::MIN,
            messages: BTreeMap::new(),
            keywords: Vec::new(),
            untold: UidSet::new(),
            special_use,
            highest_modseq: ModSeq::MIN,
            history: History::new(),
            changes: 0,
            bells: Vec::new(),
        }
    }

    /// That there are UIDs for so many messages more.
    pub fn check_uids(&self, count: usize) -> Result<()> {
        if (Uid::MAX.get() - self.uid_next.get()) as usize >= count {
            Ok(())
        } else {
            Err(StoreError::Limit("no UIDs are left in this mailbox"))
        }
    }

    /// That there is room for the new keywords among these flags.
    pub fn check_keywords(&self, flags: &Flags) -> Result<()> {
        let new = flags.keywords().iter().filter(|keyword| !self.keywords.contains(keyword)).count();
        if self.keywords.len() + new <= limits::KEYWORDS_OF_MAILBOX {
            Ok(())
        } else {
            Err(StoreError::Limit("too many keywords in this mailbox"))
        }
    }

    /// The time of what is about to happen.
    pub fn next_modseq(&mut self) -> ModSeq {
        self.highest_modseq = self.highest_modseq.next(microseconds());
        self.highest_modseq
    }

    /// Adds a message for which [`Folder::check_uids`] found room. Because of a keyword too many it is not kept out.
    pub fn add(&mut self, mut message: Message, modseq: ModSeq) -> Uid {
        let uid = self.uid_next;
        self.uid_next = uid.next().unwrap_or(Uid::MAX);
        message.flags = self.intern(&message.flags);
        (message.saved, message.modseq) = (now(), modseq);
        self.untold.insert(uid);
        self.messages.insert(uid, message);
        uid
    }

    /// The flags with the keywords spelt as this mailbox first saw them; unknown ones become known as long as there is room.
    pub fn intern(&mut self, flags: &Flags) -> Flags {
        let mut out = Flags::new();
        flags.system().for_each(|f| out.insert(f));
        for keyword in flags.keywords() {
            if let Some(known) = self.keywords.iter().find(|k| *k == keyword) {
                out.insert_keyword(known.clone());
            } else if self.keywords.len() < limits::KEYWORDS_OF_MAILBOX {
                self.keywords.push(keyword.clone());
                out.insert_keyword(keyword.clone());
            }
        }
        out
    }

    /// Removes those messages that are there.
    pub fn remove(&mut self, uids: &UidSet) -> BTreeMap<Uid, Message> {
        let removed: BTreeMap<Uid, Message> =
            uids.iter().filter_map(|uid| Some((uid, self.messages.remove(&uid)?))).collect();
        if !removed.is_empty() {
            let gone: UidSet = removed.keys().copied().collect();
            self.untold = self.untold.difference(&gone);
            let when = self.next_modseq();
            self.history.record(when, gone);
        }
        removed
    }

    /// To be rung for as long as someone else holds it.
    pub fn add_bell(&mut self, bell: &Arc<Bell>) {
        self.bells.push(Arc::downgrade(bell));
    }

    /// Tells every open mailbox but the one with bell `own` that there is news.
    pub fn changed(&mut self, own: Option<&Arc<Bell>>) {
        self.changes += 1;
        self.bells.retain(|bell| bell.strong_count() > 0);
        for bell in self.bells.iter().filter_map(Weak::upgrade) {
            if !own.is_some_and(|own| Arc::ptr_eq(own, &bell)) {
                bell.ring();
            }
        }
    }

    pub fn status(&self, wanted: StatusWanted) -> MailboxStatus {
        let count = |test: &dyn Fn(&Flags) -> bool| {
            if wanted.counts { self.messages.values().filter(|m| test(&m.flags)).count() as u32 } else { 0 }
        };
        MailboxStatus {
            messages: self.messages.len() as u32,
            recent: self.untold.len() as u32,
            uid_next: self.uid_next,
            uid_validity: self.uid_validity,
            highest_modseq: self.highest_modseq,
            id: id(self.uid_validity),
            unseen: count(&|flags| !flags.has(SystemFlag::Seen)),
            deleted: count(&|flags| flags.has(SystemFlag::Deleted)),
            size: if wanted.size { self.messages.values().map(|m| m.octets.len() as u64).sum() } else { 0 },
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Since 1970.
pub(super) fn microseconds() -> u64 {
    u64::try_from(since_1970().as_micros()).unwrap_or(u64::MAX)
}

/// In the machine's zone.
pub(super) fn now() -> DateTime {
    let seconds = i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX);
    DateTime { seconds, zone: clock::zone_at(seconds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_do_not_run_over() {
        let mut folder = Folder::new(UidValidity::new(1).unwrap(), None);
        folder.uid_next = Uid::new(Uid::MAX.get() - 1).unwrap();
        assert!(folder.check_uids(2).is_err());
        folder.check_uids(1).unwrap();
        let when = folder.next_modseq();
        folder.add(Message::new(b"x".to_vec(), DateTime::utc(0), Flags::new()), when);
        assert!(folder.check_uids(1).is_err());
        assert_eq!(folder.uid_next, Uid::MAX);
    }
}
