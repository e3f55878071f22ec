//! Result sets: MIN, MAX, ALL, COUNT, and what SAVE keeps (RFC 4731 section 3.1, RFC 5182 section 2.4).

use crate::types::UidSet;

/// Which of the messages that match are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    All,
    First,
    Last,
    /// The first and the last, which may be one.
    Ends,
}

impl Extent {
    /// The least that suffices for these results. MIN and MAX alone need neither the messages between nor, in `$`, have them.
    pub fn of(min: bool, max: bool, all_or_count: bool) -> Self {
        match (min, max, all_or_count) {
            (true, false, false) => Extent::First,
            (false, true, false) => Extent::Last,
            (true, true, false) => Extent::Ends,
            _ => Extent::All,
        }
    }
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    pub uids: UidSet,
    /// Why some message could not be searched, the first such. It is not among `uids`.
    pub failure: Option<crate::storage::StoreError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_min_and_max_alone_need_less_than_all() {
        assert_eq!(Extent::of(true, false, false), Extent::First);
        assert_eq!(Extent::of(true, true, false), Extent::Ends);
        assert_eq!(Extent::of(true, true, true), Extent::All);
        assert_eq!(Extent::of(false, false, false), Extent::All);
    }
}
