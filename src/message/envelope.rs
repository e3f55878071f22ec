//! The ten fields of ENVELOPE (RFC 9051 section 7.5.2).

use super::address::Address;

/// Octets as the header has them, unfolded, encoded words left as they are. Sender and Reply-To are already filled from From where the
/// message lacks them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Envelope {
    pub date: Option<Vec<u8>>,
    pub subject: Option<Vec<u8>>,
    pub from: Vec<Address>,
    pub sender: Vec<Address>,
    pub reply_to: Vec<Address>,
    pub to: Vec<Address>,
    pub cc: Vec<Address>,
    pub bcc: Vec<Address>,
    pub in_reply_to: Option<Vec<u8>>,
    pub message_id: Option<Vec<u8>>,
}
