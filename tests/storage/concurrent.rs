//! Three sessions at once on one mailbox. Each keeps a mirror by what sync tells it, and the mirror always agrees with the mailbox.

use crate::mail::*;
use crate::on_both_stores;
use crate::support::Server;
use imapd::testing::storage::{MailStore, Mailbox, StoreError};
use imapd::testing::types::flag::FlagChange;
use imapd::testing::types::{Flags, Uid};
use std::collections::BTreeMap;

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
            (2, Some(uid)) => removed += mailbox.expunge(&set(&[uid])).unwrap().len(),
            (3 | 4, Some(uid)) => {
                let change = if dice.roll(2) == 0 { FlagChange::Add } else { FlagChange::Remove };
                let which = ["\\Seen", "\\Flagged", "$a", "$b"][dice.roll(4) as usize];
                for (uid, after) in mailbox.store(&set(&[uid]), change, &flags(which)).unwrap() {
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
