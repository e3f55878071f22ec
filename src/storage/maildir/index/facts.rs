//! What was made of a message's content once: octets that mean nothing to us, by mailbox and UID.

use super::seal::Table;
use super::{Index, Reading, Result, Writing, key};
use crate::storage::Kept;

impl Index {
    fn facts(&self, kind: Kept) -> Table {
        match kind {
            Kept::Envelope => self.envelopes,
            Kept::Structure => self.structures,
            Kept::Header => self.headers,
        }
    }
}

impl Reading<'_> {
    pub fn kept(&self, mailbox: u32, uid: u32, kind: Kept) -> Result<Option<&[u8]>> {
        self.index.facts(kind).get(&self.txn, &key(mailbox, uid))
    }
}

impl Writing<'_> {
    pub fn keep(&mut self, mailbox: u32, uid: u32, kind: Kept, octets: &[u8]) -> Result<()> {
        self.index.facts(kind).put(&mut self.txn, &key(mailbox, uid), octets)
    }
}
