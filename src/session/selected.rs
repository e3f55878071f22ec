//! The open mailbox as this client sees it: sequence numbers over UIDs.

use super::outcome::Refusal;
use crate::protocol::command::Numbers;
use crate::storage::Mailbox;
use crate::types::{MailboxName, ModSeq, SeqNum, SequenceSet, Uid, UidSet};
use std::cell::Cell;

/// A selected mailbox. The client's view (which messages, in which places) changes only when `updates` tells it; until then a message
/// that others expunged keeps its sequence number.
pub struct Selected {
    pub name: MailboxName,
    pub mailbox: Box<dyn Mailbox>,
    pub read_only: bool,
    /// The client's view: ascending; the n-th is sequence number n.
    pub(super) view: Vec<Uid>,
    /// The place in it after the one asked for last.
    near: Cell<usize>,
    /// `$` (RFC 5182). Messages that `updates` told as expunged are no longer in it.
    pub(super) saved: UidSet,
    /// Messages of the view that are gone, which the client could not yet be told.
    pub(super) gone: UidSet,
    /// The last look at the mailbox failed: there may be news of which no notice will come any more.
    pub(super) look_failed: bool,
    /// What the last RECENT said.
    pub(super) recent_told: usize,
    /// New messages were told in the answer to a FETCH, where Thunderbird does not look for them: to be told again.
    pub(super) overheard: bool,
    /// How many keywords the last FLAGS listed.
    pub(super) keywords_told: usize,
    /// All that happened to the mailbox up to this time was told.
    pub(super) told_to: ModSeq,
    /// The latest time of a message that was told since the last tagged answer.
    pub(super) modseq_told: Option<ModSeq>,
    /// Expunges were told since then.
    pub(super) expunges_told: bool,
    /// What FETCH remembers of the message it read last; begins as its default.
    pub(super) last_read: super::command::fetch::LastRead,
}

impl Selected {
    /// A mailbox just opened, everything in it told.
    pub fn new(name: MailboxName, mailbox: Box<dyn Mailbox>, read_only: bool) -> Self {
        let view = mailbox.uids().iter().collect();
        let recent_told = mailbox.recent().len();
        let keywords_told = mailbox.keywords().len();
        let (saved, gone) = (UidSet::new(), UidSet::new());
        let last_read = Default::default();
        let (told_to, modseq_told) = (mailbox.highest_modseq(), None);
        let (look_failed, overheard, expunges_told) = (false, false, false);
        Self {
            name,
            mailbox,
            read_only,
            view,
            near: Cell::new(0),
            saved,
            gone,
            look_failed,
            recent_told,
            overheard,
            keywords_told,
            told_to,
            modseq_told,
            expunges_told,
            last_read,
        }
    }

    /// How many messages the client's view has.
    pub fn exists(&self) -> u32 {
        u32::try_from(self.view.len()).unwrap_or(u32::MAX)
    }

    /// By binary search.
    pub fn number_of(&self, uid: Uid) -> Option<SeqNum> {
        // Mostly it is the one after the one asked for before.
        let next = self.near.get();
        let place = if self.view.get(next) == Some(&uid) { next } else { self.view.binary_search(&uid).ok()? };
        self.near.set(place + 1);
        SeqNum::new(u32::try_from(place).ok()?.checked_add(1)?)
    }

