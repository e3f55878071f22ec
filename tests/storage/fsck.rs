//! Whatever can be wrong with a Maildir is found, mended if it can be, and then no longer found; no UID and no message is lost by it.

use crate::mail::*;
use crate::maildir::{Place, numbers};
use imapd::testing::storage::StoreError;
use imapd::testing::storage::maildir::fsck::{Finding, FsckOptions, Mending, Summary, fsck};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{Keyword, SystemFlag};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Checks, at a time so much later than now.
fn run_later(place: &Place, repair: bool, later: Duration) -> (Vec<Finding>, Summary) {
    let options = FsckOptions { root: place.root.clone(), repair, now: SystemTime::now() + later };
    let mut findings = Vec::new();
    let summary = fsck(&options, &mut |finding| findings.push(finding.clone())).unwrap();
    assert_eq!(summary.findings, findings.len());
    (findings, summary)
}

/// INBOX with five messages and a folder with three, as sessions leave them.
fn site() -> Place {
    let place = Place::new();
    let mut store = place.store();
    three(&mut *store);
    append(&mut *store, &inbox(), "\\Seen \\Flagged $Junk", &message("four"));
    place.deliver("1700000000.M1P1.mx");
    store.create(&name("Work/2024"), None).unwrap();
    store.subscribe(&name("Work/2024")).unwrap();
    for subject in ["a", "b", "c"] {
        append(&mut *store, &name("Work/2024"), "\\Seen", &message(subject));
    }
    for mailbox in ["INBOX", "Work/2024"] {
        drop(open(&mut *store, &name(mailbox)));
    }
    place
}

/// All messages of a site by mailbox, UIDVALIDITY and UID: flags, without the names that letters get which have none, and content.
fn mail(place: &Place) -> BTreeMap<(String, u32, u32), String> {
    let mut store = place.store();
    let mut mail = BTreeMap::new();
    for mailbox in ["INBOX", "Work/2024"] {
        let mut opened = open(&mut *store, &name(mailbox));
        let validity = opened.uid_validity().get();
        for uid in opened.uids().clone().iter() {
            let flags = opened.flags(uid).unwrap();
            let system: Vec<&str> = flags.system().map(SystemFlag::name).collect();
            let keywords = flags.keywords().iter().map(Keyword::as_str).filter(|k| !k.starts_with("unknown-"));
            let text = String::from_utf8(content(&mut *opened, uid).unwrap()).unwrap();
            let shown = format!("{system:?} {:?} {text}", keywords.collect::<Vec<_>>());
            mail.insert((mailbox.to_owned(), validity, uid.get()), shown);
        }
    }
    mail
}

/// Everything on disk: what it is and what is in it.
fn tree(place: &Place) -> BTreeMap<PathBuf, (u32, u64, i64, Vec<u8>)> {
    let (mut tree, mut pending) = (BTreeMap::new(), vec![place.root.clone()]);
    while let Some(directory) = pending.pop() {
        // Of what the user may not read, or not enter, that it is there.
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let Ok(stat) = fs::symlink_metadata(&path) else { continue };
            let content = if stat.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
            if stat.is_dir() {
                pending.push(path.clone());
            }
            tree.insert(path, (stat.mode(), stat.ino(), stat.mtime(), content));
        }
    }
    tree
}

/// The first file in a directory whose name has this in it.
fn file(place: &Place, directory: &str, part: &str) -> String {
    let name = place.files(directory).into_iter().find(|name| name.contains(part)).unwrap();
    format!("{directory}/{name}")
}

fn rename(place: &Place, from: &str, to: &str) {
    fs::rename(place.path(from), place.path(to)).unwrap();
}

fn add(place: &Place, path: &str, more: impl AsRef<[u8]>) {
    let mut text = fs::read(place.path(path)).unwrap_or_default();
    text.extend_from_slice(more.as_ref());
    place.write(path, text);
}

fn fifo(place: &Place, path: &str) {
    nix::unistd::mkfifo(&place.path(path), nix::sys::stat::Mode::S_IRWXU).unwrap();
}

fn mode(place: &Place, path: &str, mode: u32) {
    fs::set_permissions(place.path(path), Permissions::from_mode(mode)).unwrap();
}

