//! What a look at directories found: very many names, with eight octets for each beside the name itself.

use super::file_name;
use super::folder::{Folder, Place};
use super::scan::{Said, each_message};
use super::texts::{Text, Texts};
use crate::storage::{Result, StoreError};
use std::io;

/// Names found in a folder.
#[derive(Debug, Default)]
pub struct Listing {
    names: Texts,
    pub found: Vec<Found>,
}

#[derive(Clone, Copy, Debug)]
pub struct Found {
    name: Text,
    pub place: Place,
    sign: Sign,
}

/// What else is known of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    None,
    Fresh,
    Unsure,
    FreshAndUnsure,
}

impl Found {
    /// It was moved from `new` by this scan, or still lies there.
    pub fn fresh(self) -> bool {
        matches!(self.sign, Sign::Fresh | Sign::FreshAndUnsure)
    }

    /// The directory did not say what it is.
    pub fn unsure(self) -> bool {
        matches!(self.sign, Sign::Unsure | Sign::FreshAndUnsure)
    }

    pub fn set_fresh(&mut self, fresh: bool) {
        self.sign = Sign::of(fresh, self.unsure());
    }
}

impl Sign {
    fn of(fresh: bool, unsure: bool) -> Self {
        match (fresh, unsure) {
            (false, false) => Self::None,
            (true, false) => Self::Fresh,
            (false, true) => Self::Unsure,
            (true, true) => Self::FreshAndUnsure,
        }
    }
}

impl Listing {
    /// For names in this folder, which may be very many.
    pub fn of(folder: &Folder) -> Self {
        Self { names: Texts::in_tmp(Some(folder.tmp.clone())), found: Vec::new() }
    }

    pub fn add(&mut self, name: &[u8], place: Place, fresh: bool, unsure: bool) {
        let name = self.names.add(name);
        self.found.push(Found { name, place, sign: Sign::of(fresh, unsure) });
    }

    pub fn name(&self, found: &Found) -> &[u8] {
        self.names.get(found.name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Found, &[u8])> {
        self.found.iter().map(|f| (f, self.name(f)))
    }

    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// An error if there was no room for a name: nothing can be said then of what is gone.
    pub fn check(&self) -> Result<()> {
        if self.names.overflowed() { Err(StoreError::Limit("too many files")) } else { Ok(()) }
    }

    /// Adds the messages of a directory.
    pub fn read(&mut self, folder: &Folder, place: Place, said: &mut Said) -> io::Result<()> {
        each_message(folder, place, said, |name, unsure| self.add(name, place, place == Place::New, unsure))
    }

    /// Sorts by the order of arrival; names of one base stand in the order in which they were found.
    pub fn sort(&mut self) {
        // Most are told apart by the moment in their names, which is read once for each.
        let found = std::mem::take(&mut self.found);
        let mut sorted: Vec<(u64, Found)> =
            found.into_iter().map(|f| (file_name::rough_arrival(self.name(&f)), f)).collect();
        sorted.sort_unstable_by(|(a_rough, a), (b_rough, b)| {
            let exact = || file_name::arrival(self.name(a)).cmp(&file_name::arrival(self.name(b)));
            a_rough.cmp(b_rough).then_with(exact).then_with(|| a.name.cmp(&b.name))
        });
        self.found = sorted.into_iter().map(|(_, found)| found).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_eight_octets_beside_itself() {
        assert_eq!(size_of::<Found>(), 8);
    }

    #[test]
    fn names_are_sorted_by_arrival_and_those_of_one_base_as_they_were_found() {
        let mut listing = Listing::default();
        let names =
            ["9.x:2,", "10.M5P1.h:2,T", "10.M40P1.h", "x", "10.M5P1.h:2,", "10.H7.h", "10.M5P0.h", "10.M5P1.h:2,S"];
        names.iter().for_each(|name| listing.add(name.as_bytes(), Place::Cur, name.ends_with('S'), name.len() == 1));
        listing.sort();
        let sorted: Vec<&str> = listing.iter().map(|(_, name)| str::from_utf8(name).unwrap()).collect();
        let wanted =
            ["x", "9.x:2,", "10.H7.h", "10.M5P0.h", "10.M5P1.h:2,T", "10.M5P1.h:2,", "10.M5P1.h:2,S", "10.M40P1.h"];
        assert_eq!(sorted, wanted);
        let signs: Vec<(bool, bool)> = listing.found.iter().map(|found| (found.fresh(), found.unsure())).collect();
        assert_eq!((signs[0], signs[6], signs[7]), ((false, true), (true, false), (false, false)));
    }
}
