//! Which texts cannot be in a header, seen without taking it apart: most headers of a mailbox hold nothing of what is searched.

use super::text::Needle;
use crate::limits;
use crate::message::encoded_word;
use memchr::{memchr, memchr_iter, memchr3};

/// A header as it can be seen at once.
#[derive(Default)]
pub(super) struct Skim {
    folded: Vec<u8>,
}

/// What is searched in the header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields {
    Texts,
    /// Addresses among them, which are also shown without quotation marks and comments.
    Addresses,
}

impl Skim {
    /// Looks over a header in wire form. False if it is not so simple that every letter or digit which is next to another in a field's text is so in the
    /// header: then nothing can be said of it.
    ///
    /// Between two of them can have been: an encoding; what is left out of texts (NUL, a CR alone); and in addresses quotation marks, escapes and
    /// comments. A fold leaves a blank.
    pub fn over(&mut self, header: &[u8], fields: Fields) -> bool {
        // A longer one would be looked over once for each text, when all of them together are sooner looked for in its fields.
        let simple = header.len() <= limits::KEPT
            && header.is_ascii()
            && !encoded_word::may_be_in(header)
            && memchr_iter(b'\r', header).count() == memchr_iter(b'\n', header).count()
            && match fields {
                Fields::Texts => memchr(b'\0', header).is_none(),
                Fields::Addresses => !divides_but_for_quotes(header) && quotes_stand_alone(header),
            };
        if simple {
            self.folded.clear();
            self.folded.extend_from_slice(header);
            self.folded.make_ascii_lowercase();
        }
        simple
    }

    /// Whether a needle may be in a field of the header that was looked over last.
    pub fn may_hold(&self, needle: &Needle) -> bool {
        needle.may_be_in(&self.folded)
    }
}

/// Whether there is something in an address field that its addresses are shown without, so that letters or digits which it divides may be side by side
/// there.
pub(super) fn divides(value: &[u8]) -> bool {
    divides_but_for_quotes(value) || !quotes_stand_alone(value)
}

fn divides_but_for_quotes(value: &[u8]) -> bool {
    memchr3(b'\0', b'\\', b'(', value).is_some()
}

/// No quotation mark divides letters or digits.
fn quotes_stand_alone(header: &[u8]) -> bool {
    let joins = |octet: Option<&u8>| octet.is_some_and(|&octet| octet.is_ascii_alphanumeric() || octet == b'"');
    memchr_iter(b'"', header).all(|at| {
        let before = at.checked_sub(1).and_then(|before| header.get(before));
        !joins(before) || !joins(header.get(at + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_hold(header: &str, needle: &str, fields: Fields) -> Option<bool> {
        let mut skim = Skim::default();
        skim.over(header.as_bytes(), fields).then(|| skim.may_hold(&Needle::new(needle)))
    }

    #[test]
    fn what_is_not_in_the_header_is_in_no_field() {
        let header = "Subject: Some Words\r\nFrom: \"Ann B.\" <ann@example.org>\r\n\r\n";
        for fields in [Fields::Texts, Fields::Addresses] {
            assert_eq!(may_hold(header, "absent", fields), Some(false));
            assert_eq!(may_hold(header, "some absent", fields), Some(false));
            assert_eq!(may_hold(header, "SOME words", fields), Some(true));
            assert_eq!(may_hold(header, "b. <ann", fields), Some(true));
            assert_eq!(may_hold(header, "--", fields), Some(true));
            assert_eq!(may_hold(header, "w\u{f6}rds", fields), Some(true));
            assert_eq!(may_hold(header, "x\u{f6}x", fields), Some(false));
        }
    }

    #[test]
    fn nothing_is_said_of_a_header_with_something_between_its_letters() {
        for header in ["Subject: =?utf-8?q?x?=\r\n", "Subject: a\u{e9}\r\n", "Subject: a\rb\r\n", "Subject: a\0b\r\n"] {
            assert_eq!(may_hold(header, "absent", Fields::Texts), None, "{header:?}");
        }
        for header in
            ["From: \"a\"b <x@y>\r\n", "From: a(b)c@y\r\n", "From: \"a\\b\" <x@y>\r\n", "From: \"a\"\"b\" <x@y>\r\n"]
        {
            assert_eq!(may_hold(header, "ab", Fields::Addresses), None, "{header:?}");
            assert_eq!(may_hold(header, "absent", Fields::Texts), Some(false), "{header:?}");
        }
    }
}
