//! Search keys as a tree (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4, RFC 5032, RFC 7162, RFC 8474, RFC 8514).

use super::{Date, Keyword, ObjectId, SequenceSet, SystemFlag};

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
    /// RFC 7162: changed at this moment or after.
    ModSeq(u64),
    /// RFC 8514: when the message came into the mailbox, zone disregarded.
    SavedBefore(Date),
    SavedOn(Date),
    SavedSince(Date),
    /// RFC 8514: the mailbox knows when its messages came.
    SaveDateSupported,
    /// RFC 8474
    EmailId(ObjectId),
    /// RFC 8474
    ThreadId(ObjectId),
    /// A header field of this name holds this text; with the empty text, has the field at all.
    Header(String, String),
    /// In the address lists of these fields, as ENVELOPE shows them.
    Address(AddressField, String),
    Subject(String),
    Body(String),
    Text(String),
}

impl Query {
    /// Whether some key in it is like this.
    pub fn has(&self, wanted: &dyn Fn(&Query) -> bool) -> bool {
        wanted(self)
            || match self {
                Query::And(keys) => keys.iter().any(|key| key.has(wanted)),
                Query::Or(one, other) => one.has(wanted) || other.has(wanted),
                Query::Not(key) => key.has(wanted),
                _ => false,
            }
    }
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