/// The name of a message of INBOX gets other sizes, in the list too.
fn misname(place: &Place, part: &str, to: &str) {
    let old = file(place, "cur", part);
    let (base, info) = old.strip_prefix("cur/").unwrap().split_once(':').unwrap();
    let new_base = format!("{}{to}", base.split_once(',').unwrap().0);
    rename(place, &old, &format!("cur/{new_base}:{info}"));
    place.write("dovecot-uidlist", place.text("dovecot-uidlist").replace(base, &new_base));
}

/// Overwrites a text of the index wherever it stands.
fn overwrite(place: &Place, text: &[u8], with: &[u8]) {
    let mut index = fs::read(place.path("imapd-index")).unwrap();
    let found: Vec<usize> = (0..index.len() - text.len()).filter(|at| index[*at..].starts_with(text)).collect();
    assert!(!found.is_empty());
    found.into_iter().for_each(|at| index[at..at + with.len()].copy_from_slice(with));
    place.write("imapd-index", index);
}

/// Does something to INBOX that leaves no trace in the times of its directories.
fn unseen(place: &Place, change: impl FnOnce()) {
    let long_ago = SystemTime::now() - 30 * DAY;
    let set_back = || {
        ["new", "cur"]
            .iter()
            .for_each(|part| fs::File::open(place.path(part)).unwrap().set_modified(long_ago).unwrap());
    };
    set_back();
    drop(open(&mut *place.store(), &inbox()));
    change();
    set_back();
}

struct Case {
    /// Makes something wrong.
    make: fn(&Place),
    /// Where, below the root, and what is said of it.
    found: &'static [(&'static str, &'static str)],
}

const fn case(make: fn(&Place), found: &'static [(&'static str, &'static str)]) -> Case {
    Case { make, found }
}

