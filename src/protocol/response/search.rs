//! SEARCH and ESEARCH.

use crate::protocol::command::{Numbers, Tag};
use crate::protocol::encode::text;

/// `* SEARCH 2 3 6`; with nothing found, `* SEARCH`.
pub fn search(out: &mut Vec<u8>, numbers: impl Iterator<Item = u32>) {
    out.extend_from_slice(b"* SEARCH");
    for number in numbers {
        text(out, format_args!(" {number}"));
    }
    out.extend_from_slice(b"\r\n");
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
///
/// ```abnf
/// esearch-response   = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)
/// search-correlator  = SP "(" "TAG" SP tag-string ")"
/// search-return-data = "MIN" SP nz-number / "MAX" SP nz-number / "ALL" SP sequence-set / "COUNT" SP number
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
    for (i, &(low, high)) in result.all.iter().flatten().enumerate() {
        out.extend_from_slice(if i == 0 { b" ALL " } else { b"," });
        if low == high { text(out, format_args!("{low}")) } else { text(out, format_args!("{low}:{high}")) }
    }
    if let Some(count) = result.count {
        text(out, format_args!(" COUNT {count}"));
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn both_forms() {
        assert_eq!(written(|o| search(o, [2, 3, 6].into_iter())), "* SEARCH 2 3 6\r\n");
        assert_eq!(written(|o| search(o, std::iter::empty())), "* SEARCH\r\n");
        let tag = Tag::new("A282").unwrap();
        let mut result = Esearch { min: Some(2), count: Some(3), ..Esearch::default() };
        assert_eq!(
            written(|o| esearch(o, &tag, Numbers::Sequence, &result)),
            "* ESEARCH (TAG \"A282\") MIN 2 COUNT 3\r\n"
        );
        result = Esearch { max: Some(9), all: Some(vec![(1, 1), (4, 9)]), ..Esearch::default() };
        assert_eq!(
            written(|o| esearch(o, &tag, Numbers::Uid, &result)),
            "* ESEARCH (TAG \"A282\") UID MAX 9 ALL 1,4:9\r\n"
        );
        let nothing = Esearch { all: Some(vec![]), ..Esearch::default() };
        assert_eq!(written(|o| esearch(o, &tag, Numbers::Uid, &nothing)), "* ESEARCH (TAG \"A282\") UID\r\n");
    }
}
