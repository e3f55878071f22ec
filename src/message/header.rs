//! Header fields: find, unfold, select, tolerate.

use std::collections::HashSet;

use memchr::memchr;

use crate::encoding::ascii;

/// One field as it stands in the header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field<'a> {
    /// Without the colon, and without blanks before it, which RFC 5322 section 4.5 knows as obsolete.
    pub name: &'a [u8],
    /// What follows the colon, folded as it is, without the last line end.
    pub value: &'a [u8],
    /// The whole field with its line end.
    pub raw: &'a [u8],
}

/// The fields in their order, in a header with LF or CRLF line ends, up to the first empty line. What is no field, such as the `From ` line of
/// an mbox, is left out.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    Entries { rest: header }.filter_map(field)
}

/// The fields whose names may be among those asked for, by their first octet: as [`fields`], but sooner done.
pub fn fields_like(header: &[u8], may_be: impl Fn(u8) -> bool) -> impl Iterator<Item = Field<'_>> {
    Entries { rest: header }.filter(move |raw| raw.first().is_some_and(|&first| may_be(first))).filter_map(field)
}

/// Where the header ends that `text` begins with: behind its empty line, if that is there. It is not before `from`.
pub fn end(text: &[u8], from: usize) -> Option<usize> {
    if from == 0 && empty_line(text) > 0 {
        return Some(empty_line(text));
    }
    let searched = text.get(from..)?;
    memchr::memchr_iter(b'\n', searched).map(|at| from + at + 1).find_map(|line| match empty_line(&text[line..]) {
        0 => None,
        length => Some(line + length),
    })
}

/// The value without folds and without blanks at its ends. NUL and line ends are left out wherever they are: no IMAP string can have the
/// one, and the others could only be what is left of a fold.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let value = ascii::trim(value);
    if memchr::memchr3(b'\0', b'\r', b'\n', value).is_none() {
        return value.to_vec();
    }
    value.iter().copied().filter(|octet| !matches!(octet, b'\0' | b'\r' | b'\n')).collect()
}

/// What BODY[HEADER.FIELDS (names)] or, with `keep` false, HEADER.FIELDS.NOT gives: whole fields as they stand, in the order of the header,
/// and the empty line if the header has one (RFC 9051 section 6.4.5.1). `header` is in wire form. Names are compared without regard to
/// case. Lines that are no fields have no name in any list, so they go with HEADER.FIELDS.NOT.
pub fn select(header: &[u8], names: &[Vec<u8>], keep: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if names.len() <= FEW_NAMES {
        let is_named = |name: &[u8]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        select_entries(header, is_named, keep, &mut out);
    } else {
        let longest = names.iter().map(Vec::len).max().unwrap_or(0);
        let names: HashSet<Vec<u8>> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let is_named = |name: &[u8]| name.len() <= longest && names.contains(&name.to_ascii_lowercase());
        select_entries(header, is_named, keep, &mut out);
    }
    out
}

/// So few are sooner compared one by one than looked up.
const FEW_NAMES: usize = 40;

/// As [`select`] of the names for which `is_named` says so, appending to `out`.
pub(super) fn select_by(header: &[u8], is_named: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
    select_entries(header, is_named, true, out);
}

fn select_entries(header: &[u8], is_named: impl Fn(&[u8]) -> bool, keep: bool, out: &mut Vec<u8>) {
    let mut entries = Entries { rest: header };
    for raw in entries.by_ref() {
        if field(raw).is_some_and(|field| is_named(field.name)) == keep {
            out.extend_from_slice(raw);
        }
    }
    out.extend_from_slice(&entries.rest[..empty_line(entries.rest)]);
}

