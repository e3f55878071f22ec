//! What only a store on disk can promise: names, delivery by others, renames under our feet, and everything that can lie in a Maildir.

use crate::concurrent::{Witnessed, all_contents, take_letters};
use crate::mail::*;
use imapd::testing::storage::maildir::interop::dovecot_uidlist::{UidList, strictly_valid};
use imapd::testing::storage::maildir::{IndexPlace, MaildirOptions, open as open_maildir};
use imapd::testing::storage::{Access, MailStore, StatusWanted, StoreError};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{Keyword, Uid, UidSet, UidValidity};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A Maildir of its own.
pub struct Place {
    _dir: tempfile::TempDir,
    pub root: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("Maildir");
        let place = Self { _dir: dir, root };
        place.store();
        place
    }

    pub fn store(&self) -> Box<dyn MailStore> {
        open_maildir(MaildirOptions { root: self.root.clone(), create: true, index: IndexPlace::InRoot }).unwrap()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub fn remove_index(&self) {
        ["imapd-index", "imapd-index-lock", "imapd-index-state"]
            .iter()
            .for_each(|f| fs::remove_file(self.path(f)).unwrap());
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(path), content).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// As a mail delivery agent does it.
    pub fn deliver(&self, base: &str) {
        self.write(&format!("tmp/{base}"), format!("Subject: {base}\n\nbody\n"));
        fs::rename(self.path(&format!("tmp/{base}")), self.path(&format!("new/{base}"))).unwrap();
    }

    pub fn files(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn uid_list(&self) -> UidList {
        let text = fs::read(self.path("dovecot-uidlist")).unwrap();
        strictly_valid(&text).unwrap();
        UidList::parse(&text).unwrap()
    }
}

pub fn numbers(uids: &UidSet) -> Vec<u32> {
    uids.iter().map(Uid::get).collect()
}

pub fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

#[test]
fn delivered_mail_gets_uids_in_the_order_of_its_arrival() {
    let place = Place::new();
    for base in ["1700000002.M5P1.mx", "1700000001.P77.mx", "1700000002.M40P1.mx", "999.x"] {
        place.deliver(base);
    }
    let mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(numbers(mailbox.uids()), [1, 2, 3, 4]);
    assert_eq!(mailbox.recent(), mailbox.uids());
    let bases: Vec<String> =
        place.uid_list().records.iter().map(|r| String::from_utf8_lossy(&r.base).into_owned()).collect();
    assert_eq!(bases, ["999.x", "1700000001.P77.mx", "1700000002.M5P1.mx", "1700000002.M40P1.mx"]);
    assert!(place.files("new").is_empty());
    assert_eq!(place.files("cur")[3], "999.x:2,");
}

#[test]
fn a_read_only_mailbox_leaves_new_mail_where_it_is() {
    let place = Place::new();
    place.deliver("1.a.h");
    let mut store = place.store();
    let mut mailbox = store.open(&inbox(), Access::ReadOnly).unwrap();
    assert_eq!(numbers(mailbox.uids()), [1]);
    assert_eq!(place.files("new"), ["1.a.h"]);
    let one: UidSet = mailbox.uids().clone();
    assert!(matches!(mailbox.store(&one, FlagChange::Add, &flags("\\Seen"), None), Err(StoreError::NoPermission)));
    assert!(matches!(mailbox.expunge(&one), Err(StoreError::NoPermission)));
}

#[test]
fn what_a_mail_reader_renames_keeps_its_uid() {
    let place = Place::new();
    place.deliver("1.a.h");
    let mut mailbox = open(&mut *place.store(), &inbox());
    fs::rename(place.path("cur/1.a.h:2,"), place.path("cur/1.a.h:2,FSZ,x=y")).unwrap();
    // Before sync says so, the message is found under its new name and shown with its old flags.
    assert_eq!(content(&mut *mailbox, uid(1)).unwrap(), b"Subject: 1.a.h\r\n\r\nbody\r\n");
    assert!(mailbox.flags(uid(1)).unwrap().is_empty());
    let changes = mailbox.sync().unwrap();
    assert_eq!((numbers(&changes.flags), changes.arrived.is_empty()), (vec![1], true));
    assert_eq!(mailbox.flags(uid(1)), Some(flags("\\Seen \\Flagged")));
    // Changed again since, unknown to us: our change joins it, and what nobody understands stays.
    fs::rename(place.path("cur/1.a.h:2,FSZ,x=y"), place.path("cur/1.a.h:2,RSZ,x=y")).unwrap();
    let stored = mailbox.store(&set(&[uid(1)]), FlagChange::Add, &flags("\\Deleted $Junk"), None).unwrap().flags;
    assert_eq!(stored, [(uid(1), flags("\\Seen \\Answered \\Deleted $Junk"))]);
    assert_eq!(place.files("cur"), ["1.a.h:2,RSTZa,x=y"]);
    assert_eq!(place.text("dovecot-keywords"), "0 $Junk\n");
}

#[test]
fn what_vanished_is_expunged_and_its_uid_is_not_dealt_again() {
    let place = Place::new();
    ["1.a.h", "2.b.h"].iter().for_each(|base| place.deliver(base));
    let mut mailbox = open(&mut *place.store(), &inbox());
    fs::remove_file(place.path("cur/2.b.h:2,")).unwrap();
    assert!(matches!(mailbox.read(uid(2)), Err(StoreError::Expunged)));
    assert_eq!(numbers(mailbox.uids()), [1, 2]);
    assert_eq!(numbers(&mailbox.sync().unwrap().expunged), [2]);
    // It comes back: a new message.
    place.write("cur/2.b.h:2,", "x");
    assert_eq!(numbers(&mailbox.sync().unwrap().arrived), [3]);
    assert_eq!(numbers(open(&mut *place.store(), &inbox()).uids()), [1, 3]);
    assert_eq!(place.uid_list().header.next_uid, 4);
}

#[test]
fn what_is_no_message_is_passed_over() {
    let place = Place::new();
    place.deliver("1.good.h");
    place.write("secret", "not yours");
    symlink(place.path("secret"), place.path("cur/2.link.h:2,")).unwrap();
    symlink("/dev/zero", place.path("new/2.zero.h")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place.path("cur/3.fifo.h")).status().unwrap().success());
    fs::create_dir(place.path("cur/4.dir.h")).unwrap();
    place.write("cur/.hidden", "");
    place.write("new/:2,S", "");
    place.write("cur/5.line\nend", "");
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(contents(&mut *mailbox).len(), 1);
    // A message becomes something else under our feet.
    fs::remove_file(place.path("cur/1.good.h:2,")).unwrap();
    symlink(place.path("secret"), place.path("cur/1.good.h:2,")).unwrap();
    assert!(mailbox.read(uid(1)).is_err());
    assert_eq!(numbers(&mailbox.sync().unwrap().expunged), [1]);
}

