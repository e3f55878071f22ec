//! BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2).

use crate::message::structure::Message;

/// The parenthesised value, with extension data if `extended`.
pub fn structure(_out: &mut Vec<u8>, _message: &Message, _extended: bool) {
    todo!()
}
