//! Flags, keywords, \Recent.

use crate::mail::*;
use crate::{on_both_stores, refused};
use imapd::testing::limits;
use imapd::testing::storage::{Access, StatusWanted, StoreError};
use imapd::testing::types::Keyword;
use imapd::testing::types::flag::FlagChange;

on_both_stores! {
    fn flags_are_replaced_added_and_removed(server) {
        let mut store = server.store();
        let [uid, ..] = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        for (change, given, after) in [
            (FlagChange::Add, "\\Seen $a", "\\Seen $a"),
            (FlagChange::Add, "\\Flagged $b", "\\Seen \\Flagged $a $b"),
            (FlagChange::Remove, "\\Seen \\Draft $a $never", "\\Flagged $b"),
            (FlagChange::Replace, "\\Answered \\Deleted \\Draft $c", "\\Answered \\Deleted \\Draft $c"),
            (FlagChange::Replace, "", ""),
        ] {
            assert_eq!(mailbox.store(&set(&[uid]), change, &flags(given)).unwrap(), [(uid, flags(after))]);
            assert_eq!(mailbox.flags(uid), Some(flags(after)));
            assert_eq!(open(&mut *server.store(), &inbox()).flags(uid), Some(flags(after)), "{change:?} {given}");
        }
    }

    fn store_tells_of_each_message_that_exists(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).expunge(&set(&uids[1..2])).unwrap();
        let stored = mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen")).unwrap();
        assert_eq!(stored, [(uids[0], flags("\\Seen")), (uids[2], flags("\\Seen"))]);
        assert!(mailbox.uids().contains(uids[1]), "gone before sync");
        let changes = mailbox.sync().unwrap();
        assert_eq!((changes.expunged, changes.flags), (set(&uids[1..2]), set(&[])));
    }

    fn a_change_that_was_stored_joins_what_others_changed(server) {
        let mut store = server.store();
        let [uid, ..] = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).store(&set(&[uid]), FlagChange::Add, &flags("\\Flagged")).unwrap();
        let stored = mailbox.store(&set(&[uid]), FlagChange::Add, &flags("\\Seen")).unwrap();
        assert_eq!(stored, [(uid, flags("\\Seen \\Flagged"))]);
    }

    fn there_are_no_flags_of_what_is_not_there(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mailbox = open(&mut *store, &inbox());
        assert_eq!(mailbox.flags(uids[2].next().unwrap()), None);
    }

    fn keywords_differ_only_beyond_case(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.store(&set(&uids[..1]), FlagChange::Add, &flags("$Work")).unwrap();
        mailbox.store(&set(&uids[1..2]), FlagChange::Add, &flags("$work")).unwrap();
        let spelt: Vec<String> = mailbox.keywords().iter().map(Keyword::to_string).collect();
        assert_eq!(spelt, ["$Work"]);
        assert_eq!(mailbox.flags(uids[1]).unwrap().keywords()[0].as_str(), "$Work");
        mailbox.store(&set(&uids), FlagChange::Remove, &flags("$WORK")).unwrap();
        assert!(mailbox.flags(uids[0]).unwrap().is_empty());
    }

    fn a_keyword_stays_known(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.store(&set(&uids), FlagChange::Add, &flags("$a b")).unwrap();
        mailbox.store(&set(&uids), FlagChange::Remove, &flags("$a b")).unwrap();
        let mut known = open(&mut *server.store(), &inbox()).keywords();
        known.sort();
        assert_eq!(known, flags("$a b").keywords());
    }

    fn a_keyword_of_another_session_is_news(server) {
        let mut store = server.store();
        let [uid, ..] = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).store(&set(&[uid]), FlagChange::Add, &flags("$x")).unwrap();
        let changes = mailbox.sync().unwrap();
        assert!(changes.new_keywords);
        assert_eq!(changes.flags, set(&[uid]));
        assert_eq!(mailbox.keywords(), flags("$x").keywords());
        assert!(!mailbox.sync().unwrap().new_keywords);
    }

    fn keywords_end_at_a_limit_and_nothing_is_stored_then(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        for n in 0..=limits::KEYWORDS_OF_MAILBOX {
            let one = flags(&format!("k{n}"));
            if mailbox.can_create_keywords() {
                let stored = mailbox.store(&set(&uids[..1]), FlagChange::Replace, &one).unwrap();
                assert_eq!(stored, [(uids[0], one)]);
                continue;
            }
            refused!(mailbox.store(&set(&uids), FlagChange::Add, &one), StoreError::Limit(_));
            assert!(mailbox.flags(uids[1]).unwrap().is_empty());
            mailbox.store(&set(&uids), FlagChange::Add, &flags("k0")).unwrap();
            return;
        }
        panic!("more than {} keywords", limits::KEYWORDS_OF_MAILBOX);
    }

    fn a_mailbox_opened_read_only_is_not_changed_by_it(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = store.open(&inbox(), Access::ReadOnly).unwrap();
        refused!(mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen")), StoreError::NoPermission);
        refused!(mailbox.expunge(&set(&uids)), StoreError::NoPermission);
        refused!(mailbox.move_to(&set(&uids), &inbox()), StoreError::NoPermission);
        assert_eq!(content(&mut *mailbox, uids[0]).unwrap(), message("one"));
        let mut after = open(&mut *server.store(), &inbox());
        assert!(after.sync().unwrap().is_empty());
        assert_eq!(*after.uids(), set(&uids));
        assert!(uids.iter().all(|&uid| after.flags(uid).unwrap().is_empty()));
    }

    fn the_first_session_alone_is_told_that_messages_are_recent(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        assert_eq!(store.status(&inbox(), StatusWanted::default()).unwrap().recent, 3);
        assert_eq!(*store.open(&inbox(), Access::ReadOnly).unwrap().recent(), set(&uids));
        let first = open(&mut *store, &inbox());
        let second = open(&mut *server.store(), &inbox());
        assert_eq!((first.recent(), second.recent()), (&set(&uids), &set(&[])));
        assert_eq!(store.status(&inbox(), StatusWanted::default()).unwrap().recent, 0);
        assert!(store.open(&inbox(), Access::ReadOnly).unwrap().recent().is_empty());
    }

    fn of_two_open_mailboxes_the_first_to_sync_has_the_recent_message(server) {
        let (mut store, mut other) = (server.store(), server.store());
        let mut first = open(&mut *store, &inbox());
        let mut second = open(&mut *other, &inbox());
        let uid = append(&mut *server.store(), &inbox(), "", b"x");
        assert_eq!(second.sync().unwrap().arrived, set(&[uid]));
        assert_eq!(first.sync().unwrap().arrived, set(&[uid]));
        assert_eq!((first.recent(), second.recent()), (&set(&[]), &set(&[uid])));
        first.expunge(&set(&[uid])).unwrap();
        second.sync().unwrap();
        assert!(second.recent().is_empty());
    }
}