#[test]
fn strange_names_are_kept_as_they_are() {
    let place = Place::new();
    let long = format!("1700000000.{}", "x".repeat(241));
    for name in ["1 with blank.h", "2.two:colons:2,S", "3.opaque:1,xyz", "4.\u{fc}.h:2,", &format!("{long}:2,")] {
        place.write(&format!("cur/{name}"), "a\nb\r\nc");
    }
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(mailbox.uids().len(), 5);
    for uid in mailbox.uids().clone().iter() {
        assert_eq!((mailbox.size(uid).unwrap(), content(&mut *mailbox, uid).unwrap()), (7, b"a\r\nb\r\nc".to_vec()));
    }
    let small: UidSet = mailbox.uids().iter().take(4).collect();
    let stored = mailbox.store(&small, FlagChange::Add, &flags("\\Flagged"), None).unwrap().flags;
    assert_eq!(stored.len(), 4);
    assert!(place.files("cur").contains(&"3.opaque:1,xyz:2,F".to_owned()), "{:?}", place.files("cur"));
    let last = mailbox.uids().difference(&small);
    assert!(matches!(
        mailbox.store(&last, FlagChange::Add, &flags("\\Flagged \\Seen"), None),
        Err(StoreError::Limit(_))
    ));
    assert!(mailbox.sync().unwrap().is_empty());
    drop(mailbox);
    assert_eq!(open(&mut *place.store(), &inbox()).uids().len(), 5);
    place.uid_list();
}

#[test]
fn wrong_sizes_in_a_name_are_put_right() {
    let place = Place::new();
    place.write("cur/1.wrong.h,S=99,W=99:2,S", "a\nb\n");
    place.write("cur/2.lying.h,S=4,W=5:2,S", "a\nb\n");
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(content(&mut *mailbox, uid(1)).unwrap(), b"a\r\nb\r\n");
    assert_eq!(mailbox.size(uid(1)).unwrap(), 6);
    content(&mut *mailbox, uid(2)).unwrap();
    assert_eq!(mailbox.size(uid(2)).unwrap(), 6);
    let mut other = open(&mut *place.store(), &inbox());
    assert!(mailbox.sync().unwrap().is_empty());
    assert_eq!(place.files("cur"), ["1.wrong.h,S=4,W=6:2,S", "2.lying.h,S=4,W=6:2,S"]);
    // A session that knew the old names goes on without noticing.
    assert!(other.sync().unwrap().is_empty());
    assert_eq!(content(&mut *other, uid(1)).unwrap(), b"a\r\nb\r\n");
    assert_eq!(numbers(open(&mut *place.store(), &inbox()).uids()), [1, 2]);
}

#[test]
fn computed_sizes_are_left_in_the_index_for_the_next_session() {
    let place = Place::new();
    place.write("cur/1.a.h:2,S", "a\nb\n");
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(mailbox.size(uid(1)).unwrap(), 6);
    drop(mailbox);
    // Nobody who follows the rules of a Maildir does this: so it shows that the file is not looked at.
    place.write("cur/1.a.h:2,S", "a\nb\nc\n");
    assert_eq!(open(&mut *place.store(), &inbox()).size(uid(1)).unwrap(), 6);
    // Without the index it is computed again.
    place.remove_index();
    assert_eq!(open(&mut *place.store(), &inbox()).size(uid(1)).unwrap(), 9);
}

#[test]
fn appended_messages_have_sizes_dates_and_lf_line_ends_on_disk() {
    let place = Place::new();
    let mut store = place.store();
    let date = imapd::testing::types::DateTime::utc(1_234_567_890);
    append_dated(&mut *store, &inbox(), "\\Seen", Some(date), b"a\r\nb\r\n");
    let name = &place.files("cur")[0];
    assert!(name.ends_with(",S=4,W=6:2,S"), "{name}");
    let path = place.path(&format!("cur/{name}"));
    assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().mtime()), (b"a\nb\n".to_vec(), 1_234_567_890));
    assert!(place.files("tmp").is_empty());
    append(&mut *store, &inbox(), "", b"x\r\n");
    assert!(place.files("new")[0].ends_with(",S=2,W=3"));
    assert_eq!(place.uid_list().records.len(), 2);
}

#[test]
fn copies_are_links_and_say_where_they_come_from() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&name("there"), None).unwrap();
    place.deliver("1.a.h");
    let mut mailbox = open(&mut *store, &inbox());
    mailbox.store(&set(&[uid(1)]), FlagChange::Add, &flags("\\Seen one two"), None).unwrap();
    // The target has other letters.
    place.write(".there/dovecot-keywords", "0 other\n3 TWO\n");
    mailbox.copy(&set(&[uid(1)]), &name("there")).unwrap();
    assert_eq!(place.text(".there/dovecot-keywords"), "0 other\n1 one\n3 TWO\n");
    let copy = &place.files(".there/cur")[0];
    assert!(copy.ends_with(":2,Sbd"), "{copy}");
    let inode = |path: &str| fs::metadata(place.path(path)).unwrap().ino();
    assert_eq!(inode("cur/1.a.h:2,Sab"), inode(&format!(".there/cur/{copy}")));
    assert!(place.text(".there/dovecot-uidlist").contains(" G1.a.h :"));
    mailbox.move_to(&set(&[uid(1)]), &name("there")).unwrap();
    assert_eq!((place.files("cur").len(), place.files(".there/cur").len(), place.files(".there/tmp").len()), (0, 2, 0));
}

