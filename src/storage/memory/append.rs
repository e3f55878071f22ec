//! Messages on their way into memory.

use super::folder::{self, Message};
use super::user::Shared;
use crate::message::line_ends::ToWire;
use crate::storage::{Append, Appended, Result, StoreError};
use crate::types::{DateTime, Flags, MailboxName, UidValidity};

/// They are in the mailbox only when all of them are committed.
pub(super) struct MemoryAppend {
    user: Shared,
    uid_validity: UidValidity,
    done: Vec<Message>,
    /// By [`Message::cost`], of `done`.
    cost: u64,
    current: Option<Draft>,
}

struct Draft {
    flags: Flags,
    date: DateTime,
    octets: Vec<u8>,
    line_ends: ToWire,
}

impl MemoryAppend {
    pub fn new(user: Shared, name: &MailboxName) -> Result<Self> {
        let uid_validity = user.lock().folder_named(name)?.uid_validity;
        Ok(Self { user, uid_validity, done: Vec::new(), cost: 0, current: None })
    }

    fn end_message(&mut self) {
        if let Some(draft) = self.current.take() {
            let message = Message::new(draft.octets, draft.date, draft.flags);
            self.cost += message.cost();
            self.done.push(message);
        }
    }
}

impl Append for MemoryAppend {
    fn begin(&mut self, flags: &Flags, date: Option<DateTime>) -> Result<()> {
        self.end_message();
        self.user.lock().check_cost(self.cost)?;
        let date = date.unwrap_or_else(folder::now);
        self.current = Some(Draft { flags: flags.clone(), date, octets: Vec::new(), line_ends: ToWire::new() });
        Ok(())
    }

    fn write(&mut self, wire: &[u8]) -> Result<()> {
        let Some(draft) = &mut self.current else { return Err(StoreError::Cannot("no message was begun")) };
        self.user.lock().check_cost(self.cost + draft.octets.len() as u64 + wire.len() as u64)?;
        draft.line_ends.push(wire, &mut draft.octets);
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Appended> {
        self.end_message();
        let messages = std::mem::take(&mut self.done);
        let uids = self.user.lock().append(self.uid_validity, messages)?;
        Ok(Appended { uid_validity: self.uid_validity, uids })
    }
}
