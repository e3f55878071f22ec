//! When messages changed, which are gone since, when they came, and what they are called wherever they go (RFC 7162, RFC 8514, RFC 8474).

use crate::mail::*;
use crate::{on_both_stores, refused};
use imapd::testing::limits;
use imapd::testing::storage::{Access, MailStore, Mailbox, StatusWanted, StoreError};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{DateTime, MailboxName, ModSeq, ObjectId, Uid, UidSet};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

fn modseq(mailbox: &dyn Mailbox, uid: Uid) -> ModSeq {
    mailbox.modseq(uid).unwrap()
}

fn highest_of(store: &mut dyn MailStore, name: &MailboxName) -> ModSeq {
    store.status(name, StatusWanted::default()).unwrap().highest_modseq
}

fn seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

fn vanished(mailbox: &mut dyn Mailbox, since: ModSeq) -> UidSet {
    mailbox.vanished_since(since).unwrap()
}

on_both_stores! {
    fn each_arrival_is_later_than_all_before(server) {
        let mut store = server.store();
        let empty = highest_of(&mut *store, &inbox());
        let uids = three(&mut *store);
        let mailbox = open(&mut *store, &inbox());
        let times = uids.map(|uid| modseq(&*mailbox, uid));
        assert!(empty < times[0] && times[0] < times[1] && times[1] < times[2], "{empty} {times:?}");
        assert_eq!(mailbox.highest_modseq(), times[2]);
        assert_eq!(highest_of(&mut *server.store(), &inbox()), times[2]);
        assert_eq!(mailbox.modseq(uids[2].next().unwrap()), None);
    }

    fn a_change_of_flags_has_a_new_time_and_no_change_has_none(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let before = mailbox.highest_modseq();
        mailbox.store(&set(&uids[..2]), FlagChange::Add, &flags("\\Seen $x"), None).unwrap();
        let first = modseq(&*mailbox, uids[0]);
        assert!(first > before && modseq(&*mailbox, uids[2]) <= before);
        assert_eq!(mailbox.highest_modseq(), first.max(modseq(&*mailbox, uids[1])));
        for (change, given) in [
            (FlagChange::Add, "\\Seen"),
            (FlagChange::Remove, "\\Draft $y"),
            (FlagChange::Replace, "$X \\Seen"),
        ] {
            mailbox.store(&set(&uids[..1]), change, &flags(given), None).unwrap();
            assert_eq!(modseq(&*mailbox, uids[0]), first, "{given}");
        }
        mailbox.store(&set(&uids[..1]), FlagChange::Remove, &flags("$x"), None).unwrap();
        let last = modseq(&*mailbox, uids[0]);
        assert!(last > first && last > modseq(&*mailbox, uids[1]));
        mailbox.sync().unwrap();
        assert_eq!((modseq(&*mailbox, uids[0]), mailbox.highest_modseq()), (last, last));
        let again = open(&mut *server.store(), &inbox());
        assert_eq!((modseq(&*again, uids[0]), again.highest_modseq()), (last, last));
    }

    fn the_time_of_others_changes_shows_with_them(server) {
        let (mut store, mut other) = (server.store(), server.store());
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let mut theirs = open(&mut *other, &inbox());
        let before = modseq(&*mailbox, uids[0]);
        theirs.store(&set(&uids[..1]), FlagChange::Add, &flags("\\Flagged"), None).unwrap();
        let after = modseq(&*theirs, uids[0]);
        assert_eq!(modseq(&*mailbox, uids[0]), before);
        mailbox.sync().unwrap();
        assert_eq!((modseq(&*mailbox, uids[0]), mailbox.highest_modseq()), (after, after));
        // There and back again: nothing to tell, but the message has another time.
        theirs.store(&set(&uids[..1]), FlagChange::Add, &flags("\\Seen"), None).unwrap();
        theirs.store(&set(&uids[..1]), FlagChange::Remove, &flags("\\Seen"), None).unwrap();
        assert!(mailbox.sync().unwrap().flags.is_empty());
        assert_eq!(modseq(&*mailbox, uids[0]), modseq(&*theirs, uids[0]));
    }

    fn only_what_is_unchanged_since_is_changed(server) {
        let (mut store, mut other) = (server.store(), server.store());
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let since = mailbox.highest_modseq().get();
        open(&mut *other, &inbox()).store(&set(&uids[1..2]), FlagChange::Add, &flags("\\Flagged"), None).unwrap();
        let stored = mailbox.store(&set(&uids), FlagChange::Add, &flags("\\Seen"), Some(since)).unwrap();
        assert_eq!(stored.modified, set(&uids[1..2]));
        let told: Vec<_> = stored.flags.into_iter().filter(|(uid, _)| !stored.modified.contains(*uid)).collect();
        assert_eq!(told, [(uids[0], flags("\\Seen")), (uids[2], flags("\\Seen"))]);
        let after = open(&mut *server.store(), &inbox());
        assert_eq!(after.flags(uids[1]), Some(flags("\\Flagged")));
        // Nothing is unchanged since before its beginning, all since the end of time.
        let none = mailbox.store(&set(&uids), FlagChange::Replace, &flags("$x"), Some(0)).unwrap();
        assert_eq!(none.modified, set(&uids));
        let all = mailbox.store(&set(&uids), FlagChange::Replace, &flags("$x"), Some(ModSeq::MAX)).unwrap();
        assert!(all.modified.is_empty());
        assert_eq!(open(&mut *server.store(), &inbox()).flags(uids[1]), Some(flags("$x")));
    }

    fn of_all_who_store_unchanged_since_the_same_moment_one_succeeds(server) {
        let [uid, ..] = three(&mut *server.store());
        let since = open(&mut *server.store(), &inbox()).highest_modseq().get();
        let winners: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|n| {
                    let mut store = server.store();
                    scope.spawn(move || {
                        let mut mailbox = open(&mut *store, &inbox());
                        let given = flags(&format!("$client{n}"));
                        let stored = mailbox.store(&set(&[uid]), FlagChange::Add, &given, Some(since)).unwrap();
                        usize::from(stored.modified.is_empty())
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        assert_eq!(winners, 1);
        assert_eq!(open(&mut *server.store(), &inbox()).flags(uid).unwrap().keywords().len(), 1);
    }

    fn what_vanished_is_told_by_when(server) {
        let (mut store, mut other) = (server.store(), server.store());
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let first = mailbox.highest_modseq();
        let mut theirs = open(&mut *other, &inbox());
        theirs.expunge(&set(&uids[..1])).unwrap();
        assert!(vanished(&mut *mailbox, first).is_empty(), "it still shows");
        mailbox.sync().unwrap();
        let second = mailbox.highest_modseq();
        assert!(second > first);
        assert_eq!(highest_of(&mut *server.store(), &inbox()), second);
        theirs.expunge(&set(&uids[2..])).unwrap();
        mailbox.sync().unwrap();
        let third = mailbox.highest_modseq();
        assert!(third > second);
        for mailbox in [mailbox, open(&mut *server.store(), &inbox())].iter_mut() {
            assert_eq!(vanished(&mut **mailbox, first), set(&[uids[0], uids[2]]));
            assert_eq!(vanished(&mut **mailbox, second), set(&uids[2..]));
            assert!(vanished(&mut **mailbox, third).is_empty());
        }
    }

    fn what_is_moved_away_vanishes_and_is_new_where_it_comes(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        store.create(&name("there"), None).unwrap();
        let mut there = open(&mut *store, &name("there"));
        let (old, empty) = (highest_of(&mut *store, &inbox()), there.highest_modseq());
        let mut mailbox = open(&mut *store, &inbox());
        let copied = mailbox.copy(&set(&uids[..1]), &name("there")).unwrap().pairs[0].1;
        there.sync().unwrap();
        let first = modseq(&*there, copied);
        assert!(first > empty);
        let moved = mailbox.move_to(&set(&uids[1..2]), &name("there")).unwrap().done.pairs[0].1;
        there.sync().unwrap();
        assert!(modseq(&*there, moved) > first);
        mailbox.sync().unwrap();
        assert!(mailbox.highest_modseq() > old);
        assert_eq!(vanished(&mut *mailbox, old), set(&uids[1..2]));
    }

    fn a_renamed_inbox_is_empty_and_says_so(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        let mut mailbox = open(&mut *store, &inbox());
        let before = mailbox.highest_modseq();
        let emails = uids.map(|uid| mailbox.email_id(uid).unwrap());
        store.rename(&inbox(), &name("old")).unwrap();
        mailbox.sync().unwrap();
        assert_eq!(vanished(&mut *mailbox, before), set(&uids));
        assert!(mailbox.highest_modseq() > before);
        let mut moved = open(&mut *server.store(), &name("old"));
        let there: Vec<Uid> = moved.uids().iter().collect();
        assert_eq!(there.iter().map(|&uid| moved.email_id(uid).unwrap()).collect::<Vec<_>>(), emails);
        assert!(there.iter().all(|&uid| modseq(&*moved, uid) <= moved.highest_modseq()));
        let id = moved.id();
        assert_ne!(id, open(&mut *server.store(), &inbox()).id());
    }

    fn a_history_that_is_too_long_names_all_that_is_not_there(server) {
        let mut store = server.store();
        let count = 2 * limits::EXPUNGED_RANGES + 2;
        let mut append = store.append(&inbox()).unwrap();
        for _ in 0..count {
            append.begin(&flags(""), None).unwrap();
            append.write(b"x").unwrap();
        }
        append.commit().unwrap();
        let mut mailbox = open(&mut *store, &inbox());
        let all: Vec<Uid> = mailbox.uids().iter().collect();
        let start = mailbox.highest_modseq();
        mailbox.expunge(&set(&all[..1])).unwrap();
        mailbox.sync().unwrap();
        let later = mailbox.highest_modseq();
        let every_second: UidSet = all.iter().copied().skip(2).step_by(2).collect();
        mailbox.expunge(&every_second).unwrap();
        mailbox.sync().unwrap();
        let mut gone = every_second.clone();
        gone.insert(all[0]);
        assert_eq!(vanished(&mut *mailbox, start), gone);
        let told = vanished(&mut *mailbox, later);
        assert!(told == every_second || told == gone, "{}", told.len());
        let now = mailbox.highest_modseq();
        assert!(vanished(&mut *mailbox, now).is_empty());
    }

    fn the_save_date_is_that_of_the_arrival_in_this_mailbox(server) {
        let mut store = server.store();
        let began = seconds();
        let long_ago = Some(DateTime::utc(1_000_000_000));
        let uid = append_dated(&mut *store, &inbox(), "", long_ago, &message("old"));
        let mut mailbox = open(&mut *store, &inbox());
        let saved = mailbox.save_date(uid).unwrap().unwrap().seconds;
        assert!((began..=seconds()).contains(&saved), "{saved}");
        assert_eq!(mailbox.internal_date(uid).unwrap().seconds, 1_000_000_000);
        // By its own clock, the store is asked in the second in which the copy was made.
        store.create(&name("there"), None).unwrap();
        let copying = seconds();
        let copied = mailbox.copy(&set(&[uid]), &name("there")).unwrap().pairs[0].1;
        let moved = mailbox.move_to(&set(&[uid]), &name("there")).unwrap().done.pairs[0].1;
        let mut there = open(&mut *store, &name("there"));
        for uid in [copied, moved] {
            let saved = there.save_date(uid).unwrap().unwrap().seconds;
            assert!((copying..=seconds()).contains(&saved), "{saved}");
            assert_eq!(there.internal_date(uid).unwrap().seconds, 1_000_000_000);
        }
        mailbox.sync().unwrap();
        refused!(mailbox.save_date(uid), StoreError::Expunged);
    }
}

on_both_stores! {
    fn a_message_keeps_its_email_id_in_copies(server) {
        let mut store = server.store();
        let uids = three(&mut *store);
        store.create(&name("there"), None).unwrap();
        let mut mailbox = open(&mut *store, &inbox());
        let ids = uids.map(|uid| mailbox.email_id(uid).unwrap());
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 3);
        let mut pairs = mailbox.copy(&set(&uids), &name("there")).unwrap().pairs;
        pairs.extend(mailbox.copy(&set(&uids[..1]), &name("there")).unwrap().pairs);
        pairs.extend(mailbox.move_to(&set(&uids[1..]), &name("there")).unwrap().done.pairs);
        let mut there = open(&mut *store, &name("there"));
        for (source, uid) in pairs {
            let at = uids.iter().position(|&uid| uid == source).unwrap();
            assert_eq!(there.email_id(uid).unwrap(), ids[at]);
        }
        there.store(&there.uids().clone(), FlagChange::Add, &flags("\\Seen"), None).unwrap();
        store.rename(&name("there"), &name("elsewhere")).unwrap();
        let mut elsewhere = open(&mut *server.store(), &name("elsewhere"));
        let after: Vec<ObjectId> = there.uids().iter().map(|uid| elsewhere.email_id(uid).unwrap()).collect();
        assert!(after.iter().all(|id| ids.contains(id)));
        mailbox.sync().unwrap();
        refused!(mailbox.email_id(uids[1]), StoreError::Expunged);
    }

    fn messages_that_come_later_never_have_an_email_id_of_those_gone(server) {
        let mut store = server.store();
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let uid = append(&mut *store, &inbox(), "", &message("same"));
            let mut mailbox = open(&mut *store, &inbox());
            assert!(seen.insert(mailbox.email_id(uid).unwrap()));
            mailbox.expunge(&set(&[uid])).unwrap();
        }
    }

    fn a_mailbox_keeps_its_id_as_long_as_it_is_the_same(server) {
        let mut store = server.store();
        let made = store.create(&name("a"), None).unwrap().unwrap();
        let other = store.create(&name("b"), None).unwrap().unwrap();
        let own = open(&mut *store, &inbox()).id();
        assert_eq!([&made, &other, &own].into_iter().collect::<BTreeSet<_>>().len(), 3);
        assert_eq!(open(&mut *server.store(), &name("a")).id(), made);
        assert_eq!(store.open(&name("a"), Access::ReadOnly).unwrap().id(), made);
        assert_eq!(store.status(&name("a"), StatusWanted::default()).unwrap().id, made);
        store.rename(&name("a"), &name("c")).unwrap();
        assert_eq!(store.status(&name("c"), StatusWanted::default()).unwrap().id, made);
        assert_ne!(store.create(&name("a"), None).unwrap().unwrap(), made);
        store.delete(&name("c")).unwrap();
        assert_ne!(store.create(&name("c"), None).unwrap().unwrap(), made);
    }
}