/// What is found and mended at once, with every message and every UID as they were.
const MENDED: &[Case] = &[
    // The UID list.
    case(|p| add(p, "dovecot-uidlist", "99 no colon\n"), &[("dovecot-uidlist", "line 7: unknown field")]),
    case(|p| add(p, "dovecot-uidlist", "1 :again\n"), &[("dovecot-uidlist", "line 7: UID not above")]),
    case(
        |p| add(p, "dovecot-uidlist", "x\n0 :y\n"),
        &[("dovecot-uidlist", "line 7: no UID"), ("dovecot-uidlist", "line 8: UID out of range")],
    ),
    case(|p| add(p, "dovecot-uidlist", "90 :a/b\n"), &[("dovecot-uidlist", "line 7: bad file name")]),
    case(|p| add(p, "dovecot-uidlist", "90 :\n"), &[("dovecot-uidlist", "line 7: no file name")]),
    case(|p| add(p, "dovecot-uidlist", "x".repeat(10_000) + "\n"), &[("dovecot-uidlist", "line 7: longer than")]),
    case(|p| add(p, "dovecot-uidlist", "90 :170"), &[("dovecot-uidlist", "line 7: cut off")]),
    case(
        |p| {
            let lines: String = (90..290).map(|uid| format!("{uid} :{uid}.gone\n")).collect();
            add(p, "dovecot-uidlist", lines);
        },
        &[("dovecot-uidlist", "200 of 205 lines")],
    ),
    // Sizes.
    case(|p| misname(p, ":2,FSa", ",S=7,W=8"), &[("cur/*", "on the wire, not what its name says")]),
    case(|p| misname(p, ":2,FSa", ",W=9999"), &[("cur/*", "on the wire, not what its name says")]),
    case(
        |p| {
            misname(p, ":2,FSa", ",X=1");
            let list = p.text("dovecot-uidlist");
            p.write("dovecot-uidlist", list.replace("4 :", "4 S5 W6 :"));
        },
        &[("dovecot-uidlist", "has wrong sizes for")],
    ),
    // Names.
    case(
        |p| {
            let old = file(p, "cur", ":2,FSa");
            rename(p, &old, &old.replace(":2,FSa", ":2,SaFSF,x=y"));
        },
        &[("cur/*", "has flags out of order or twice")],
    ),
    case(
        |p| {
            let old = file(p, "cur", ":2,FSa");
            rename(p, &old, &old.replace(":2,FSa", ":2,FSaq"));
        },
        &[("dovecot-keywords", "has no keyword for the letter q")],
    ),
    case(|p| fifo(p, "cur/fifo"), &[("cur/fifo", "is no file")]),
    case(|p| fs::create_dir(p.path("new/directory")).unwrap(), &[("new/directory", "is no file")]),
    case(
        |p| {
            let old = file(p, "cur", ":2,FSa");
            let new = old.replace(":2,FSa", ":2,F");
            fs::hard_link(p.path(&old), p.path(&new)).unwrap();
        },
        &[("cur/*:2,F", "is a second name of one message")],
    ),
    case(
        |p| {
            let old = file(p, "cur", ":2,FSa");
            let base = old.strip_prefix("cur/").unwrap().split_once(':').unwrap().0.to_owned();
            fs::hard_link(p.path(&old), p.path(&format!("new/{base}"))).unwrap();
        },
        &[("new/*", "is a second name of one message")],
    ),
    // Leftovers.
    case(|p| p.write("dovecot-uidlist.lock", "1:elsewhere"), &[("dovecot-uidlist.lock", "a program that is gone")]),
    case(|p| p.write(".Work.2024/dovecot-uidlist.tmp", "3 V"), &[(".Work.2024/dovecot-uidlist.tmp", "that is gone")]),
    case(|p| p.write("dovecot-keywords.lock", "0"), &[("dovecot-keywords.lock", "that is gone")]),
    case(|p| p.write("imapd-keywords.tmp", "0"), &[("imapd-keywords.tmp", "that is gone")]),
    case(|p| p.write("subscriptions.lock", ""), &[("subscriptions.lock", "that is gone")]),
    case(|p| p.write("imapd-special-use.lock", ""), &[("imapd-special-use.lock", "that is gone")]),
    case(|p| p.write("tmp/1.a.h", "Subj"), &[("tmp/1.a.h", "never finished")]),
    case(
        |p| {
            fs::create_dir_all(p.path("..DOVECOT-TRASHED/cur")).unwrap();
            p.write("..DOVECOT-TRASHED/cur/1.a.h:2,", "x");
        },
        &[("..DOVECOT-TRASHED", "deleted mailbox")],
    ),
    // Directories.
    case(|p| fs::remove_dir(p.path(".Work.2024/new")).unwrap(), &[(".Work.2024/new", "is missing")]),
    case(|p| fs::remove_dir(p.path("tmp")).unwrap(), &[("tmp", "is missing")]),
    case(
        |p| fs::create_dir(p.path(".Empty")).unwrap(),
        &[
            (".Empty/cur", "is missing"),
            (".Empty/new", "is missing"),
            (".Empty/tmp", "is missing"),
            (".Empty/maildirfolder", "is missing"),
        ],
    ),
    case(
        |p| fs::remove_file(p.path(".Work.2024/maildirfolder")).unwrap(),
        &[(".Work.2024/maildirfolder", "is missing")],
    ),
    case(|p| p.write("maildirfolder", ""), &[("maildirfolder", "is a folder of another")]),
    case(|p| mode(p, ".Work.2024/cur", 0o500), &[(".Work.2024/cur", "has mode 500")]),
    case(|p| mode(p, ".Work.2024", 0o600), &[(".Work.2024", "has mode 600")]),
    case(|p| mode(p, &file(p, "cur", ":2,FSa"), 0o200), &[("cur/*", "has mode 200")]),
    case(|p| mode(p, "dovecot-uidlist", 0o400), &[("dovecot-uidlist", "has mode 400")]),
    case(|p| mode(p, "subscriptions", 0o200), &[("subscriptions", "has mode 200")]),
    // State.
    case(
        |p| add(p, "dovecot-keywords", "nonsense\n1 $junk\n26 far\n"),
        &[
            ("dovecot-keywords", "line 2 is not understood"),
            ("dovecot-keywords", "line 3 is not understood"),
            ("dovecot-keywords", "line 4 is not understood"),
        ],
    ),
    case(|p| add(p, "dovecot-keywords", "1 wor"), &[("dovecot-keywords", "the last line is cut off")]),
    case(|p| add(p, "imapd-keywords", "0 more\n:9 base\n"), &[("imapd-keywords", "line 2 is not understood")]),
    case(
        |p| add(p, "subscriptions", "Work\t2024\nb\rc\n"),
        &[("subscriptions", "a line is there twice"), ("subscriptions", "a line has a control")],
    ),
    case(|p| add(p, "imapd-special-use", "\\Sent Sent\n\\What x\n"), &[("imapd-special-use", "line 2")]),
    case(|p| p.write("imapd-recent", "x"), &[("imapd-recent", "is damaged")]),
    // The index.
    case(|p| overwrite(p, b".M1P1.mx", b".M9P9.mx"), &[("imapd-index", "is damaged: a value of names")]),
    case(|p| overwrite(p, b"version\x02", b"version\x01"), &[("imapd-index", "another version made it")]),
    case(
        |p| fs::File::options().write(true).open(p.path("imapd-index")).unwrap().set_len(20_000).unwrap(),
        &[("imapd-index", "the file is cut off")],
    ),
    case(|p| p.write("imapd-index-state", "nonsense"), &[("imapd-index", "nothing says who wrote it")]),
    case(
        |p| p.write("imapd-index-state", format!("{:63}\n", "damaged")),
        &[("imapd-index", "a session ended by what it read there")],
    ),
    case(
        |p| {
            p.store().create(&name("Gone"), None).unwrap();
            append(&mut *p.store(), &name("Gone"), "", &message("x"));
            drop(open(&mut *p.store(), &name("Gone")));
            fs::remove_dir_all(p.path(".Gone")).unwrap();
        },
        &[("imapd-index", "has a mailbox of 1 messages whose folder is gone")],
    ),
    case(
        |p| {
            let old = file(p, "cur", "M1P1.mx");
            unseen(p, || rename(p, &old, &old.replace("cur/", "new/").replace(":2,", "")));
        },
        &[("imapd-index", ": UID 5 has another file")],
    ),
    case(|p| p.write("dovecot-uidvalidity", "nonsense"), &[("dovecot-uidvalidity", "is no value")]),
    case(|p| p.write("dovecot-uidvalidity.7fffffff", ""), &[("dovecot-uidvalidity", "has several markers")]),
    case(|p| p.write("maildirsize", "1000000S\n5 1\n"), &[("maildirsize", "says 5 octets in 1 messages where there")]),
    case(|p| p.write("maildirsize", "1000000S\n5 1\ntorn"), &[("maildirsize", "cannot be summed up")]),
];

