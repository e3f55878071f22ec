//! LIST, LSUB, STATUS, NAMESPACE, FLAGS, EXISTS, RECENT.

use super::super::Dialect;
use super::super::command::status::StatusItem;
use crate::types::{Flags, MailboxName};

/// Which of the three listings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listing {
    List,
    Lsub,
    Xlist,
}

/// One line of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListLine<'a> {
    /// With their backslashes.
    pub attributes: Vec<&'static str>,
    pub name: &'a MailboxName,
    /// `("CHILDINFO" ("SUBSCRIBED"))` (RFC 5258).
    pub child_info_subscribed: bool,
    /// `("OLDNAME" ("..."))` (RFC 9051 section 6.3.9.7), raw as the client had written it.
    pub old_name: Option<&'a str>,
}

/// `* LIST (\attr ...) "/" name (extended data)`
pub fn listing(_out: &mut Vec<u8>, _which: Listing, _line: &ListLine<'_>, _dialect: Dialect) {
    todo!()
}

/// The answer to `LIST "" ""`: the separator and the root name, which is empty.
pub fn separator(_out: &mut Vec<u8>, _which: Listing) {
    todo!()
}

/// `* STATUS name (ITEM n ...)`
pub fn status(_out: &mut Vec<u8>, _name: &MailboxName, _items: &[(StatusItem, u64)], _dialect: Dialect) {
    todo!()
}

/// `* NAMESPACE (("" "/")) NIL NIL`
pub fn namespace(_out: &mut Vec<u8>) {
    todo!()
}

/// `* FLAGS (...)`
pub fn flags(_out: &mut Vec<u8>, _flags: &Flags) {
    todo!()
}

/// `* n EXISTS`
pub fn exists(_out: &mut Vec<u8>, _count: u32) {
    todo!()
}

/// `* n RECENT`
pub fn recent(_out: &mut Vec<u8>, _count: u32) {
    todo!()
}
