//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

use crate::types::{MailboxName, SpecialUse};

/// RFC 9051 section 6.3.4, RFC 6154 section 3. A trailing separator has been taken off.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Create {
    pub mailbox: MailboxName,
    /// `USE (...)`; empty without. An attribute that is not known is `Err`.
    pub special_use: Vec<Result<SpecialUse, String>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rename {
    pub from: MailboxName,
    pub to: MailboxName,
}