#[test]
fn keyword_letters_are_limited_and_a_letter_in_use_is_not_given_away() {
    let place = Place::new();
    place.write("cur/1.a.h:2,b", "x");
    let mut mailbox = open(&mut *place.store(), &inbox());
    let one = set(&[uid(1)]);
    // The letter stands for nothing: it is not shown, and stays.
    assert!(mailbox.flags(uid(1)).unwrap().is_empty());
    mailbox.store(&one, FlagChange::Add, &flags("x y"), None).unwrap();
    assert_eq!(place.text("dovecot-keywords"), "0 x\n2 y\n");
    assert_eq!(place.files("cur"), ["1.a.h:2,abc"]);
    let before = fs::metadata(place.path("dovecot-keywords")).unwrap().mtime();
    mailbox.store(&one, FlagChange::Add, &flags("z"), None).unwrap();
    assert!(fs::metadata(place.path("dovecot-keywords")).unwrap().mtime() > before, "Dovecot compares whole seconds");
    // Edited by hand: a letter gets its name, which is news.
    place.write("dovecot-keywords", "0 x\n1 named\n2 y\n3 z\n");
    let changes = mailbox.sync().unwrap();
    assert!(changes.new_keywords && changes.flags == one);
    assert!(mailbox.flags(uid(1)).unwrap().has_keyword(&Keyword::new("named").unwrap()));
}

/// The 26 keywords that have letters.
const LETTERED: &str = "a b c d e f g h i j k l m n o p q r s t u v w x y z";

#[test]
fn keywords_without_letters_lie_in_a_file_by_base_name() {
    let place = Place::new();
    ["1.a.h", "2.b.h", "3.c.h"].iter().for_each(|base| place.deliver(base));
    let mut mailbox = open(&mut *place.store(), &inbox());
    let one = set(&[uid(1)]);
    mailbox.store(&one, FlagChange::Add, &flags(LETTERED), None).unwrap();
    assert!(!place.path("imapd-keywords").exists());
    mailbox.store(&set(&[uid(1), uid(2)]), FlagChange::Add, &flags("more"), None).unwrap();
    mailbox.store(&set(&[uid(2), uid(3)]), FlagChange::Add, &flags("MORE again"), None).unwrap();
    assert_eq!(place.text("imapd-keywords"), "0 more\n1 again\n:0 1.a.h\n:0,1 2.b.h\n:0,1 3.c.h\n");
    assert_eq!(place.files("cur")[1], "2.b.h:2,");
    // The UID list is lost, and one file gets other flags by another program: they have them still.
    drop(mailbox);
    fs::remove_file(place.path("dovecot-uidlist")).unwrap();
    fs::rename(place.path("cur/2.b.h:2,"), place.path("cur/2.b.h:2,S")).unwrap();
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(mailbox.flags(uid(2)), Some(flags("\\Seen more again")));
    assert_eq!(mailbox.keywords().len(), 28);
    // What goes is forgotten with the next look, and a file that comes again under its name is another message.
    mailbox.expunge(&set(&[uid(2)])).unwrap();
    fs::remove_file(place.path("cur/3.c.h:2,")).unwrap();
    place.deliver("2.b.h");
    assert_eq!(numbers(&mailbox.sync().unwrap().arrived), [4]);
    assert_eq!(mailbox.flags(uid(4)), Some(flags("")));
    assert_eq!(place.text("imapd-keywords"), "0 more\n1 again\n:0 1.a.h\n");
    assert!(mailbox.sync().unwrap().is_empty());
}

#[test]
fn a_name_that_gets_right_sizes_keeps_its_keywords() {
    let place = Place::new();
    place.write("cur/1.wrong.h,S=99,W=99:2,S", "a\nb\n");
    let mut mailbox = open(&mut *place.store(), &inbox());
    let mut other = open(&mut *place.store(), &inbox());
    let all = flags(&format!("\\Seen {LETTERED} zz"));
    mailbox.store(&set(&[uid(1)]), FlagChange::Add, &all, None).unwrap();
    other.sync().unwrap();
    mailbox.sync().unwrap();
    content(&mut *mailbox, uid(1)).unwrap();
    assert!(mailbox.sync().unwrap().is_empty());
    assert!(place.files("cur")[0].starts_with("1.wrong.h,S=4,W=6:2,"));
    assert!(other.sync().unwrap().is_empty());
    assert_eq!((mailbox.flags(uid(1)), other.flags(uid(1))), (Some(all.clone()), Some(all)));
    place.deliver("2.b.h");
    fs::rename(place.path("new/2.b.h"), place.path("cur/2.b.h")).unwrap();
    mailbox.sync().unwrap();
    assert_eq!(place.text("imapd-keywords"), "0 zz\n:0 1.wrong.h,S=4,W=6\n");
}

#[test]
fn a_keyword_file_by_hand_is_read_as_far_as_it_can_be() {
    let place = Place::new();
    ["1.a.h", "2.b.h"].iter().for_each(|base| place.deliver(base));
    let mut mailbox = open(&mut *place.store(), &inbox());
    place.write("imapd-keywords", "0 hand\n7 $Label\nrubbish\n:0,9,7 1.a.h\n:x 2.b.h\n:7");
    let changes = mailbox.sync().unwrap();
    assert!(changes.new_keywords && numbers(&changes.flags) == [1]);
    assert_eq!(mailbox.flags(uid(1)), Some(flags("hand $Label")));
    // Another name for a number, and a letter for a keyword that had none.
    place.write("imapd-keywords", "0 other\n7 $Label\n:0,7 1.a.h\n");
    place.write("dovecot-keywords", "0 $label\n");
    assert_eq!(numbers(&mailbox.sync().unwrap().flags), [1]);
    assert_eq!(mailbox.flags(uid(1)), Some(flags("other $Label")));
    assert_eq!(mailbox.keywords().len(), 2);
    mailbox.store(&set(&[uid(1)]), FlagChange::Remove, &flags("$LABEL"), None).unwrap();
    assert_eq!(mailbox.flags(uid(1)), Some(flags("other")));
    // A link is not followed, and whatever lies there does not stop the mailbox.
    for plant in [
        "ln -s secret imapd-keywords",
        "mkfifo imapd-keywords",
        "mkdir imapd-keywords",
        "truncate -s 10G imapd-keywords",
    ] {
        place.write("secret", "0 secret\n:0 2.b.h\n");
        let plant = format!("rm -rf imapd-keywords; {plant}");
        assert!(
            std::process::Command::new("sh").args(["-c", &plant]).current_dir(&place.root).status().unwrap().success()
        );
        mailbox.sync().unwrap();
        assert_eq!(mailbox.flags(uid(1)), Some(flags("")), "{plant}");
        assert_eq!(open(&mut *place.store(), &inbox()).flags(uid(2)), Some(flags("")), "{plant}");
    }
}

