//! `BODY[1.2.HEADER.FIELDS (...)]` to a stretch of the message.

use super::structure::{Message, Part, Span};

/// RFC 9051 `section`: a part, and what of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Part numbers from 1; empty for the message itself.
    pub path: Vec<u32>,
    pub text: SectionText,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SectionText {
    /// The whole message, or the part's body.
    Whole,
    Header,
    HeaderFields(Vec<Vec<u8>>),
    HeaderFieldsNot(Vec<Vec<u8>>),
    Text,
    /// The part's own header. Never with an empty path.
    Mime,
}

/// Where the section lies. For [`SectionText::HeaderFields`] and its negation it is the whole header, from which the caller takes the fields with
/// [`super::header::select`]. `None` if there is no such part, or the part is no message and has no header or text of that kind.
pub fn locate(_message: &Message, _section: &Section) -> Option<Span> {
    todo!()
}

/// The part that a path names, for BINARY. The empty path is the root part.
pub fn part<'a>(_message: &'a Message, _path: &[u32]) -> Option<&'a Part> {
    todo!()
}
