//! Search keys as a tree (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4, RFC 5032).

use super::{Date, Keyword, SequenceSet, SystemFlag};

/// One search key. Texts are UTF-8 whatever CHARSET the client used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Query {
    /// Every key matches; none at all means ALL.
    And(Vec<Query>),
    Or(Box<Query>, Box<Query>),
    Not(Box<Query>),
    All,
    /// Message sequence numbers.
    Sequence(SequenceSet),
    Uid(SequenceSet),
    Flag(SystemFlag),
    Keyword(Keyword),
    /// RFC 3501 `RECENT`; `NEW` is `RECENT UNSEEN`, `OLD` is `NOT RECENT`.
    Recent,
    /// INTERNALDATE, zone disregarded.
    Before(Date),
    On(Date),
    Since(Date),
    /// The Date header field, time and zone disregarded.
    SentBefore(Date),
    SentOn(Date),
    SentSince(Date),
    /// Octets of RFC822.SIZE.
    Larger(u64),
    Smaller(u64),
    /// RFC 5032: INTERNALDATE at least this many seconds ago.
    Older(u32),
    /// RFC 5032: INTERNALDATE within this many seconds.
    Younger(u32),
    /// A header field of this name holds this text; with the empty text, has the field at all.
    Header(String, String),
    /// In the address lists of these fields, as ENVELOPE shows them.
    Address(AddressField, String),
    Subject(String),
    Body(String),
    Text(String),
}

/// The address fields with a search key of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddressField {
    Bcc,
    Cc,
    From,
    To,
}

impl AddressField {
    /// The header field's name.
    pub fn name(self) -> &'static str {
        match self {
            AddressField::Bcc => "BCC",
            AddressField::Cc => "CC",
            AddressField::From => "FROM",
            AddressField::To => "TO",
        }
    }
}
