//! What a user, or who writes into their Maildir, can put in the place of files and directories, and in such numbers; and what the other programs of
//! a Maildir do all at once.

use crate::mail::*;
use crate::maildir::{Place, numbers};
use imapd::testing::limits;
use imapd::testing::storage::maildir::interop::dovecot_uidlist::strictly_valid;
use imapd::testing::storage::{Access, MailStore, StatusWanted};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{SystemFlag, Uid, UidSet};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const SECRET: &str = "3 V5 N9\nsecret\n";

/// Puts something at the first path that has to do with the second, a file elsewhere.
type Make = fn(&Path, &Path);

/// What may take the place of a file.
const ODD: [(&str, Make); 6] = [
    ("a link to another's file", |path, secret| symlink(secret, path).unwrap()),
    ("a link to a device", |path, _| symlink("/dev/zero", path).unwrap()),
    ("a link to itself", |path, _| symlink(path, path).unwrap()),
    ("a link to nothing", |path, secret| symlink(secret.with_extension("missing"), path).unwrap()),
    ("a FIFO", |path, _| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap()),
    ("a directory", |path, _| fs::create_dir(path).unwrap()),
];

/// What a session does, whatever comes of it.
fn work(store: &mut dyn MailStore) {
    let _ = store.list();
    let _ = store.subscribe(&name("Other"));
    let _ = store.create(&name("Made"), None);
    let _ = store.status(&inbox(), StatusWanted { size: true, counts: true });
    if let Ok(mut mailbox) = store.open(&inbox(), Access::ReadWrite) {
        let first: UidSet = mailbox.uids().iter().take(1).collect();
        let many = flags(&(0..30).map(|n| format!("k{n} ")).collect::<String>());
        let _ = mailbox.store(&first, FlagChange::Add, &many, None);
        let _ = mailbox.copy(&first, &name("Other"));
        let _ = mailbox.sync();
    }
    let appended = store.append(&inbox()).and_then(|mut append| {
        append.begin(&flags("\\Seen"), None)?;
        append.write(b"Subject: x\r\n\r\nx\r\n")?;
        append.commit()
    });
    drop(appended);
}

#[test]
fn what_takes_the_place_of_a_file_is_neither_read_nor_written_nor_waited_for() {
    for file in [
        "dovecot-uidlist",
        "dovecot-uidlist.tmp",
        "dovecot-keywords",
        "imapd-keywords",
        "imapd-recent",
        "imapd-special-use",
        "subscriptions",
        "maildirsize",
        "dovecot-uidvalidity",
        "courierimapuiddb",
        "courierimapsubscribed",
    ] {
        for (what, make) in ODD {
            let place = Place::new();
            let mut store = place.store();
            three(&mut *store);
            store.create(&name("Other"), None).unwrap();
            drop(store);
            let secret = place.root.with_file_name("secret");
            fs::write(&secret, SECRET).unwrap();
            let _ = fs::remove_file(place.path(file));
            make(&place.path(file), &secret);
            let begin = Instant::now();
            work(&mut *place.store());
            assert!(begin.elapsed() < limits::TIME_LOCK_FOR_NEWS, "{file}: {what}");
            assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET, "{file}: {what}");
            assert!(!secret.with_extension("missing").exists(), "{file}: {what}");
            // The mail is there, with it or without.
            let _ = fs::remove_file(place.path(file)).or_else(|_| fs::remove_dir(place.path(file)));
            let found = contents(&mut *open(&mut *place.store(), &inbox()));
            assert!(["one", "two", "three"].iter().all(|one| found.contains(&message(one))), "{file}: {what}");
            strictly_valid(&fs::read(place.path("dovecot-uidlist")).unwrap()).unwrap();
        }
    }
}

