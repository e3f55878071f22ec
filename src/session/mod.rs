//! One client: its state, its commands, its news. Never calls the system: it has a stream, a store and a wait.

pub mod capabilities;
pub mod channel;
pub mod command;
mod input;
pub mod login;
pub mod outcome;
mod output;
pub mod selected;
pub mod updates;

use crate::protocol::Dialect;
use crate::protocol::command::Tag;
use crate::storage::MailStore;
use channel::Channel;

/// What ENABLE has turned on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Enabled {
    pub imap4rev2: bool,
}

impl Enabled {
    pub fn dialect(self) -> Dialect {
        if self.imap4rev2 { Dialect::Rev2 } else { Dialect::Rev1 }
    }
}

/// What was done for the client, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    pub commands: u64,
    /// Messages whose content was sent.
    pub fetched: u64,
    pub appended: u64,
    pub expunged: u64,
}

/// What a command function works with besides its arguments and the selected mailbox.
pub struct Context<'a> {
    pub channel: &'a mut Channel,
    pub store: &'a mut dyn MailStore,
    pub enabled: &'a mut Enabled,
    pub tag: &'a Tag,
    pub counters: &'a mut Counters,
}
