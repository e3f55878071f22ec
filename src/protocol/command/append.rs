//! APPEND, MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502, RFC 3516 section 4.4).

use super::Dialect;
use crate::protocol::cursor::SyntaxError;
use crate::protocol::frame::LiteralHeader;
use crate::types::{DateTime, Flags, MailboxName};

/// APPEND up to the first message's literal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    pub mailbox: MailboxName,
    pub first: AppendMessage,
}

/// What stands before one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppendMessage {
    pub flags: Flags,
    /// `None`: now.
    pub date: Option<DateTime>,
    pub literal: LiteralHeader,
}

/// Whether `so_far`, which ends with a literal header, is an APPEND whose literal is the first message (and not the mailbox name). Then the
/// session parses it with [`super::parse`] and streams the literal.
pub fn message_follows(_so_far: &[u8]) -> bool {
    todo!()
}

/// What follows a message: `None` for the end of the command (an empty line rest), else the head of the next message: `SP [flags SP] [date SP] literal`.
pub fn parse_next(_line: &[u8], _dialect: Dialect) -> Result<Option<AppendMessage>, SyntaxError> {
    todo!()
}
