//! Making, deleting, renaming and listing mailboxes.

use crate::mail::*;
use crate::{on_both_stores, refused};
use imapd::testing::limits;
use imapd::testing::storage::{Access, StatusWanted, StoreError};
use imapd::testing::types::SpecialUse;
use imapd::testing::types::flag::FlagChange;

/// Names that a file system, an older server or modified UTF-7 could trip over.
const ODD_NAMES: [&str; 13] = [
    "Entw\u{fc}rfe",
    "\u{53f0}\u{5317}/\u{65e5}\u{672c}\u{8a9e}",
    "\u{1F4E7} mail",
    "a & b",
    "&",
    "&AOQ-",
    "a.b",
    ".hidden",
    "back\\slash \"quotes\"",
    "cur",
    "new/tmp",
    "*%?[x]",
    " blanks ",
];

on_both_stores! {
    fn inbox_is_always_there(server) {
        let mut store = server.store();
        assert_eq!(exists(&mut *store), ["INBOX"]);
        assert_eq!(store.status(&inbox(), StatusWanted::default()).unwrap().messages, 0);
        refused!(store.create(&inbox(), None), StoreError::AlreadyExists);
        refused!(store.delete(&inbox()), StoreError::Cannot(_));
    }

    fn mailboxes_are_listed_in_the_order_of_their_names(server) {
        let mut store = server.store();
        for text in ["b", "a/b/c", "B", "INBOX/x", "a"] {
            store.create(&name(text), None).unwrap();
        }
        // a/b is no mailbox, only the way to one.
        assert_eq!(exists(&mut *server.store()), ["B", "INBOX", "INBOX/x", "a", "a/b/c", "b"]);
        refused!(store.create(&name("a"), None), StoreError::AlreadyExists);
        refused!(store.open(&name("a/b"), Access::ReadWrite), StoreError::NoSuchMailbox);
        refused!(store.status(&name("a/b"), StatusWanted::default()), StoreError::NoSuchMailbox);
    }

    fn any_name_can_be_made_and_found_again(server) {
        let mut store = server.store();
        let mut made = vec!["INBOX".to_owned()];
        for text in ODD_NAMES {
            let odd = name(text);
            match store.create(&odd, None) {
                Ok(_) => {
                    append(&mut *store, &odd, "", &message("odd"));
                    made.push(text.to_owned());
                }
                // A store may lack a way to write a name; then it must say so.
                Err(StoreError::Cannot(_)) => {}
                Err(error) => panic!("{text}: {error:?}"),
            }
        }
        made.sort();
        assert!(made.len() >= 8, "{made:?}");
        let mut other = server.store();
        assert_eq!(exists(&mut *other), made);
        for text in made.iter().filter(|text| *text != "INBOX") {
            assert_eq!(contents(&mut *open(&mut *other, &name(text))), [message("odd")], "{text}");
            other.delete(&name(text)).unwrap();
        }
        assert_eq!(exists(&mut *store), ["INBOX"]);
    }

    fn a_long_name_is_made_or_refused(server) {
        let mut store = server.store();
        for long in ["x".repeat(limits::MAILBOX_NAME), "\u{e4}".repeat(200), vec!["y"; limits::MAILBOX_LEVELS].join("/")] {
            let long = name(&long);
            match store.create(&long, None) {
                Ok(_) => {
                    append(&mut *store, &long, "", b"x");
                    store.delete(&long).unwrap();
                }
                Err(StoreError::Cannot(_) | StoreError::Limit(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
            assert_eq!(exists(&mut *store), ["INBOX"]);
        }
    }

    fn delete_takes_the_messages_and_not_the_children(server) {
        let mut store = server.store();
        store.create(&name("a"), None).unwrap();
        store.create(&name("a/b"), None).unwrap();
        append(&mut *store, &name("a/b"), "", &message("child"));
        store.delete(&name("a")).unwrap();
        assert_eq!(exists(&mut *server.store()), ["INBOX", "a/b"]);
        assert_eq!(contents(&mut *open(&mut *store, &name("a/b"))), [message("child")]);
        refused!(store.delete(&name("a")), StoreError::NoSuchMailbox);
        refused!(store.delete(&name("none")), StoreError::NoSuchMailbox);
    }

    fn a_mailbox_made_anew_has_a_greater_uidvalidity_and_no_mail(server) {
        let mut store = server.store();
        let mut last = None;
        for _ in 0..4 {
            store.create(&name("x"), None).unwrap();
            let status = store.status(&name("x"), StatusWanted::default()).unwrap();
            assert_eq!(status.messages, 0);
            assert!(last.is_none_or(|last| status.uid_validity > last));
            last = Some(status.uid_validity);
            append(&mut *store, &name("x"), "", b"x");
            store.delete(&name("x")).unwrap();
            store = server.store();
        }
    }

    fn a_mailbox_that_is_deleted_is_gone_for_those_who_have_it_open(server) {
        let (mut store, mut other) = (server.store(), server.store());
        store.create(&name("x"), None).unwrap();
        let uid = append(&mut *store, &name("x"), "", b"x");
        let mut mailbox = open(&mut *other, &name("x"));
        store.delete(&name("x")).unwrap();
        refused!(mailbox.sync(), StoreError::NoSuchMailbox);
        // And if there is a new one of its name, it is another.
        store.create(&name("x"), None).unwrap();
        append(&mut *store, &name("x"), "", b"y");
        refused!(mailbox.sync(), StoreError::NoSuchMailbox);
        assert!(mailbox.read(uid).is_err());
        let _ = mailbox.store(&set(&[uid]), FlagChange::Add, &flags("\\Seen"), None);
        let new = open(&mut *store, &name("x"));
        assert!(new.flags(new.uids().first().unwrap()).unwrap().is_empty());
    }

    fn rename_takes_messages_uids_and_children_along(server) {
        let mut store = server.store();
        for text in ["a", "a/b", "a/b/c", "ab"] {
            store.create(&name(text), None).unwrap();
        }
        let uid = append(&mut *store, &name("a"), "\\Flagged $k", &message("a"));
        append(&mut *store, &name("a/b/c"), "", &message("c"));
        let before = store.status(&name("a"), StatusWanted::default()).unwrap();
        store.rename(&name("a"), &name("z/y")).unwrap();
        assert_eq!(exists(&mut *server.store()), ["INBOX", "ab", "z/y", "z/y/b", "z/y/b/c"]);
        let after = store.status(&name("z/y"), StatusWanted::default()).unwrap();
        assert_eq!((after.uid_validity, after.uid_next), (before.uid_validity, before.uid_next));
        let mut mailbox = open(&mut *store, &name("z/y"));
        assert_eq!(content(&mut *mailbox, uid).unwrap(), message("a"));
        assert_eq!(mailbox.flags(uid), Some(flags("\\Flagged $k")));
        assert_eq!(contents(&mut *open(&mut *store, &name("z/y/b/c"))), [message("c")]);
    }

    fn a_name_that_is_only_a_parent_can_be_renamed(server) {
        let mut store = server.store();
        store.create(&name("a/b"), None).unwrap();
        store.rename(&name("a"), &name("c")).unwrap();
        assert_eq!(exists(&mut *store), ["INBOX", "c/b"]);
        refused!(store.rename(&name("a"), &name("d")), StoreError::NoSuchMailbox);
    }

    fn rename_does_not_overwrite(server) {
        let mut store = server.store();
        for text in ["a", "a/x", "b", "c/x"] {
            store.create(&name(text), None).unwrap();
        }
        let before = exists(&mut *store);
        refused!(store.rename(&name("a"), &name("b")), StoreError::AlreadyExists);
        refused!(store.rename(&name("a"), &name("a")), StoreError::AlreadyExists);
        refused!(store.rename(&name("a"), &name("INBOX")), StoreError::AlreadyExists);
        refused!(store.rename(&name("a"), &name("c")), StoreError::AlreadyExists);
        refused!(store.rename(&name("none"), &name("d")), StoreError::NoSuchMailbox);
        assert_eq!(exists(&mut *store), before);
    }

    fn renaming_inbox_moves_its_messages_and_leaves_it_empty(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        store.create(&name("INBOX/child"), None).unwrap();
        let mut mailbox = open(&mut *server.store(), &inbox());
        mailbox.store(&set(&uids[..1]), FlagChange::Add, &flags("\\Answered $k"), None).unwrap();
        let validity = mailbox.uid_validity();
        store.rename(&inbox(), &name("old")).unwrap();
        assert_eq!(exists(&mut *server.store()), ["INBOX", "INBOX/child", "old"]);
        let mut old = open(&mut *store, &name("old"));
        assert_eq!(contents(&mut *old), [message("one"), message("two"), message("three")]);
        assert_eq!(old.flags(old.uids().first().unwrap()), Some(flags("\\Answered $k")));
        let left = store.status(&inbox(), StatusWanted::default()).unwrap();
        assert_eq!(left.messages, 0);
        assert!(left.uid_validity != validity || left.uid_next > uids[2], "UIDs would be used again");
        match mailbox.sync() {
            Ok(changes) => assert_eq!(changes.expunged, set(&uids)),
            Err(error) => assert!(matches!(error, StoreError::NoSuchMailbox), "{error:?}"),
        }
        refused!(store.rename(&inbox(), &name("old")), StoreError::AlreadyExists);
    }

    fn a_mailbox_is_made_for_a_special_use(server) {
        let mut store = server.store();
        let use_of = |text: &str| {
            let listing = server.store().list().unwrap();
            listing.iter().find(|l| l.name == name(text)).unwrap().special_use
        };
        store.create(&name("Sent"), None).unwrap();
        assert_eq!(use_of("Sent"), Some(SpecialUse::Sent));
        store.create(&name("Gesendet"), Some(SpecialUse::Sent)).unwrap();
        assert_eq!((use_of("Sent"), use_of("Gesendet")), (None, Some(SpecialUse::Sent)));
        refused!(store.create(&name("Again"), Some(SpecialUse::Sent)), StoreError::SpecialUse(_));
        refused!(store.create(&name("Everything"), Some(SpecialUse::All)), StoreError::SpecialUse(_));
        store.rename(&name("Gesendet"), &name("Gone out")).unwrap();
        assert_eq!(use_of("Gone out"), Some(SpecialUse::Sent));
        store.delete(&name("Gone out")).unwrap();
        assert_eq!(use_of("Sent"), Some(SpecialUse::Sent));
        store.create(&name("Gesendet"), Some(SpecialUse::Sent)).unwrap();
        assert_eq!(exists(&mut *store), ["Gesendet", "INBOX", "Sent"]);
    }
}
