//! atom, quoted, literal, literal8, nstring: the lightest form that is legal.
//!
//! All write to a buffer. Octets that a quoted string cannot hold (8-bit, NUL, CR, LF) go as a literal; NUL, which only literal8 may hold, is
//! sent as 0x80, as Dovecot does.

use super::Dialect;
use crate::types::MailboxName;

pub fn astring(_out: &mut Vec<u8>, _octets: &[u8]) {
    todo!()
}

/// A quoted string or a literal.
pub fn string(_out: &mut Vec<u8>, _octets: &[u8]) {
    todo!()
}

pub fn nstring(_out: &mut Vec<u8>, _octets: Option<&[u8]>) {
    todo!()
}

/// `{n}` CRLF; the caller sends the octets.
pub fn literal_header(_out: &mut Vec<u8>, _size: u64) {
    todo!()
}

/// `~{n}` CRLF; the caller sends the octets.
pub fn literal8_header(_out: &mut Vec<u8>, _size: u64) {
    todo!()
}

/// As an astring in modified UTF-7, or as a quoted string in UTF-8.
pub fn mailbox(_out: &mut Vec<u8>, _name: &MailboxName, _dialect: Dialect) {
    todo!()
}