fn fits(place: &Place, finding: &Finding, (path, what): (&str, &str)) -> bool {
    let found = finding.path.strip_prefix(&place.root).unwrap_or(Path::new("?")).to_str().unwrap();
    let path_fits = match path.split_once('*') {
        Some((start, end)) => found.starts_with(start) && found.ends_with(end),
        None => found == path,
    };
    path_fits && finding.what.contains(what)
}

#[track_caller]
fn expect(place: &Place, findings: &[Finding], expected: &[(&str, &str)]) {
    assert_eq!(findings.len(), expected.len(), "{findings:#?}\n{expected:#?}");
    for one in expected {
        assert!(findings.iter().any(|finding| fits(place, finding, *one)), "{findings:#?}\n{one:?}");
    }
}

#[test]
fn a_maildir_as_sessions_leave_it_is_clean() {
    let place = site();
    let before = tree(&place);
    for repair in [false, true] {
        let (findings, summary) = run_later(&place, repair, Duration::ZERO);
        expect(&place, &findings, &[]);
        let expected = Summary { mailboxes: 2, messages: 8, ..Summary::default() };
        assert_eq!(summary, expected);
    }
    let after = tree(&place);
    for (path, (_, inode, _, content)) in &before {
        assert_eq!((&after[path].1, &after[path].3), (inode, content), "{}", path.display());
    }
    assert_eq!(after.len(), before.len());
}

