//! A Maildir with a quota: what comes and goes is told to `maildirsize`, and what has no room is refused.

use crate::mail::*;
use crate::maildir::Place;
use crate::refused;
use imapd::testing::storage::StoreError;

/// What the lines behind the first come to.
fn sum(place: &Place) -> (i64, i64) {
    let text = place.text("maildirsize");
    let lines = text.lines().skip(1).map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<i64>().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap())
    });
    lines.fold((0, 0), |sum, line| (sum.0 + line.0, sum.1 + line.1))
}

/// What all files come to, by looking.
fn truth(place: &Place) -> (i64, i64) {
    let mut truth = (0, 0);
    for directory in place.files(".").iter().filter(|name| name.starts_with('.')).map(String::as_str).chain(["."]) {
        for part in ["new", "cur"] {
            for file in place.files(&format!("{directory}/{part}")) {
                let length = place.path(&format!("{directory}/{part}/{file}")).metadata().unwrap().len();
                truth = (truth.0 + i64::try_from(length).unwrap(), truth.1 + 1);
            }
        }
    }
    truth
}

#[test]
fn what_comes_and_goes_is_counted() {
    let place = Place::new();
    place.write("maildirsize", "100000S,100C\n0 0\n");
    let mut store = place.store();
    let counted = |messages: i64| {
        assert_eq!(sum(&place), truth(&place));
        assert_eq!(sum(&place).1, messages);
    };
    let uids = three(&mut *store);
    counted(3);
    store.create(&name("Archive"), None).unwrap();
    let mut mailbox = open(&mut *store, &inbox());
    mailbox.copy(&set(&uids), &name("Archive")).unwrap();
    counted(6);
    mailbox.move_to(&set(&uids[..1]), &name("Archive")).unwrap();
    counted(6);
    mailbox.expunge(&set(&uids[1..2])).unwrap();
    counted(5);
    // Delivered by a program that knows nothing of it, and expunged by us: less than nothing is counted anew.
    place.deliver("1.a.h");
    mailbox.sync().unwrap();
    let all = mailbox.uids().clone();
    mailbox.expunge(&all).unwrap();
    store.delete(&name("Archive")).unwrap();
    append(&mut *store, &inbox(), "", &message("one"));
    counted(1);
}

#[test]
fn what_has_no_room_is_refused_and_leaves_no_trace() {
    let place = Place::new();
    place.write("maildirsize", "200S,4C\n");
    let mut store = place.store();
    let uids = three(&mut *store);
    let before = truth(&place);
    let mut large = store.append(&inbox()).unwrap();
    large.begin(&flags(""), None).unwrap();
    large.write(&[b'x'; 200]).unwrap();
    refused!(large.commit(), StoreError::OverQuota);
    store.create(&name("Archive"), None).unwrap();
    let mut mailbox = open(&mut *store, &inbox());
    refused!(mailbox.copy(&set(&uids[..2]), &name("Archive")), StoreError::OverQuota);
    assert_eq!((truth(&place), sum(&place)), (before, before));
    assert!(place.files("tmp").is_empty() && place.files(".Archive/tmp").is_empty());
    // What goes nowhere needs no room, and what goes makes some.
    mailbox.copy(&set(&uids[..1]), &name("Archive")).unwrap();
    mailbox.move_to(&set(&uids[..2]), &name("Archive")).unwrap();
    refused!(mailbox.copy(&set(&uids[2..]), &name("Archive")), StoreError::OverQuota);
    mailbox.expunge(&set(&uids[2..])).unwrap();
    append(&mut *store, &inbox(), "", &message("x"));
}

#[test]
fn without_a_quota_there_is_no_file() {
    let place = Place::new();
    let mut store = place.store();
    let uids = three(&mut *store);
    open(&mut *store, &inbox()).expunge(&set(&uids)).unwrap();
    assert!(!place.path("maildirsize").exists());
}

#[test]
fn two_that_count_at_the_same_time_lose_nothing() {
    let place = Place::new();
    place.write("maildirsize", format!("1000000S\n{}", "0 0\n".repeat(1200)));
    std::thread::scope(|scope| {
        for mailbox in ["a", "b"] {
            let place = &place;
            scope.spawn(move || {
                let mut store = place.store();
                store.create(&name(mailbox), None).unwrap();
                for n in 0..100 {
                    append(&mut *store, &name(mailbox), "", &message(&format!("{mailbox} {n}")));
                }
            });
        }
    });
    // A count and a change at once may count a message twice, until somebody counts again in peace.
    place.write("maildirsize", place.text("maildirsize") + "torn");
    append(&mut *place.store(), &inbox(), "", &message("last"));
    assert_eq!(sum(&place), truth(&place));
    assert_eq!(sum(&place).1, 201);
}