#[test]
fn a_message_put_in_cur_while_the_lock_is_held_shows_when_it_is_free() {
    let place = Place::new();
    place.deliver("1.a.h");
    let mut mailbox = open(&mut *place.store(), &inbox());
    place.write("dovecot-uidlist.lock", "1:elsewhere.example");
    place.write("cur/2.b.h:2,S", "x");
    // Once the clock of the file system has ticked, nothing but the failure to give it a UID makes us look again.
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(mailbox.sync().unwrap().is_empty());
    fs::remove_file(place.path("dovecot-uidlist.lock")).unwrap();
    assert_eq!(numbers(&mailbox.sync().unwrap().arrived), [2]);
}

#[test]
fn a_message_marked_by_another_program_is_moved_as_marked() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&name("there"), None).unwrap();
    ["1.a.h", "2.b.h"].iter().for_each(|base| place.deliver(base));
    let mut mailbox = open(&mut *store, &inbox());
    mailbox.store(&set(&[uid(2)]), FlagChange::Add, &flags("\\Seen $x"), None).unwrap();
    fs::rename(place.path("cur/1.a.h:2,"), place.path("cur/1.a.h:2,FZ")).unwrap();
    fs::rename(place.path("cur/2.b.h:2,Sa"), place.path("cur/2.b.h:2,Ra")).unwrap();
    let moved = mailbox.move_to(&set(&[uid(1), uid(2)]), &name("there")).unwrap().done;
    let there = open(&mut *store, &name("there"));
    assert_eq!(there.flags(moved.pairs[0].1), Some(flags("\\Flagged")));
    assert_eq!(there.flags(moved.pairs[1].1), Some(flags("\\Answered $x")));
    assert!(place.files(".there/cur")[0].ends_with(":2,FZ"));
}

#[test]
fn what_is_no_longer_a_file_is_not_copied() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&name("there"), None).unwrap();
    ["1.a.h", "2.b.h"].iter().for_each(|base| place.deliver(base));
    let mut mailbox = open(&mut *store, &inbox());
    fs::remove_file(place.path("cur/1.a.h:2,")).unwrap();
    symlink("/etc/passwd", place.path("cur/1.a.h:2,")).unwrap();
    assert!(mailbox.copy(&set(&[uid(1), uid(2)]), &name("there")).is_err());
    assert!(["new", "cur", "tmp"].iter().all(|part| place.files(&format!(".there/{part}")).is_empty()));
}

#[test]
fn folders_are_found_however_they_are_spelled() {
    let place = Place::new();
    for directory in [".R&D", ".Entw&APw-rfe", ".Büro", ".a.b.c", "..", ".a..b", ".INBOX", ".x.", ".Entwürfe"] {
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(place.path(directory).join(part)).unwrap();
        }
    }
    place.write(".file", "");
    let mut store = place.store();
    assert_eq!(exists(&mut *store), ["Büro", "Entwürfe", "INBOX", "R&D", "a/b/c"]);
    for mailbox in ["Büro", "Entwürfe", "R&D", "a/b/c"] {
        append(&mut *store, &name(mailbox), "", b"x");
        store.subscribe(&name(mailbox)).unwrap();
    }
    assert_eq!((place.files(".R&D/new").len(), place.files(".Entw&APw-rfe/new").len()), (1, 1));
    // New ones are spelled as those that are there.
    store.create(&name("Größe/neu"), None).unwrap();
    assert!(place.path(".Größe.neu/maildirfolder").exists());
    store.rename(&name("a"), &name("Ä")).unwrap();
    assert!(place.path(".Ä.b.c/cur").exists());
    assert!(matches!(store.create(&name("a.b"), None), Err(StoreError::Cannot(_))));
    assert!(matches!(store.create(&name(&"x".repeat(300)), None), Err(StoreError::Limit(_))));
    assert_eq!(place.text("subscriptions"), "V\t2\n\nBüro\nEntwürfe\nR&D\na\tb\tc\n");
}

#[test]
fn a_folder_can_move_below_itself_and_a_failed_rename_leaves_all() {
    let place = Place::new();
    let mut store = place.store();
    for mailbox in ["a", "a/x", "a/y/x", "ab"] {
        store.create(&name(mailbox), None).unwrap();
        append(&mut *store, &name(mailbox), "", &message(mailbox));
    }
    store.rename(&name("a"), &name("a/y")).unwrap();
    assert_eq!(exists(&mut *store), ["INBOX", "a/y", "a/y/x", "a/y/y/x", "ab"]);
    for (mailbox, subject) in [("a/y", "a"), ("a/y/x", "a/x"), ("a/y/y/x", "a/y/x")] {
        assert_eq!(contents(&mut *open(&mut *store, &name(mailbox))), [message(subject)]);
    }
    // Another program's file is in the way of the last step.
    place.write(".z.y.x", "");
    assert!(matches!(store.rename(&name("a"), &name("z")), Err(StoreError::AlreadyExists)));
    assert_eq!(exists(&mut *store), ["INBOX", "a/y", "a/y/x", "a/y/y/x", "ab"]);
}

#[test]
fn what_cannot_be_removed_does_not_hinder_the_next_delete() {
    let place = Place::new();
    fs::create_dir_all(place.path("..DOVECOT-TRASHED/1/2/3/4/5/6/7/8/9/10/11/12")).unwrap();
    let mut store = place.store();
    for mailbox in ["a", "b"] {
        store.create(&name(mailbox), None).unwrap();
        append(&mut *store, &name(mailbox), "", b"x");
        store.delete(&name(mailbox)).unwrap();
    }
    assert_eq!(exists(&mut *store), ["INBOX"]);
    assert_eq!(place.files(".").iter().filter(|name| name.starts_with("..")).count(), 1);
}

