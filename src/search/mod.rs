//! Run a query over an open mailbox: cheap keys first, text last.

pub mod collate;
pub mod matcher;
mod reading;
pub mod result;
mod skim;
pub mod text;

use crate::storage::{Mailbox, StoreError};
use crate::types::query::Query;
use crate::types::{Uid, UidSet};
use matcher::Matcher;
use result::{Extent, Found};

/// The mailbox as the client knows it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Ascending; the n-th has sequence number n.
    pub messages: &'a [Uid],
    /// `$`
    pub saved: &'a UidSet,
}

/// Why a search has no result.
#[derive(Debug)]
pub enum Stopped {
    /// The caller asked for it.
    Cancelled,
    /// The mailbox as a whole failed.
    Store(StoreError),
}

/// Finds the messages of the view that match. Those that are gone from the store match nothing. `now` is in seconds since 1970;
/// `cancelled` is asked before each message and each block of one.
pub fn search(
    query: &Query,
    mailbox: &mut dyn Mailbox,
    view: &View<'_>,
    now: i64,
    extent: Extent,
    cancelled: &mut dyn FnMut() -> bool,
) -> Result<Found, Stopped> {
    let matcher = Matcher::new(query, mailbox, *view, now);
    let mut found = Found::default();
    let mut desk = matcher.desk();
    let mut matches = |uid: Uid| -> Result<bool, Stopped> {
        if cancelled() {
            return Err(Stopped::Cancelled);
        }
        match matcher.matches(mailbox, uid, &mut desk, cancelled) {
            Ok(matched) => Ok(matched),
            Err(Stopped::Store(StoreError::Expunged)) => Ok(false),
            Err(Stopped::Store(StoreError::NoSuchMailbox)) => Err(Stopped::Store(StoreError::NoSuchMailbox)),
            Err(Stopped::Store(error)) => {
                found.failure.get_or_insert(error);
                Ok(false)
            }
            Err(Stopped::Cancelled) => Err(Stopped::Cancelled),
        }
    };
    let mut uids = UidSet::new();
    let mut rest = view.messages;
    if extent != Extent::Last {
        while let Some((&uid, tail)) = rest.split_first() {
            rest = tail;
            if matches(uid)? {
                uids.insert(uid);
                if extent != Extent::All {
                    break;
                }
            }
        }
    }
    if matches!(extent, Extent::Last | Extent::Ends) {
        while let Some((&uid, head)) = rest.split_last() {
            rest = head;
            if matches(uid)? {
                uids.insert(uid);
                break;
            }
        }
    }
    found.uids = uids;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::storage::{Changes, Copied, Kept, Partly, Result, Stored, StoredMessage};
    use crate::types::flag::FlagChange;
    use crate::types::query::AddressField;
    use crate::types::sequence_set::SetNumber;
    use crate::types::{
        Date, DateTime, Flags, Keyword, MailboxName, ModSeq, ObjectId, SequenceSet, SystemFlag, UidValidity,
    };
    use std::collections::HashMap;
    use std::io;
    use std::os::fd::BorrowedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Messages of which the n-th has UID n; counts what is read of them.
    struct Fake {
        uids: UidSet,
        recent: UidSet,
        messages: Vec<Vec<u8>>,
        octets_read: Arc<AtomicU64>,
        opened: u32,
        /// Reading this message fails.
        unreadable: Option<Uid>,
        /// What it keeps, if it keeps anything.
        kept: Option<HashMap<Uid, Vec<u8>>>,
        /// Of every INTERNALDATE; the moment is midnight UTC of the day that the UID counts.
        zone: i16,
    }

    struct Content(Vec<u8>, Arc<AtomicU64>);

    impl StoredMessage for Content {
        fn stored_size(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let rest = self.0.get(offset as usize..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            self.1.fetch_add(count as u64, Ordering::Relaxed);
            Ok(count)
        }
    }

    impl Mailbox for Fake {
        fn uid_validity(&self) -> UidValidity {
            unreachable!()
        }
        fn uid_next(&self) -> Uid {
            unreachable!()
        }
        fn uids(&self) -> &UidSet {
            &self.uids
        }
        fn recent(&self) -> &UidSet {
            &self.recent
        }
        fn sync(&mut self) -> Result<Changes> {
            unreachable!()
        }
        fn watch(&mut self) -> Option<BorrowedFd<'_>> {
            unreachable!()
        }
        fn flags(&self, uid: Uid) -> Option<Flags> {
            let mut flags = Flags::new();
            if uid.get().is_multiple_of(2) {
                flags.insert(SystemFlag::Seen);
            }
            Some(flags)
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
            unreachable!()
        }
        fn can_create_keywords(&self) -> bool {
            unreachable!()
        }
        fn internal_date(&mut self, uid: Uid) -> Result<DateTime> {
            Ok(DateTime { seconds: i64::from(uid.get()) * 86_400, zone: self.zone })
        }
        fn kept(&mut self, uid: Uid, kind: Kept, take: &mut dyn FnMut(&[u8])) -> bool {
            assert_eq!(kind, Kept::Header);
            let value = self.kept.as_ref().and_then(|kept| kept.get(&uid));
            value.map(|value| take(value)).is_some()
        }
        fn keep(&mut self, uid: Uid, kind: Kept, octets: &[u8]) {
            assert_eq!(kind, Kept::Header);
            self.kept.as_mut().map(|kept| kept.insert(uid, octets.to_vec()));
        }
        fn size(&mut self, uid: Uid) -> Result<u64> {
            Ok(self.messages[uid.get() as usize - 1].len() as u64)
        }
        fn read(&mut self, uid: Uid) -> Result<Box<dyn StoredMessage>> {
            self.opened += 1;
            if self.unreadable == Some(uid) {
                return Err(StoreError::NoPermission);
            }
            Ok(Box::new(Content(self.messages[uid.get() as usize - 1].clone(), self.octets_read.clone())))
        }
        fn store(&mut self, _: &UidSet, _: FlagChange, _: &Flags, _: Option<u64>) -> Result<Stored> {
            unreachable!()
        }
        fn expunge(&mut self, _: &UidSet) -> Result<Partly<UidSet>> {
            unreachable!()
        }
        fn copy(&mut self, _: &UidSet, _: &MailboxName) -> Result<Copied> {
            unreachable!()
        }
        fn move_to(&mut self, _: &UidSet, _: &MailboxName) -> Result<Partly<Copied>> {
            unreachable!()
        }
    }

    fn fake(messages: &[&[u8]]) -> Fake {
        let last = Uid::new(messages.len() as u32).unwrap();
        Fake {
            uids: UidSet::range(Uid::MIN, last),
            recent: UidSet::new(),
            messages: messages.iter().map(|m| m.to_vec()).collect(),
            octets_read: Arc::default(),
            opened: 0,
            unreadable: None,
            kept: None,
            zone: 0,
        }
    }

    fn run(query: &Query, mailbox: &mut Fake, extent: Extent) -> Vec<u32> {
        let messages: Vec<Uid> = mailbox.uids.iter().collect();
        let view = View { messages: &messages, saved: &UidSet::new() };
        let found = search(query, mailbox, &view, 0, extent, &mut || false).unwrap();
        found.uids.iter().map(Uid::get).collect()
    }

    fn seen() -> Query {
        Query::Flag(SystemFlag::Seen)
    }

    fn text(text: &str) -> Query {
        Query::Text(text.into())
    }

    const MESSAGE: &[u8] = b"Subject: a\n\nbody\n";

    #[test]
    fn a_message_is_opened_only_if_nothing_cheaper_decides() {
        let mut mailbox = fake(&[MESSAGE; 4]);
        let since = Query::Since(Date::from_days(3));
        let cheap = Query::And(vec![text("body"), seen(), since.clone()]);
        assert_eq!(run(&cheap, &mut mailbox, Extent::All), [4]);
        assert_eq!(mailbox.opened, 1);
        let either = Query::Or(Box::new(text("absent")), Box::new(Query::Or(Box::new(seen()), Box::new(since))));
        assert_eq!(run(&either, &mut mailbox, Extent::All), [2, 3, 4]);
        assert_eq!(mailbox.opened, 2);
        let neither = Query::Not(Box::new(Query::And(vec![text("absent"), seen()])));
        assert_eq!(run(&neither, &mut mailbox, Extent::All), [1, 2, 3, 4]);
        assert_eq!(mailbox.opened, 4);
    }

    #[test]
    fn sets_of_a_mailbox_with_gaps_are_not_copied_for_each_key() {
        let messages: Vec<Uid> = (1..200_000).step_by(2).filter_map(Uid::new).collect();
        let saved: UidSet = messages.iter().copied().collect();
        let view = View { messages: &messages, saved: &saved };
        let all = SequenceSet::Ranges(vec![(SetNumber::Number(1), SetNumber::Last)]);
        let keys = [Query::Sequence(all), Query::Sequence(SequenceSet::Saved), Query::Uid(SequenceSet::Saved)];
        let query = Query::And(keys.iter().cycle().take(limits::SEARCH_KEYS).cloned().collect());
        let mut mailbox = fake(&[MESSAGE; 4]);
        let begin = std::time::Instant::now();
        let found = search(&query, &mut mailbox, &view, 0, Extent::First, &mut || false).unwrap();
        assert_eq!(found.uids.to_string(), "1");
        assert!(begin.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn sequence_numbers_are_places_in_the_view_and_dollar_is_what_was_saved() {
        let mut mailbox = fake(&[MESSAGE; 6]);
        let messages: Vec<Uid> = [2, 3, 5, 6].into_iter().filter_map(Uid::new).collect();
        let saved: UidSet = [messages[0], messages[2]].into_iter().collect();
        let view = View { messages: &messages, saved: &saved };
        let mut at =
            |query| search(&query, &mut mailbox, &view, 0, Extent::All, &mut || false).unwrap().uids.to_string();
        let set = |first, last| SequenceSet::Ranges(vec![(first, last)]);
        let number = SetNumber::Number;
        assert_eq!(at(Query::Sequence(set(number(2), number(3)))), "3,5");
        assert_eq!(at(Query::Sequence(set(number(4), number(500)))), "6");
        assert_eq!(at(Query::Sequence(set(number(9), number(9)))), "");
        assert_eq!(at(Query::Sequence(set(number(9), SetNumber::Last))), "6");
        assert_eq!(at(Query::Uid(set(number(3), number(5)))), "3,5");
        assert_eq!(at(Query::Uid(set(number(9), SetNumber::Last))), "6");
        assert_eq!(at(Query::Sequence(SequenceSet::Saved)), "2,5");
        assert_eq!(at(Query::Not(Box::new(Query::Uid(SequenceSet::Saved)))), "3,6");
    }

    #[test]
    fn the_day_of_a_message_is_that_of_its_own_zone() {
        let mut mailbox = fake(&[MESSAGE; 4]);
        let on = Query::On(Date::from_days(3));
        assert_eq!(run(&on, &mut mailbox, Extent::All), [3]);
        mailbox.zone = -60;
        assert_eq!(run(&on, &mut mailbox, Extent::All), [4]);
        assert_eq!(run(&Query::Before(Date::from_days(3)), &mut mailbox, Extent::All), [1, 2, 3]);
    }

    #[test]
    fn age_is_counted_from_the_moment_given() {
        let mut mailbox = fake(&[MESSAGE; 4]);
        let messages: Vec<Uid> = mailbox.uids.iter().collect();
        let view = View { messages: &messages, saved: &UidSet::new() };
        let mut at = |query| {
            search(&query, &mut mailbox, &view, 4 * 86_400, Extent::All, &mut || false).unwrap().uids.to_string()
        };
        assert_eq!(at(Query::Older(86_400)), "1:3");
        assert_eq!(at(Query::Younger(86_400)), "3:4");
    }

    #[test]
    fn keys_of_extensions_look_no_further_than_they_must() {
        let thread: &[u8] = b"Message-ID: <b@x>\nReferences: <a@x>\n\nbody\n";
        let mut mailbox = fake(&[b"Message-ID: <a@x>\n\nbody\n", thread, MESSAGE]);
        assert_eq!(run(&Query::ModSeq(2), &mut mailbox, Extent::All), []);
        assert_eq!(run(&Query::ModSeq(1), &mut mailbox, Extent::All), [1, 2, 3]);
        assert_eq!(run(&Query::EmailId(ObjectId::new('E', 2)), &mut mailbox, Extent::All), [2]);
        assert_eq!(run(&Query::SaveDateSupported, &mut mailbox, Extent::All), [1, 2, 3]);
        // Nobody knows when these came, so the other date counts.
        assert_eq!(run(&Query::SavedOn(Date::from_days(2)), &mut mailbox, Extent::All), [2]);
        assert_eq!(run(&Query::SavedBefore(Date::from_days(2)), &mut mailbox, Extent::All), [1]);
        assert_eq!(mailbox.opened, 0);
        let of_a = Query::ThreadId(ObjectId::of('T', b"a@x"));
        assert_eq!(run(&of_a, &mut mailbox, Extent::All), [1, 2]);
        assert_eq!(run(&Query::And(vec![of_a, Query::SavedSince(Date::from_days(2))]), &mut mailbox, Extent::All), [2]);
        assert_eq!(mailbox.opened, 5);
    }

    #[test]
    fn a_key_of_the_header_does_not_read_the_body() {
        let large = [MESSAGE, &b"line\n".repeat(400_000)].concat();
        let mut mailbox = fake(&[&large]);
        assert_eq!(run(&Query::Subject("A".into()), &mut mailbox, Extent::All), [1]);
        assert!(mailbox.octets_read.load(Ordering::Relaxed) <= limits::SEARCH_WINDOW as u64);
        assert_eq!(run(&text("subject: a"), &mut mailbox, Extent::All), [1]);
        assert!(mailbox.octets_read.load(Ordering::Relaxed) <= 2 * limits::SEARCH_WINDOW as u64);
    }

    #[test]
    fn the_first_and_the_last_are_found_without_those_between() {
        let mut mailbox = fake(&[MESSAGE; 10]);
        let query = Query::And(vec![seen(), text("body")]);
        assert_eq!(run(&query, &mut mailbox, Extent::First), [2]);
        assert_eq!(run(&query, &mut mailbox, Extent::Last), [10]);
        assert_eq!(run(&query, &mut mailbox, Extent::Ends), [2, 10]);
        assert_eq!(mailbox.opened, 4);
        assert_eq!(run(&Query::Uid(SequenceSet::Saved), &mut mailbox, Extent::Ends), []);
    }

    #[test]
    fn a_message_that_cannot_be_read_does_not_hide_the_others() {
        let mut mailbox = fake(&[MESSAGE; 3]);
        mailbox.unreadable = Uid::new(2);
        let messages: Vec<Uid> = mailbox.uids.iter().collect();
        let view = View { messages: &messages, saved: &UidSet::new() };
        let found = search(&text("body"), &mut mailbox, &view, 0, Extent::All, &mut || false).unwrap();
        assert_eq!(found.uids.to_string(), "1,3");
        assert!(matches!(found.failure, Some(StoreError::NoPermission)));
    }

    #[test]
    fn a_cancelled_search_stops_within_a_message() {
        let large = [MESSAGE, &b"line\n".repeat(400_000)].concat();
        let mut mailbox = fake(&[&large, &large]);
        let messages: Vec<Uid> = mailbox.uids.iter().collect();
        let view = View { messages: &messages, saved: &UidSet::new() };
        let mut asked = 0;
        let stopped = search(&text("absent"), &mut mailbox, &view, 0, Extent::All, &mut || {
            asked += 1;
            asked > 5
        });
        assert!(matches!(stopped, Err(Stopped::Cancelled)));
        assert!(mailbox.octets_read.load(Ordering::Relaxed) < large.len() as u64 / 2);
        assert_eq!(mailbox.opened, 1);
    }

    /// A header of fields in all sorts of forms, usual ones and others.
    fn odd_header(u: &mut arbtest::arbitrary::Unstructured<'_>) -> arbtest::arbitrary::Result<Vec<u8>> {
        let mut message = Vec::new();
        let line_end = *u.choose(&[&b"\n"[..], b"\r\n"])?;
        for _ in 0..u.int_in_range(0..=6)? {
            let name =
                u.choose(&["Subject", "SUBJECT ", "from", "To", "Cc", "Date", "X-Other", "X-TUID", " folded", "no"])?;
            message.extend_from_slice(name.as_bytes());
            message.extend_from_slice(u.choose(&[&b":"[..], b": ", b" : ", b""])?);
            for _ in 0..u.int_in_range(0..=3)? {
                message.extend_from_slice(u.choose(&[
                    &b"needle"[..],
                    b"Need",
                    b"le",
                    b"=?utf-8?q?n=C3=A9edle?=",
                    "n\u{e9}EDLE".as_bytes(),
                    b"\"a\\\"needle\" <a@needle>",
                    b"nee(c)dle",
                    b"nee\"dle\"",
                    b"\0",
                    b"\xff",
                    b"4 Jan 2020 10:00 +0000",
                    b"1 Feb 2021",
                ])?);
                let fold = [line_end, b" "].concat();
                message.extend_from_slice(u.choose(&[&b" "[..], b"", &fold, b"\t", b"\r"])?);
            }
            message.extend_from_slice(line_end);
        }
        if u.arbitrary()? {
            message.extend_from_slice(line_end);
            message.extend_from_slice(b"Subject: needle");
        }
        Ok(message)
    }

    fn header_key(u: &mut arbtest::arbitrary::Unstructured<'_>, depth: u32) -> arbtest::arbitrary::Result<Query> {
        let text: String = (*u.choose(&["needle", "n\u{c9}edle", "", "NEED le", "a\"needle", "x"])?).into();
        let day = Date::from_days(*u.choose(&[18_265, 18_266, 18_659])?);
        Ok(match u.int_in_range(0..=if depth == 0 { 6 } else { 9 })? {
            0 => Query::Subject(text),
            1 => Query::Address(*u.choose(&[AddressField::From, AddressField::To, AddressField::Cc])?, text),
            2 => Query::Header((*u.choose(&["subject", "X-TUID", "Date", "X-Other"])?).into(), text),
            3 => Query::SentOn(day),
            4 => Query::SentSince(day),
            5 => Query::SentBefore(day),
            6 => seen(),
            7 => Query::Not(Box::new(header_key(u, depth - 1)?)),
            8 => Query::Or(Box::new(header_key(u, depth - 1)?), Box::new(header_key(u, depth - 1)?)),
            _ => Query::And(vec![header_key(u, depth - 1)?, header_key(u, depth - 1)?]),
        })
    }

    fn asks_for_unusual_fields(query: &Query) -> bool {
        match query {
            Query::Header(name, _) => name == "X-Other",
            Query::Not(key) => asks_for_unusual_fields(key),
            Query::Or(one, other) => asks_for_unusual_fields(one) || asks_for_unusual_fields(other),
            Query::And(keys) => keys.iter().any(asks_for_unusual_fields),
            _ => false,
        }
    }

    #[test]
    fn what_is_kept_gives_what_the_messages_give_and_opens_none() {
        arbtest::arbtest(|u| {
            let messages: Vec<Vec<u8>> =
                (0..u.int_in_range(1..=4)?).map(|_| odd_header(u)).collect::<std::result::Result<_, _>>()?;
            let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let (mut plain, mut keeping) = (fake(&messages), fake(&messages));
            keeping.kept = Some(HashMap::new());
            for _ in 0..3 {
                let query = header_key(u, 2)?;
                let wanted = run(&query, &mut plain, Extent::All);
                assert_eq!(run(&query, &mut keeping, Extent::All), wanted, "{query:?} {messages:?}");
                let opened = keeping.opened;
                assert_eq!(run(&query, &mut keeping, Extent::All), wanted, "{query:?} {messages:?}");
                assert!(keeping.opened == opened || asks_for_unusual_fields(&query), "{query:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn values_of_another_form_are_made_anew() {
        let mut mailbox = fake(&[MESSAGE; 2]);
        let old = (1..=2).filter_map(Uid::new).map(|uid| (uid, b"\xffSubject: b\r\n\r\n".to_vec()));
        mailbox.kept = Some(old.collect());
        for _ in 0..2 {
            assert_eq!(run(&Query::Subject("a".into()), &mut mailbox, Extent::All), [1, 2]);
        }
        assert_eq!(mailbox.opened, 2);
    }

    #[test]
    fn a_header_that_is_too_long_is_searched_and_not_kept() {
        let long = format!("To: x\nSubject: {}needle\n\n", "x".repeat(limits::KEPT));
        let mut mailbox = fake(&[long.as_bytes()]);
        mailbox.kept = Some(HashMap::new());
        assert_eq!(run(&Query::Subject("needle".into()), &mut mailbox, Extent::All), [1]);
        assert_eq!(mailbox.kept, Some(HashMap::new()));
    }
}
