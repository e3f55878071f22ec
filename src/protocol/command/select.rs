//! SELECT, EXAMINE, CHECK, CLOSE, UNSELECT and their parameters.

use crate::types::MailboxName;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Select {
    pub mailbox: MailboxName,
}
