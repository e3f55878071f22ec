//! Tables whose values are sealed, with a checksum over each value, its table and its key: whatever a disk, or a hand, changed is found when it is read, and so is a value that turns up
//! under another key than it was written under. It is no protection against somebody who means it: the index is the user's own.

use super::{Failure, Result};
use heed::types::Bytes;
use heed::{AnyTls, Database, RoTxn, RwTxn};
use std::ops::Bound;

/// Octets of a seal, which stands before the value.
pub const SEAL: usize = 8;

/// A table of the database: octets to octets.
#[derive(Clone, Copy)]
pub struct Table {
    name: &'static str,
    pub database: Database<Bytes, Bytes>,
}

type Range<'k> = (Bound<&'k [u8]>, Bound<&'k [u8]>);
/// Key and value.
type Item<'t> = Result<(&'t [u8], &'t [u8])>;

impl Table {
    pub fn new(name: &'static str, database: Database<Bytes, Bytes>) -> Self {
        Self { name, database }
    }

    pub fn get<'t>(&self, txn: &'t RoTxn<'_, AnyTls>, key: &[u8]) -> Result<Option<&'t [u8]>> {
        self.database.get(txn, key)?.map(|sealed| open(self.name, key, sealed)).transpose()
    }

    /// The entry of the greatest key that is not greater than this.
    pub fn get_up_to<'t>(&self, txn: &'t RoTxn<'_, AnyTls>, key: &[u8]) -> Result<Option<(&'t [u8], &'t [u8])>> {
        let found = self.database.get_lower_than_or_equal_to(txn, key)?;
        found.map(|(key, sealed)| Ok((key, open(self.name, key, sealed)?))).transpose()
    }

    pub fn with_prefix<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Item<'t>> + use<'t>> {
        let name = self.name;
        Ok(self.database.prefix_iter(txn, prefix)?.map(move |entry| {
            let (key, sealed) = entry?;
            Ok((key, open(name, key, sealed)?))
        }))
    }

    /// The keys alone: values are not looked at.
    pub fn keys<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<&'t [u8]>> + use<'t>> {
        Ok(self.database.prefix_iter(txn, prefix)?.map(|entry| Ok(entry?.0)))
    }

    pub fn range<'t>(
        &self,
        txn: &'t RoTxn<'_, AnyTls>,
        range: Range<'_>,
    ) -> Result<impl Iterator<Item = Item<'t>> + use<'t>> {
        let name = self.name;
        Ok(self.database.range(txn, &range)?.map(move |entry| {
            let (key, sealed) = entry?;
            Ok((key, open(name, key, sealed)?))
        }))
    }

    pub fn put(&self, txn: &mut RwTxn<'_>, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.database.put(txn, key, &seal(self.name, key, value))?)
    }

    pub fn delete(&self, txn: &mut RwTxn<'_>, key: &[u8]) -> Result<()> {
        self.database.delete(txn, key)?;
        Ok(())
    }

    pub fn delete_range(&self, txn: &mut RwTxn<'_>, range: Range<'_>) -> Result<()> {
        self.database.delete_range(txn, &range)?;
        Ok(())
    }
}

/// Arbitrary odd numbers with as many ones as zeroes.
const MULTIPLIERS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0xaef1_7502_b3dc_92c5, 0x8cb9_2ba7_2f3d_8dd7];

/// The upper half of a product has a bit of each bit of both; the lower half undoes no factor that is odd.
fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Four sums side by side, since a processor multiplies while it waits for other products.
fn checksum(seed: u64, octets: &[u8]) -> u64 {
    let word = |octets: &[u8; 8]| u64::from_le_bytes(*octets);
    let mut sums = MULTIPLIERS.map(|multiplier| seed ^ multiplier);
    let (blocks, rest) = octets.as_chunks::<64>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (sum, pair) in sums.iter_mut().zip(words.chunks_exact(2)) {
            if let [a, b] = pair {
                *sum = mix(word(a) ^ 0xa076_1d64_78bd_642f, word(b) ^ *sum);
            }
        }
    }
    let [a, b, c, d] = sums;
    let mut sum = mix(a ^ b.rotate_left(17), c ^ d.rotate_left(31) ^ 0xe703_7ed1_a0b4_28db) ^ octets.len() as u64;
    let (words, last) = rest.as_chunks::<8>();
    for octets in words {
        sum = mix(word(octets) ^ 0xa076_1d64_78bd_642f, sum ^ 0x8ebc_6af0_9c88_c6e3);
    }
    let mut tail = [0; 8];
    tail.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
    mix(word(&tail) ^ 0xa076_1d64_78bd_642f, sum ^ 0x8ebc_6af0_9c88_c6e3)
}

fn seal_of(table: &str, key: &[u8], value: &[u8]) -> [u8; SEAL] {
    let seed = checksum(checksum(0, table.as_bytes()), key);
    checksum(seed, value).to_le_bytes()
}

/// The value as it is to be written under this key of this table.
pub fn seal(table: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
    [&seal_of(table, key, value)[..], value].concat()
}

/// The value that was written under this key of this table; [`Failure::Damaged`] if this is another.
pub fn open<'v>(table: &str, key: &[u8], sealed: &'v [u8]) -> Result<&'v [u8]> {
    match sealed.split_first_chunk() {
        Some((seal, value)) if *seal == seal_of(table, key, value) => Ok(value),
        _ => Err(Failure::Damaged(format!("a value of {table}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_and_every_flipped_bit_is_found() {
        for length in [0, 1, 7, 8, 9, 63, 64, 65, 200, 4096] {
            let value: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let sealed = seal("rows", b"key", &value);
            assert_eq!(open("rows", b"key", &sealed).unwrap(), value);
            assert!(open("names", b"key", &sealed).is_err() && open("rows", b"kez", &sealed).is_err());
            for bit in 0..sealed.len() * 8 {
                let mut damaged = sealed.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(open("rows", b"key", &damaged).is_err(), "{length} {bit}");
            }
            let longer = [&sealed[..], &[0]].concat();
            assert!(
                open("rows", b"key", &longer).is_err() && open("rows", b"key", &sealed[..sealed.len() - 1]).is_err()
            );
        }
        assert!(open("rows", b"key", &[0; 4096]).is_err());
    }
}
