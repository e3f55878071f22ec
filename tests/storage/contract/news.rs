//! What sync tells, and when a session is woken to ask.

use crate::mail::*;
use crate::on_both_stores;
use imapd::testing::storage::{Access, Mailbox};
use imapd::testing::types::flag::FlagChange;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Whether the mailbox's descriptor becomes readable within this time; true if it has none and is polled.
fn woken(mailbox: &mut dyn Mailbox, milliseconds: u16) -> bool {
    match mailbox.watch() {
        None => true,
        Some(descriptor) => {
            let mut descriptors = [PollFd::new(descriptor, PollFlags::POLLIN)];
            poll(&mut descriptors, PollTimeout::from(milliseconds)).unwrap() > 0
        }
    }
}

on_both_stores! {
    fn sync_tells_of_everything_once(server) {
        let (mut store, mut other) = (server.store(), server.store());
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        assert!(mailbox.sync().unwrap().is_empty());
        let mut theirs = open(&mut *other, &inbox());
        theirs.store(&set(&uids[..2]), FlagChange::Add, &flags("\\Seen"), None).unwrap();
        theirs.expunge(&set(&uids[1..2])).unwrap();
        let new = append(&mut *server.store(), &inbox(), "\\Flagged", b"x");
        let changes = mailbox.sync().unwrap();
        assert_eq!(changes.arrived, set(&[new]));
        assert_eq!(changes.expunged, set(&uids[1..2]));
        assert_eq!(changes.flags, set(&uids[..1]));
        assert!(!changes.new_keywords);
        assert_eq!(*mailbox.uids(), set(&[uids[0], uids[2], new]));
        assert_eq!(mailbox.flags(new), Some(flags("\\Flagged")));
        assert_eq!(mailbox.flags(uids[0]), Some(flags("\\Seen")));
        assert!(mailbox.uid_next() > new);
        assert!(mailbox.sync().unwrap().is_empty());
    }

    fn nothing_is_shown_before_sync(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mailbox = open(&mut *store, &inbox());
        let next = mailbox.uid_next();
        append(&mut *server.store(), &inbox(), "$new", b"x");
        open(&mut *server.store(), &inbox()).store(&set(&uids), FlagChange::Add, &flags("\\Seen"), None).unwrap();
        assert_eq!((mailbox.uids(), mailbox.uid_next()), (&set(&uids), next));
        assert!(mailbox.flags(uids[0]).unwrap().is_empty());
        assert!(mailbox.keywords().is_empty());
    }

    fn a_message_that_came_and_went_is_not_told(server) {
        let mut store = server.store();
        let mut mailbox = open(&mut *store, &inbox());
        let uid = append(&mut *server.store(), &inbox(), "", b"x");
        open(&mut *server.store(), &inbox()).expunge(&set(&[uid])).unwrap();
        let changes = mailbox.sync().unwrap();
        assert!(changes.arrived.is_empty() && changes.expunged.is_empty() && changes.flags.is_empty());
        assert!(mailbox.uids().is_empty());
        assert!(mailbox.uid_next() > uid);
    }

    fn what_was_stored_through_the_mailbox_is_not_told_to_it(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let mut theirs = open(&mut *server.store(), &inbox());
        mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen"), None).unwrap();
        assert!(mailbox.sync().unwrap().flags.is_empty());
        assert_eq!(theirs.sync().unwrap().flags, set(&uids));
    }

    fn two_mailboxes_of_one_session_see_each_other(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut writable = open(&mut *store, &inbox());
        let mut read_only = store.open(&inbox(), Access::ReadOnly).unwrap();
        writable.expunge(&set(&uids[..1])).unwrap();
        assert_eq!(read_only.sync().unwrap().expunged, set(&uids[..1]));
    }

    fn a_watcher_is_woken_by_what_others_do(server) {
        let mut store = server.store();
        let [uid, ..] = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        // The descriptor exists from the first call on.
        let _ = mailbox.watch();
        mailbox.sync().unwrap();
        let mut theirs = open(&mut *server.store(), &inbox());
        for action in 0..3 {
            match action {
                0 => drop(append(&mut *server.store(), &inbox(), "", b"x")),
                1 => drop(theirs.store(&set(&[uid]), FlagChange::Add, &flags("\\Seen"), None).unwrap().flags),
                _ => drop(theirs.expunge(&set(&[uid])).unwrap()),
            }
            assert!(woken(&mut *mailbox, 10_000), "{action}");
            assert!(!mailbox.sync().unwrap().is_empty(), "{action}");
            theirs.sync().unwrap();
        }
    }

    fn a_watcher_sleeps_when_there_is_nothing(server) {
        let mut store = server.store();
        three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        if mailbox.watch().is_none() {
            return;
        }
        mailbox.sync().unwrap();
        append(&mut *server.store(), &inbox(), "", b"x");
        assert!(woken(&mut *mailbox, 10_000));
        // One change may be several events, so it may take more than one look until there is peace.
        let peace = (0..20).any(|_| {
            mailbox.sync().unwrap();
            !woken(&mut *mailbox, 50)
        });
        assert!(peace);
    }

    fn a_sync_after_the_first_watch_misses_nothing(server) {
        let mut store = server.store();
        let mut mailbox = open(&mut *store, &inbox());
        let before = append(&mut *server.store(), &inbox(), "", b"x");
        let _ = mailbox.watch();
        let between = append(&mut *server.store(), &inbox(), "", b"y");
        assert_eq!(mailbox.sync().unwrap().arrived, set(&[before, between]));
        append(&mut *server.store(), &inbox(), "", b"z");
        assert!(woken(&mut *mailbox, 10_000));
    }
}
