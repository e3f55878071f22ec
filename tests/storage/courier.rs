//! A Maildir that comes from Courier keeps UIDs, keywords and subscriptions, and Courier's own files.

use crate::mail::*;
use crate::maildir::{Place, numbers, uid};
use imapd::testing::storage::{Access, StatusWanted};
use imapd::testing::types::MailboxName;
use std::fs;

/// INBOX and a folder as Courier leaves them.
fn from_courier() -> Place {
    let place = Place::new();
    for (folder, directory) in [("", "."), (".Sent", ".Sent")] {
        for part in ["", "/cur", "/new", "/tmp", "/courierimapkeywords"] {
            let _ = fs::create_dir(place.path(&format!("{directory}{part}")));
        }
        for file in ["1719.M1P1V08I01.mx,S=8:2,S", "1719.M2P1V08I02.mx,S=8:2,FS", "1719.M3P1V08I03.mx,S=8:2,"] {
            place.write(&format!("{directory}/cur/{file}"), "a: b\n\nc\n");
        }
        place.write(&format!("{directory}/new/1720.M1P1.mx"), "a: b\n\nd\n");
        let validity = if folder.is_empty() { 719_000_001 } else { 719_000_002 };
        place.write(
            &format!("{directory}/courierimapuiddb"),
            format!("1 {validity} 42\n40 1719.M1P1V08I01.mx,S=8\n7 1719.M2P1V08I02.mx,S=8\n9 gone.long.ago\n41 1719.M3P1V08I03.mx,S=8\n"),
        );
        place.write(
            &format!("{directory}/courierimapkeywords/:list"),
            "$Junk\nwork\nnot]one\n\n1719.M1P1V08I01.mx,S=8:0 1 2\n1719.M2P1V08I02.mx,S=8:0\ngone.long.ago:1\n",
        );
        place.write(&format!("{directory}/courierimapkeywords/1719.M2P1V08I02.mx,S=8"), "$Label1\n");
        place.write(&format!("{directory}/courierimapkeywords/.5700000.1719.M3P1V08I03.mx,S=8"), "work\n");
    }
    place.write(".Sent/maildirfolder", "");
    place.write("courierimapsubscribed", "INBOX\nINBOX.Sent\nINBOX.Entwürfe\n#shared.x\n");
    place
}

/// Courier's files with their contents.
fn couriers(place: &Place) -> Vec<(String, Vec<u8>)> {
    let mut files = vec!["courierimapsubscribed".to_owned()];
    for directory in [".", ".Sent"] {
        files.push(format!("{directory}/courierimapuiddb"));
        let keywords = format!("{directory}/courierimapkeywords");
        files.extend(place.files(&keywords).iter().map(|name| format!("{keywords}/{name}")));
    }
    files.into_iter().map(|file| (file.clone(), fs::read(place.path(&file)).unwrap())).collect()
}

#[test]
fn uids_and_keywords_are_kept_and_couriers_files_stay() {
    let place = from_courier();
    let before = couriers(&place);
    for (mailbox, validity) in [("INBOX", 719_000_001), ("Sent", 719_000_002)] {
        for _ in 0..2 {
            let mut mailbox = open(&mut *place.store(), &name(mailbox));
            assert_eq!(mailbox.uid_validity().get(), validity);
            assert_eq!(numbers(mailbox.uids()), [7, 40, 41, 42]);
            assert_eq!(mailbox.uid_next(), uid(43));
            let shown = |number: u32| mailbox.flags(uid(number)).unwrap();
            assert_eq!(shown(7), flags("\\Seen \\Flagged $Label1"));
            assert_eq!(shown(40), flags("\\Seen $Junk work"));
            assert_eq!(shown(41), flags("work"));
            assert_eq!(shown(42), flags(""));
            assert_eq!(content(&mut *mailbox, uid(42)).unwrap(), b"a: b\r\n\r\nd\r\n");
        }
    }
    assert_eq!(place.uid_list().header.guid.unwrap().len(), 32);
    assert_eq!(couriers(&place), before);
    let letters: Vec<String> =
        place.files("cur").iter().map(|name| name.rsplit(',').next().unwrap().to_owned()).collect();
    assert!(letters.iter().all(|letters| letters.bytes().is_sorted()), "{letters:?}");
}

#[test]
fn it_happens_once_however_the_folder_is_first_looked_at() {
    let place = from_courier();
    let status = place.store().status(&inbox(), StatusWanted::default()).unwrap();
    assert_eq!((status.uid_validity.get(), status.uid_next.get()), (719_000_001, 43));
    // From now on our own files count.
    place.write("courierimapuiddb", "1 5 5\n");
    place.write("courierimapkeywords/:list", "other\n\n1719.M1P1V08I01.mx,S=8:0\n");
    let mailbox = open(&mut *place.store(), &inbox());
    assert_eq!((mailbox.uid_validity().get(), numbers(mailbox.uids())), (719_000_001, vec![7, 40, 41, 42]));
    assert_eq!(mailbox.flags(uid(40)), Some(flags("\\Seen $Junk work")));
    // To a folder that nobody opened yet.
    assert_eq!(append(&mut *place.store(), &name("Sent"), "", b"x: y\r\n\r\n"), uid(43));
    assert_eq!(numbers(open(&mut *place.store(), &name("Sent")).uids()), [7, 40, 41, 42, 43]);
}