#[test]
fn what_takes_the_place_of_a_lock_is_waited_for_and_the_old_view_is_shown() {
    std::thread::scope(|scope| {
        for (what, make) in ODD {
            scope.spawn(move || {
                let place = Place::new();
                three(&mut *place.store());
                drop(open(&mut *place.store(), &inbox()));
                let secret = place.root.with_file_name("secret");
                fs::write(&secret, SECRET).unwrap();
                make(&place.path("dovecot-uidlist.lock"), &secret);
                place.deliver("1700000009.M1P1.mx");
                let begin = Instant::now();
                let mut mailbox = open(&mut *place.store(), &inbox());
                assert!(begin.elapsed() < limits::TIME_LOCK_FOR_NEWS * 2, "{what}");
                assert!(contents(&mut *mailbox).contains(&message("one")), "{what}");
                assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET, "{what}");
            });
        }
        // A lock that claims to be of tomorrow, by another host.
        scope.spawn(|| {
            let place = Place::new();
            three(&mut *place.store());
            place.write("dovecot-uidlist.lock", "1:elsewhere.example");
            let lock = fs::File::options().write(true).open(place.path("dovecot-uidlist.lock")).unwrap();
            lock.set_modified(SystemTime::now() + Duration::from_secs(24 * 3600)).unwrap();
            place.deliver("1700000009.M1P1.mx");
            let begin = Instant::now();
            let mut mailbox = open(&mut *place.store(), &inbox());
            assert!(begin.elapsed() < limits::TIME_LOCK_FOR_NEWS * 2);
            assert!(contents(&mut *mailbox).contains(&message("one")));
            assert!(place.path("dovecot-uidlist.lock").exists());
        });
    });
}

#[test]
fn a_folder_that_leads_back_to_the_root_endangers_no_mail() {
    let place = Place::new();
    let mut store = place.store();
    three(&mut *store);
    symlink(".", place.path(".Loop")).unwrap();
    symlink(".Loop", place.path(".Loop.deeper")).unwrap();
    assert!(store.list().unwrap().len() <= 3);
    let before = contents(&mut *open(&mut *store, &inbox()));
    drop(store.open(&name("Loop"), Access::ReadWrite));
    let _ = store.rename(&name("Loop"), &name("Elsewhere"));
    for folder in ["Loop", "Loop/deeper", "Elsewhere", "Elsewhere/deeper"] {
        let _ = store.delete(&name(folder));
    }
    assert_eq!(contents(&mut *open(&mut *place.store(), &inbox())), before);
}

#[test]
fn a_hard_link_to_a_file_elsewhere_is_a_message_and_the_file_stays_as_it_is() {
    let place = Place::new();
    let elsewhere = place.root.with_file_name("elsewhere");
    fs::write(&elsewhere, "Subject: theirs\n\ntext\n").unwrap();
    let before = fs::metadata(&elsewhere).unwrap();
    fs::hard_link(&elsewhere, place.path("cur/1700000000.M1P1.mx,S=9,W=9:2,")).unwrap();
    let mut store = place.store();
    store.create(&name("Other"), None).unwrap();
    let mut mailbox = open(&mut *store, &inbox());
    let all = mailbox.uids().clone();
    assert_eq!(contents(&mut *mailbox), [b"Subject: theirs\r\n\r\ntext\r\n"]);
    mailbox.store(&all, FlagChange::Add, &flags("\\Seen k"), None).unwrap();
    mailbox.copy(&all, &name("Other")).unwrap();
    mailbox.expunge(&all).unwrap();
    drop(mailbox);
    store.delete(&name("Other")).unwrap();
    let after = fs::metadata(&elsewhere).unwrap();
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "Subject: theirs\n\ntext\n");
    let shown = |stat: &fs::Metadata| (stat.ino(), stat.mode(), stat.mtime(), stat.uid());
    assert_eq!((shown(&after), after.nlink()), (shown(&before), 1));
}

#[test]
fn very_many_folders_are_listed_in_the_time_of_reading_them() {
    const FOLDERS: usize = 20_000;
    let place = Place::new();
    // A folder is one by its directory; only those that are opened need more.
    (0..FOLDERS).for_each(|n| fs::create_dir(place.path(&format!(".f.{n}"))).unwrap());
    let mut store = place.store();
    let begin = Instant::now();
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), FOLDERS + 1);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert!(open(&mut *store, &name("f/19999")).uids().is_empty());
}

