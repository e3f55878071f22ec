//! Match the names that directories show with the messages that the index has. Nothing is kept per message but a few octets; names are compared
//! where they lie in the database.

use super::file_name;
use super::folder::Place;
use super::index::chunk::{Names, Row, Rows};
use super::index::{Failure, Reading, Result};
use super::scan::Listing;
use crate::types::{Uid, UidSet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// A file of a message, by its directory and name.
pub type Seat = (Place, Vec<u8>);

/// Two files of one base.
pub struct Conflict {
    pub seats: [Seat; 2],
    /// Which of them the index has, or which came just now.
    pub known: [bool; 2],
    pub fresh: [bool; 2],
}

/// The messages of the index, to be found by the base of a name.
struct Known<'t> {
    chunks: Vec<(Rows<'t>, Names<'t>)>,
    /// Chunk and place in it, ascending by UID.
    messages: Vec<(u32, u32)>,
    /// Ordinal in `messages` and one more, by hash; zero is free.
    slots: Vec<u32>,
    hasher: RandomState,
}

impl<'t> Known<'t> {
    fn new(reading: &'t Reading<'_>, mailbox: u32, wanted: impl Fn(&Row, &[u8]) -> bool) -> Result<Self> {
        let mut known =
            Self { chunks: Vec::new(), messages: Vec::new(), slots: Vec::new(), hasher: RandomState::new() };
        for chunk in reading.chunks(mailbox)? {
            let chunk = chunk?;
            let names = reading.names(mailbox, chunk)?;
            let number = u32::try_from(known.chunks.len()).map_err(|_| Failure::damaged("too many chunks"))?;
            for (at, row) in (0u32..).zip(chunk.rows.iter()) {
                let (kept, _) = names.get(at as usize).ok_or(Failure::damaged("a name"))?;
                if wanted(&row, file_name::base(kept)) {
                    known.messages.push((number, at));
                }
            }
            known.chunks.push((chunk.rows, names));
        }
        known.slots = vec![0; (known.messages.len() * 2).next_power_of_two().max(8)];
        for ordinal in 0..known.messages.len() {
            let Some((_, base)) = known.get(ordinal) else { continue };
            let mut slot = known.slot(base);
            while known.slots.get(slot).is_some_and(|&taken| taken != 0) {
                slot = (slot + 1) % known.slots.len();
            }
            if let (Some(place), Ok(number)) = (known.slots.get_mut(slot), u32::try_from(ordinal + 1)) {
                *place = number;
            }
        }
        Ok(known)
    }

    fn slot(&self, base: &[u8]) -> usize {
        // The number of slots is a power of two.
        self.hasher.hash_one(base) as usize & (self.slots.len() - 1)
    }

    /// The row of a message and the base of its name.
    fn get(&self, ordinal: usize) -> Option<(Row, &'t [u8])> {
        let (row, kept) = self.entry(ordinal)?;
        Some((row, file_name::base(kept)))
    }

    fn entry(&self, ordinal: usize) -> Option<(Row, &'t [u8])> {
        let &(chunk, at) = self.messages.get(ordinal)?;
        let (rows, names) = self.chunks.get(chunk as usize)?;
        Some((rows.get(at as usize)?, names.get(at as usize)?.0))
    }

    fn find(&self, base: &[u8]) -> Option<usize> {
        let mut slot = self.slot(base);
        loop {
            let ordinal = (*self.slots.get(slot)? as usize).checked_sub(1)?;
            if self.get(ordinal).is_some_and(|(_, known)| known == base) {
                return Some(ordinal);
            }
            slot = (slot + 1) % self.slots.len();
        }
    }
}

/// What a look at the directories found.
pub struct Matching<'t> {
    known: Option<Known<'t>>,
    seen: Vec<bool>,
    /// Messages whose files have other names, or lie elsewhere, than the index has.
    pub renamed: BTreeMap<u32, Seat>,
    /// Files whose bases nobody knows.
    pub strangers: Listing,
    pub conflicts: Vec<Conflict>,
    /// A message that the index has in `cur` was met among what came just now.
    pub came_again: bool,
}

impl<'t> Matching<'t> {
    /// For a look at everything: all messages of the mailbox but those of these UIDs.
    pub fn of_all(reading: &'t Reading<'_>, mailbox: Option<u32>, but: &HashSet<u32>) -> Result<Self> {
        Self::of(reading, mailbox, |row, _| !but.contains(&row.uid))
    }

    /// For a look at `new` alone: the messages whose files these could be, and those that lie there.
    pub fn of_some(
        reading: &'t Reading<'_>,
        mailbox: Option<u32>,
        names: &Listing,
        but: &HashSet<u32>,
    ) -> Result<Self> {
        let bases: HashSet<&[u8]> = names.iter().map(|(_, name)| file_name::base(name)).collect();
        Self::of(reading, mailbox, |row, base| {
            !but.contains(&row.uid) && (row.place() == Place::New || bases.contains(base))
        })
    }

