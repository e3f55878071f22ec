//! SEARCH and ESEARCH.

use crate::protocol::command::{Numbers, Tag};
use crate::protocol::encode::text;
use crate::types::{ModSeq, SequenceSet};

/// `* SEARCH 2 3 6`; with nothing found, `* SEARCH`. With the highest time among those found, if the client searched by that (RFC 7162
/// section 3.1.6).
///
/// ```abnf
/// mailbox-data        =/ "SEARCH" [1*(SP nz-number) SP search-sort-mod-seq]
/// search-sort-mod-seq = "(" "MODSEQ" SP mod-sequence-value ")"
/// ```
pub fn search(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>, modseq: Option<ModSeq>) {
    out.extend_from_slice(b"* SEARCH");
    for number in numbers {
        text(out, format_args!(" {number}"));
    }
    if let Some(modseq) = modseq {
        text(out, format_args!(" (MODSEQ {modseq})"));
    }
    out.extend_from_slice(b"\r\n");
}

/// What an ESEARCH tells (RFC 4731 section 3.1, RFC 9051 section 7.3.4).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Esearch {
    pub min: Option<u32>,
    pub max: Option<u32>,
    /// `None` or empty: not told.
    pub all: Option<SequenceSet>,
    pub count: Option<u32>,
    /// The highest among those found (RFC 4731 section 3.2).
    pub modseq: Option<ModSeq>,
}

/// `* ESEARCH (TAG "a1") UID MIN 1 ...`; the tag always quoted.
///
/// ```abnf
/// esearch-response   = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)
/// search-correlator  = SP "(" "TAG" SP tag-string ")"
/// search-return-data = "MIN" SP nz-number / "MAX" SP nz-number / "ALL" SP sequence-set / "COUNT" SP number /
///                      "MODSEQ" SP mod-sequence-value                              ; RFC 4731
/// ```
pub fn esearch(out: &mut Vec<u8>, tag: &Tag, numbers: Numbers, result: &Esearch) {
    // No octet of a tag needs an escape.
    text(out, format_args!("* ESEARCH (TAG \"{}\")", tag.as_str()));
    if numbers == Numbers::Uid {
        out.extend_from_slice(b" UID");
    }
    for (name, value) in [("MIN", result.min), ("MAX", result.max)] {
        if let Some(value) = value {
            text(out, format_args!(" {name} {value}"));
        }
    }
    if let Some(all) = result.all.as_ref().filter(|all| **all != SequenceSet::Ranges(Vec::new())) {
        text(out, format_args!(" ALL {all}"));
    }
    if let Some(count) = result.count {
        text(out, format_args!(" COUNT {count}"));
    }
    if let Some(modseq) = result.modseq {
        text(out, format_args!(" MODSEQ {modseq}"));
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn both_forms() {
        assert_eq!(written(|o| search(o, [2, 3, 6].into_iter(), None)), "* SEARCH 2 3 6\r\n");
        let modseq = ModSeq::new(917162500);
        assert_eq!(written(|o| search(o, [2, 5].into_iter(), modseq)), "* SEARCH 2 5 (MODSEQ 917162500)\r\n");
        assert_eq!(written(|o| search(o, std::iter::empty(), None)), "* SEARCH\r\n");
        let tag = Tag::new("A282").unwrap();
        let mut result = Esearch { min: Some(2), count: Some(3), ..Esearch::default() };
        assert_eq!(
            written(|o| esearch(o, &tag, Numbers::Sequence, &result)),
            "* ESEARCH (TAG \"A282\") MIN 2 COUNT 3\r\n"
        );
        result = Esearch { max: Some(9), all: Some([1, 4, 5, 6, 7, 8, 9].into_iter().collect()), ..Esearch::default() };
        assert_eq!(
            written(|o| esearch(o, &tag, Numbers::Uid, &result)),
            "* ESEARCH (TAG \"A282\") UID MAX 9 ALL 1,4:9\r\n"
        );
        let recent =
            Esearch { all: Some([1, 2, 3, 5].into_iter().collect()), modseq: ModSeq::new(1236), ..Esearch::default() };
        assert_eq!(
            written(|o| esearch(o, &tag, Numbers::Sequence, &recent)),
            "* ESEARCH (TAG \"A282\") ALL 1:3,5 MODSEQ 1236\r\n"
        );
        let nothing = Esearch { all: Some([].into_iter().collect()), ..Esearch::default() };
        assert_eq!(written(|o| esearch(o, &tag, Numbers::Uid, &nothing)), "* ESEARCH (TAG \"A282\") UID\r\n");
    }
}
