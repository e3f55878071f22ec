//! A hash table that holds numbers only: what they stand for lies elsewhere, and is compared there.

use std::hash::{BuildHasher, RandomState};

/// Ordinals, to be found by the octets that each stands for.
#[derive(Debug, Default)]
pub struct Slots {
    /// An ordinal and one more; zero is free. Their number is a power of two, at least twice that of the ordinals.
    slots: Vec<u32>,
    hasher: RandomState,
}

impl Slots {
    pub fn with_room_for(count: usize) -> Self {
        Self { slots: vec![0; (count * 2).next_power_of_two().max(8)], hasher: RandomState::new() }
    }

    /// There must be room for it.
    pub fn put(&mut self, octets: &[u8], ordinal: usize) {
        let Ok(number) = u32::try_from(ordinal + 1) else { return };
        let mut slot = self.first(octets);
        while let Some(place) = self.slots.get_mut(slot) {
            if *place == 0 {
                *place = number;
                return;
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    /// The first ordinal of these octets that is the one.
    pub fn find(&self, octets: &[u8], is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let mut slot = self.first(octets);
        loop {
            let ordinal = (*self.slots.get(slot)? as usize).checked_sub(1)?;
            if is_it(ordinal) {
                return Some(ordinal);
            }
            slot = (slot + 1) % self.slots.len();
        }
    }

    fn first(&self, octets: &[u8]) -> usize {
        self.hasher.hash_one(octets) as usize & self.slots.len().saturating_sub(1)
    }
}
