//! FETCH, UID FETCH (RFC 9051 section 6.4.5, RFC 3501 section 6.4.5).

use super::Numbers;
use crate::message::section::Section;
use crate::types::SequenceSet;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    pub numbers: Numbers,
    pub set: SequenceSet,
    /// Macros expanded; UID added for UID FETCH. No item twice.
    pub items: Vec<FetchItem>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchItem {
    Flags,
    Uid,
    InternalDate,
    /// RFC822.SIZE
    Size,
    Envelope,
    /// BODY without a section: the structure without extension data.
    Body,
    BodyStructure,
    /// BODY[...] and BODY.PEEK[...]
    Section {
        section: Section,
        partial: Option<Partial>,
        peek: bool,
    },
    /// BINARY[...] and BINARY.PEEK[...]
    Binary {
        path: Vec<u32>,
        partial: Option<Partial>,
        peek: bool,
    },
    /// BINARY.SIZE[...]
    BinarySize {
        path: Vec<u32>,
    },
    /// RFC822, as BODY[] under another name (RFC 3501).
    Rfc822,
    /// RFC822.HEADER, as BODY.PEEK[HEADER] under another name.
    Rfc822Header,
    /// RFC822.TEXT, as BODY[TEXT] under another name.
    Rfc822Text,
}

/// `<offset.length>`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partial {
    pub offset: u64,
    /// Not zero.
    pub length: u64,
}
