//! RFC 5322 and MIME: a message as octets and offsets. Nothing is copied until asked for, nothing is read: the caller pushes
//! octets in and gets values out.
//!
//! A message has two forms. *Stored* is what lies in the file, its lines ending in LF or CRLF or both. *Wire* is what IMAP shows: each
//! LF that no CR precedes becomes CRLF, and nothing else changes ([`line_ends`]). Offsets are stored offsets, because those can be
//! sought; sizes that clients see are wire sizes.

pub mod address;
pub mod charset;
pub mod content;
pub mod date;
pub mod encoded_word;
pub mod envelope;
pub mod header;
pub mod kept;
pub mod line_ends;
pub mod parameter;
mod scanner;
pub mod section;
pub mod structure;
pub mod thread;
pub mod transfer;
