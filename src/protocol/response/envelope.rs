//! ENVELOPE and address lists.

use crate::message::address::Address;
use crate::message::envelope::Envelope;
use crate::protocol::encode;

/// The parenthesised value, without an item name.
///
/// ```abnf
/// envelope = "(" env-date SP env-subject SP env-from SP env-sender SP env-reply-to SP env-to SP env-cc SP
///            env-bcc SP env-in-reply-to SP env-message-id ")"
/// env-from = "(" 1*address ")" / nil
/// ```
pub fn envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    out.push(b'(');
    encode::nstring(out, envelope.date.as_deref());
    out.push(b' ');
    encode::nstring(out, envelope.subject.as_deref());
    for list in [&envelope.from, &envelope.sender, &envelope.reply_to, &envelope.to, &envelope.cc, &envelope.bcc] {
        out.push(b' ');
        addresses(out, list);
    }
    out.push(b' ');
    encode::nstring(out, envelope.in_reply_to.as_deref());
    out.push(b' ');
    encode::nstring(out, envelope.message_id.as_deref());
    out.push(b')');
}

/// ```abnf
/// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
/// ```
fn addresses(out: &mut Vec<u8>, list: &[Address]) {
    if list.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for address in list {
        out.push(b'(');
        encode::separated(out, [&address.name, &address.route, &address.mailbox, &address.host], |out, field| {
            encode::nstring(out, field.as_deref());
        });
        out.push(b')');
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn the_example_of_rfc_9051() {
        let address = |name: Option<&str>, mailbox: &str, host: &str| Address {
            name: name.map(Into::into),
            route: None,
            mailbox: Some(mailbox.into()),
            host: Some(host.into()),
        };
        let gray = vec![address(Some("Terry Gray"), "gray", "cac.washington.edu")];
        let value = Envelope {
            date: Some("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)".into()),
            subject: Some("IMAP4rev2 WG mtg summary and minutes".into()),
            from: gray.clone(),
            sender: gray.clone(),
            reply_to: gray,
            to: vec![address(None, "imap", "cac.washington.edu")],
            cc: vec![
                address(None, "minutes", "CNRI.Reston.VA.US"),
                address(Some("John Klensin"), "KLENSIN", "MIT.EDU"),
            ],
            bcc: vec![],
            in_reply_to: None,
            message_id: Some("<B27397-0100000@cac.washington.ed>".into()),
        };
        assert_eq!(
            written(|o| envelope(o, &value)),
            "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
             ((NIL NIL \"imap\" \"cac.washington.edu\")) \
             ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) \
             NIL NIL \"<B27397-0100000@cac.washington.ed>\")"
        );
    }

    #[test]
    fn a_subject_cannot_forge_a_response() {
        let value = Envelope { subject: Some(b"x\r\n* BYE \xff\0".to_vec()), ..Envelope::default() };
        let mut out = Vec::new();
        envelope(&mut out, &value);
        assert_eq!(out, b"(NIL {11}\r\nx\r\n* BYE \xff\x80 NIL NIL NIL NIL NIL NIL NIL NIL)");
    }
}
