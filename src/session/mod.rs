//! One client: its state, its commands, its news. Never calls the system: it has a stream, a store and a wait.

pub mod capabilities;
pub mod channel;
pub mod command;
pub mod login;
pub mod outcome;
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

/// What a command function works with besides its arguments and the selected mailbox.
pub struct Context<'a> {
    pub channel: &'a mut Channel,
    pub store: &'a mut dyn MailStore,
    pub enabled: Enabled,
    pub tag: &'a Tag,
}