#[test]
fn what_is_wrong_is_found_and_mended_without_loss() {
    for case in MENDED {
        let place = site();
        let before = mail(&place);
        (case.make)(&place);
        let made = tree(&place);
        // Two days later, so that no leftover can be work in progress.
        let (findings, _) = run_later(&place, false, 2 * DAY);
        expect(&place, &findings, case.found);
        assert!(findings.iter().all(|finding| finding.mending == Mending::NotTried));
        assert_eq!(tree(&place), made, "a check changed something: {:?}", case.found);
        let (findings, summary) = run_later(&place, true, 2 * DAY);
        expect(&place, &findings, case.found);
        assert!(findings.iter().all(|f| matches!(f.mending, Mending::Done(_))), "{findings:#?}");
        assert_eq!(summary.mended, findings.len());
        expect(&place, &run_later(&place, true, 2 * DAY).0, &[]);
        assert_eq!(mail(&place), before, "{:?}", case.found);
        expect(&place, &run_later(&place, false, Duration::ZERO).0, &[]);
        assert!(!place.path("dovecot-uidlist.lock").exists());
        place.uid_list();
    }
}

#[test]
fn keywords_stay_with_a_message_whose_name_is_put_right() {
    let place = site();
    let many = flags(&(0..30).map(|n| format!("k{n} ")).collect::<String>());
    let mut store = place.store();
    let four = open(&mut *store, &inbox()).uids().iter().nth(3).unwrap();
    open(&mut *store, &inbox()).store(&set(&[four]), FlagChange::Add, &many, None).unwrap();
    let before = open(&mut *store, &inbox()).flags(four);
    let (old_base, letters) = {
        let old = file(&place, "cur", ":2,FSa");
        let (base, letters) = old.strip_prefix("cur/").unwrap().split_once(':').unwrap();
        (base.to_owned(), letters.to_owned())
    };
    misname(&place, ":2,FSa", ",S=1,W=1");
    let new_base = format!("{},S=1,W=1", old_base.split_once(',').unwrap().0);
    place.write("imapd-keywords", place.text("imapd-keywords").replace(&old_base, &new_base));
    let (findings, _) = run_later(&place, true, Duration::ZERO);
    assert!(matches!(&*findings, [Finding { mending: Mending::Done(_), .. }]), "{findings:#?}");
    assert!(place.path(&format!("cur/{old_base}:{letters}")).exists());
    assert_eq!(open(&mut *store, &inbox()).flags(four), before);
}

#[test]
fn two_messages_of_one_name_become_two_messages() {
    for (place_of_second, second) in [("cur", ":2,R"), ("new", "")] {
        let place = site();
        let before = mail(&place);
        let old = file(&place, "cur", ":2,FSa");
        let base = old.strip_prefix("cur/").unwrap().split_once(':').unwrap().0.to_owned();
        place.write(&format!("{place_of_second}/{base}{second}"), place.text(&old).replace("four", "five"));
        let (findings, _) = run_later(&place, false, Duration::ZERO);
        expect(&place, &findings, &[(&format!("{place_of_second}/*"), "has the name of another message")]);
        assert_eq!(run_later(&place, true, Duration::ZERO).1.mended, 1);
        let (findings, summary) = run_later(&place, false, Duration::ZERO);
        // Its name says the sizes that it had before, which are right by chance, so all is well.
        expect(&place, &findings, &[]);
        assert_eq!((summary.messages, summary.without_uid), (9, 1));
        let after = mail(&place);
        assert_eq!(after.len(), before.len() + 1);
        assert!(before.iter().all(|(uid, content)| after.get(uid) == Some(content)));
    }
}

#[test]
fn many_files_of_one_name_become_as_many_messages() {
    let place = site();
    let before = mail(&place);
    let old = file(&place, "cur", ":2,FSa");
    let base = old.strip_prefix("cur/").unwrap().split_once(':').unwrap().0.to_owned();
    for name in [format!("new/{base}"), format!("cur/{base}:2,R"), format!("cur/{base}:2,T"), format!("cur/{base}")] {
        place.write(&name, place.text(&old));
    }
    fs::hard_link(place.path(&old), place.path(&format!("cur/{base}:2,FSTa"))).unwrap();
    // The one with more flags is the newer name.
    let expected: Vec<(&str, &str)> = [("*", "has the name of another message")].repeat(4);
    let expected = [&expected[..], &[("cur/*:2,FSa", "is a second name")]].concat();
    expect(&place, &run_later(&place, false, DAY).0, &expected);
    expect(&place, &run_later(&place, true, DAY).0, &expected);
    expect(&place, &run_later(&place, true, DAY).0, &[]);
    let after = mail(&place);
    assert_eq!(after.len(), before.len() + 4);
    assert!(before.keys().all(|uid| after.contains_key(uid)));
    assert_eq!(
        fs::read_dir(place.path("cur"))
            .unwrap()
            .filter(|f| { f.as_ref().unwrap().file_name().to_str().unwrap().starts_with(&base) })
            .count(),
        1
    );
}

