//! The open mailbox as this client sees it: sequence numbers over UIDs.

use super::outcome::Refusal;
use crate::protocol::command::Numbers;
use crate::storage::Mailbox;
use crate::types::{MailboxName, SeqNum, SequenceSet, Uid, UidSet};

/// A selected mailbox. The client's view (which messages, in which places) changes only when `updates` tells it; until then a message
/// that others expunged keeps its sequence number.
pub struct Selected {
    pub name: MailboxName,
    pub mailbox: Box<dyn Mailbox>,
    pub read_only: bool,
    /// The client's view: ascending; the n-th is sequence number n.
    pub(super) view: Vec<Uid>,
    /// `$` (RFC 5182). Messages that `updates` told as expunged are no longer in it.
    pub(super) saved: UidSet,
}

impl Selected {
    pub fn exists(&self) -> u32 {
        self.view.len() as u32
    }

    pub fn uid_at(&self, _number: SeqNum) -> Option<Uid> {
        todo!()
    }

    /// By binary search.
    pub fn number_of(&self, _uid: Uid) -> Option<SeqNum> {
        todo!()
    }

    /// All messages of the client's view with their places, ascending.
    pub fn messages(&self) -> impl Iterator<Item = (SeqNum, Uid)> + '_ {
        self.view.iter().enumerate().filter_map(|(i, &uid)| Some((SeqNum::new(i as u32 + 1)?, uid)))
    }

    /// The messages of the client's view that a set names. A sequence number beyond the last message is BAD (RFC 9051 section 9,
    /// `seq-number`); a UID without a message is passed over.
    pub fn resolve(&self, _set: &SequenceSet, _numbers: Numbers) -> Result<UidSet, Refusal> {
        todo!()
    }

    /// Sets `$`.
    pub fn save(&mut self, uids: UidSet) {
        self.saved = uids;
    }
}