    /// All messages of the client's view with their places, ascending.
    pub fn messages(&self) -> impl Iterator<Item = (SeqNum, Uid)> + '_ {
        (1..).zip(&self.view).filter_map(|(n, &uid)| Some((SeqNum::new(n)?, uid)))
    }

    /// The messages of the client's view that a set names. A sequence number beyond the last message is BAD (RFC 9051 section 9,
    /// `seq-number`); a UID without a message is passed over. However often a message is named, it is in the set once.
    pub fn resolve(&self, set: &SequenceSet, numbers: Numbers) -> Result<UidSet, Refusal> {
        let last = match numbers {
            Numbers::Sequence => self.exists(),
            Numbers::Uid => self.view.last().map_or(0, |uid| uid.get()),
        };
        let Some(ranges) = set.normalized(last) else { return Ok(self.saved.clone()) };
        let wrong = || Refusal::Bad(None, "No such message sequence number".into());
        if numbers == Numbers::Sequence && ranges.is_empty() {
            // `*` in an empty mailbox.
            return Err(wrong());
        }
        let mut named = UidSet::new();
        for (first, last) in ranges {
            let places = match numbers {
                Numbers::Sequence => first as usize - 1..last as usize,
                Numbers::Uid => {
                    let start = self.view.partition_point(|uid| uid.get() < first);
                    start..self.view.partition_point(|uid| uid.get() <= last)
                }
            };
            for &uid in self.view.get(places).ok_or_else(wrong)? {
                named.insert(uid);
            }
        }
        Ok(named)
    }

    /// These messages as a command with such numbers names them; ascending.
    pub fn numbers<'a>(&'a self, uids: &'a UidSet, numbers: Numbers) -> impl Iterator<Item = u32> + 'a {
        uids.iter().filter_map(move |uid| match numbers {
            Numbers::Uid => Some(uid.get()),
            Numbers::Sequence => self.number_of(uid).map(|number| number.get()),
        })
    }

    /// Those of the UIDs in the set that were expunged after this moment, `*` being the last that was ever given. What the client still counts is
    /// not among them: that it will be told as news.
    pub fn vanished_since(&mut self, since: u64, set: &SequenceSet) -> crate::storage::Result<UidSet> {
        let ever = self.mailbox.uid_next().get() - 1;
        let ranges = set.normalized(ever).unwrap_or_default();
        let among: Vec<UidSet> = ranges
            .into_iter()
            .filter_map(|(first, last)| Some(UidSet::range(Uid::new(first)?, Uid::new(last)?)))
            .collect();
        let vanished = self.mailbox.vanished_since(ModSeq::new(since).unwrap_or(ModSeq::MIN))?;
        Ok(vanished.intersection(&UidSet::union_of(&among)).difference(&self.gone))
    }

    /// Whether the message is there and has changed after this moment.
    pub fn changed_since(&self, uid: Uid, since: u64) -> bool {
        self.mailbox.modseq(uid).is_some_and(|modseq| modseq.get() > since)
    }

    /// Sets `$`.
    pub fn save(&mut self, uids: UidSet) {
        self.saved = uids;
    }

    /// Goes on with the same messages in a mailbox that was renamed and opened anew: what differs is news.
    pub(super) fn reopened(&mut self, name: MailboxName, mailbox: Box<dyn Mailbox>) {
        let known: UidSet = self.view.iter().copied().collect();
        self.gone = known.difference(mailbox.uids());
        self.name = name;
        self.mailbox = mailbox;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::storage::{Changes, Copied, Partly, Result, StoreError, Stored, StoredMessage};
    use crate::types::flag::FlagChange;
    use crate::types::sequence_set::SetNumber::{Last, Number};
    use crate::types::{DateTime, Flags, Keyword, ObjectId, UidValidity};
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;

    /// A mailbox with nothing but UIDs, and the changes that its next sync tells.
    pub struct Fake {
        pub uids: UidSet,
        pub recent: UidSet,
        pub next: Changes,
        /// So many syncs fail before.
        pub failures: u32,
        pub watch: Option<UnixStream>,
    }

    impl Fake {
        pub fn new(uids: UidSet, next: Changes) -> Self {
            Self { uids, recent: UidSet::new(), next, failures: 0, watch: None }
        }
    }

    pub fn set(uids: &[u32]) -> UidSet {
        uids.iter().map(|&n| Uid::new(n).unwrap()).collect()
    }

    impl Mailbox for Fake {
        fn uid_validity(&self) -> UidValidity {
            UidValidity::new(1).unwrap()
        }
        fn uid_next(&self) -> Uid {
            self.uids.last().and_then(Uid::next).unwrap_or(Uid::MIN)
        }
        fn uids(&self) -> &UidSet {
            &self.uids
        }
        fn recent(&self) -> &UidSet {
            &self.recent
        }
        fn sync(&mut self) -> Result<Changes> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(StoreError::InUse);
            }
            let changes = std::mem::take(&mut self.next);
            self.uids = self.uids.union(&changes.arrived).difference(&changes.expunged);
            Ok(changes)
        }
        fn watch(&mut self) -> Option<BorrowedFd<'_>> {
            self.watch.as_ref().map(AsFd::as_fd)
        }
        fn flags(&self, uid: Uid) -> Option<Flags> {
            self.uids.contains(uid).then(Flags::new)
        }
        fn id(&self) -> ObjectId {
            ObjectId::new('M', 1)
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
        fn save_date(&mut self, _: Uid) -> Result<Option<DateTime>> {
            Ok(None)
        }
        fn email_id(&mut self, uid: Uid) -> Result<ObjectId> {
            Ok(ObjectId::new('E', uid.get().into()))
        }
        fn keywords(&self) -> Vec<Keyword> {
            Vec::new()
        }
        fn can_create_keywords(&self) -> bool {
            true
        }
        fn internal_date(&mut self, _: Uid) -> Result<DateTime> {
            Err(StoreError::Expunged)
        }
        fn size(&mut self, _: Uid) -> Result<u64> {
            Err(StoreError::Expunged)
        }
        fn read(&mut self, _: Uid) -> Result<Box<dyn StoredMessage>> {
            Err(StoreError::Expunged)
        }
        fn store(&mut self, _: &UidSet, _: FlagChange, _: &Flags, _: Option<u64>) -> Result<Stored> {
            Ok(Stored::default())
        }
        fn expunge(&mut self, _: &UidSet) -> Result<Partly<UidSet>> {
            Ok(Partly::whole(UidSet::new()))
        }
        fn copy(&mut self, _: &UidSet, _: &MailboxName) -> Result<Copied> {
            Err(StoreError::NoSuchMailbox)
        }
        fn move_to(&mut self, _: &UidSet, _: &MailboxName) -> Result<Partly<Copied>> {
            Err(StoreError::NoSuchMailbox)
        }
    }

    pub fn selected(uids: &[u32], next: Changes) -> Selected {
        Selected::new(MailboxName::inbox(), Box::new(Fake::new(set(uids), next)), false)
    }

    fn ranges(ranges: &[(u32, u32)]) -> SequenceSet {
        SequenceSet::Ranges(ranges.iter().map(|&(a, b)| (Number(a), Number(b))).collect())
    }

    #[test]
    fn sequence_numbers_are_places_in_the_view() {
        let selected = selected(&[3, 5, 9], Changes::default());
        let places: Vec<(u32, u32)> = selected.messages().map(|(number, uid)| (number.get(), uid.get())).collect();
        assert_eq!(places, [(1, 3), (2, 5), (3, 9)]);
        assert_eq!(selected.number_of(Uid::new(9).unwrap()), SeqNum::new(3));
        assert_eq!(selected.number_of(Uid::new(4).unwrap()), None);
    }

    #[test]
    fn a_sequence_number_beyond_the_last_is_refused_and_a_uid_passed_over() {
        let selected = selected(&[3, 5, 9], Changes::default());
        assert!(matches!(selected.resolve(&ranges(&[(2, 4)]), Numbers::Sequence), Err(Refusal::Bad(..))));
        let all = SequenceSet::Ranges(vec![(Number(1), Last), (Number(2), Number(2))]);
        assert_eq!(selected.resolve(&all, Numbers::Sequence).ok(), Some(set(&[3, 5, 9])));
        assert_eq!(selected.resolve(&ranges(&[(4, 8), (100, 200)]), Numbers::Uid).ok(), Some(set(&[5])));
        assert_eq!(selected.resolve(&ranges(&[(1, u32::MAX)]), Numbers::Uid).ok(), Some(set(&[3, 5, 9])));
        // RFC 9051 section 6.4.9: `559:*` always has the last message in it.
        let beyond = SequenceSet::Ranges(vec![(Number(559), Last)]);
        assert_eq!(selected.resolve(&beyond, Numbers::Uid).ok(), Some(set(&[9])));
    }

    #[test]
    fn in_an_empty_mailbox_the_star_names_no_message() {
        let selected = selected(&[], Changes::default());
        for first in [Number(1), Last] {
            let star = SequenceSet::Ranges(vec![(first, Last)]);
            assert!(matches!(selected.resolve(&star, Numbers::Sequence), Err(Refusal::Bad(..))));
            assert_eq!(selected.resolve(&star, Numbers::Uid).ok(), Some(UidSet::new()));
        }
    }

    #[test]
    fn the_dollar_sign_names_what_was_saved() {
        let mut selected = selected(&[3, 5, 9], Changes::default());
        assert_eq!(selected.resolve(&SequenceSet::Saved, Numbers::Sequence).ok(), Some(UidSet::new()));
        selected.save(set(&[5]));
        assert_eq!(selected.resolve(&SequenceSet::Saved, Numbers::Sequence).ok(), Some(set(&[5])));
    }
}