#[test]
fn permission_bits_come_from_the_root() {
    let place = Place::new();
    fs::set_permissions(&place.root, fs::Permissions::from_mode(0o750)).unwrap();
    let mut store = place.store();
    store.create(&name("x"), None).unwrap();
    append(&mut *store, &name("x"), "\\Seen", b"x");
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".x"), mode(".x/cur"), mode(".x/maildirfolder")), (0o750, 0o750, 0o640));
    assert_eq!((mode(&format!(".x/cur/{}", place.files(".x/cur")[0])), mode(".x/dovecot-uidlist")), (0o640, 0o640));
}

#[test]
fn a_missing_maildir_is_not_made_unless_asked_for_and_never_its_parent() {
    let place = Place::new();
    let open =
        |path: &Path, create| open_maildir(MaildirOptions { root: path.to_owned(), create, index: IndexPlace::InRoot });
    assert!(matches!(open(&place.path("none"), false), Err(StoreError::NoSuchMailbox)));
    assert!(matches!(open(&place.path("none/Maildir"), true), Err(StoreError::NoSuchMailbox)));
    fs::create_dir(place.path("empty")).unwrap();
    assert!(matches!(open(&place.path("empty"), false), Err(StoreError::NoSuchMailbox)));
    assert!(place.files("empty").is_empty());
    assert!(open(&place.path("empty"), true).is_ok());
}

#[test]
fn a_folder_that_is_replaced_ends_the_selection() {
    let place = Place::new();
    let mut store = place.store();
    place.deliver("1.a.h");
    let mut mailbox = open(&mut *store, &inbox());
    fs::rename(place.path("cur"), place.path("cur.old")).unwrap();
    assert!(matches!(mailbox.sync(), Err(StoreError::NoSuchMailbox)));
    fs::rename(place.path("cur.old"), place.path("cur")).unwrap();
    assert!(mailbox.sync().is_ok());
    let mut list = place.uid_list();
    list.header.uid_validity = UidValidity::new(list.header.uid_validity.get() + 1).unwrap();
    place.write("list", list.write());
    fs::rename(place.path("list"), place.path("dovecot-uidlist")).unwrap();
    assert!(matches!(mailbox.sync(), Err(StoreError::NoSuchMailbox)), "another UIDVALIDITY");
}

#[test]
fn a_lost_list_is_written_again_by_who_still_knows_it() {
    let place = Place::new();
    ["1.a.h", "2.b.h"].iter().for_each(|base| place.deliver(base));
    let mut mailbox = open(&mut *place.store(), &inbox());
    mailbox.expunge(&set(&[uid(1)])).unwrap();
    mailbox.sync().unwrap();
    let before = place.uid_list();
    fs::remove_file(place.path("dovecot-uidlist")).unwrap();
    assert!(mailbox.sync().unwrap().is_empty());
    let after = place.uid_list();
    assert_eq!((after.header, after.records.len()), (before.header, 1));
}

#[test]
fn a_damaged_list_costs_as_little_as_can_be() {
    let place = Place::new();
    ["1.a.h", "2.b.h", "3.c.h"].iter().for_each(|base| place.deliver(base));
    place.write("dovecot-uidlist", "3 V77 N9 Xkeep\n4 :1.a.h\nnonsense\n6 Qx :2.b.h\n5 :3.c.h\n8 :to");
    let mailbox = open(&mut *place.store(), &inbox());
    assert_eq!((mailbox.uid_validity().get(), numbers(mailbox.uids())), (77, vec![4, 6, 9]));
    drop(mailbox);
    let list = place.text("dovecot-uidlist");
    strictly_valid(list.as_bytes()).unwrap();
    assert!(list.contains(" Xkeep\n") && list.contains("\n6 Qx :2.b.h\n"), "{list}");
    // Without a header, the index knows what it was.
    place.write("dovecot-uidlist", "\0\0\0\0");
    let mailbox = open(&mut *place.store(), &inbox());
    assert_eq!((mailbox.uid_validity().get(), numbers(mailbox.uids())), (77, vec![4, 6, 9]));
    drop(mailbox);
    assert!(place.text("dovecot-uidlist").contains(" Xkeep\n"));
    // Without that too there is nothing to go by.
    place.write("dovecot-uidlist", "\0\0\0\0");
    place.remove_index();
    let mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(numbers(mailbox.uids()), [1, 2, 3]);
    assert!(mailbox.uid_validity().get() > 77);
    assert_eq!(fs::read(place.path("imapd-uidlist.broken")).unwrap(), b"\0\0\0\0");
}

#[test]
fn dead_lines_are_cleared_away_in_time() {
    let place = Place::new();
    let mut store = place.store();
    for n in 0..20 {
        append(&mut *store, &inbox(), "", &message(&n.to_string()));
    }
    let mut mailbox = open(&mut *store, &inbox());
    let doomed: UidSet = mailbox.uids().iter().take(15).collect();
    mailbox.expunge(&doomed).unwrap();
    mailbox.sync().unwrap();
    let list = place.uid_list();
    assert_eq!((list.records.len(), list.header.next_uid), (5, 21));
}

#[test]
fn two_messages_of_one_name_become_two_messages() {
    let place = Place::new();
    place.write("cur/1.same.h:2,S", "one\n");
    place.write("cur/1.same.h:2,F", "two\n");
    let mut mailbox = open(&mut *place.store(), &inbox());
    mailbox.sync().unwrap();
    let mut contents = contents(&mut *mailbox);
    contents.sort();
    assert_eq!(contents, [b"one\r\n".to_vec(), b"two\r\n".to_vec()]);
}