#[test]
fn a_message_with_two_uids_keeps_the_later() {
    let place = site();
    let base = place.uid_list().records[0].base.clone();
    add(&place, "dovecot-uidlist", [b"70 :", &*base, b"\n"].concat());
    let (findings, _) = run_later(&place, true, Duration::ZERO);
    expect(&place, &findings, &[("dovecot-uidlist", "UIDs 1 and 70 are given to one message")]);
    expect(&place, &run_later(&place, true, Duration::ZERO).0, &[]);
    assert_eq!(numbers(open(&mut *place.store(), &inbox()).uids()), [2, 3, 4, 5, 70]);
}

#[test]
fn names_that_no_message_can_have_become_new_mail() {
    for odd in [":2,S", "a\nb:2,S", "a\rb"] {
        let place = site();
        place.write(&format!("cur/{odd}"), "Subject: odd\n\n");
        let (findings, _) = run_later(&place, true, Duration::ZERO);
        assert_eq!(findings.len(), 1, "{findings:#?}");
        expect(&place, &run_later(&place, true, Duration::ZERO).0, &[]);
        let mut mailbox = open(&mut *place.store(), &inbox());
        assert_eq!(contents(&mut *mailbox).last().unwrap(), b"Subject: odd\r\n\r\n");
    }
}

#[test]
fn what_only_people_can_mend_is_told_and_left() {
    let cases: &[Case] = &[
        case(|p| p.write("dovecot-uidlist", "nonsense\n"), &[("dovecot-uidlist", "cannot be used")]),
        case(
            |p| {
                rename(p, "dovecot-uidlist", "elsewhere");
                symlink("elsewhere", p.path("dovecot-uidlist")).unwrap();
            },
            &[("dovecot-uidlist", "cannot be used")],
        ),
        case(|p| symlink("/etc/passwd", p.path("cur/1.a.h:2,S")).unwrap(), &[("cur/1.a.h:2,S", "symbolic link")]),
        case(|p| fs::create_dir(p.path(".a..b")).unwrap(), &[(".a..b", "has a name that no mailbox can have")]),
        case(|p| p.write("imapd-uidlist.broken", "x"), &[("imapd-uidlist.broken", "set aside")]),
        case(|p| symlink("nowhere", p.path(".Link")).unwrap(), &[(".Link", "leads nowhere")]),
        case(
            |p| {
                p.store().create(&name("Entwürfe"), None).unwrap();
                rename(p, ".Entw&APw-rfe", ".Entwürfe");
                p.store().create(&name("x"), None).unwrap();
                rename(p, ".x", ".Entw&APw-rfe");
            },
            &[(".Entwürfe", "is a mailbox of the same name")],
        ),
        case(|p| p.write("cur/1.a.h,S=9:2,S", b"\x1f\x8b\x08gzip"), &[("cur/1.a.h,S=9:2,S", "is compressed")]),
        case(|p| p.write("maildirsize", "\n5 1\n"), &[("maildirsize", "has no limits")]),
        case(|p| p.write("maildirfolder", "text"), &[("maildirfolder", "is a folder of another")]),
        case(
            |p| {
                fs::remove_file(p.path("subscriptions")).unwrap();
                symlink("/dev/zero", p.path("subscriptions")).unwrap();
            },
            &[("subscriptions", "is no regular file")],
        ),
    ];
    for case in cases {
        let place = site();
        (case.make)(&place);
        let before = tree(&place);
        for repair in [false, true, true] {
            let (findings, summary) = run_later(&place, repair, Duration::ZERO);
            expect(&place, &findings, case.found);
            assert_eq!(summary.mended, 0, "{findings:#?}");
            assert!(!repair || matches!(findings[0].mending, Mending::Failed(_)));
        }
        let after = tree(&place);
        let content = |tree: &BTreeMap<PathBuf, (u32, u64, i64, Vec<u8>)>| -> Vec<(PathBuf, u64, Vec<u8>)> {
            tree.iter().map(|(path, (_, inode, _, content))| (path.clone(), *inode, content.clone())).collect()
        };
        assert_eq!(content(&after), content(&before));
    }
}

