//! The database's file read page by page, without mapping it: whatever is wrong with it, this says so and does not fall over. For those who check an index, and
//! need neither a lock nor the library for that.
//!
//! A file of LMDB is pages. Two at its start are meta pages, of which the one of the later transaction counts: it has the roots of two trees, one of free pages and
//! one of names of tables, whose values are the roots of the tables. Pages that are reached from there do not change as long as that transaction is the last.

use super::{Failure, Result};
use std::collections::HashSet;
use std::io;

/// Octets of a page's own header, of a node's, and of a tree's description.
const PAGE_HEAD: usize = 16;
const NODE_HEAD: usize = 8;
const TREE: usize = 48;
/// Begins every meta page, behind the page's own header; with the version of the format behind it.
const MAGIC: u32 = 0xBEEF_C0DE;
const FORMAT: u32 = 1;
/// LMDB's own bound.
const DEEPEST: u16 = 32;
/// No page has this number: the root of an empty tree.
const NONE: u64 = u64::MAX;

const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const OVERFLOW: u16 = 4;
const META: u16 = 8;
/// The value lies on pages of its own; it is the root of a tree.
const BIG: u16 = 1;
const SUBTREE: u16 = 2;

/// Whether files have this layout here: numbers of 64 bits, the lowest octet first.
pub const READABLE: bool = cfg!(all(target_pointer_width = "64", target_endian = "little"));

/// Reads so many octets at this place of the file, or fails.
pub type ReadAt<'f> = dyn Fn(u64, &mut [u8]) -> io::Result<()> + 'f;

/// Is given table, key and value of an entry.
pub type Take<'t> = dyn FnMut(&[u8], &[u8], &[u8]) -> Result<()> + 't;

/// Is given flags, key and value of a node.
type TakeNode<'t> = dyn FnMut(u16, &[u8], &[u8]) -> Result<()> + 't;

/// Reads a whole database and gives each entry to `take`: table, key, value. Gives the number of its last transaction: who writes meanwhile makes another, and
/// what was found then means nothing.
pub fn read(file: &ReadAt<'_>, take: &mut Take<'_>) -> Result<u64> {
    let meta = newest(file)?;
    let mut pages = Pages { file, size: meta.page, last: meta.last, seen: HashSet::new(), are_numbers: false };
    pages.tree(&meta.names, b"", take)?;
    let mut free = HashSet::new();
    pages.are_numbers = true;
    pages.tree_of(&meta.free, &mut |_, _, list| {
        let (count, list) = list.split_first_chunk().ok_or(Failure::damaged("the list of free pages"))?;
        let numbers = list.as_chunks::<8>().0.iter().map(|octets| u64::from_le_bytes(*octets));
        let count = usize::try_from(u64::from_le_bytes(*count)).unwrap_or(usize::MAX);
        if list.len() / 8 < count {
            return Err(Failure::damaged("the list of free pages"));
        }
        free.extend(numbers.take(count));
        Ok(())
    })?;
    // A page that is in use and free would be written over.
    match free.iter().find(|page| **page < 2 || **page > pages.last || pages.seen.contains(page)) {
        Some(_) => Err(Failure::damaged("a page is free and in use")),
        None => Ok(meta.transaction),
    }
}

/// The number of the last transaction.
pub fn last_transaction(file: &ReadAt<'_>) -> Result<u64> {
    Ok(newest(file)?.transaction)
}

struct Meta {
    page: usize,
    free: Tree,
    names: Tree,
    last: u64,
    transaction: u64,
}

struct Tree {
    depth: u16,
    root: u64,
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

impl Tree {
    fn read(octets: &[u8]) -> Option<Self> {
        let tree = Self { depth: u16_at(octets, 6)?, root: u64_at(octets, 40)? };
        (tree.depth <= DEEPEST && (tree.root == NONE) == (tree.depth == 0)).then_some(tree)
    }
}

impl Meta {
    fn read(octets: &[u8], number: u64) -> Option<Self> {
        let content = octets.get(PAGE_HEAD..)?;
        let is_meta = u64_at(octets, 0)? == number && u16_at(octets, 10)? & META != 0;
        let known = u32_at(content, 0)? == MAGIC && u32_at(content, 4)? == FORMAT;
        let (free, names) = (content.get(24..24 + TREE)?, content.get(24 + TREE..24 + 2 * TREE)?);
        let page = usize::try_from(u32_at(free, 0)?).ok()?;
        let meta = Self {
            page,
            free: Tree::read(free)?,
            names: Tree::read(names)?,
            last: u64_at(content, 24 + 2 * TREE)?,
            transaction: u64_at(content, 32 + 2 * TREE)?,
        };
        (is_meta && known && page.is_power_of_two() && (512..=65_536).contains(&page)).then_some(meta)
    }
}

fn newest(file: &ReadAt<'_>) -> Result<Meta> {
    const META_LENGTH: usize = PAGE_HEAD + 24 + 2 * TREE + 16;
    let damaged = || Failure::damaged("its first pages");
    let mut octets = [0; META_LENGTH];
    read_at(file, 0, &mut octets)?;
    let first = Meta::read(&octets, 0).ok_or_else(damaged)?;
    read_at(file, first.page as u64, &mut octets)?;
    let second = Meta::read(&octets, 1).filter(|second| second.page == first.page).ok_or_else(damaged)?;
    Ok(if second.transaction > first.transaction { second } else { first })
}

fn read_at(file: &ReadAt<'_>, at: u64, into: &mut [u8]) -> Result<()> {
    file(at, into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::damaged("the file is cut off"),
        _ => error.into(),
    })
}