    fn of(reading: &'t Reading<'_>, mailbox: Option<u32>, wanted: impl Fn(&Row, &[u8]) -> bool) -> Result<Self> {
        let known = mailbox.map(|mailbox| Known::new(reading, mailbox, wanted)).transpose()?;
        let count = known.as_ref().map_or(0, |known| known.messages.len());
        Ok(Self {
            known,
            seen: vec![false; count],
            renamed: BTreeMap::new(),
            strangers: Listing::default(),
            conflicts: Vec::new(),
            came_again: false,
        })
    }

    /// A file was listed.
    pub fn sight(&mut self, place: Place, name: &[u8], fresh: bool, unsure: bool) {
        let found = self.known.as_ref().and_then(|known| {
            let ordinal = known.find(file_name::base(name))?;
            Some((ordinal, known.entry(ordinal)?))
        });
        let Some((ordinal, (row, kept))) = found else {
            self.strangers.add(name, place, fresh, unsure);
            return;
        };
        let is_known = row.is_named(kept, place, name);
        self.came_again |= fresh && row.place() == Place::Cur;
        if self.seen.get(ordinal) == Some(&true) {
            let before = self.renamed.get(&row.uid).cloned();
            let before_known = before.is_none();
            let before = before.unwrap_or_else(|| (row.place(), row.name(kept)));
            if before.0 != place || before.1 != name {
                self.conflicts.push(Conflict {
                    seats: [before, (place, name.to_vec())],
                    known: [before_known, is_known],
                    fresh: [false, fresh],
                });
            }
        }
        if let Some(seen) = self.seen.get_mut(ordinal) {
            *seen = true;
        }
        if is_known {
            self.renamed.remove(&row.uid);
        } else {
            self.renamed.insert(row.uid, (place, name.to_vec()));
        }
    }

    /// Whether there is a message that was not seen.
    pub fn misses_any(&self) -> bool {
        self.seen.contains(&false)
    }

    /// A second listing, for what the first did not show.
    pub fn sight_missing(&mut self, place: Place, name: &[u8], unsure: bool) {
        let found = self.known.as_ref().and_then(|known| known.find(file_name::base(name)));
        if found.is_none_or(|ordinal| self.seen.get(ordinal) == Some(&false)) {
            self.sight(place, name, false, unsure);
        }
    }

    /// The messages that were not seen.
    pub fn missing(&self) -> UidSet {
        let known =
            self.known.iter().flat_map(|known| (0..known.messages.len()).filter_map(|at| Some((at, known.get(at)?))));
        known
            .filter(|(at, _)| self.seen.get(*at) == Some(&false))
            .filter_map(|(_, (row, _))| Uid::new(row.uid))
            .collect()
    }

    /// Messages that were not seen, and strangers whose names differ from theirs in nothing but sizes, are the same: some program put a
    /// wrong size right. Gives their UIDs.
    pub fn match_by_unique_part(&mut self) -> Vec<u32> {
        let Some(known) = &self.known else { return Vec::new() };
        if self.strangers.is_empty() || !self.seen.contains(&false) {
            return Vec::new();
        }
        let mut missing: HashMap<&[u8], usize> = HashMap::new();
        for (ordinal, _) in self.seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            if let Some((_, base)) = known.get(ordinal) {
                missing.insert(file_name::unique_part(base), ordinal);
            }
        }
        let mut strangers = Listing::default();
        let mut matched = Vec::new();
        for (found, name) in self.strangers.iter() {
            match missing.remove(file_name::unique_part(name)).and_then(|ordinal| Some((ordinal, known.get(ordinal)?)))
            {
                Some((ordinal, (row, _))) => {
                    self.renamed.insert(row.uid, (found.place, name.to_vec()));
                    matched.push(row.uid);
                    if let Some(seen) = self.seen.get_mut(ordinal) {
                        *seen = true;
                    }
                }
                None => strangers.add(name, found.place, found.fresh, found.unsure),
            }
        }
        self.strangers = strangers;
        matched
    }

    /// Sorts the strangers by base, each once; two files of one base are a conflict.
    pub fn sort_strangers(&mut self) {
        let mut sorted: Vec<_> = self.strangers.iter().map(|(f, name)| (file_name::base(name), f, name)).collect();
        // A stable sort: what was listed last comes last, and counts.
        sorted.sort_by(|a, b| a.0.cmp(b.0));
        let mut strangers = Listing::default();
        for same in sorted.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(_, first, name)) = same.first() else { continue };
            let (mut last, mut fresh) = ((first, name), first.fresh);
            for &(_, found, name) in same.iter().skip(1) {
                if found.place != last.0.place || name != last.1 {
                    self.conflicts.push(Conflict {
                        seats: [(last.0.place, last.1.to_vec()), (found.place, name.to_vec())],
                        known: [false, false],
                        fresh: [last.0.fresh, found.fresh],
                    });
                }
                fresh |= found.fresh;
                last = (found, name);
            }
            strangers.add(last.1, last.0.place, fresh, last.0.unsure);
        }
        self.strangers = strangers;
    }
}
