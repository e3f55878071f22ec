//! atom, quoted, literal, literal8, nstring: the lightest form that is legal.
//!
//! All write to a buffer. Octets that a quoted string cannot hold (8-bit, NUL, CR, LF) go as a literal; NUL, which only literal8 may hold, is
//! sent as 0x80, as Dovecot does.

use memchr::{memchr2_iter, memchr3};

use super::Dialect;
use crate::encoding::utf7;
use crate::types::{Flags, MailboxName};
use std::io::Write;

/// Writes formatted text to the buffer.
pub(super) fn text(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(arguments);
}

/// A number in decimal. What is written a hundred thousand times at a stroke does without the machinery of formats.
pub(super) fn number(out: &mut Vec<u8>, mut number: u32) {
    let mut digits = [0; 10];
    let mut first = digits.len();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        first = at;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

/// RFC 9051 `ATOM-CHAR`: any CHAR but `(){ %*"\]` and controls.
pub(super) fn is_atom_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet)
}

/// RFC 9051 `ASTRING-CHAR`.
pub(super) fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}

/// An atom where that is enough, else as [`string`].
pub fn astring(out: &mut Vec<u8>, octets: &[u8]) {
    if is_plain(octets) { out.extend_from_slice(octets) } else { string(out, octets) }
}

/// NIL is legal as an astring, but it has deceived readers.
fn is_plain(octets: &[u8]) -> bool {
    !octets.is_empty() && octets.iter().copied().all(is_astring_char) && !octets.eq_ignore_ascii_case(b"NIL")
}

/// A quoted string or a literal.
pub fn string(out: &mut Vec<u8>, octets: &[u8]) {
    if octets.is_ascii() && memchr3(b'\0', b'\r', b'\n', octets).is_none() {
        quoted(out, octets);
    } else {
        literal_header(out, octets.len() as u64);
        out.extend(octets.iter().map(|&b| if b == 0 { 0x80 } else { b }));
    }
}

/// The octets must be fit for a quoted string.
fn quoted(out: &mut Vec<u8>, octets: &[u8]) {
    out.push(b'"');
    let mut from = 0;
    for at in memchr2_iter(b'"', b'\\', octets) {
        out.extend_from_slice(&octets[from..at]);
        out.push(b'\\');
        from = at;
    }
    out.extend_from_slice(&octets[from..]);
    out.push(b'"');
}

/// A string, or NIL for `None`.
pub fn nstring(out: &mut Vec<u8>, octets: Option<&[u8]>) {
    match octets {
        Some(octets) => string(out, octets),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `{n}` CRLF; the caller sends the octets.
pub fn literal_header(out: &mut Vec<u8>, size: u64) {
    text(out, format_args!("{{{size}}}\r\n"));
}

/// `~{n}` CRLF; the caller sends the octets.
pub fn literal8_header(out: &mut Vec<u8>, size: u64) {
    text(out, format_args!("~{{{size}}}\r\n"));
}

/// As an astring in modified UTF-7, or as a quoted string in UTF-8.
pub fn mailbox(out: &mut Vec<u8>, name: &MailboxName, dialect: Dialect) {
    mailbox_text(out, name.as_str(), dialect);
}

/// The same for what need not be the name of a mailbox: a reference, an old name.
pub(super) fn mailbox_text(out: &mut Vec<u8>, name: &str, dialect: Dialect) {
    match dialect {
        Dialect::Rev1 => astring(out, utf7::encode(name).as_bytes()),
        Dialect::Rev2 if is_plain(name.as_bytes()) => out.extend_from_slice(name.as_bytes()),
        // RFC 9051 QUOTED-CHAR has UTF-8, controls too, but no NUL, CR or LF.
        Dialect::Rev2 if !name.contains(['\0', '\r', '\n']) => quoted(out, name.as_bytes()),
        Dialect::Rev2 => string(out, name.as_bytes()),
    }
}

/// `(\Seen $Junk)`, with `last` (such as `\Recent`) behind.
pub(super) fn flag_list(out: &mut Vec<u8>, flags: &Flags, last: Option<&str>) {
    let names = flags.system().map(|f| f.name()).chain(flags.keywords().iter().map(|k| k.as_str())).chain(last);
    out.push(b'(');
    separated(out, names, |out, name| out.extend_from_slice(name.as_bytes()));
    out.push(b')');
}

/// The items with a blank between.
pub(super) fn separated<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        write(out, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_they_are_formatted() {
        for n in [0, 1, 9, 10, 99, 100, 1_234_567, u32::MAX] {
            assert_eq!(made(|out| number(out, n)), n.to_string().into_bytes());
        }
    }

    fn made(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn the_lightest_legal_form_is_used() {
        assert_eq!(made(|o| astring(o, b"INBOX")), b"INBOX");
        assert_eq!(made(|o| astring(o, b"a]b")), b"a]b");
        assert_eq!(made(|o| astring(o, b"")), b"\"\"");
        assert_eq!(made(|o| astring(o, b"nil")), b"\"nil\"");
        assert_eq!(made(|o| astring(o, b"a b")), b"\"a b\"");
        assert_eq!(made(|o| string(o, b"a\"\\b")), b"\"a\\\"\\\\b\"");
        assert_eq!(made(|o| nstring(o, None)), b"NIL");
        assert_eq!(made(|o| nstring(o, Some(b"NIL"))), b"\"NIL\"");
        assert_eq!(made(|o| literal8_header(o, 3)), b"~{3}\r\n");
    }

    #[test]
    fn what_could_break_a_line_goes_as_a_literal() {
        assert_eq!(made(|o| string(o, b"a\r\n* BYE")), b"{8}\r\na\r\n* BYE");
        assert_eq!(made(|o| string(o, b"\xe9")), b"{1}\r\n\xe9");
        assert_eq!(made(|o| string(o, b"a\0b")), b"{3}\r\na\x80b");
    }

    #[test]
    fn mailbox_names_follow_the_dialect() {
        let name = MailboxName::parse("Entw\u{fc}rfe/A&B").unwrap();
        assert_eq!(made(|o| mailbox(o, &name, Dialect::Rev1)), b"Entw&APw-rfe/A&-B");
        assert_eq!(made(|o| mailbox(o, &name, Dialect::Rev2)), "\"Entw\u{fc}rfe/A&B\"".as_bytes());
        let name = MailboxName::parse("Sent Items").unwrap();
        assert_eq!(made(|o| mailbox(o, &name, Dialect::Rev1)), b"\"Sent Items\"");
        assert_eq!(made(|o| mailbox(o, &MailboxName::inbox(), Dialect::Rev2)), b"INBOX");
    }
}