struct Pages<'f> {
    file: &'f ReadAt<'f>,
    size: usize,
    /// The number of the last page that was ever used.
    last: u64,
    seen: HashSet<u64>,
    /// The keys are numbers of transactions, and not in the order of their octets.
    are_numbers: bool,
}

/// A node of a page: key, value or the number of a page, and its flags.
struct Node<'p> {
    key: &'p [u8],
    flags: u16,
    /// Of a branch.
    child: u64,
    length: usize,
    value: &'p [u8],
}

impl<'p> Node<'p> {
    fn read(page: &'p [u8], at: usize, is_branch: bool) -> Option<Self> {
        let node = page.get(at..)?;
        let (low, high, flags) = (u16_at(node, 0)?, u16_at(node, 2)?, u16_at(node, 4)?);
        let number = u32::from(low) | u32::from(high) << 16;
        let (key, value) = node.get(NODE_HEAD..)?.split_at_checked(usize::from(u16_at(node, 6)?))?;
        let child = u64::from(number) | u64::from(flags) << 32;
        let length = usize::try_from(number).ok()?;
        let held = match (is_branch, flags & BIG != 0) {
            (true, _) => 0,
            (false, true) => 8,
            (false, false) => length,
        };
        Some(Self { key, flags, child, length, value: value.get(..held)? })
    }
}