/// Row after row of lists that other programs, editors and disks may leave.
#[test]
fn a_list_with_other_line_ends_or_nothing_in_it_costs_no_mail() {
    let long = format!("3 V77 N9\n1 :1.a.h\n{}\n", "x".repeat(10 << 20));
    for (text, uids) in [
        ("", None),
        ("\n", None),
        ("3 V77 N9\n", Some([9, 10])),
        ("3 V77 N9\r\n1 :1.a.h\r\n2 :2.b.h\r\n", None),
        ("3 V77 N9\n1 :1.a.h\n\0\0\0\0", Some([1, 9])),
        ("3 V77 N9\n1 :1.a.h\n\n2 :2.b.h\n", Some([1, 2])),
        ("3 V77 N9\n2 :1.a.h\n1 :2.b.h\n", None),
        ("3 V77 N9\n2 :1.a.h\n2 :2.b.h\n", None),
        ("3 V77 N4294967295\n4294967294 :1.a.h\n", None),
        (&long, Some([1, 9])),
    ] {
        let place = Place::new();
        place.write("cur/1.a.h:2,", "Subject: a\n\n");
        place.write("cur/2.b.h:2,", "Subject: b\n\n");
        place.write("dovecot-uidlist", text);
        let mut mailbox = open(&mut *place.store(), &inbox());
        let shown = &text[..text.len().min(60)];
        if let Some(uids) = uids {
            assert_eq!((mailbox.uid_validity().get(), numbers(mailbox.uids())), (77, uids.to_vec()), "{shown:?}");
        }
        let found = contents(&mut *mailbox);
        // After the last UID there is none for a further message.
        let served = if text.contains("4294967294") { 1 } else { 2 };
        assert_eq!(found.len(), served, "{shown:?}");
        strictly_valid(&fs::read(place.path("dovecot-uidlist")).unwrap()).unwrap();
    }
}

#[test]
fn a_copy_between_folders_with_different_letters_has_the_same_keywords() {
    let place = Place::new();
    let mut store = place.store();
    store.create(&name("Other"), None).unwrap();
    append(&mut *store, &name("Other"), "zebra yak", &message("other"));
    let uid = append(&mut *store, &inbox(), "ant yak bee", &message("one"));
    let letters = |list: &str| place.text(list).lines().map(str::to_owned).collect::<Vec<_>>();
    assert_ne!(letters("dovecot-keywords"), letters(".Other/dovecot-keywords"));
    let copied = open(&mut *store, &inbox()).copy(&set(&[uid]), &name("Other")).unwrap();
    let other = open(&mut *store, &name("Other"));
    assert_eq!(other.flags(copied.pairs[0].1), Some(flags("ant yak bee")));
    assert_eq!(other.flags(Uid::new(1).unwrap()), Some(flags("zebra yak")));
}

