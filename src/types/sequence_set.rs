//! What a client wrote to name messages: numbers, ranges, `*` and `$`.

use std::fmt;

/// One end of a range (RFC 9051 `seq-number`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetNumber {
    /// Not zero.
    Number(u32),
    /// `*`: the greatest number in use.
    Last,
}

/// RFC 9051 `sequence-set`. Whether its numbers are UIDs or sequence numbers only the command knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SequenceSet {
    /// Each entry a range, its ends in the order in which the client wrote them.
    Ranges(Vec<(SetNumber, SetNumber)>),
    /// `$`: the saved result of a SEARCH (RFC 5182).
    Saved,
}

impl SequenceSet {
    /// The numbers meant, as ascending disjoint inclusive ranges, with `last` for `*`; each number once, however often it
    /// was written. `None` for `$`. With `last` zero (an empty mailbox) `*` stands for nothing.
    pub fn normalized(&self, last: u32) -> Option<Vec<(u32, u32)>> {
        let SequenceSet::Ranges(ranges) = self else { return None };
        let value = |n: SetNumber| match n {
            SetNumber::Number(n) => n,
            SetNumber::Last => last,
        };
        let mut all: Vec<(u32, u32)> = ranges
            .iter()
            .map(|&(a, b)| (value(a).min(value(b)), value(a).max(value(b))))
            .filter(|r| r.1 > 0)
            .map(|r| (r.0.max(1), r.1))
            .collect();
        all.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (a, b) in all {
            match out.last_mut() {
                Some(top) if a <= top.1.saturating_add(1) => top.1 = top.1.max(b),
                _ => out.push((a, b)),
            }
        }
        Some(out)
    }
}

/// Of ascending numbers, neighbours as ranges.
impl FromIterator<u32> for SequenceSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for number in numbers {
            match ranges.last_mut() {
                Some(last) if last.1.checked_add(1) == Some(number) => last.1 = number,
                _ => ranges.push((number, number)),
            }
        }
        let number = SetNumber::Number;
        SequenceSet::Ranges(ranges.into_iter().map(|(first, last)| (number(first), number(last))).collect())
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SequenceSet::Ranges(ranges) = self else { return f.write_str("$") };
        for (i, &(a, b)) in ranges.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            if a == b { write!(f, "{a}")? } else { write!(f, "{a}:{b}")? }
        }
        Ok(())
    }
}

impl fmt::Display for SetNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetNumber::Number(n) => n.fmt(f),
            SetNumber::Last => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_and_reversed_ranges_count_once() {
        use SetNumber::{Last, Number};
        let set = SequenceSet::Ranges(vec![
            (Last, Number(4)),
            (Number(4), Number(5)),
            (Number(1), Number(1)),
            (Number(1), Number(1)),
        ]);
        assert_eq!(set.normalized(9), Some(vec![(1, 1), (4, 9)]));
        assert_eq!(set.normalized(2), Some(vec![(1, 5)]));
        assert_eq!(set.to_string(), "*:4,4:5,1,1");
    }

    #[test]
    fn neighbours_are_one_range() {
        let written = |numbers: &[u32]| numbers.iter().copied().collect::<SequenceSet>().to_string();
        assert_eq!(written(&[1, 2, 3, 7, 9, u32::MAX - 1, u32::MAX]), "1:3,7,9,4294967294:4294967295");
        assert_eq!(written(&[]), "");
    }
}
