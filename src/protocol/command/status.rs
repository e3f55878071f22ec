//! STATUS (RFC 9051 section 6.3.11, RFC 3501 section 6.3.10, RFC 8438, RFC 7889).

use crate::types::MailboxName;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    pub mailbox: MailboxName,
    pub items: Vec<StatusItem>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusItem {
    Messages,
    /// RFC 3501 only.
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    AppendLimit,
}
