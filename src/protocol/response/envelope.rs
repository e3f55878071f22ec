//! ENVELOPE and address lists.

use crate::message::envelope::Envelope;

/// The parenthesised value, without an item name.
pub fn envelope(_out: &mut Vec<u8>, _envelope: &Envelope) {
    todo!()
}