#[test]
fn of_two_messages_of_one_name_the_one_that_had_the_uid_keeps_it() {
    for known in [true, false] {
        for flags_of_first in ["", "S", "FRST"] {
            let place = Place::new();
            place.write(&format!("cur/1.same.h:2,{flags_of_first}"), "one");
            let first = Some(open(&mut *place.store(), &inbox())).filter(|_| known);
            place.write("new/1.same.h", "two");
            let mut mailbox = first.unwrap_or_else(|| open(&mut *place.store(), &inbox()));
            mailbox.sync().unwrap();
            assert_eq!(contents(&mut *mailbox), [b"one", b"two"], "{known} {flags_of_first}");
            assert_eq!(numbers(mailbox.uids()), [1, 2]);
        }
    }
    // Both with flags: neither loses them.
    let place = Place::new();
    place.write("cur/1.same.h:2,S", "one");
    let mut mailbox = open(&mut *place.store(), &inbox());
    for letters in ["F", "RT", ""] {
        place.write(&format!("cur/1.same.h:2,{letters}"), letters);
        mailbox.sync().unwrap();
    }
    mailbox.sync().unwrap();
    assert_eq!(contents(&mut *mailbox), [&b"one"[..], b"F", b"RT", b""]);
    let shown: Vec<_> = mailbox.uids().iter().map(|uid| mailbox.flags(uid).unwrap()).collect();
    assert_eq!(shown, ["\\Seen", "\\Flagged", "\\Answered \\Deleted", ""].map(flags));
    // In the way of a flag change.
    place.write("cur/1.same.h:2,FS", "in the way");
    mailbox.store(&set(&[uid(1)]), FlagChange::Add, &flags("\\Flagged"), None).unwrap();
    assert_eq!(numbers(&mailbox.sync().unwrap().arrived), [5]);
    assert_eq!(content(&mut *mailbox, uid(1)).unwrap(), b"one");
    assert_eq!(content(&mut *mailbox, uid(5)).unwrap(), b"in the way");
}

#[test]
fn the_lock_of_another_program_is_waited_for_but_the_old_view_is_shown() {
    let place = Place::new();
    place.deliver("1.a.h");
    let mut mailbox = open(&mut *place.store(), &inbox());
    place.deliver("2.b.h");
    place.write("dovecot-uidlist.lock", "1:elsewhere.example");
    assert!(mailbox.watch().is_some());
    assert!(mailbox.sync().unwrap().arrived.is_empty());
    assert_eq!(content(&mut *mailbox, uid(1)).unwrap(), b"Subject: 1.a.h\r\n\r\nbody\r\n");
    assert!(mailbox.watch().is_none(), "nothing will say when the lock is free: the mailbox has to be looked at");
    fs::remove_file(place.path("dovecot-uidlist.lock")).unwrap();
    assert_eq!(numbers(&mailbox.sync().unwrap().arrived), [2]);
    assert!(mailbox.watch().is_some());
}

#[test]
fn a_message_that_shrinks_while_it_is_read_ends_early() {
    let place = Place::new();
    place.write("cur/1.a.h,S=12,W=14:2,", "Subject: x\n\n");
    let mut mailbox = open(&mut *place.store(), &inbox());
    let mut stored = mailbox.read(uid(1)).unwrap();
    assert_eq!(stored.stored_size(), 12);
    fs::File::options().write(true).open(place.path("cur/1.a.h,S=12,W=14:2,")).unwrap().set_len(5).unwrap();
    let mut buffer = [0; 64];
    assert_eq!((stored.read_at(0, &mut buffer).unwrap(), stored.read_at(5, &mut buffer).unwrap()), (5, 0));
}

#[test]
fn status_agrees_with_what_is_opened() {
    let place = Place::new();
    let mut store = place.store();
    place.deliver("1.a.h");
    append(&mut *store, &inbox(), "\\Seen \\Deleted", b"x\r\ny");
    let status = store.status(&inbox(), StatusWanted { size: true, counts: true }).unwrap();
    assert_eq!((status.messages, status.recent, status.unseen, status.deleted), (2, 2, 1, 1));
    assert_eq!(status.size, 24 + 4);
    place.deliver("2.b.h");
    let status = store.status(&inbox(), StatusWanted::default()).unwrap();
    assert_eq!((status.messages, status.uid_next.get(), status.size), (3, 4, 0));
    assert_eq!(place.files("new").len(), 2);
}

#[test]
fn old_files_in_tmp_are_no_mail_and_an_unfinished_append_leaves_none() {
    let place = Place::new();
    place.write("tmp/1.half.h", "x");
    let mut store = place.store();
    let mut append = store.append(&inbox()).unwrap();
    append.begin(&flags(""), None).unwrap();
    append.write(&vec![b'x'; 1_000_000]).unwrap();
    append.begin(&flags(""), None).unwrap();
    assert_eq!(place.files("tmp").len(), 3);
    drop(append);
    assert_eq!(place.files("tmp"), ["1.half.h"]);
    assert!(open(&mut *store, &inbox()).uids().is_empty());
}

#[test]
fn nothing_is_lost_or_doubled_while_another_program_renames() {
    const MESSAGES: usize = 300;
    let place = Place::new();
    let mut store = place.store();
    for n in 0..MESSAGES {
        append(&mut *store, &inbox(), "\\Seen", &message(&n.to_string()));
    }
    let mut mailbox = open(&mut *store, &inbox());
    let before = mailbox.uids().clone();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Like mutt: names are changed without any lock.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for name in place.files("cur") {
                    let (base, old) = name.split_once(":2,").unwrap();
                    let new = if old.contains('F') { old.replace('F', "") } else { format!("F{old}") };
                    let _ = fs::rename(place.path(&format!("cur/{name}")), place.path(&format!("cur/{base}:2,{new}")));
                }
            }
        });
        let mut arrived = 0;
        for round in 0..40 {
            if round % 4 == 0 {
                place.deliver(&format!("{round}.d.h"));
                arrived += 1;
            }
            let changes = mailbox.sync().unwrap();
            assert!(changes.expunged.is_empty(), "phantom expunge");
            let one: UidSet = mailbox.uids().iter().nth(round * 7).into_iter().collect();
            mailbox.store(&one, FlagChange::Add, &flags("\\Answered"), None).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        mailbox.sync().unwrap();
        assert_eq!(mailbox.uids().len(), MESSAGES + arrived);
        assert_eq!(mailbox.uids().intersection(&before), before);
    });
    place.uid_list();
}

