//! Match the names that directories show with the messages that the index has. Nothing is kept per message but a few octets; names are compared
//! where they lie in the database.

use super::file_name;
use super::folder::{Folder, Place};
use super::index::chunk::{Names, Row, Rows};
use super::index::{Failure, Reading, Result};
use super::listing::{Found, Listing};
use super::slots::Slots;
use crate::types::{Uid, UidSet};
use std::collections::{BTreeMap, HashMap, HashSet};

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
    slots: Slots,
}

impl<'t> Known<'t> {
    fn new(reading: &'t Reading<'_>, mailbox: u32, wanted: impl Fn(&Row, &[u8]) -> bool) -> Result<Self> {
        let mut known = Self { chunks: Vec::new(), messages: Vec::new(), slots: Slots::default() };
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
        known.slots = Slots::with_room_for(known.messages.len());
        for ordinal in 0..known.messages.len() {
            if let Some((_, base)) = known.get(ordinal) {
                known.slots.put(base, ordinal);
            }
        }
        Ok(known)
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
        self.slots.find(base, |ordinal| self.get(ordinal).is_some_and(|(_, known)| known == base))
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
    pub fn of_all(reading: &'t Reading<'_>, mailbox: Option<u32>, folder: &Folder, but: &HashSet<u32>) -> Result<Self> {
        Self::of(reading, mailbox, folder, |row, _| !but.contains(&row.uid))
    }

    /// For a look at `new` alone: the messages whose files these could be, and those that lie there.
    pub fn of_some(
        reading: &'t Reading<'_>,
        mailbox: Option<u32>,
        folder: &Folder,
        names: &Listing,
        but: &HashSet<u32>,
    ) -> Result<Self> {
        let bases: HashSet<&[u8]> = names.iter().map(|(_, name)| file_name::base(name)).collect();
        Self::of(reading, mailbox, folder, |row, base| {
            !but.contains(&row.uid) && (row.place() == Place::New || bases.contains(base))
        })
    }

    fn of(
        reading: &'t Reading<'_>,
        mailbox: Option<u32>,
        folder: &Folder,
        wanted: impl Fn(&Row, &[u8]) -> bool,
    ) -> Result<Self> {
        let known = mailbox.map(|mailbox| Known::new(reading, mailbox, wanted)).transpose()?;
        let count = known.as_ref().map_or(0, |known| known.messages.len());
        Ok(Self {
            known,
            seen: vec![false; count],
            renamed: BTreeMap::new(),
            strangers: Listing::of(folder),
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

    /// A further listing, for what others did not show; of strangers only those that are `awaited`, since the rest is seen at the next look.
    pub fn sight_missing(&mut self, place: Place, name: &[u8], unsure: bool, awaited: impl FnOnce(&[u8]) -> bool) {
        let base = file_name::base(name);
        let is_missing = match self.known.as_ref().and_then(|known| known.find(base)) {
            Some(ordinal) => self.seen.get(ordinal) == Some(&false),
            None => awaited(base),
        };
        if is_missing {
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
        let mut matched = Vec::new();
        let mut found = std::mem::take(&mut self.strangers.found);
        found.retain(|found| {
            let name = self.strangers.name(found);
            let same = missing.remove(file_name::unique_part(name));
            let Some((ordinal, (row, _))) = same.and_then(|ordinal| Some((ordinal, known.get(ordinal)?))) else {
                return true;
            };
            self.renamed.insert(row.uid, (found.place, name.to_vec()));
            matched.push(row.uid);
            if let Some(seen) = self.seen.get_mut(ordinal) {
                *seen = true;
            }
            false
        });
        self.strangers.found = found;
        matched
    }

    /// Sorts the strangers by their arrival, each base once; two files of one base are a conflict.
    pub fn sort_strangers(&mut self) {
        self.strangers.sort();
        let mut kept: Vec<Found> = std::mem::take(&mut self.strangers.found);
        let names = &self.strangers;
        kept.dedup_by(|next, last| {
            let (name, before) = (names.name(next), names.name(last));
            if file_name::base(name) != file_name::base(before) {
                return false;
            }
            if next.place != last.place || name != before {
                self.conflicts.push(Conflict {
                    seats: [(last.place, before.to_vec()), (next.place, name.to_vec())],
                    known: [false, false],
                    fresh: [last.fresh(), next.fresh()],
                });
            }
            // What was listed last counts.
            next.set_fresh(next.fresh() || last.fresh());
            *last = *next;
            true
        });
        self.strangers.found = kept;
    }
}