/// Lines with the lines that continue them. Ends before the empty line.
struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() || empty_line(self.rest) > 0 {
            return None;
        }
        let mut end = 0;
        loop {
            end = memchr(b'\n', &self.rest[end..]).map_or(self.rest.len(), |at| end + at + 1);
            if !matches!(self.rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (entry, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(entry)
    }
}

/// The length of the empty line at the start, 0 if there is none.
fn empty_line(text: &[u8]) -> usize {
    match text {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        _ => 0,
    }
}

/// ```abnf
/// optional-field = field-name ":" unstructured CRLF   ; RFC 5322 section 3.6.8
/// field-name     = 1*ftext
/// ftext          = %d33-57 / %d59-126
/// ```
fn field(raw: &[u8]) -> Option<Field<'_>> {
    let colon = raw.iter().position(|octet| !octet.is_ascii_graphic() || *octet == b':')?;
    let name = &raw[..colon];
    let blanks = raw[colon..].iter().position(|octet| !matches!(octet, b' ' | b'\t'))?;
    let value = raw[colon + blanks..].strip_prefix(b":")?;
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    (!name.is_empty()).then_some(Field { name, value, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(header: &str) -> Vec<String> {
        fields(header.as_bytes()).map(|field| String::from_utf8(field.name.to_vec()).unwrap()).collect()
    }

    fn selected(header: &str, wanted: &[&str], keep: bool) -> String {
        let wanted: Vec<_> = wanted.iter().map(|name| name.as_bytes().to_vec()).collect();
        String::from_utf8(select(header.as_bytes(), &wanted, keep)).unwrap()
    }

    #[test]
    fn fields_end_at_the_empty_line() {
        assert_eq!(names("A: 1\r\nB: 2\r\n\r\nC: 3\r\n"), ["A", "B"]);
        assert_eq!(names("A: 1\nB: 2\n\nC: 3\n"), ["A", "B"]);
        assert_eq!(names("A: 1\r\nB: 2"), ["A", "B"]);
        assert_eq!(names("\r\nA: 1\r\n"), Vec::<String>::new());
        assert_eq!(names(""), Vec::<String>::new());
    }

    #[test]
    fn a_header_ends_behind_its_empty_line() {
        for (text, wanted) in [
            ("A: 1\n\nB", Some(6)),
            ("A: 1\r\n\r\nB", Some(8)),
            ("\nA", Some(1)),
            ("\r\n\r\n", Some(2)),
            ("A: 1\n\r\r\n\nB", Some(9)),
            ("A: 1\n\r", None),
            ("A: 1\n", None),
            ("", None),
        ] {
            assert_eq!(end(text.as_bytes(), 0), wanted, "{text:?}");
            assert_eq!(
                super::super::structure::scan(text.as_bytes()).root.header.end,
                wanted.unwrap_or(text.len()) as u64
            );
        }
        assert_eq!(end(b"A: 1\n\r\nB", 4), Some(7));
    }

    #[test]
    fn fields_are_sooner_found_by_their_first_letter() {
        let header = b"Subject: 1\r\nTo: 2\r\n x\r\nsubject: 3\r\n\r\nSubject: 4\r\n";
        let found: Vec<_> = fields_like(header, |first| first.eq_ignore_ascii_case(&b's')).map(|f| f.value).collect();
        assert_eq!(found, [b" 1", b" 3"]);
    }

    #[test]
    fn what_is_no_field_is_left_out() {
        assert_eq!(
            names("From me Mon Jan  1 00:00:00 2024\r\n>From: x\r\nno colon\r\nA : 1\r\n: 2\r\n\u{e9}: 3\r\nB:\r\n"),
            [">From", "A", "B"]
        );
        assert_eq!(names(" folded: first\r\nA: 1\r\n"), ["A"]);
    }

    #[test]
    fn a_field_has_its_continuations_and_its_line_end() {
        let header = b"A: 1\r\n 2\r\n\t3\r\nB: 4\n";
        let found: Vec<_> = fields(header).collect();
        assert_eq!(found[0].raw, b"A: 1\r\n 2\r\n\t3\r\n");
        assert_eq!(found[0].value, b" 1\r\n 2\r\n\t3");
        assert_eq!(unfold(found[0].value), b"1 2\t3");
        assert_eq!((found[1].raw, found[1].value), (&b"B: 4\n"[..], &b" 4"[..]));
        assert_eq!(unfold(b" a\0b\rc\n"), b"abc");
    }

    #[test]
    fn a_selection_ends_with_the_empty_line_if_there_is_one() {
        let header = "To: a\r\nSUBJECT: b\r\n c\r\nrubbish\r\nTo : d\r\n\r\n";
        assert_eq!(selected(header, &["subject"], true), "SUBJECT: b\r\n c\r\n\r\n");
        assert_eq!(selected(header, &["to", "x"], true), "To: a\r\nTo : d\r\n\r\n");
        assert_eq!(selected(header, &["TO"], false), "SUBJECT: b\r\n c\r\nrubbish\r\n\r\n");
        assert_eq!(selected(header, &["y"], true), "\r\n");
        assert_eq!(selected(header, &[], false), header);
        assert_eq!(selected("To: a\r\n", &["x"], true), "");
        assert_eq!(selected("To: a", &["to"], true), "To: a");
        assert_eq!(selected("", &["to"], true), "");
    }

    #[test]
    fn a_million_lines_and_many_names_take_linear_time() {
        let header = "X-Long-Name-Here: y\r\n".repeat(100_000) + "\r\n";
        let wanted: Vec<_> = (0..10_000).map(|n| format!("x-long-name-{n}").into_bytes()).collect();
        assert_eq!(select(header.as_bytes(), &wanted, true), b"\r\n");
        assert_eq!(fields("A:\n".repeat(1_000_000).as_bytes()).count(), 1_000_000);
        assert_eq!(fields("A".repeat(1_000_000).as_bytes()).count(), 0);
    }
}