#[test]
fn sessions_move_and_mark_while_mail_arrives_and_another_program_renames() {
    let place = Place::new();
    let homes = [inbox(), name("there")];
    place.store().create(&homes[1], None).unwrap();
    take_letters(&mut *place.store(), &homes);
    let (seen, stop) = (Witnessed::default(), AtomicBool::new(false));
    let (mut delivered, mut stores) = (0, [place.store(), place.store()].into_iter());
    let (added, removed) = std::thread::scope(|scope| {
        let mut mover = |number| {
            let (store, homes, seen) = (stores.next().unwrap(), &homes, &seen);
            scope.spawn(move || crate::concurrent::mover(store, number, homes, seen))
        };
        let movers = [mover(1), mover(2)];
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for directory in ["cur", ".there/cur"] {
                    for name in place.files(directory) {
                        let Some((base, old)) = name.split_once(":2,") else { continue };
                        let new = if old.contains('F') { old.replace('F', "") } else { format!("F{old}") };
                        let path = |name: &str| place.path(&format!("{directory}/{name}"));
                        let _ = fs::rename(path(&name), path(&format!("{base}:2,{new}")));
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        while !movers.iter().all(|mover| mover.is_finished()) {
            // The classic way: for a moment the file has two names.
            let base = format!("{delivered}.d.h");
            place.write(&format!("tmp/{base}"), message(&base));
            fs::hard_link(place.path(&format!("tmp/{base}")), place.path(&format!("new/{base}"))).unwrap();
            fs::remove_file(place.path(&format!("tmp/{base}"))).unwrap();
            delivered += 1;
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
        let counts = movers.map(|mover| mover.join());
        stop.store(true, Ordering::Relaxed);
        counts.into_iter().map(Result::unwrap).fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    });
    let mut all = all_contents(&mut *place.store(), &homes);
    assert_eq!(all.len(), added + delivered - removed);
    all.dedup();
    assert_eq!(all.len(), added + delivered - removed, "a message is there twice");
    place.uid_list();
    assert!(place.files("tmp").is_empty() && place.files(".there/tmp").is_empty());
}

#[test]
fn a_name_that_has_no_room_for_flags_is_served_where_it_lies() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&name("there"), None).unwrap();
    let longest = format!("1700000000.{}", "x".repeat(244));
    place.deliver(&longest);
    let mut mailbox = open(&mut *store, &inbox());
    let one = set(&[uid(1)]);
    assert_eq!(content(&mut *mailbox, uid(1)).unwrap(), format!("Subject: {longest}\r\n\r\nbody\r\n").as_bytes());
    assert!(matches!(mailbox.store(&one, FlagChange::Add, &flags("\\Seen"), None), Err(StoreError::Limit(_))));
    assert!(mailbox.sync().unwrap().is_empty());
    mailbox.copy(&one, &name("there")).unwrap();
    mailbox.move_to(&one, &name("there")).unwrap();
    let mut there = open(&mut *store, &name("there"));
    assert_eq!(there.store(&set(&[uid(1), uid(2)]), FlagChange::Add, &flags("\\Seen"), None).unwrap().flags.len(), 2);
    place.deliver(&longest);
    assert_eq!(numbers(&mailbox.sync().unwrap().arrived), [2]);
    assert_eq!(mailbox.expunge(&set(&[uid(2)])).unwrap().done.len(), 1);
    assert!(place.files("new").is_empty());
}

#[test]
fn uids_end_with_the_last_and_mail_is_left_alone() {
    let place = Place::new();
    place.write("dovecot-uidlist", "3 V77 N4294967293 G0f1e2d3c4b5a69788796a5b4c3d2e1f0\n7 :1.a.h\n");
    ["1.a.h", "2.b.h", "3.c.h"].iter().for_each(|base| place.deliver(base));
    let mut store = place.store();
    let mut mailbox = open(&mut *store, &inbox());
    assert_eq!(numbers(mailbox.uids()), [7, u32::MAX - 2, u32::MAX - 1]);
    assert_eq!(mailbox.uid_next().get(), u32::MAX);
    place.deliver("4.d.h");
    assert!(mailbox.sync().unwrap().is_empty() && mailbox.sync().unwrap().is_empty());
    let mut appending = store.append(&inbox()).unwrap();
    appending.begin(&flags(""), None).unwrap();
    assert!(matches!(appending.commit(), Err(StoreError::Limit(_))));
    assert!(matches!(mailbox.copy(&set(&[uid(7)]), &inbox()), Err(StoreError::Limit(_))));
    assert_eq!(mailbox.store(&set(&[uid(7)]), FlagChange::Add, &flags("\\Seen"), None).unwrap().flags.len(), 1);
    assert_eq!((place.files("cur").len() + place.files("new").len(), place.files("tmp").len()), (4, 0));
    assert_eq!(open(&mut *place.store(), &inbox()).uids().len(), 3);
}

#[test]
fn dates_before_1970_and_after_2038_are_kept() {
    let place = Place::new();
    let mut store = place.store();
    for seconds in [-86_400 * 365, -1, 0, 1 << 31, (1 << 32) + 5] {
        let date = imapd::testing::types::DateTime::utc(seconds);
        let uid = append_dated(&mut *store, &inbox(), "", Some(date), b"x");
        let mut mailbox = open(&mut *store, &inbox());
        assert_eq!(mailbox.internal_date(uid).unwrap().seconds, seconds);
        let copied = mailbox.copy(&set(&[uid]), &inbox()).unwrap();
        mailbox.sync().unwrap();
        assert_eq!(mailbox.internal_date(copied.pairs[0].1).unwrap().seconds, seconds);
    }
}

#[test]
fn a_message_of_nothing_is_a_message() {
    let place = Place::new();
    place.write("new/1.empty.h", "");
    let mut store = place.store();
    append(&mut *store, &inbox(), "\\Seen", b"");
    let mut mailbox = open(&mut *store, &inbox());
    assert_eq!(contents(&mut *mailbox), [b"", b""]);
    assert!(mailbox.sync().unwrap().is_empty());
}

#[test]
fn directories_may_be_links() {
    let place = Place::new();
    for part in ["cur", "new"] {
        let elsewhere = place.root.parent().unwrap().join(part);
        fs::rename(place.path(part), &elsewhere).unwrap();
        symlink(&elsewhere, place.path(part)).unwrap();
    }
    let elsewhere = place.root.parent().unwrap().join("folder");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, place.path(".linked")).unwrap();
    place.deliver("1.a.h");
    let mut store = place.store();
    let mut mailbox = open(&mut *store, &inbox());
    mailbox.store(&set(&[uid(1)]), FlagChange::Add, &flags("\\Seen"), None).unwrap();
    mailbox.move_to(&set(&[uid(1)]), &name("linked")).unwrap();
    place.deliver("2.b.h");
    let changes = mailbox.sync().unwrap();
    assert_eq!((numbers(&changes.arrived), numbers(&changes.expunged)), (vec![2], vec![1]));
    assert_eq!(contents(&mut *open(&mut *store, &name("linked"))).len(), 1);
    // What a link leads to is not removed with it.
    store.delete(&name("linked")).unwrap();
    assert_eq!(fs::read_dir(elsewhere.join("cur")).unwrap().count(), 1);
}

