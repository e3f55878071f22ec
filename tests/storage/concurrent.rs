//! Three sessions at once on one mailbox. Each keeps a mirror by what sync tells it, and the mirror always agrees with the mailbox.

use crate::mail::*;
use crate::on_both_stores;
use crate::support::Server;
use imapd::testing::storage::{MailStore, Mailbox, StoreError};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{Flags, MailboxName, Uid, UidValidity};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

const SESSIONS: u32 = 3;
const OPERATIONS: u32 = 120;

/// What a client would know.
struct Mirror {
    messages: BTreeMap<Uid, Flags>,
    next: Uid,
}

impl Mirror {
    fn of(mailbox: &dyn Mailbox) -> Self {
        let messages = mailbox.uids().iter().map(|uid| (uid, mailbox.flags(uid).unwrap())).collect();
        Self { messages, next: mailbox.uid_next() }
    }

    fn sync(&mut self, mailbox: &mut dyn Mailbox) {
        let changes = mailbox.sync().unwrap();
        assert!(changes.arrived.intersection(&changes.expunged).is_empty());
        assert!(changes.arrived.intersection(&changes.flags).is_empty());
        assert!(changes.expunged.intersection(&changes.flags).is_empty());
        for uid in changes.expunged.iter() {
            assert!(self.messages.remove(&uid).is_some(), "{uid} expunged twice or never there");
        }
        for uid in changes.arrived.iter() {
            assert!(uid >= self.next, "{uid} arrived below {}", self.next);
            assert!(self.messages.insert(uid, mailbox.flags(uid).unwrap()).is_none());
        }
        for uid in changes.flags.iter() {
            let before = self.messages.insert(uid, mailbox.flags(uid).unwrap());
            assert!(before.is_some(), "flags of {uid}, which was never told");
        }
        self.next = mailbox.uid_next();
        self.agree(mailbox);
    }

    fn agree(&self, mailbox: &dyn Mailbox) {
        assert!(mailbox.uids().iter().eq(self.messages.keys().copied()));
        for (&uid, known) in &self.messages {
            assert_eq!(mailbox.flags(uid).as_ref(), Some(known), "{uid}");
        }
    }
}

/// A sequence of numbers that differs by session and is the same in every run.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % sides
    }
}

/// One session; says how many messages it added and removed.
fn session(mut store: Box<dyn MailStore>, number: u32) -> (usize, usize) {
    let mut dice = Dice(number * 7919 + 1);
    let mut mailbox = open(&mut *store, &inbox());
    let mut mirror = Mirror::of(&*mailbox);
    let (mut added, mut removed) = (0, 0);
    for operation in 0..OPERATIONS {
        let any = mirror.messages.keys().nth(dice.roll(mirror.messages.len().max(1) as u32) as usize).copied();
        match (dice.roll(6), any) {
            (0 | 1, _) | (_, None) => {
                append(&mut *store, &inbox(), "", &message(&format!("{number}.{operation}")));
                added += 1;
            }
            (2, Some(uid)) => removed += mailbox.expunge(&set(&[uid])).unwrap().done.len(),
            (3 | 4, Some(uid)) => {
                let change = if dice.roll(2) == 0 { FlagChange::Add } else { FlagChange::Remove };
                let which = ["\\Seen", "\\Flagged", "$a", "$b"][dice.roll(4) as usize];
                for (uid, after) in mailbox.store(&set(&[uid]), change, &flags(which), None).unwrap().flags {
                    mirror.messages.insert(uid, after);
                }
            }
            (_, Some(uid)) => match content(&mut *mailbox, uid) {
                Ok(octets) => assert!(octets.starts_with(b"Subject: ")),
                Err(StoreError::Expunged) => {}
                Err(error) => panic!("{error:?}"),
            },
        }
        mirror.agree(&*mailbox);
        if dice.roll(3) == 0 {
            mirror.sync(&mut *mailbox);
        }
    }
    mirror.sync(&mut *mailbox);
    (added, removed)
}

fn flags_of(server: &Server) -> Vec<(Uid, Flags)> {
    let mailbox = open(&mut *server.store(), &inbox());
    mailbox.uids().iter().map(|uid| (uid, mailbox.flags(uid).unwrap())).collect()
}

