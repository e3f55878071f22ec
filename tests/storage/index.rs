//! The index: what it spares, and that nobody notices when it is lost, damaged, removed or cannot be had.

use crate::mail::{append, content, flags, inbox, message, open, set};
use imapd::testing::limits;
use imapd::testing::storage::maildir::{IndexPlace, MaildirOptions, open as open_maildir};
use imapd::testing::storage::{Access, Changes, Kept, MailStore};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{ModSeq, Uid, UidSet};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

struct Place {
    _directory: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { root: directory.path().join("Maildir"), _directory: directory }
    }

    fn store(&self) -> Box<dyn MailStore> {
        open_maildir(MaildirOptions { root: self.root.clone(), create: true, index: IndexPlace::InRoot }).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Some messages with flags, one of them expunged.
    fn fill(&self) {
        let mut store = self.store();
        for n in 0..300 {
            append(&mut *store, &inbox(), if n % 3 == 0 { "\\Seen $a" } else { "" }, &message(&n.to_string()));
        }
        let mut mailbox = open(&mut *store, &inbox());
        mailbox.expunge(&set(&[uid(7)])).unwrap();
        mailbox.sync().unwrap();
    }

    /// UIDVALIDITY, then UID, flags and content of every message.
    fn truth(&self) -> (u32, Vec<(Uid, String, Vec<u8>)>) {
        let mut mailbox = open(&mut *self.store(), &inbox());
        let uids: Vec<Uid> = mailbox.uids().iter().collect();
        let all = uids
            .into_iter()
            .map(|uid| (uid, format!("{:?}", mailbox.flags(uid).unwrap()), content(&mut *mailbox, uid).unwrap()));
        let all = all.collect();
        (mailbox.uid_validity().get(), all)
    }
}

fn uid(n: u32) -> Uid {
    Uid::new(n).unwrap()
}

#[test]
fn a_lost_index_costs_nothing_but_the_history() {
    let place = Place::new();
    place.fill();
    let before = place.truth();
    let highest = open(&mut *place.store(), &inbox()).highest_modseq();
    for lost in
        [&["imapd-index"][..], &["imapd-index-lock"], &["imapd-index-state"], &["imapd-index", "imapd-index-lock"]]
    {
        lost.iter().for_each(|file| fs::remove_file(place.path(file)).unwrap());
        assert_eq!(place.truth(), before, "{lost:?}");
    }
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert!(mailbox.highest_modseq() > highest);
    // What went before is no longer known, so everything that is not there may have gone.
    assert_eq!(mailbox.vanished_since(highest).unwrap(), set(&[uid(7)]));
}

#[test]
fn an_index_removed_under_a_session_is_made_again() {
    let place = Place::new();
    place.fill();
    let mut mailbox = open(&mut *place.store(), &inbox());
    fs::remove_file(place.path("imapd-index")).unwrap();
    assert_eq!(mailbox.sync().unwrap(), Changes::default());
    mailbox.store(&set(&[uid(2)]), FlagChange::Add, &flags("\\Flagged"), None).unwrap();
    assert_eq!(mailbox.sync().unwrap(), Changes::default());
    assert!(place.path("imapd-index").exists());
    let mut other = open(&mut *place.store(), &inbox());
    assert_eq!(other.flags(uid(2)), Some(flags("\\Flagged")));
    mailbox.store(&set(&[uid(3)]), FlagChange::Add, &flags("\\Draft"), None).unwrap();
    assert_eq!(other.sync().unwrap().flags, set(&[uid(3)]));
}