/// What further processes of this program do to the Maildir that they are told of, see [`process`].
#[test]
fn as_another_process() {
    let (Ok(root), Ok(what)) = (std::env::var("OTHER_MAILDIR"), std::env::var("OTHER_WORK")) else { return };
    let path = |name: &str| Path::new(&root).join(name);
    let Some((who, count)) = what.split_once(' ') else {
        // As mutt does it, without any lock, until it is killed: a flag on and off again, several times before it turns to others.
        loop {
            let names =
                fs::read_dir(path("cur")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut bases: Vec<(String, bool)> = names
                .filter_map(|name| name.split_once(":2,").map(|(base, flags)| (base.to_owned(), flags == "F")))
                .collect();
            for some in bases.chunks_mut(200) {
                for _ in 0..7 {
                    for (base, flagged) in &mut *some {
                        let name = |flagged: bool| path(&format!("cur/{base}:2,{}", if flagged { "F" } else { "" }));
                        if fs::rename(name(*flagged), name(!*flagged)).is_ok() {
                            *flagged = !*flagged;
                        }
                    }
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        }
    };
    for n in 0..count.parse().unwrap() {
        let base = format!("{}.M{n}P1{who}.mx", 1_700_000_000 + n / 100);
        fs::write(path(&format!("tmp/{base}")), "").unwrap();
        fs::rename(path(&format!("tmp/{base}")), path(&format!("new/{base}"))).unwrap();
    }
}

/// A process that does this to a Maildir. Killed when dropped.
struct Process(Child);

impl Process {
    fn start(place: &Place, work: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "hostile::as_another_process"]).stdout(Stdio::null());
        Self(command.env("OTHER_MAILDIR", &place.root).env("OTHER_WORK", work).spawn().unwrap())
    }

    fn is_done(&mut self) -> bool {
        let ended = self.0.try_wait().unwrap();
        assert!(ended.is_none_or(|status| status.success()), "{ended:?}");
        ended.is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Two processes deliver ten thousand messages each while a third changes the name of every file, again and again, and knows no lock.
#[test]
fn thousands_of_deliveries_and_a_program_that_marks_show_no_message_gone() {
    const EACH: usize = 10_000;
    let place = Place::new();
    let mut mailbox = open(&mut *place.store(), &inbox());
    let mut marking = Process::start(&place, "mark");
    let mut delivering = ["a", "b"].map(|who| Process::start(&place, &format!("{who} {EACH}")));
    let (mut told, mut flagged) = (UidSet::new(), 0);
    loop {
        // Asked before the look, so that the last look is one after the last delivery.
        let ended = delivering.iter_mut().all(Process::is_done);
        let changes = mailbox.sync().unwrap();
        assert!(changes.expunged.is_empty(), "of {} messages, {:?} are said to be gone", told.len(), changes.expunged);
        assert!(changes.arrived.first().is_none_or(|first| told.last().is_none_or(|last| first > last)));
        told = told.union(&changes.arrived);
        flagged += changes.flags.len();
        // On a busy machine the one that marks may be the slowest.
        if ended && flagged > EACH {
            break;
        }
    }
    assert!(!marking.is_done());
    assert_eq!(told.len(), 2 * EACH);
    assert_eq!(numbers(&told), (1..=2 * EACH as u32).collect::<Vec<_>>());
    // Some more looks while nothing changes but names.
    for _ in 0..2 {
        let changes = mailbox.sync().unwrap();
        assert!(changes.expunged.is_empty() && changes.arrived.is_empty(), "{changes:?}");
    }
    drop(marking);
    let other = open(&mut *place.store(), &inbox());
    assert_eq!(other.uids(), &told);
    let flagged = place.files("cur").iter().filter(|name| name.ends_with(":2,F")).count();
    assert_eq!(other.with_flag(SystemFlag::Flagged).len(), flagged);
    let list = place.uid_list();
    assert_eq!(list.records.iter().map(|record| &record.base).collect::<BTreeSet<_>>().len(), 2 * EACH);
}

/// What the list knows keeps its UID also where the index is lost while another program changes every name.
#[test]
fn an_index_that_is_lost_while_a_program_marks_costs_no_uid() {
    const MESSAGES: usize = 10_000;
    let place = Place::new();
    (0..MESSAGES).for_each(|n| place.write(&format!("cur/{}.M{n}P1.mx:2,", 1_700_000_000 + n / 10), ""));
    let all = open(&mut *place.store(), &inbox()).uids().clone();
    assert_eq!(all.len(), MESSAGES);
    let _marking = Process::start(&place, "mark");
    for _ in 0..5 {
        place.remove_index();
        let mut mailbox = open(&mut *place.store(), &inbox());
        mailbox.sync().unwrap();
        assert_eq!(mailbox.uids(), &all);
    }
    assert_eq!(place.uid_list().records.len(), MESSAGES);
}
