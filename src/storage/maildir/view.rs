//! What one session shows of a folder: for each message its UID, letters and modseq, as of the last look at the index.

use super::file_name::Letters;
use super::index::chunk::{Packed, Row};
use super::index::record::Record;
use super::index::{Index, Reading, Result};
use crate::storage::Changes;
use crate::types::{ModSeq, Uid, UidSet};
use std::cell::Cell;

/// A message of the view: 24 octets, so that a million are no burden.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    pub uid: Uid,
    /// It has keywords beyond the 26 letters.
    pub more: bool,
    pub letters: Packed,
    pub modseq: u64,
}

impl Shown {
    fn new(row: &Row) -> Option<Self> {
        Some(Self { uid: Uid::new(row.uid)?, more: row.has_more(), letters: row.letters, modseq: row.modseq })
    }

    pub fn letters(&self) -> Letters {
        self.letters.letters()
    }
}

/// The messages of a folder as of the last look.
#[derive(Debug)]
pub struct View {
    /// Ascending.
    messages: Vec<Shown>,
    uids: UidSet,
    /// Where the message is that was asked for last.
    near: Cell<usize>,
    /// The index and the mailbox's number in it; `None` before the first look.
    of: Option<(u64, u32)>,
    /// The record's version then.
    version: u64,
    /// HIGHESTMODSEQ then.
    highest: ModSeq,
    /// Of what this session itself changed since.
    own: ModSeq,
}

impl View {
    pub fn new() -> Self {
        let (messages, uids) = (Vec::new(), UidSet::new());
        Self { messages, uids, near: Cell::new(0), of: None, version: 0, highest: ModSeq::MIN, own: ModSeq::MIN }
    }

    pub fn uids(&self) -> &UidSet {
        &self.uids
    }

    pub fn messages(&self) -> &[Shown] {
        &self.messages
    }

    pub fn get(&self, uid: Uid) -> Option<&Shown> {
        // Mostly it is the one asked for before, or the next.
        let near = self.near.get();
        for at in [near, near + 1] {
            if let Some(shown) = self.messages.get(at).filter(|shown| shown.uid == uid) {
                self.near.set(at);
                return Some(shown);
            }
        }
        let at = self.messages.binary_search_by_key(&uid, |shown| shown.uid).ok()?;
        self.near.set(at);
        self.messages.get(at)
    }

    /// The mailbox's number in this index, if the last look was at it.
    pub fn number_in(&self, index: &Index) -> Option<u32> {
        self.of.filter(|of| of.0 == index.id).map(|of| of.1)
    }

    /// HIGHESTMODSEQ of what is shown.
    pub fn highest(&self) -> ModSeq {
        self.highest.max(self.own)
    }

    /// This session changed a message, which from now on is shown so.
    pub fn show(&mut self, row: &Row) {
        let Some(shown) = Shown::new(row) else { return };
        if let Ok(at) = self.messages.binary_search_by_key(&shown.uid, |shown| shown.uid)
            && let Some(place) = self.messages.get_mut(at)
        {
            *place = shown;
            self.own = ModSeq::new(row.modseq).map_or(self.own, |modseq| self.own.max(modseq));
        }
    }

    /// Takes over what the index has now, and says what changed: only what differs for the client, not what this session did itself.
    pub fn adopt(&mut self, index: &Index, reading: &Reading<'_>, record: &Record) -> Result<Changes> {
        let of = (index.id, record.number);
        if self.of == Some(of) && self.version == record.version {
            return Ok(Changes::default());
        }
        let changes = if self.of == Some(of) && self.highest >= record.floor {
            self.adopt_changes(reading, record)?
        } else {
            self.adopt_all(reading, record)?
        };
        // The clock of a mailbox that is new to the index may be behind what was shown.
        (self.of, self.version, self.highest) = (Some(of), record.version, record.highest.max(self.highest()));
        Ok(changes)
    }

    fn adopt_changes(&mut self, reading: &Reading<'_>, record: &Record) -> Result<Changes> {
        let mut changes = Changes::default();
        if self.highest == record.highest {
            return Ok(changes);
        }
        let since = self.highest.get();
        let last = self.uids.last().map_or(0, Uid::get);
        // All of it is read before anything is shown: it may turn out to be damaged, and then each change is to be told from another index.
        let (mut news, mut messages) = (Vec::new(), 0);
        for chunk in reading.chunks(record.number)? {
            let chunk = chunk?;
            messages += chunk.rows.len();
            if chunk.rows.highest() > since {
                news.extend(chunk.rows.iter().filter(|row| row.modseq > since).filter_map(|row| Shown::new(&row)));
            }
        }
        record.check_count(messages)?;
        let expunged = reading.expunged_since(record.number, self.highest)?;
        for now in news {
            if now.uid.get() > last {
                changes.arrived.insert(now.uid);
                self.messages.push(now);
            } else if let Ok(at) = self.messages.binary_search_by_key(&now.uid, |shown| shown.uid)
                && let Some(shown) = self.messages.get_mut(at)
            {
                if differs(shown, &now) {
                    changes.flags.insert(now.uid);
                }
                *shown = now;
            }
        }
        changes.expunged = expunged.intersection(&self.uids);
        self.settle(&mut changes);
        Ok(changes)
    }

    fn adopt_all(&mut self, reading: &Reading<'_>, record: &Record) -> Result<Changes> {
        let mut changes = Changes::default();
        let mut now: Vec<Shown> = Vec::with_capacity(record.messages as usize);
        let mut messages = 0;
        for chunk in reading.chunks(record.number)? {
            let chunk = chunk?;
            messages += chunk.rows.len();
            now.extend(chunk.rows.iter().filter_map(|row| Shown::new(&row)));
        }
        record.check_count(messages)?;
        let uids: UidSet = now.iter().map(|shown| shown.uid).collect();
        if self.uids.is_empty() {
            changes.arrived = uids.clone();
            (self.messages, self.uids) = (now, uids);
            return Ok(changes);
        }
        changes.expunged = self.uids.difference(&uids);
        let last = self.uids.last();
        for shown in &now {
            match self.get(shown.uid) {
                Some(before) if differs(before, shown) => changes.flags.insert(shown.uid),
                Some(_) => {}
                None if last.is_none_or(|last| shown.uid > last) => changes.arrived.insert(shown.uid),
                // It cannot be told: a UID below the last that the client knows.
                None => {}
            }
        }
        now.retain(|shown| last.is_none_or(|last| shown.uid > last) || self.uids.contains(shown.uid));
        self.messages = now;
        self.uids = self.uids.difference(&changes.expunged).union(&changes.arrived);
        Ok(changes)
    }

    fn settle(&mut self, changes: &mut Changes) {
        changes.flags = changes.flags.difference(&changes.expunged);
        if !changes.expunged.is_empty() {
            let expunged = &changes.expunged;
            self.messages.retain(|shown| !expunged.contains(shown.uid));
        }
        if !changes.arrived.is_empty() || !changes.expunged.is_empty() {
            self.uids = self.uids.difference(&changes.expunged).union(&changes.arrived);
        }
    }
}

/// Whether the client must be told of other flags.
fn differs(before: &Shown, now: &Shown) -> bool {
    before.modseq != now.modseq && (before.letters != now.letters || before.more || now.more)
}
