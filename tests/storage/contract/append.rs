//! Messages come in whole, in order, or not at all; and come out to the octet.

use crate::mail::*;
use crate::{on_both_stores, refused};
use imapd::testing::storage::{Access, StatusWanted, StoreError};
use imapd::testing::types::DateTime;

on_both_stores! {
    fn a_message_comes_back_to_the_octet(server) {
        let mut store = server.store();
        let long = b"0123456789abcdef".repeat(20_000);
        for octets in [
            &b""[..],
            b"\r\n",
            b"a",
            b"Subject: x\r\n\r\n",
            b"Subject: x\r\n\r\nno end of line",
            b"a\r\r\nb\rc\r\n\r",
            "S\u{fc}bject: \u{1F4E7}\r\n\r\n".as_bytes(),
            b"binary \x01\x7f\x80\xff\r\n",
            b".\r\n..\r\nFrom here\r\n",
            &long,
        ] {
            let uid = append(&mut *store, &inbox(), "", octets);
            assert_eq!(content(&mut *open(&mut *store, &inbox()), uid).unwrap(), octets);
        }
    }

    fn a_lone_lf_comes_back_as_crlf(server) {
        let mut store = server.store();
        let uid = append(&mut *store, &inbox(), "", b"Subject: x\n\ny\n");
        let mut mailbox = open(&mut *store, &inbox());
        assert_eq!(content(&mut *mailbox, uid).unwrap(), b"Subject: x\r\n\r\ny\r\n");
    }

    fn a_message_can_be_written_in_pieces(server) {
        let mut store = server.store();
        let octets = b"Subject: x\r\n\r\ny\r\r\nz\r\n";
        let mut append = store.append(&inbox()).unwrap();
        append.begin(&flags(""), None).unwrap();
        octets.chunks(1).for_each(|octet| append.write(octet).unwrap());
        let uid = append.commit().unwrap().uids[0];
        assert_eq!(content(&mut *open(&mut *store, &inbox()), uid).unwrap(), octets);
    }

    fn a_read_can_begin_anywhere(server) {
        let mut store = server.store();
        let uid = append(&mut *store, &inbox(), "", b"Subject: x\r\n\r\nabcdef");
        let mut message = open(&mut *store, &inbox()).read(uid).unwrap();
        let mut last = [0; 3];
        let size = message.stored_size();
        assert_eq!(message.read_at(size - 3, &mut last).unwrap(), 3);
        assert_eq!(&last, b"def");
        assert_eq!(message.read_at(size, &mut last).unwrap(), 0);
        assert_eq!(message.read_at(u64::MAX, &mut last).unwrap_or(0), 0);
    }

    fn messages_of_one_append_appear_at_once_and_in_order(server) {
        let (mut store, mut other) = (server.store(), server.store());
        let mut watcher = open(&mut *other, &inbox());
        let mut append = store.append(&inbox()).unwrap();
        for n in 0..5 {
            append.begin(&flags(""), None).unwrap();
            append.write(&message(&n.to_string())).unwrap();
            assert!(watcher.sync().unwrap().is_empty());
        }
        let appended = append.commit().unwrap();
        assert_eq!(appended.uids.len(), 5);
        assert!(appended.uids.is_sorted());
        assert_eq!(appended.uid_validity, watcher.uid_validity());
        assert_eq!(watcher.sync().unwrap().arrived, set(&appended.uids));
        let expected: Vec<_> = (0..5).map(|n: i32| message(&n.to_string())).collect();
        assert_eq!(contents(&mut *watcher), expected);
    }

    fn an_append_that_is_dropped_leaves_no_trace(server) {
        let mut store = server.store();
        let before = store.status(&inbox(), StatusWanted { size: true, counts: true }).unwrap();
        let mut append = store.append(&inbox()).unwrap();
        append.begin(&flags("\\Seen $New"), None).unwrap();
        append.write(b"Subject: x\r\n").unwrap();
        append.begin(&flags(""), None).unwrap();
        drop(append);
        assert_eq!(store.status(&inbox(), StatusWanted { size: true, counts: true }).unwrap(), before);
        assert!(open(&mut *store, &inbox()).uids().is_empty());
        if let Some(root) = server.root() {
            assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
        }
    }

    fn an_append_of_nothing_adds_nothing(server) {
        let mut store = server.store();
        assert!(store.append(&inbox()).unwrap().commit().unwrap().uids.is_empty());
    }

    fn an_append_needs_its_mailbox(server) {
        let (mut store, mut other) = (server.store(), server.store());
        refused!(store.append(&name("none")), StoreError::NoSuchMailbox);
        store.create(&name("x"), None).unwrap();
        let mut append = store.append(&name("x")).unwrap();
        append.begin(&flags(""), None).unwrap();
        append.write(b"x").unwrap();
        other.delete(&name("x")).unwrap();
        refused!(append.commit(), StoreError::NoSuchMailbox);
        assert_eq!(exists(&mut *store), ["INBOX"]);
    }

    fn flags_and_dates_are_kept(server) {
        let mut store = server.store();
        // A moment without a fraction, in a zone of its own; a store may keep it in another zone.
        let date = DateTime { seconds: 1_000_000_000, zone: -330 };
        let uid = append_dated(&mut *store, &inbox(), "\\Seen \\Flagged \\Draft $Forwarded", Some(date), b"x");
        let mut mailbox = open(&mut *server.store(), &inbox());
        assert_eq!(mailbox.flags(uid), Some(flags("\\Seen \\Flagged \\Draft $Forwarded")));
        assert_eq!(mailbox.internal_date(uid).unwrap().seconds, date.seconds);
    }

    fn without_a_date_it_is_now(server) {
        let mut store = server.store();
        let seconds = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        let before = seconds();
        let uid = append(&mut *store, &inbox(), "", b"x");
        let date = open(&mut *store, &inbox()).internal_date(uid).unwrap();
        assert!((before..=seconds()).contains(&date.seconds), "{date:?}");
    }

    fn uids_ascend_and_are_never_used_again(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        assert!(uids.is_sorted());
        let mut mailbox = open(&mut *store, &inbox());
        assert!(mailbox.uid_next() > uids[2]);
        let promised = mailbox.uid_next();
        mailbox.expunge(&set(&uids)).unwrap();
        drop(mailbox);
        assert!(append(&mut *server.store(), &inbox(), "", b"x") >= promised);
    }

    fn a_mailbox_takes_thousands_of_messages(server) {
        const COUNT: usize = 2000;
        let mut store = server.store();
        let mut append = store.append(&inbox()).unwrap();
        for n in 0..COUNT {
            append.begin(&flags(if n % 2 == 0 { "\\Seen" } else { "" }), None).unwrap();
            append.write(&message(&n.to_string())).unwrap();
        }
        let uids = append.commit().unwrap().uids;
        let mut mailbox = open(&mut *server.store(), &inbox());
        assert_eq!(*mailbox.uids(), set(&uids));
        for n in [0, 1, 999, COUNT - 1] {
            assert_eq!(content(&mut *mailbox, uids[n]).unwrap(), message(&n.to_string()));
        }
        let status = store.status(&inbox(), StatusWanted { size: false, counts: true }).unwrap();
        assert_eq!((status.messages, status.unseen), (COUNT as u32, COUNT as u32 / 2));
        let odd: Vec<_> = uids.iter().copied().skip(1).step_by(2).collect();
        assert_eq!(mailbox.expunge(&set(&odd)).unwrap().done, set(&odd));
        assert_eq!(mailbox.sync().unwrap().expunged, set(&odd));
        assert_eq!(store.open(&inbox(), Access::ReadOnly).unwrap().uids().len(), COUNT / 2);
    }
}