#[test]
fn a_damaged_index_is_made_anew_with_every_uid() {
    let place = Place::new();
    place.fill();
    let before = place.truth();
    let whole = fs::read(place.path("imapd-index")).unwrap();
    type Damage<'d> = &'d dyn Fn(&mut Vec<u8>);
    let damages: [(&str, Damage<'_>); 5] = [
        ("empty", &|index| index.clear()),
        ("cut off", &|index| index.truncate(index.len() / 2)),
        ("no index", &|index| index.fill(b'x')),
        ("text", &|index| *index = b"hello".to_vec()),
        ("zeroes", &|index| index.fill(0)),
    ];
    for (what, damage) in damages {
        let mut index = whole.clone();
        damage(&mut index);
        fs::write(place.path("imapd-index"), index).unwrap();
        assert_eq!(place.truth(), before, "{what}");
    }
    for odd in ["", "unsynced 0", "nonsense"] {
        fs::write(place.path("imapd-index-state"), odd).unwrap();
        assert_eq!(place.truth(), before, "{odd}");
    }
}

/// The places of a text in the index.
fn places(place: &Place, text: &[u8]) -> Vec<u64> {
    let index = fs::read(place.path("imapd-index")).unwrap();
    let found = index.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    found.map(|(at, _)| at as u64).collect()
}

fn overwrite(place: &Place, text: &[u8], with: &[u8]) {
    let found = places(place, text);
    assert!(!found.is_empty());
    let index = fs::File::options().write(true).open(place.path("imapd-index")).unwrap();
    found.into_iter().for_each(|at| index.write_all_at(with, at).unwrap());
}

#[test]
fn what_was_kept_and_then_damaged_is_never_shown() {
    let place = Place::new();
    place.fill();
    let before = place.truth();
    let mut mailbox = open(&mut *place.store(), &inbox());
    mailbox.keep(uid(2), Kept::Envelope, b"an envelope with a mark");
    drop(mailbox);
    let kept = |mailbox: &mut dyn imapd::testing::storage::Mailbox| mailbox.kept(uid(2), Kept::Envelope, &mut |_| ());
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert!(kept(&mut *mailbox));
    overwrite(&place, b"with a mark", b"with a lark");
    assert!(!kept(&mut *mailbox));
    // Under the session the index was made anew: it has every message all the same.
    let changes = mailbox.sync().unwrap();
    assert_eq!((changes.expunged, changes.arrived, changes.flags), Default::default());
    assert!(content(&mut *mailbox, uid(300)).is_ok());
    assert_eq!(places(&place, b"with a lark"), []);
    assert_eq!(place.truth(), before);
    drop(mailbox);
    // A name of a file; a row, by the octets of its UID and what stands beside it.
    let name = fs::read_dir(place.path("cur")).unwrap().next().unwrap().unwrap().file_name();
    let base = name.to_str().unwrap().split(':').next().unwrap().to_owned();
    overwrite(&place, base.as_bytes(), base.replace(',', ";").as_bytes());
    assert_eq!(place.truth(), before);
    overwrite(&place, &[[44u32.to_le_bytes(), 0u32.to_le_bytes()].concat()].concat(), &[45, 0, 0, 0]);
    assert_eq!(place.truth(), before);
}

#[test]
fn what_is_no_file_is_left_alone_and_the_session_goes_without() {
    let place = Place::new();
    place.fill();
    let before = place.truth();
    for name in ["imapd-index", "imapd-index-lock", "imapd-index-state"] {
        let _ = fs::remove_file(place.path(name));
        std::os::unix::fs::symlink("/etc/passwd", place.path(name)).unwrap();
        assert_eq!(place.truth(), before, "{name}");
        fs::remove_file(place.path(name)).unwrap();
        fs::create_dir(place.path(name)).unwrap();
        assert_eq!(place.truth(), before, "{name}");
        fs::remove_dir(place.path(name)).unwrap();
    }
}

#[test]
fn the_index_may_lie_elsewhere() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let index = IndexPlace::Directory(elsewhere.path().to_owned());
    let mut store = open_maildir(MaildirOptions { root: place.root.clone(), create: true, index }).unwrap();
    append(&mut *store, &inbox(), "", &message("x"));
    assert_eq!(open(&mut *store, &inbox()).uids().len(), 1);
    assert!(elsewhere.path().join("imapd-index").exists() && !place.path("imapd-index").exists());
}

#[test]
fn a_change_of_one_session_is_told_to_others_without_a_look_at_the_files() {
    let place = Place::new();
    place.fill();
    let (mut one, mut other) = (open(&mut *place.store(), &inbox()), open(&mut *place.store(), &inbox()));
    let before = other.highest_modseq();
    one.store(&set(&[uid(1), uid(300)]), FlagChange::Add, &flags("\\Answered"), None).unwrap();
    one.expunge(&set(&[uid(5)])).unwrap();
    let changes = other.sync().unwrap();
    assert_eq!((changes.flags, changes.expunged), (set(&[uid(1), uid(300)]), set(&[uid(5)])));
    assert!(other.modseq(uid(1)).unwrap() > before && other.modseq(uid(2)).unwrap() <= before);
    assert!(other.highest_modseq() >= other.modseq(uid(1)).unwrap());
    assert_eq!(other.vanished_since(before).unwrap(), set(&[uid(5)]));
    assert_eq!(other.vanished_since(other.highest_modseq()).unwrap(), UidSet::new());
}

#[test]
fn what_another_program_marks_gets_a_new_modseq_once() {
    let place = Place::new();
    place.fill();
    let mut mailbox = open(&mut *place.store(), &inbox());
    let before = mailbox.highest_modseq();
    let name = fs::read_dir(place.path("cur")).unwrap().next().unwrap().unwrap().file_name();
    let name = name.into_string().unwrap();
    let (base, letters) = name.split_once(":2,").unwrap();
    let marked = format!("cur/{base}:2,F{}", letters.replace('S', ""));
    fs::rename(place.path("cur").join(&name), place.path(&marked)).unwrap();
    let changes = mailbox.sync().unwrap();
    assert_eq!(changes.flags.len(), 1);
    let first = mailbox.highest_modseq();
    assert!(first > before);
    mailbox.sync().unwrap();
    assert_eq!(open(&mut *place.store(), &inbox()).highest_modseq(), first);
}

