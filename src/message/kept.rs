//! What is kept of a message once it was parsed: the form of it, and which header fields it has.
//!
//! Each value begins with [`VERSION`]. Values of another version are as if there were none, so whoever changes what a parser makes of a message, how
//! it is written, or [`FIELDS`], counts it up. A value that would be longer than [`limits::KEPT`] is not kept: such a message is opened each time.

use super::header;
use crate::limits;

/// Of the parsers, of what is written and of [`FIELDS`].
const VERSION: u8 = 1;

/// The header fields that mail programs ask of every message of a folder, and that searches, sorts and threads use. Complete: a field that is not kept of a
/// message is not in it. Fields that most messages have and few programs ask for are left out, since there are many messages: Received,
/// DKIM-Signature, Authentication-Results.
const FIELDS: &[&str] = &[
    // ENVELOPE's, which everybody asks for, and what sorts and threads go by.
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Content-Type",
    // Thunderbird.
    "Newsgroups",
    "Priority",
    "X-Priority",
    // Outlook.
    "Importance",
    // Apple Mail and iOS, the last three of notes and drafts.
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "X-Uniform-Type-Identifier",
    "X-Universally-Unique-Identifier",
    "X-Mail-Created-Date",
    // mutt.
    "Content-Description",
    "Lines",
    "List-Post",
    "List-Subscribe",
    "X-Label",
    "X-Original-To",
    // K-9 and Thunderbird for Android.
    "X-K9mail-Identity",
    "Chat-Version",
    "Autocrypt-Draft-State",
    // Roundcube.
    "Disposition-Notification-To",
    // mbsync and OfflineIMAP, by which they find what they put there.
    "X-TUID",
    "X-OfflineIMAP",
];

/// Whether fields of this name are among those that [`header()`] keeps.
pub fn has_field(name: &[u8]) -> bool {
    FIELDS.iter().any(|field| field.len() == name.len() && field.as_bytes().eq_ignore_ascii_case(name))
}

/// The form in which a value is kept; `None` if it is too long.
pub fn value(octets: &[u8]) -> Option<Vec<u8>> {
    (octets.len() < limits::KEPT).then(|| [&[VERSION], octets].concat())
}

/// The same of a whole header in wire form: those of its fields that are kept, and its empty line.
pub fn header(wire: &[u8]) -> Option<Vec<u8>> {
    let mut kept = vec![VERSION];
    header::select_by(wire, has_field, &mut kept);
    (kept.len() <= limits::KEPT).then_some(kept)
}

/// The octets of a value that was kept; `None` if it is of another version.
pub fn octets(kept: &[u8]) -> Option<&[u8]> {
    kept.strip_prefix(&[VERSION])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_fields_as_they_stand_and_the_empty_line() {
        let wire = b"Received: x\r\nSUBJECT: a\r\n b\r\nrubbish\r\nx-tuid:1\r\nSubject : c\0\r\n\r\n";
        let kept = header(wire).unwrap();
        assert_eq!(octets(&kept), Some(&b"SUBJECT: a\r\n b\r\nx-tuid:1\r\nSubject : c\0\r\n\r\n"[..]));
        assert_eq!(octets(&header(b"Received: x").unwrap()), Some(&b""[..]));
    }

    #[test]
    fn what_clients_ask_of_every_message_is_kept() {
        for names in [
            "From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To",
            "date subject from to cc message-id in-reply-to references content-type x-priority x-uniform-type-identifier \
             x-universally-unique-identifier list-id list-unsubscribe",
            "date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender \
             X-K9mail-Identity Chat-Version",
            "DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES \
             LIST-POST LIST-SUBSCRIBE LIST-UNSUBSCRIBE X-LABEL X-ORIGINAL-TO",
            "DATE FROM TO SUBJECT CONTENT-TYPE CC REPLY-TO LIST-POST DISPOSITION-NOTIFICATION-TO X-PRIORITY",
            "X-TUID Message-Id",
        ] {
            for name in names.split_whitespace() {
                assert!(has_field(name.as_bytes()), "{name}");
            }
        }
        assert!(!has_field(b"Received") && !has_field(b"") && !has_field(b"Subjec"));
    }

    #[test]
    fn a_value_that_is_too_long_or_of_another_version_is_none() {
        assert!(value(&vec![b'x'; limits::KEPT - 1]).is_some_and(|kept| kept.len() == limits::KEPT));
        assert_eq!(value(&vec![b'x'; limits::KEPT]), None);
        let long = |length: usize| format!("Subject: {}\r\n\r\n", "x".repeat(length - 14));
        assert!(header(long(limits::KEPT).as_bytes()).is_some_and(|kept| kept.len() <= limits::KEPT));
        assert_eq!(header(long(limits::KEPT + 1).as_bytes()), None);
        assert_eq!(octets(&value(b"x").unwrap()), Some(&b"x"[..]));
        assert_eq!(octets(b""), None);
        assert_eq!(octets(&[VERSION + 1, b'x']), None);
    }
}