#[test]
fn a_list_that_is_no_list_is_set_aside_and_uids_are_kept_where_they_are_known() {
    for plant in [
        "ln -s secret dovecot-uidlist",
        "ln -s /dev/zero dovecot-uidlist",
        "mkfifo dovecot-uidlist",
        "mkdir dovecot-uidlist",
        "truncate -s 100G dovecot-uidlist",
        "(head -n 1 old; head -c 3000000 /dev/zero) > dovecot-uidlist",
    ] {
        let place = Place::new();
        ["1.a.h", "2.b.h"].iter().for_each(|base| place.deliver(base));
        let mut mailbox = open(&mut *place.store(), &inbox());
        mailbox.expunge(&set(&[uid(1)])).unwrap();
        mailbox.sync().unwrap();
        let validity = mailbox.uid_validity();
        place.write("secret", "3 V5 N9\n7 :2.b.h\n");
        let plant = format!("mv dovecot-uidlist old; {plant}");
        let planted = std::process::Command::new("sh").args(["-c", &plant]).current_dir(&place.root).status();
        assert!(planted.unwrap().success());
        let changes = mailbox.sync();
        if plant.contains("head") {
            // A valid header with nothing behind it: the list says that our message has no UID.
            assert_eq!(numbers(&changes.unwrap().expunged), [2], "{plant}");
            assert_eq!(numbers(mailbox.uids()), [3], "{plant}");
        } else {
            assert!(changes.unwrap().is_empty(), "{plant}");
            assert_eq!(numbers(mailbox.uids()), [2], "{plant}");
        }
        assert_eq!(mailbox.uid_validity(), validity);
        let again = open(&mut *place.store(), &inbox());
        assert_eq!((again.uids(), again.uid_validity()), (mailbox.uids(), validity), "{plant}");
        assert!(place.uid_list().header.next_uid >= 3);
    }
}

#[test]
fn what_becomes_a_fifo_under_our_feet_is_not_waited_for() {
    let place = Place::new();
    ["1.a.h", "2.b.h"].iter().for_each(|base| place.deliver(base));
    let mut mailbox = open(&mut *place.store(), &inbox());
    fs::remove_file(place.path("cur/1.a.h:2,")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(place.path("cur/1.a.h:2,")).status().unwrap().success());
    assert!(mailbox.read(uid(1)).is_err() && mailbox.size(uid(1)).is_err());
    assert!(mailbox.copy(&set(&[uid(1)]), &inbox()).is_err());
    assert_eq!(numbers(&mailbox.sync().unwrap().expunged), [1]);
    assert_eq!(contents(&mut *mailbox).len(), 1);
}

#[test]
fn a_folder_renamed_under_a_session_is_written_to_by_nobody_who_had_it_open() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&name("a"), None).unwrap();
    append(&mut *store, &name("a"), "", b"x");
    let mut mailbox = open(&mut *store, &name("a"));
    store.rename(&name("a"), &name("b")).unwrap();
    store.create(&name("a"), None).unwrap();
    let one = set(&[uid(1)]);
    assert!(matches!(mailbox.store(&one, FlagChange::Add, &flags("\\Seen"), None), Err(StoreError::NoSuchMailbox)));
    assert!(matches!(mailbox.expunge(&one), Err(StoreError::NoSuchMailbox)));
    assert!(matches!(mailbox.move_to(&one, &inbox()), Err(StoreError::NoSuchMailbox)));
    assert!(matches!(mailbox.sync(), Err(StoreError::NoSuchMailbox)));
    // An append begun before the rename belongs to neither.
    let mut other = place.store();
    let mut appending = other.append(&name("b")).unwrap();
    appending.begin(&flags(""), None).unwrap();
    store.rename(&name("b"), &name("c")).unwrap();
    assert!(matches!(appending.commit(), Err(StoreError::NoSuchMailbox)));
    assert_eq!(contents(&mut *open(&mut *store, &name("c"))), [b"x"]);
    assert!(place.files(".c/tmp").is_empty() && open(&mut *store, &name("a")).uids().is_empty());
}

#[test]
fn the_maildir_crate_reads_what_we_write_and_writes_what_we_read() {
    let place = Place::new();
    let mut store = place.store();
    append(&mut *store, &inbox(), "\\Seen \\Flagged", &message("ours"));
    append(&mut *store, &inbox(), "", &message("new"));
    let theirs = maildir::Maildir::from(place.root.clone());
    assert_eq!((theirs.count_cur(), theirs.count_new()), (1, 1));
    let mut entry = theirs.list_cur().next().unwrap().unwrap();
    assert!(entry.is_seen() && entry.is_flagged() && !entry.is_replied());
    assert_eq!(entry.headers().unwrap()[0].get_value(), "ours");
    let id = entry.id().to_owned();
    theirs.add_flags(&id, "R").unwrap();
    theirs.store_new(b"Subject: theirs\n\nx\n").unwrap();
    theirs.store_cur_with_flags(b"Subject: theirs too\n\nx\n", "T").unwrap();
    let mut mailbox = open(&mut *store, &inbox());
    assert_eq!(mailbox.flags(uid(1)), Some(flags("\\Seen \\Flagged \\Answered")));
    assert_eq!(mailbox.uids().len(), 4);
    let deleted: Vec<Uid> =
        mailbox.uids().iter().filter(|&uid| mailbox.flags(uid) == Some(flags("\\Deleted"))).collect();
    assert_eq!(content(&mut *mailbox, deleted[0]).unwrap(), b"Subject: theirs too\r\n\r\nx\r\n");
    theirs.delete(&id).unwrap();
    assert_eq!(numbers(&mailbox.sync().unwrap().expunged), [1]);
}
