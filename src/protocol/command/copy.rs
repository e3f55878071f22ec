//! COPY, MOVE and their UID forms.

use super::Numbers;
use crate::types::{MailboxName, SequenceSet};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    pub numbers: Numbers,
    pub set: SequenceSet,
    pub mailbox: MailboxName,
}