#[test]
fn a_look_that_was_cut_off_before_the_list_was_written_is_taken_up_again() {
    let place = from_courier();
    drop(place.store().open(&inbox(), Access::ReadOnly).unwrap());
    let (files, keywords) = (place.files("cur"), place.text("dovecot-keywords"));
    fs::remove_file(place.path("dovecot-uidlist")).unwrap();
    fs::remove_file(place.path("imapd-courier")).unwrap();
    let mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(numbers(mailbox.uids())[..3], [7, 40, 41]);
    assert_eq!(mailbox.flags(uid(40)), Some(flags("\\Seen $Junk work")));
    assert_eq!((place.files("cur")[..3].to_vec(), place.text("dovecot-keywords")), (files, keywords));
}

/// UIDs that were given since would be given again.
#[test]
fn a_list_that_is_lost_later_is_not_taken_from_courier_again() {
    for lose in [
        |place: &Place| fs::remove_file(place.path("dovecot-uidlist")).unwrap(),
        |place: &Place| place.write("dovecot-uidlist", "nonsense\n"),
    ] {
        let place = from_courier();
        append(&mut *place.store(), &inbox(), "", b"x: y\r\n\r\n");
        let known = open(&mut *place.store(), &inbox()).uids().clone();
        lose(&place);
        // As long as the index knows, nothing is lost.
        let mailbox = open(&mut *place.store(), &inbox());
        assert_eq!((mailbox.uid_validity().get(), mailbox.uids()), (719_000_001, &known));
        drop(mailbox);
        lose(&place);
        place.remove_index();
        let mailbox = open(&mut *place.store(), &inbox());
        assert!(mailbox.uid_validity().get() > 719_000_001);
        assert_eq!(numbers(mailbox.uids()), [1, 2, 3, 4, 5]);
    }
}

#[test]
fn keywords_beyond_the_letters_are_kept_too() {
    let place = from_courier();
    let names: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    let all: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    place.write(
        "courierimapkeywords/:list",
        format!("{}\n\n1719.M1P1V08I01.mx,S=8:{}\n", names.join("\n"), all.join(" ")),
    );
    fs::remove_file(place.path("courierimapkeywords/1719.M2P1V08I02.mx,S=8")).unwrap();
    let mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(mailbox.flags(uid(40)), Some(flags(&format!("\\Seen {}", names.join(" ")))));
    assert_eq!(mailbox.flags(uid(7)), Some(flags("\\Seen \\Flagged")));
    assert_eq!(mailbox.flags(uid(41)), Some(flags("work")));
    assert_eq!(place.text("dovecot-keywords").lines().count(), 26);
}

#[test]
fn damaged_files_cost_only_themselves() {
    let place = from_courier();
    place.write("courierimapuiddb", "nonsense\n40 1719.M1P1V08I01.mx,S=8\n");
    assert_eq!(numbers(open(&mut *place.store(), &inbox()).uids()), [1, 2, 3, 4]);
    // Something else of that name, and something that never ends.
    fs::remove_file(place.path(".Sent/courierimapkeywords/:list")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", place.path(".Sent/courierimapkeywords/:list")).unwrap();
    let mailbox = open(&mut *place.store(), &name("Sent"));
    assert_eq!(numbers(mailbox.uids()), [7, 40, 41, 42]);
    assert_eq!(mailbox.flags(uid(7)), Some(flags("\\Seen \\Flagged $Label1")));
    assert_eq!(mailbox.flags(uid(40)), Some(flags("\\Seen")));
}

#[test]
fn subscriptions_are_taken_over_once() {
    let place = from_courier();
    let names = |place: &Place| -> Vec<String> {
        place.store().subscriptions().unwrap().iter().map(MailboxName::to_string).collect()
    };
    assert_eq!(names(&place), ["INBOX", "Sent", "Entwürfe"]);
    // For Dovecot to see, should it come after us.
    assert_eq!(place.text("subscriptions"), "V\t2\n\nINBOX\nSent\nEntw&APw-rfe\n");
    place.store().subscribe(&name("New")).unwrap();
    assert_eq!(names(&place), ["INBOX", "Sent", "Entwürfe", "New"]);
    assert_eq!(place.text("subscriptions"), "V\t2\n\nINBOX\nSent\nEntw&APw-rfe\nNew\n");
    for gone in ["INBOX", "Sent", "Entwürfe", "New"] {
        place.store().unsubscribe(&name(gone)).unwrap();
    }
    // Nothing is a choice as well.
    assert!(names(&place).is_empty());
    assert!(place.path("courierimapsubscribed").exists());
}
