//! The tree of parts with their places. [`scanner`](super::scanner) makes it.

use super::content::Content;
use super::envelope::Envelope;
pub use super::scanner::{Scanner, scan};

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
    /// Line ends in the body (RFC 9051 `body-fld-lines`). A last line without a line end does not count, as in other servers: the line
    /// end before a delimiter is not the body's.
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

impl Message {
    /// The parts that hold octets of their own, in their order, those of embedded messages included. With text/* ones go
    /// [`Content::charset`] and [`super::transfer::Decoder`].
    pub fn leaves(&self) -> impl Iterator<Item = &Part> {
        self.parts().filter(|part| matches!(part.kind, Kind::Leaf))
    }

    /// The messages within this one, in their order, at any depth.
    pub fn embedded(&self) -> impl Iterator<Item = &Message> {
        self.parts().filter_map(|part| match &part.kind {
            Kind::Message(message) => Some(&**message),
            _ => None,
        })
    }

    /// Every part, the root first, each before what it is made of.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        let mut ahead = vec![&self.root];
        std::iter::from_fn(move || {
            let part = ahead.pop()?;
            match &part.kind {
                Kind::Leaf => {}
                Kind::Multipart(parts) => ahead.extend(parts.iter().rev()),
                Kind::Message(message) => ahead.push(&message.root),
            }
            Some(part)
        })
    }
}
