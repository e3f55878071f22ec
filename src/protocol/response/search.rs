//! SEARCH and ESEARCH.

use super::super::command::{Numbers, Tag};

/// `* SEARCH 2 3 6`; with nothing found, `* SEARCH`.
pub fn search(_out: &mut Vec<u8>, _numbers: impl Iterator<Item = u32>) {
    todo!()
}

/// What an ESEARCH tells (RFC 4731 section 3.1, RFC 9051 section 7.3.4).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Esearch {
    pub min: Option<u32>,
    pub max: Option<u32>,
    /// Ascending disjoint inclusive ranges; `None` or empty: not told.
    pub all: Option<Vec<(u32, u32)>>,
    pub count: Option<u32>,
}

/// `* ESEARCH (TAG "a1") UID MIN 1 ...`; the tag always quoted.
pub fn esearch(_out: &mut Vec<u8>, _tag: &Tag, _numbers: Numbers, _result: &Esearch) {
    todo!()
}
