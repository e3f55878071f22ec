//! A compact ordered set of UIDs.

use super::Uid;
use std::fmt;

/// UIDs as ascending, disjoint, non-adjacent inclusive ranges. A mailbox of 100,000 messages without gaps takes
/// one range; lookup is a binary search.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// All UIDs from `first` to `last`, inclusive; empty if `first > last`.
    pub fn range(first: Uid, last: Uid) -> Self {
        if first > last {
            return Self::new();
        }
        Self { ranges: vec![(first.get(), last.get())] }
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many UIDs are in the set.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(|&(a, b)| (b - a) as usize + 1).sum()
    }

    /// The lowest.
    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().and_then(|r| Uid::new(r.0))
    }

    /// The highest.
    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().and_then(|r| Uid::new(r.1))
    }

    /// By binary search.
    pub fn contains(&self, uid: Uid) -> bool {
        let n = uid.get();
        let i = self.ranges.partition_point(|r| r.1 < n);
        self.ranges.get(i).is_some_and(|r| r.0 <= n)
    }

    /// Adds one UID. Appending in ascending order takes constant time.
    pub fn insert(&mut self, uid: Uid) {
        let n = uid.get();
        if let Some(last) = self.ranges.last_mut() {
            if n == last.1.wrapping_add(1) && last.1 != u32::MAX {
                last.1 = n;
                return;
            }
            if n > last.1 {
                self.ranges.push((n, n));
                return;
            }
        } else {
            self.ranges.push((n, n));
            return;
        }
        if self.contains(uid) {
            return;
        }
        let i = self.ranges.partition_point(|r| r.1 < n);
        let joins_left = i > 0 && self.ranges[i - 1].1 + 1 == n;
        let joins_right = self.ranges[i].0 == n + 1;
        match (joins_left, joins_right) {
            (true, true) => {
                self.ranges[i - 1].1 = self.ranges[i].1;
                self.ranges.remove(i);
            }
            (true, false) => self.ranges[i - 1].1 = n,
            (false, true) => self.ranges[i].0 = n,
            (false, false) => self.ranges.insert(i, (n, n)),
        }
    }

    /// Adds all UIDs from `first` to `last`. Appending in ascending order takes constant time.
    pub fn insert_range(&mut self, first: Uid, last: Uid) {
        match self.ranges.last_mut() {
            _ if first > last => {}
            Some(end) if first.get() == end.1.saturating_add(1) => end.1 = last.get(),
            Some(end) if first.get() <= end.1 => *self = self.union(&UidSet::range(first, last)),
            _ => self.ranges.push((first.get(), last.get())),
        }
    }

    /// Removes one UID, if it is there.
    pub fn remove(&mut self, uid: Uid) {
        if self.contains(uid) {
            *self = self.difference(&UidSet::range(uid, uid));
        }
    }

    /// The inclusive ranges, ascending.
    pub fn ranges(&self) -> impl Iterator<Item = (Uid, Uid)> + '_ {
        self.ranges.iter().filter_map(|&(a, b)| Some((Uid::new(a)?, Uid::new(b)?)))
    }

    /// Every UID, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(a, b)| a..=b).filter_map(Uid::new)
    }

    /// What is in both.
    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let mut out = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(&a), Some(&b)) = (self.ranges.get(i), other.ranges.get(j)) {
            let (low, high) = (a.0.max(b.0), a.1.min(b.1));
            if low <= high {
                out.push((low, high));
            }
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        UidSet { ranges: out }
    }

    /// What is in one of them, or both.
    pub fn union(&self, other: &UidSet) -> UidSet {
        Self::union_of([self, other])
    }

    /// What is in any of them.
    pub fn union_of<'a>(sets: impl IntoIterator<Item = &'a UidSet>) -> UidSet {
        let mut all: Vec<(u32, u32)> = sets.into_iter().flat_map(|set| set.ranges.iter().copied()).collect();
        all.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (a, b) in all {
            match out.last_mut() {
                Some(last) if a <= last.1.saturating_add(1) => last.1 = last.1.max(b),
                _ => out.push((a, b)),
            }
        }
        UidSet { ranges: out }
    }

    /// What is in `self` and not in `other`.
    pub fn difference(&self, other: &UidSet) -> UidSet {
        let mut out = Vec::new();
        let mut j = 0;
        for &(mut a, b) in &self.ranges {
            while other.ranges.get(j).is_some_and(|r| r.1 < a) {
                j += 1;
            }
            let mut k = j;
            let mut open = true;
            while let Some(&(c, d)) = other.ranges.get(k) {
                if c > b {
                    break;
                }
                if c > a {
                    out.push((a, c - 1));
                }
                if d >= b {
                    open = false;
                    break;
                }
                a = a.max(d + 1);
                k += 1;
            }
            if open && a <= b {
                out.push((a, b));
            }
        }
        UidSet { ranges: out }
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        // What ascends, as most does, is gathered range by range.
        let mut uids = uids.into_iter();
        let mut set = UidSet::new();
        let Some(first) = uids.next() else { return set };
        let (mut start, mut end) = (first.get(), first.get());
        for uid in uids.by_ref() {
            if end.checked_add(1) == Some(uid.get()) {
                end += 1;
            } else if uid.get() > end {
                set.ranges.push((start, end));
                (start, end) = (uid.get(), uid.get());
            } else {
                set.ranges.push((start, end));
                set.insert(uid);
                set.extend(uids);
                return set;
            }
        }
        set.ranges.push((start, end));
        set
    }
}

impl Extend<Uid> for UidSet {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, uids: I) {
        uids.into_iter().for_each(|uid| self.insert(uid));
    }
}

/// As RFC 9051 writes it: `1:3,7`. The empty set, which IMAP cannot write, prints nothing.
impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(a, b)) in self.ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if a == b { write!(f, "{a}")? } else { write!(f, "{a}:{b}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UidSet({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn set(numbers: &[u32]) -> UidSet {
        numbers.iter().filter_map(|&n| Uid::new(n)).collect()
    }

    #[test]
    fn prints_as_ranges() {
        assert_eq!(set(&[3, 1, 2, 7]).to_string(), "1:3,7");
        assert_eq!(set(&[5, 3, 4, 5]).to_string(), "3:5");
    }

    #[test]
    fn behaves_like_a_tree_set() {
        arbtest::arbtest(|u| {
            let a: BTreeSet<u32> =
                u.arbitrary_iter::<u8>()?.take(30).filter_map(Result::ok).map(|n| n as u32 % 40 + 1).collect();
            let b: BTreeSet<u32> =
                u.arbitrary_iter::<u8>()?.take(30).filter_map(Result::ok).map(|n| n as u32 % 40 + 1).collect();
            let (x, y) =
                (set(&a.iter().copied().collect::<Vec<_>>()), set(&b.iter().rev().copied().collect::<Vec<_>>()));
            let flat = |s: &UidSet| s.iter().map(Uid::get).collect::<Vec<_>>();
            assert_eq!(flat(&x.union(&y)), a.union(&b).copied().collect::<Vec<_>>());
            let parts: Vec<UidSet> = a.union(&b).map(|&n| set(&[n])).collect();
            assert_eq!(UidSet::union_of(&parts), x.union(&y));
            assert_eq!(flat(&x.intersection(&y)), a.intersection(&b).copied().collect::<Vec<_>>());
            assert_eq!(flat(&x.difference(&y)), a.difference(&b).copied().collect::<Vec<_>>());
            assert_eq!(x.len(), a.len());
            Ok(())
        });
    }
}
