//! FETCH data and EXPUNGE.

use crate::message::section::Section;
use crate::types::{DateTime, Flags, SeqNum};

/// `* n EXPUNGE`
pub fn expunge(_out: &mut Vec<u8>, _number: SeqNum) {
    todo!()
}

/// `* n FETCH (`; the caller writes items with a blank between, and `)` CRLF.
pub fn begin(_out: &mut Vec<u8>, _number: SeqNum) {
    todo!()
}

/// `FLAGS (...)`
pub fn flags(_out: &mut Vec<u8>, _flags: &Flags, _recent: bool) {
    todo!()
}

/// `INTERNALDATE "..."`; years that the grammar's four digits cannot hold are cut to 0001 or 9999.
pub fn internal_date(_out: &mut Vec<u8>, _date: DateTime) {
    todo!()
}

/// `BODY[...]` or `BODY[...]<origin>` and a blank.
pub fn section_name(_out: &mut Vec<u8>, _section: &Section, _origin: Option<u64>) {
    todo!()
}

/// `BINARY[1.2]<origin>` and a blank; `name` is `BINARY` or `BINARY.SIZE`.
pub fn binary_name(_out: &mut Vec<u8>, _name: &str, _path: &[u32], _origin: Option<u64>) {
    todo!()
}