on_both_stores! {
    fn three_sessions_see_a_consistent_mailbox(server) {
        three(&mut *server.store());
        let mut witness = open(&mut *server.store(), &inbox());
        let mut mirror = Mirror::of(&*witness);
        let stores: Vec<_> = (0..SESSIONS).map(|_| server.store()).collect();
        let counts: Vec<(usize, usize)> = std::thread::scope(|scope| {
            let spawn = |(n, store)| scope.spawn(move || session(store, n as u32));
            let threads: Vec<_> = stores.into_iter().enumerate().map(spawn).collect();
            while !threads.iter().all(|thread| thread.is_finished()) {
                mirror.sync(&mut *witness);
                std::thread::yield_now();
            }
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        mirror.sync(&mut *witness);
        let (added, removed) = counts.iter().fold((3, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        assert_eq!(mirror.messages.len(), added - removed, "a message was lost, doubled or expunged twice");
        assert_eq!(mirror.messages.into_iter().collect::<Vec<_>>(), flags_of(server));
    }
}

/// Who was seen where: what a UID of a mailbox showed once it shows for ever.
pub type Witnessed = Mutex<HashMap<(UidValidity, Uid), Vec<u8>>>;

/// One session that adds, moves, marks and removes messages in two mailboxes; says how many it added and removed.
pub fn mover(mut store: Box<dyn MailStore>, number: u32, homes: &[MailboxName; 2], seen: &Witnessed) -> (usize, usize) {
    let mut dice = Dice(number * 7919 + 13);
    let mut mailboxes = [open(&mut *store, &homes[0]), open(&mut *store, &homes[1])];
    let mut mirrors = [Mirror::of(&*mailboxes[0]), Mirror::of(&*mailboxes[1])];
    let (mut added, mut removed) = (0, 0);
    for operation in 0..OPERATIONS {
        let which = dice.roll(2) as usize;
        let (mailbox, mirror) = (&mut mailboxes[which], &mut mirrors[which]);
        let any = mirror.messages.keys().nth(dice.roll(mirror.messages.len().max(1) as u32) as usize).copied();
        let Some(uid) = any.filter(|_| dice.roll(6) > 0) else {
            append(&mut *store, &homes[which], "$early", &message(&format!("{number}.{operation}")));
            added += 1;
            mirror.sync(&mut **mailbox);
            continue;
        };
        match dice.roll(5) {
            0 if dice.roll(3) == 0 => removed += mailbox.expunge(&set(&[uid])).unwrap().done.len(),
            0 | 1 => drop(mailbox.move_to(&set(&[uid]), &homes[1 - which]).unwrap()),
            2 => {
                let change = if dice.roll(2) == 0 { FlagChange::Add } else { FlagChange::Remove };
                let given = ["\\Seen", "$early", "late", "later"][dice.roll(4) as usize];
                for (uid, after) in mailbox.store(&set(&[uid]), change, &flags(given), None).unwrap().flags {
                    mirror.messages.insert(uid, after);
                }
            }
            3 => match content(&mut **mailbox, uid) {
                Ok(octets) => {
                    let mut seen = seen.lock().unwrap();
                    let before = seen.entry((mailbox.uid_validity(), uid)).or_insert_with(|| octets.clone());
                    assert_eq!(*before, octets, "{uid} is another message now");
                }
                Err(StoreError::Expunged) => {}
                Err(error) => panic!("{error:?}"),
            },
            _ => mirror.sync(&mut **mailbox),
        }
        mirror.agree(&**mailbox);
    }
    (added, removed)
}

/// What lies in both mailboxes in the end, sorted.
pub fn all_contents(store: &mut dyn MailStore, homes: &[MailboxName; 2]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = homes.iter().flat_map(|home| contents(&mut *open(store, home))).collect();
    all.sort();
    all
}

/// So that the keywords which sessions give have letters or have none.
pub fn take_letters(store: &mut dyn MailStore, homes: &[MailboxName; 2]) {
    for home in homes {
        let given = (0..25).map(|n| format!("other{n} ")).collect::<String>();
        let uid = append(store, home, &format!("$early {given}"), b"x");
        open(store, home).expunge(&set(&[uid])).unwrap();
    }
}

on_both_stores! {
    fn messages_moved_to_and_fro_are_neither_lost_nor_doubled(server) {
        let homes = [inbox(), name("there")];
        server.store().create(&homes[1], None).unwrap();
        take_letters(&mut *server.store(), &homes);
        let (seen, stores) = (Witnessed::default(), (0..SESSIONS).map(|_| server.store()).collect::<Vec<_>>());
        let (added, removed) = std::thread::scope(|scope| {
            let spawn = |(n, store)| scope.spawn({ let (homes, seen) = (&homes, &seen); move || mover(store, n as u32, homes, seen) });
            let threads: Vec<_> = stores.into_iter().enumerate().map(spawn).collect();
            threads.into_iter().map(|t| t.join().unwrap()).fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
        });
        let mut all = all_contents(&mut *server.store(), &homes);
        assert_eq!(all.len(), added - removed);
        all.dedup();
        assert_eq!(all.len(), added - removed, "a message is there twice");
    }
}
