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
            assert_eq!(mailbox.store(&set(&[uid]), change, &flags(given), None).unwrap().flags, [(uid, flags(after))]);
            assert_eq!(mailbox.flags(uid), Some(flags(after)));
            assert_eq!(open(&mut *server.store(), &inbox()).flags(uid), Some(flags(after)), "{change:?} {given}");
        }
    }

    fn store_tells_of_each_message_that_exists(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).expunge(&set(&uids[1..2])).unwrap();
        let stored = mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen"), None).unwrap().flags;
        assert_eq!(stored, [(uids[0], flags("\\Seen")), (uids[2], flags("\\Seen"))]);
        assert!(mailbox.uids().contains(uids[1]), "gone before sync");
        let changes = mailbox.sync().unwrap();
        assert_eq!((changes.expunged, changes.flags), (set(&uids[1..2]), set(&[])));
    }

    fn a_change_that_was_stored_joins_what_others_changed(server) {
        let mut store = server.store();
        let [uid, ..] = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).store(&set(&[uid]), FlagChange::Add, &flags("\\Flagged"), None).unwrap();
        let stored = mailbox.store(&set(&[uid]), FlagChange::Add, &flags("\\Seen"), None).unwrap().flags;
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
        mailbox.store(&set(&uids[..1]), FlagChange::Add, &flags("$Work"), None).unwrap();
        mailbox.store(&set(&uids[1..2]), FlagChange::Add, &flags("$work"), None).unwrap();
        let spelt: Vec<String> = mailbox.keywords().iter().map(Keyword::to_string).collect();
        assert_eq!(spelt, ["$Work"]);
        assert_eq!(mailbox.flags(uids[1]).unwrap().keywords()[0].as_str(), "$Work");
        mailbox.store(&set(&uids), FlagChange::Remove, &flags("$WORK"), None).unwrap();
        assert!(mailbox.flags(uids[0]).unwrap().is_empty());
    }

    fn a_keyword_stays_known(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.store(&set(&uids), FlagChange::Add, &flags("$a b"), None).unwrap();
        mailbox.store(&set(&uids), FlagChange::Remove, &flags("$a b"), None).unwrap();
        let mut known = open(&mut *server.store(), &inbox()).keywords();
        known.sort();
        assert_eq!(known, flags("$a b").keywords());
    }

    fn a_keyword_of_another_session_is_news(server) {
        let mut store = server.store();
        let [uid, ..] = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).store(&set(&[uid]), FlagChange::Add, &flags("$x"), None).unwrap();
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
                let stored = mailbox.store(&set(&uids[..1]), FlagChange::Replace, &one, None).unwrap().flags;
                assert_eq!(stored, [(uids[0], one)]);
                continue;
            }
            refused!(mailbox.store(&set(&uids), FlagChange::Add, &one, None), StoreError::Limit(_));
            assert!(mailbox.flags(uids[1]).unwrap().is_empty());
            mailbox.store(&set(&uids), FlagChange::Add, &flags("k0"), None).unwrap();
            return;
        }
        panic!("more than {} keywords", limits::KEYWORDS_OF_MAILBOX);
    }

    fn many_keywords_go_wherever_the_message_goes(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        store.create(&name("there"), None).unwrap();
        // The target knows others, and some of these in another order.
        let many = |of: std::ops::Range<u32>| of.map(|n| format!("k{n} ")).collect::<String>();
        append(&mut *store, &name("there"), &format!("{} k39 k3", (0..30).map(|n| format!("other{n} ")).collect::<String>()), b"x");
        let mut mailbox = open(&mut *store, &inbox());
        let mut other = open(&mut *server.store(), &inbox());
        let all = flags(&format!("\\Seen {}", many(0..40)));
        mailbox.store(&set(&uids[..2]), FlagChange::Add, &all, None).unwrap();
        assert_eq!(mailbox.flags(uids[1]), Some(all.clone()));
        // Another session sees it, all keywords are listed, and a change of late ones alone is a change.
        let changes = other.sync().unwrap();
        assert!(changes.new_keywords && changes.flags == set(&uids[..2]));
        assert_eq!((other.flags(uids[0]), other.keywords().len()), (Some(all.clone()), 40));
        let stored = mailbox.store(&set(&uids), FlagChange::Add, &flags("k35"), None).unwrap().flags;
        assert_eq!(stored[2], (uids[2], flags("k35")));
        assert_eq!(other.flags(uids[2]), Some(flags("")));
        assert_eq!(other.sync().unwrap().flags, set(&uids[2..]));
        assert_eq!(other.flags(uids[2]), Some(flags("k35")));
        mailbox.store(&set(&uids[2..]), FlagChange::Remove, &flags("k35"), None).unwrap();
        assert_eq!(other.sync().unwrap().flags, set(&uids[2..]));
        assert!(other.sync().unwrap().is_empty() && mailbox.sync().unwrap().flags.is_empty());
        mailbox.store(&set(&uids[2..]), FlagChange::Replace, &flags("k38 k2"), None).unwrap();
        // COPY, MOVE, APPEND.
        let copied = mailbox.copy(&set(&uids), &name("there")).unwrap();
        let moved = mailbox.move_to(&set(&uids[1..]), &name("there")).unwrap().done;
        let appended = append(&mut *store, &name("there"), &format!("\\Seen {}", many(0..40)), b"y");
        let there = open(&mut *server.store(), &name("there"));
        for (_, uid) in [copied.pairs[0], copied.pairs[1], moved.pairs[0]] {
            assert_eq!(there.flags(uid), Some(all.clone()));
        }
        assert_eq!(there.flags(appended), Some(all.clone()));
        for (_, uid) in [copied.pairs[2], moved.pairs[1]] {
            assert_eq!(there.flags(uid), Some(flags("k38 k2")));
        }
        // What is left keeps them while others go.
        mailbox.sync().unwrap();
        let again = open(&mut *server.store(), &inbox());
        assert_eq!((again.uids(), again.flags(uids[0])), (&set(&uids[..1]), Some(all.clone())));
        store.rename(&name("there"), &name("elsewhere")).unwrap();
        assert_eq!(open(&mut *store, &name("elsewhere")).flags(appended), Some(all));
    }

    fn a_refused_change_leaves_every_flag(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let most = |of: std::ops::Range<usize>| flags(&of.map(|n| format!("k{n} ")).collect::<String>());
        mailbox.store(&set(&uids[..1]), FlagChange::Add, &most(0..limits::KEYWORDS_OF_MAILBOX - 1), None).unwrap();
        assert!(mailbox.can_create_keywords());
        refused!(mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen k30 x y"), None), StoreError::Limit(_));
        assert_eq!(mailbox.flags(uids[1]), Some(flags("")));
        assert_eq!(mailbox.keywords().len(), limits::KEYWORDS_OF_MAILBOX - 1);
        assert_eq!(open(&mut *server.store(), &inbox()).flags(uids[1]), Some(flags("")));
        mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen k30 x"), None).unwrap();
        assert!(!mailbox.can_create_keywords());
        assert_eq!(open(&mut *server.store(), &inbox()).flags(uids[1]), Some(flags("\\Seen k30 x")));
        assert_eq!(*open(&mut *server.store(), &inbox()).keywords().last().unwrap(), Keyword::new("x").unwrap());
    }

    fn a_keyword_too_many_keeps_no_message_out(server) {
        let mut store = server.store();
        let full = name("full");
        store.create(&full, None).unwrap();
        append(&mut *store, &full, "", b"x");
        let mut there = open(&mut *store, &full);
        let one = there.uids().clone();
        let most: String = (0..limits::KEYWORDS_OF_MAILBOX).map(|n| format!("k{n} ")).collect();
        there.store(&one, FlagChange::Add, &flags(&most), None).unwrap();
        assert!(!there.can_create_keywords());
        append(&mut *store, &inbox(), "\\Seen more K1", b"y");
        let mut mailbox = open(&mut *store, &inbox());
        let uids = mailbox.uids().clone();
        mailbox.copy(&uids, &full).unwrap();
        mailbox.move_to(&uids, &full).unwrap();
        append(&mut *store, &full, "\\Seen more K1", b"z");
        let arrived = there.sync().unwrap().arrived;
        assert_eq!(arrived.len(), 3);
        assert!(arrived.iter().all(|uid| there.flags(uid) == Some(flags("\\Seen k1"))));
    }

    fn a_mailbox_opened_read_only_is_not_changed_by_it(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = store.open(&inbox(), Access::ReadOnly).unwrap();
        refused!(mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen"), None), StoreError::NoPermission);
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