#[test]
fn unchanged_since_is_decided_by_what_the_disk_has() {
    let place = Place::new();
    place.fill();
    let (mut one, mut other) = (open(&mut *place.store(), &inbox()), open(&mut *place.store(), &inbox()));
    let since = Some(one.highest_modseq().get());
    other.store(&set(&[uid(1)]), FlagChange::Add, &flags("\\Draft"), None).unwrap();
    let stored = one.store(&set(&[uid(1), uid(2)]), FlagChange::Add, &flags("\\Flagged"), since).unwrap();
    assert_eq!(stored.modified, set(&[uid(1)]));
    assert_eq!(stored.flags.iter().map(|(uid, _)| uid.get()).collect::<Vec<_>>(), [2]);
    assert!(!other.sync().unwrap().flags.is_empty());
    assert_eq!(other.flags(uid(1)), Some(flags("\\Seen \\Draft $a")));
}

#[test]
fn what_was_made_of_a_message_is_kept_for_later_sessions_and_goes_with_it() {
    let place = Place::new();
    place.fill();
    let mut mailbox = open(&mut *place.store(), &inbox());
    let kept = |mailbox: &mut dyn imapd::testing::storage::Mailbox, uid, kind| {
        let mut octets = None;
        mailbox.kept(uid, kind, &mut |kept| octets = Some(kept.to_vec())).then_some(octets).flatten()
    };
    assert_eq!(kept(&mut *mailbox, uid(2), Kept::Envelope), None);
    mailbox.keep(uid(2), Kept::Envelope, b"envelope");
    mailbox.keep(uid(2), Kept::Header, &[b'x'; 100_000]);
    mailbox.keep(uid(99_999), Kept::Header, b"nobody's");
    assert_eq!(kept(&mut *mailbox, uid(2), Kept::Envelope).as_deref(), Some(&b"envelope"[..]));
    drop(mailbox);
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert_eq!(kept(&mut *mailbox, uid(2), Kept::Envelope).as_deref(), Some(&b"envelope"[..]));
    assert_eq!(kept(&mut *mailbox, uid(2), Kept::Header).map(|kept| kept.len()), Some(100_000));
    assert_eq!(kept(&mut *mailbox, uid(2), Kept::Structure), None);
    assert_eq!(kept(&mut *mailbox, uid(3), Kept::Envelope), None);
}

#[test]
fn a_history_that_is_full_forgets_the_oldest_and_says_so() {
    let place = Place::new();
    let mut store = place.store();
    let ranges = limits::EXPUNGE_HISTORY as usize;
    // Every other message goes, so that each expunge has as many ranges as messages; in two halves.
    for n in 0..ranges * 2 + 800 {
        fs::write(place.path(&format!("cur/{n}.x.host,S=2,W=2:2,S")), "x\n").unwrap();
    }
    let mut mailbox = open(&mut *store, &inbox());
    let uids: Vec<Uid> = mailbox.uids().iter().collect();
    let first = mailbox.highest_modseq();
    let doomed: Vec<Uid> = uids.iter().copied().step_by(2).collect();
    let (early, late) = doomed.split_at(400);
    mailbox.expunge(&set(early)).unwrap();
    mailbox.sync().unwrap();
    let second = mailbox.highest_modseq();
    assert_eq!(mailbox.vanished_since(first).unwrap(), set(early));
    mailbox.expunge(&set(late)).unwrap();
    mailbox.sync().unwrap();
    let all_gone = set(&doomed);
    assert_eq!(mailbox.vanished_since(second).unwrap(), set(late));
    assert_eq!(mailbox.vanished_since(first).unwrap(), all_gone);
    assert_eq!(mailbox.vanished_since(ModSeq::MIN).unwrap(), all_gone);
}

#[test]
fn a_read_only_session_makes_no_other_files_than_it_must() {
    let place = Place::new();
    drop(place.store());
    fs::write(place.path("new/1.a.h"), message("x")).unwrap();
    let mailbox = place.store().open(&inbox(), Access::ReadOnly).unwrap();
    assert_eq!(mailbox.uids().len(), 1);
    assert!(place.path("new/1.a.h").exists());
    let index = fs::File::open(place.path("imapd-index")).unwrap();
    let mut start = [0; 16];
    index.read_exact_at(&mut start, 0).unwrap();
}

#[test]
fn a_first_table_that_is_written_by_pieces_is_whole() {
    let place = Place::new();
    drop(place.store());
    const MESSAGES: u32 = 50_500;
    for n in 0..MESSAGES {
        fs::write(place.path(&format!("cur/{}.x.host,S=2,W=3:2,S", 1_700_000_000 + n)), "x\n").unwrap();
    }
    // Two at once: one of them is faster.
    let opened = std::thread::scope(|scope| {
        let open_one = || scope.spawn(|| open(&mut *place.store(), &inbox()).uids().clone());
        [open_one(), open_one()].map(|session| session.join().unwrap())
    });
    let all = UidSet::range(uid(1), uid(MESSAGES));
    assert_eq!(opened, [all.clone(), all.clone()]);
    let mut mailbox = open(&mut *place.store(), &inbox());
    assert_eq!((mailbox.uids(), mailbox.highest_modseq() > ModSeq::MIN), (&all, true));
    for n in [1, 101, 102, 50_000, 50_001, MESSAGES] {
        assert_eq!(content(&mut *mailbox, uid(n)).unwrap(), b"x\r\n");
    }
}
