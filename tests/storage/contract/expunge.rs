//! Messages go, and who looks at them meanwhile.

use crate::mail::*;
use crate::{on_both_stores, refused};
use imapd::testing::storage::{StatusWanted, StoreError};
use imapd::testing::types::flag::FlagChange;

on_both_stores! {
    fn expunge_removes_what_it_is_given_marked_or_not(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.store(&set(&uids[..1]), FlagChange::Add, &flags("\\Deleted"), None).unwrap();
        assert_eq!(mailbox.expunge(&set(&uids[1..])).unwrap().done, set(&uids[1..]));
        assert_eq!(mailbox.sync().unwrap().expunged, set(&uids[1..]));
        assert_eq!(*mailbox.uids(), set(&uids[..1]));
        assert_eq!(*open(&mut *server.store(), &inbox()).uids(), set(&uids[..1]));
    }

    fn what_another_session_no_longer_wants_deleted_is_not_expunged(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Deleted"), None).unwrap();
        let mut other = open(&mut *server.store(), &inbox());
        other.store(&set(&uids[..1]), FlagChange::Remove, &flags("\\Deleted"), None).unwrap();
        assert_eq!(mailbox.expunge(&set(&uids)).unwrap().done, set(&uids[1..]));
        let changes = mailbox.sync().unwrap();
        assert_eq!((changes.expunged, changes.flags), (set(&uids[1..]), set(&uids[..1])));
        assert_eq!(content(&mut *mailbox, uids[0]).unwrap(), message("one"));
    }

    fn what_others_expunged_stays_listed_until_sync(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).expunge(&set(&uids[..1])).unwrap();
        assert_eq!(*mailbox.uids(), set(&uids));
        refused!(mailbox.read(uids[0]), StoreError::Expunged);
        assert_eq!(content(&mut *mailbox, uids[1]).unwrap(), message("two"));
        let changes = mailbox.sync().unwrap();
        assert_eq!(changes.expunged, set(&uids[..1]));
        assert_eq!(*mailbox.uids(), set(&uids[1..]));
        assert_eq!(mailbox.flags(uids[0]), None);
    }

    fn what_is_gone_cannot_be_expunged_again(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        open(&mut *server.store(), &inbox()).expunge(&set(&uids[..1])).unwrap();
        assert_eq!(mailbox.expunge(&set(&uids[..2])).unwrap().done, set(&uids[1..2]));
        assert_eq!(mailbox.sync().unwrap().expunged, set(&uids[..2]));
        assert!(mailbox.expunge(&set(&uids[..2])).unwrap().done.is_empty());
        assert!(mailbox.sync().unwrap().is_empty());
    }

    fn a_message_that_is_being_read_can_be_read_to_its_end(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let mut reading = mailbox.read(uids[0]).unwrap();
        open(&mut *server.store(), &inbox()).expunge(&set(&uids)).unwrap();
        let mut octets = [0; 12];
        assert_eq!(reading.read_at(0, &mut octets).unwrap(), 12);
        assert_eq!(&octets, b"Subject: one");
    }

    fn status_counts_what_is_left(server) {
        let mut store = server.store();
        let wanted = StatusWanted { size: true, counts: true };
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.store(&set(&uids[..2]), FlagChange::Add, &flags("\\Seen"), None).unwrap();
        mailbox.store(&set(&uids[1..]), FlagChange::Add, &flags("\\Deleted"), None).unwrap();
        let sizes: u64 = uids.iter().map(|&uid| mailbox.size(uid).unwrap()).sum();
        let status = server.store().status(&inbox(), wanted).unwrap();
        assert_eq!((status.messages, status.unseen, status.deleted, status.size), (3, 1, 2, sizes));
        assert_eq!((status.uid_validity, status.uid_next), (mailbox.uid_validity(), mailbox.uid_next()));
        mailbox.expunge(&set(&uids[1..])).unwrap();
        let status = server.store().status(&inbox(), wanted).unwrap();
        let size = message("one").len() as u64;
        assert_eq!((status.messages, status.unseen, status.deleted, status.size), (1, 0, 0, size));
    }
}
