//! The ten fields of ENVELOPE (RFC 9051 section 7.5.2).

use super::address::{self, Address};
use super::header::{self, Field};
use crate::limits;

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

/// Reads a message's header, in LF or CRLF form. Of a field that is there twice the first counts, but destination fields add up, as RFC 5322
/// section 4.5.3 asks.
pub fn read(header: &[u8]) -> Envelope {
    read_within(header, &mut limits::ADDRESSES_OF_MESSAGE.clone())
}

/// The same, and takes what it used off the addresses that the message may have altogether.
pub(super) fn read_within(header: &[u8], addresses_left: &mut usize) -> Envelope {
    let mut envelope = Envelope::default();
    // Of those that are asked for below.
    let may_be = |first: u8| b"bcdfimrst".contains(&first.to_ascii_lowercase());
    for Field { name, value, .. } in header::fields_like(header, may_be) {
        let text = |known: &str, place: &mut Option<Vec<u8>>| {
            let ours = name.eq_ignore_ascii_case(known.as_bytes());
            if ours && place.is_none() {
                *place = Some(header::unfold(value));
            }
            ours
        };
        if text("date", &mut envelope.date)
            || text("subject", &mut envelope.subject)
            || text("in-reply-to", &mut envelope.in_reply_to)
            || text("message-id", &mut envelope.message_id)
        {
            continue;
        }
        let mut addresses = |known: &str, place: &mut Vec<Address>, repeats: Repeats| {
            if name.eq_ignore_ascii_case(known.as_bytes()) && (place.is_empty() || repeats == Repeats::AddUp) {
                let most = limits::ADDRESSES.saturating_sub(place.len()).min(*addresses_left);
                let found = address::parse_within(&header::unfold(value), most);
                *addresses_left -= found.len().min(*addresses_left);
                place.extend(found);
            }
        };
        addresses("from", &mut envelope.from, Repeats::FirstCounts);
        addresses("sender", &mut envelope.sender, Repeats::FirstCounts);
        addresses("reply-to", &mut envelope.reply_to, Repeats::FirstCounts);
        addresses("to", &mut envelope.to, Repeats::AddUp);
        addresses("cc", &mut envelope.cc, Repeats::AddUp);
        addresses("bcc", &mut envelope.bcc, Repeats::AddUp);
    }
    if envelope.sender.is_empty() {
        envelope.sender = envelope.from.clone();
    }
    if envelope.reply_to.is_empty() {
        envelope.reply_to = envelope.from.clone();
    }
    envelope
}

#[derive(PartialEq)]
enum Repeats {
    FirstCounts,
    AddUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailboxes(list: &[Address]) -> Vec<String> {
        list.iter().map(|a| String::from_utf8(a.mailbox.clone().unwrap_or_default()).unwrap()).collect()
    }

    #[test]
    fn sender_and_reply_to_come_from_from() {
        let envelope = read(b"From: a@x\r\nReply-To:\r\nSubject: s\r\n t\r\n\r\nTo: body@x\r\n");
        assert_eq!(mailboxes(&envelope.sender), ["a"]);
        assert_eq!(mailboxes(&envelope.reply_to), ["a"]);
        assert!(envelope.to.is_empty());
        assert_eq!(envelope.subject.as_deref(), Some(&b"s t"[..]));
        assert_eq!(read(b"").date, None);
    }

    #[test]
    fn the_first_field_counts_and_destinations_add_up() {
        let envelope = read(
            b"Subject:\nSubject: 2\nFrom: a@x\nFrom: b@x\nTo: c@x\nTo: d@x\ncc: e@x\nMESSAGE-ID: <1>\nIn-Reply-To: <2>\nDate: now\nBcc: f@x\nSender: g@x\n",
        );
        assert_eq!(envelope.subject.as_deref(), Some(&b""[..]));
        assert_eq!(mailboxes(&envelope.from), ["a"]);
        assert_eq!(mailboxes(&envelope.to), ["c", "d"]);
        assert_eq!(mailboxes(&envelope.cc), ["e"]);
        assert_eq!(mailboxes(&envelope.bcc), ["f"]);
        assert_eq!(mailboxes(&envelope.sender), ["g"]);
        assert_eq!(envelope.message_id.as_deref(), Some(&b"<1>"[..]));
        assert_eq!(envelope.in_reply_to.as_deref(), Some(&b"<2>"[..]));
        assert_eq!(envelope.date.as_deref(), Some(&b"now"[..]));
    }

    #[test]
    fn a_million_addresses_are_cut_at_the_limit() {
        let header = format!("To: {}\r\n", "a@b,".repeat(500_000)).repeat(2);
        assert_eq!(read(header.as_bytes()).to.len(), limits::ADDRESSES);
        let groups = format!("To: {}\r\n", "g:;".repeat(100_000));
        assert!(read(groups.as_bytes()).to.len() <= limits::ADDRESSES + 1);
    }
}
