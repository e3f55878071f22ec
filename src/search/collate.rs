//! When two texts are the same to SEARCH.
//!
//! In the manner of the collation i;unicode-casemap: compatibility decomposition, then case folding by way of capitals, so that final sigma, long s and
//! full-width letters are what they look like and `ß` is `ss`. Marks are kept: since a letter comes before its marks, `e` is found in `é`, and
//! `é` is not found in `e`.

use crate::encoding::ascii;
use crate::types::unicode;

/// Appends the folded form of a text.
pub fn fold(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let plain = ascii::plain(rest.as_bytes());
        let start = out.len();
        out.extend_from_slice(&rest.as_bytes()[..plain]);
        out[start..].make_ascii_lowercase();
        rest = &rest[plain..];
        let foreign = rest.bytes().position(|b| b.is_ascii()).unwrap_or(rest.len());
        for c in unicode::decomposed(&rest[..foreign]).flat_map(char::to_uppercase).flat_map(char::to_lowercase) {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        rest = &rest[foreign..];
    }
}

/// The folded form of a text.
pub fn folded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    fold(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_in_case_or_form_are_one() {
        for (a, b) in [
            ("Hello", "hELLO"),
            ("\u{c9}t\u{e9}", "E\u{301}te\u{301}"),
            ("STRASSE", "stra\u{df}e"),
            ("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}"),
            ("\u{ff21}\u{ff22}", "ab"),
            ("\u{41f}\u{420}\u{418}", "\u{43f}\u{440}\u{438}"),
            ("\u{fb01}x", "FIX"),
        ] {
            assert_eq!(folded(a), folded(b), "{a} {b}");
        }
        assert_ne!(folded("a"), folded("\u{e4}"));
    }
}