impl Pages<'_> {
    /// The page of this number, which nobody has used before.
    fn page(&mut self, number: u64, into: &mut [u8]) -> Result<()> {
        if number < 2 || number > self.last || !self.seen.insert(number) {
            return Err(Failure::damaged("a page that cannot be there"));
        }
        let at = number.checked_mul(self.size as u64).ok_or(Failure::damaged("the number of a page"))?;
        read_at(self.file, at, into)?;
        if u64_at(into, 0) != Some(number) {
            return Err(Failure::damaged("a page is another"));
        }
        Ok(())
    }

    /// The tree of this table, or of the names of tables.
    fn tree(&mut self, tree: &Tree, table: &[u8], take: &mut Take<'_>) -> Result<()> {
        let mut tables = Vec::new();
        self.tree_of(tree, &mut |flags, key, value| match flags & SUBTREE != 0 {
            true if table.is_empty() => {
                tables.push((key.to_vec(), Tree::read(value).ok_or(Failure::damaged("the root of a table"))?));
                Ok(())
            }
            false if !table.is_empty() => take(table, key, value),
            _ => Err(Failure::damaged("a table within a table")),
        })?;
        tables.iter().try_for_each(|(name, tree)| self.tree(tree, name, take))
    }

    fn tree_of(&mut self, tree: &Tree, take: &mut TakeNode<'_>) -> Result<()> {
        if tree.depth == 0 { Ok(()) } else { self.below(tree.root, tree.depth, take) }
    }

    fn below(&mut self, number: u64, depth: u16, take: &mut TakeNode<'_>) -> Result<()> {
        let mut page = vec![0; self.size];
        self.page(number, &mut page)?;
        let is_branch = depth > 1;
        let damaged = || Failure::damaged("a page of a tree");
        let kind = u16_at(&page, 10).ok_or_else(damaged)?;
        let (lower, upper) = (u16_at(&page, 12).ok_or_else(damaged)?, u16_at(&page, 14).ok_or_else(damaged)?);
        let (lower, upper) = (usize::from(lower), usize::from(upper));
        let right_kind = kind & (BRANCH | LEAF | OVERFLOW | META) == if is_branch { BRANCH } else { LEAF };
        let nodes = lower.checked_sub(PAGE_HEAD).ok_or_else(damaged)? / 2;
        if !right_kind || lower > upper || upper > self.size || nodes < 1 + usize::from(is_branch) {
            return Err(damaged());
        }
        let mut last: Option<&[u8]> = None;
        for at in 0..nodes {
            let offset = usize::from(u16_at(&page, PAGE_HEAD + 2 * at).ok_or_else(damaged)?);
            let node = Node::read(&page, offset, is_branch).filter(|_| offset >= upper).ok_or_else(damaged)?;
            if !self.are_numbers && last.is_some_and(|last| last >= node.key) {
                return Err(Failure::damaged("keys out of order"));
            }
            last = (!is_branch || at > 0).then_some(node.key);
            if is_branch {
                self.below(node.child, depth - 1, take)?;
            } else if node.flags & BIG != 0 {
                let value = self.big(u64_at(node.value, 0).ok_or_else(damaged)?, node.length)?;
                take(node.flags, node.key, &value)?;
            } else {
                take(node.flags, node.key, node.value)?;
            }
        }
        Ok(())
    }

    /// A value on pages of its own.
    fn big(&mut self, first: u64, length: usize) -> Result<Vec<u8>> {
        let mut head = [0; PAGE_HEAD];
        self.page(first, &mut head)?;
        let needed = (PAGE_HEAD + length).div_ceil(self.size) as u64;
        let pages = u64::from(u32_at(&head, 12).unwrap_or(0));
        let kind = u16_at(&head, 10).unwrap_or(0);
        let end = first.checked_add(pages).filter(|end| end.saturating_sub(1) <= self.last);
        let Some(end) = end.filter(|_| kind & OVERFLOW != 0 && pages == needed) else {
            return Err(Failure::damaged("a long value"));
        };
        if (first + 1..end).any(|page| !self.seen.insert(page)) {
            return Err(Failure::damaged("a page has two uses"));
        }
        // Its last octet first: no memory is taken for what is not there.
        let start = first.saturating_mul(self.size as u64).saturating_add(PAGE_HEAD as u64);
        if let Some(before) = length.checked_sub(1) {
            read_at(self.file, start.saturating_add(before as u64), &mut [0])?;
        }
        let mut value = vec![0; length];
        read_at(self.file, start, &mut value)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Index, seal};
    use super::*;
    use crate::storage::Kept;
    use std::collections::BTreeMap;

    fn reader(octets: &[u8]) -> impl Fn(u64, &mut [u8]) -> io::Result<()> + '_ {
        move |at, into| {
            let found = usize::try_from(at).ok().and_then(|at| octets.get(at..at.checked_add(into.len())?));
            into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    fn all(octets: &[u8]) -> Result<BTreeMap<Vec<u8>, usize>> {
        let mut tables: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        read(&reader(octets), &mut |table, key, value| {
            if key != b"version" {
                seal::open(std::str::from_utf8(table).unwrap_or_default(), key, value)?;
            }
            *tables.entry(table.to_vec()).or_default() += 1;
            Ok(())
        })?;
        Ok(tables)
    }

    fn database() -> Vec<u8> {
        let place = tempfile::tempdir().unwrap();
        let index = Index::open(place.path()).unwrap();
        for round in 0..4u32 {
            let mut writing = index.write().unwrap();
            for uid in 1..400 {
                writing.keep(round + 1, uid, Kept::Envelope, &vec![7; uid as usize * 3 % 700]).unwrap();
                writing.keep(round + 1, uid, Kept::Header, &vec![round as u8; uid as usize * 30]).unwrap();
            }
            writing.clear(round).unwrap();
            writing.commit().unwrap();
        }
        drop(index);
        std::fs::read(place.path().join("imapd-index")).unwrap()
    }

    #[test]
    fn every_entry_of_an_index_is_read() {
        let tables = all(&database()).unwrap();
        let expected = [(&b"envelopes"[..], 399), (b"headers", 399), (b"records", 1)];
        assert_eq!(tables, expected.into_iter().map(|(name, count)| (name.to_vec(), count)).collect());
    }

    #[test]
    fn damage_of_any_kind_is_found_or_does_no_harm() {
        let (whole, mut found) = (database(), 0);
        let truth = all(&whole).unwrap();
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..400 {
            let mut damaged = whole.clone();
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (random >> 20) as usize % damaged.len();
            damaged[if random & 1 == 0 { at } else { at - at % 4096 + at % 64 }] ^= 1 << (random >> 61);
            match all(&damaged) {
                Err(Failure::Damaged(_)) => found += 1,
                Err(other) => panic!("{other}"),
                // It hit what nobody reads: free pages, gaps, an older root.
                Ok(tables) => assert_eq!(tables, truth),
            }
        }
        assert!(found > 40, "{found}");
        for length in [0, 100, 4096, 4096 * 3, whole.len() / 2] {
            assert!(matches!(all(&whole[..length]), Err(Failure::Damaged(_))), "{length}");
        }
    }
}