#[test]
fn work_in_progress_is_no_finding() {
    let place = site();
    place.write("tmp/1.a.h", "Subj");
    place.write("subscriptions.lock", "");
    fs::create_dir(place.path("..DOVECOT-TRASHED")).unwrap();
    let old = file(&place, "cur", ":2,FSa");
    fs::hard_link(place.path(&old), place.path(&old.replace(":2,FSa", ":2,FST"))).unwrap();
    // Written by somebody who holds the lock.
    place.write(".Work.2024/dovecot-uidlist.lock", "1:elsewhere.example");
    place.write(".Work.2024/dovecot-uidlist.tmp", "3 V");
    expect(&place, &run_later(&place, false, Duration::ZERO).0, &[]);
}

#[test]
fn mail_that_has_no_uid_yet_and_lines_of_mail_that_is_gone_are_counted() {
    let place = site();
    place.deliver("1700000001.M1P1.mx");
    fs::remove_file(place.path(&file(&place, "cur", ":2,FSa"))).unwrap();
    let (findings, summary) = run_later(&place, true, Duration::ZERO);
    expect(&place, &findings, &[]);
    assert_eq!((summary.messages, summary.without_uid, summary.dead_lines), (8, 1, 1));
}

#[test]
fn what_is_no_maildir_is_not_made_one() {
    let place = site();
    for path in ["..", "cur", "missing", "subscriptions"] {
        let options = FsckOptions { root: place.path(path), repair: true, now: SystemTime::now() };
        let error = fsck(&options, &mut |finding| panic!("{finding:?}")).unwrap_err();
        assert!(matches!(error, StoreError::NoSuchMailbox), "{path}: {error:?}");
    }
    assert!(!place.path("cur/cur").exists());
}

/// Sessions add, flag, copy and expunge while the Maildir is checked and mended again and again.
#[test]
fn a_maildir_in_use_is_checked_and_mended_without_disturbing_anybody() {
    let place = site();
    place.write("maildirsize", "100000000S\n");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let checkers = [false, true].map(|repair| {
            let (place, done) = (&place, &done);
            scope.spawn(move || {
                let mut all = Vec::new();
                while !done.load(Ordering::Relaxed) {
                    all.extend(run_later(place, repair, Duration::ZERO).0);
                }
                all
            })
        });
        let workers = ["INBOX", "Work/2024"].map(|mailbox| {
            let place = &place;
            scope.spawn(move || {
                let mut store = place.store();
                let mut opened = open(&mut *store, &name(mailbox));
                let mut added = Vec::new();
                for n in 0..40 {
                    let uid = append(&mut *store, &name(mailbox), "$Work", &message(&format!("{mailbox} {n}")));
                    added.push(uid);
                    opened.sync().unwrap();
                    let keyword = format!("\\Answered k{n}");
                    opened.store(&set(&[uid]), FlagChange::Add, &flags(&keyword), None).unwrap();
                    let copied = opened.copy(&set(&[uid]), &name(mailbox)).unwrap();
                    opened.sync().unwrap();
                    opened.expunge(&set(&[copied.pairs[0].1])).unwrap();
                }
                opened.sync().unwrap();
                for (n, uid) in added.iter().enumerate() {
                    let text = content(&mut *opened, *uid).unwrap();
                    assert_eq!(text, message(&format!("{mailbox} {n}")));
                    assert_eq!(opened.flags(*uid), Some(flags(&format!("$Work \\Answered k{n}"))));
                }
            })
        });
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for checker in checkers {
            let found = checker.join().unwrap();
            // A count of the quota at the same time as a change may count it twice, until somebody counts again.
            let others: Vec<_> = found.iter().filter(|finding| !finding.path.ends_with("maildirsize")).collect();
            assert!(others.is_empty(), "{others:#?}");
        }
    });
    run_later(&place, true, Duration::ZERO);
    expect(&place, &run_later(&place, false, Duration::ZERO).0, &[]);
}
