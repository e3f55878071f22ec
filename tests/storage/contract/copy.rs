//! COPY and MOVE.

use crate::mail::*;
use crate::{on_both_stores, refused};
use imapd::testing::storage::StoreError;
use imapd::testing::types::DateTime;
use imapd::testing::types::flag::FlagChange;

on_both_stores! {
    fn a_copy_has_content_flags_and_date(server) {
        let mut store = server.store();
        store.create(&name("there"), None).unwrap();
        let date = DateTime::utc(1_000_000_000);
        let octets = b"Subject: x\r\n\r\ny\r\r\n";
        let uid = append_dated(&mut *store, &inbox(), "\\Seen \\Deleted $k", Some(date), octets);
        let mut mailbox = open(&mut *store, &inbox());
        let copied = mailbox.copy(&set(&[uid]), &name("there")).unwrap();
        let mut there = open(&mut *server.store(), &name("there"));
        assert_eq!(copied.uid_validity, there.uid_validity());
        let [(source, copy)] = copied.pairs[..] else { panic!("{copied:?}") };
        assert_eq!(source, uid);
        assert_eq!(*there.uids(), set(&[copy]));
        assert_eq!(content(&mut *there, copy).unwrap(), octets);
        assert_eq!(there.flags(copy), Some(flags("\\Seen \\Deleted $k")));
        assert_eq!(there.internal_date(copy).unwrap().seconds, date.seconds);
        assert!(mailbox.sync().unwrap().is_empty());
    }

    fn copies_are_apart(server) {
        let mut store = server.store();
        store.create(&name("there"), None).unwrap();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.copy(&set(&uids), &name("there")).unwrap();
        mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Flagged"), None).unwrap();
        mailbox.expunge(&set(&uids)).unwrap();
        let mut there = open(&mut *server.store(), &name("there"));
        assert_eq!(contents(&mut *there), [message("one"), message("two"), message("three")]);
        assert!(there.uids().iter().all(|uid| there.flags(uid).unwrap().is_empty()));
    }

    fn a_message_can_be_copied_within_its_mailbox(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let copied = mailbox.copy(&set(&uids[1..]), &inbox()).unwrap();
        let copies: Vec<_> = copied.pairs.iter().map(|p| p.1).collect();
        assert!(copies.is_sorted() && copies[0] > uids[2]);
        assert_eq!(mailbox.sync().unwrap().arrived, set(&copies));
        assert_eq!(contents(&mut *mailbox)[3..], [message("two"), message("three")]);
    }

    fn a_move_takes_the_messages_along(server) {
        let mut store = server.store();
        store.create(&name("there"), None).unwrap();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let mut there = open(&mut *server.store(), &name("there"));
        mailbox.store(&set(&uids[..1]), FlagChange::Add, &flags("\\Answered $k"), None).unwrap();
        let moved = mailbox.move_to(&set(&uids[..2]), &name("there")).unwrap().done;
        assert_eq!(moved.pairs.iter().map(|p| p.0).collect::<Vec<_>>(), uids[..2]);
        assert_eq!(mailbox.sync().unwrap().expunged, set(&uids[..2]));
        let arrived = there.sync().unwrap().arrived;
        assert_eq!(arrived, moved.pairs.iter().map(|p| p.1).collect());
        assert_eq!(contents(&mut *there), [message("one"), message("two")]);
        assert_eq!(there.flags(moved.pairs[0].1), Some(flags("\\Answered $k")));
        assert_eq!(*open(&mut *server.store(), &inbox()).uids(), set(&uids[2..]));
    }

    fn a_message_moved_within_its_mailbox_has_a_new_uid(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let moved = mailbox.move_to(&set(&uids[..1]), &inbox()).unwrap().done;
        let changes = mailbox.sync().unwrap();
        assert_eq!(changes.expunged, set(&uids[..1]));
        assert_eq!(changes.arrived, set(&[moved.pairs[0].1]));
        assert_eq!(contents(&mut *mailbox), [message("two"), message("three"), message("one")]);
    }

    fn vanished_messages_are_left_out(server) {
        let mut store = server.store();
        store.create(&name("there"), None).unwrap();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).expunge(&set(&uids[..1])).unwrap();
        let copied = mailbox.copy(&set(&uids), &name("there")).unwrap();
        assert_eq!(copied.pairs.iter().map(|p| p.0).collect::<Vec<_>>(), uids[1..]);
        let moved = mailbox.move_to(&set(&uids[..2]), &name("there")).unwrap().done;
        assert_eq!(moved.pairs.iter().map(|p| p.0).collect::<Vec<_>>(), uids[1..2]);
        assert!(mailbox.copy(&set(&uids[..2]), &name("there")).unwrap().pairs.is_empty());
    }

    fn without_a_target_nothing_happens(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        refused!(mailbox.copy(&set(&uids), &name("none")), StoreError::NoSuchMailbox);
        refused!(mailbox.move_to(&set(&uids), &name("none")), StoreError::NoSuchMailbox);
        assert!(mailbox.sync().unwrap().is_empty());
        assert_eq!(exists(&mut *server.store()), ["INBOX"]);
    }
}
