//! What was made of a message's content once: octets that mean nothing to us, by mailbox and UID.

use super::seal::Table;
use super::{Index, Result, Writing, key};
use crate::storage::Kept;
use heed::{RoTxn, WithoutTls};
use std::sync::Arc;

impl Index {
    fn facts(&self, kind: Kept) -> Table {
        match kind {
            Kept::Envelope => self.envelopes,
            Kept::Structure => self.structures,
            Kept::Header => self.headers,
        }
    }
}

/// A look at what is kept, held over many messages: beginning one for each would cost as much as the looking. Not to be held while waiting for a
/// client.
pub struct Held {
    txn: RoTxn<'static, WithoutTls>,
    /// Behind the transaction, which must end first.
    index: Arc<Index>,
}

impl Held {
    pub fn new(index: Arc<Index>) -> Result<Self> {
        Ok(Self { txn: index.env.clone().static_read_txn()?, index })
    }

    /// Whether it is of this index.
    pub fn is_of(&self, index: &Index) -> bool {
        self.index.id == index.id
    }

    pub fn kept(&self, mailbox: u32, uid: u32, kind: Kept) -> Result<Option<&[u8]>> {
        self.index.facts(kind).get(&self.txn, &key(mailbox, uid))
    }
}

impl Writing<'_> {
    pub fn keep(&mut self, mailbox: u32, uid: u32, kind: Kept, octets: &[u8]) -> Result<()> {
        self.index.facts(kind).put(&mut self.txn, &key(mailbox, uid), octets)
    }
}
