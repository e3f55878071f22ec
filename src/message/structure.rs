//! The tree of parts with their places, bounded in depth and number.

use super::content::Content;
use super::envelope::Envelope;

/// A stretch of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// Stored offset of its first octet.
    pub start: u64,
    /// Stored offset behind its last octet.
    pub end: u64,
    /// Its length in wire octets.
    pub wire: u64,
}

/// A message: the one in the file, or one in a message/rfc822 or message/global part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    pub envelope: Envelope,
    pub root: Part,
    /// Header and body together.
    pub whole: Span,
}

/// A MIME part; the root of a message is one too, its header being the message's header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The header fields and the empty line behind them.
    pub header: Span,
    pub body: Span,
    /// Lines of the body on the wire (RFC 9051 `body-fld-lines`).
    pub lines: u64,
    pub content: Content,
    pub kind: Kind,
}

/// What a part is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text or other octets.
    Leaf,
    /// Never empty: a multipart without parts gets one empty text part.
    Multipart(Vec<Part>),
    /// message/rfc822, message/global (RFC 9051 section 7.5.2).
    Message(Box<Message>),
}

/// Takes a message in pieces of any size and gives its structure. Memory is bounded by the limits on headers, depth and parts, not
/// by the message.
#[derive(Default)]
pub struct Scanner {}

impl Scanner {
    pub fn new() -> Self {
        Self::default()
    }

    /// The next stored octets.
    pub fn push(&mut self, _stored: &[u8]) {
        todo!()
    }

    /// Whether the header of the message has been seen whole, so that [`Scanner::finish`] gives a true envelope (and a root part
    /// without its inner structure) even if the rest is not pushed.
    pub fn header_done(&self) -> bool {
        todo!()
    }

    /// The structure of what was pushed. Every input has one.
    pub fn finish(self) -> Message {
        todo!()
    }
}
