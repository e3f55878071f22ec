//! IMAP as text: commands in, responses out; no I/O, no state.

pub mod command;
pub mod cursor;
pub mod date_time;
pub mod encode;
pub mod frame;
pub mod mailbox_name;
pub mod response;
#[cfg(test)]
mod round_trip;
mod search_key;
pub mod sequence_set;

/// How mailbox names and other texts stand on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Dialect {
    /// IMAP4rev1: mailbox names in modified UTF-7.
    #[default]
    Rev1,
    /// After `ENABLE IMAP4rev2`: mailbox names in UTF-8.
    Rev2,
}
