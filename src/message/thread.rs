//! Which conversation a message belongs to, by its header alone (RFC 8474 section 5.2).

use super::header;
use crate::encoding::ascii;
use crate::types::ObjectId;

/// THREADID: made of the message that the conversation began with, as far as the header knows it: the first of References, else of In-Reply-To,
/// else the message itself. So it never changes, needs no other message, and is the same in every mailbox. `None` if the header
/// has no message-id at all.
pub fn id(header: &[u8]) -> Option<ObjectId> {
    let (mut references, mut in_reply_to, mut own) = (None, None, None);
    for field in header::fields(header) {
        if field.name.eq_ignore_ascii_case(b"References") {
            references = references.or_else(|| message_id(field.value));
        } else if field.name.eq_ignore_ascii_case(b"In-Reply-To") {
            in_reply_to = in_reply_to.or_else(|| message_id(field.value));
        } else if field.name.eq_ignore_ascii_case(b"Message-ID") {
            own = own.or_else(|| message_id(field.value).or_else(|| bare(field.value)));
        }
    }
    references.or(in_reply_to).or(own).map(|id| ObjectId::of('T', &id))
}

/// The first message-id of a field, without its brackets, blanks, folds and quotes: `<"a"@b>` and `<a@b>` are the same (RFC 5256 section 2.1).
/// Text around it, as old In-Reply-To fields have it, is passed over.
fn message_id(value: &[u8]) -> Option<Vec<u8>> {
    let mut rest = value;
    loop {
        let start = memchr::memchr(b'<', rest)? + 1;
        let end = start + memchr::memchr(b'>', &rest[start..])?;
        let id = plain(&rest[start..end]);
        if !id.is_empty() {
            return Some(id);
        }
        rest = &rest[end..];
    }
}

/// A Message-ID that lacks its brackets: answers name it with them.
fn bare(value: &[u8]) -> Option<Vec<u8>> {
    let word = ascii::trim(value).split(u8::is_ascii_whitespace).next()?;
    Some(plain(word)).filter(|id| !id.is_empty() && !word.contains(&b'<'))
}

fn plain(id: &[u8]) -> Vec<u8> {
    let belongs = |octet: &u8| !octet.is_ascii_whitespace() && !matches!(octet, b'\0' | b'"' | b'\\');
    id.iter().copied().filter(belongs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(id: &str) -> Option<ObjectId> {
        Some(ObjectId::of('T', id.as_bytes()))
    }

    #[test]
    fn a_thread_is_named_by_its_first_message() {
        assert_eq!(id(b"Message-ID: <own@x>\r\nSubject: a\r\n\r\n"), thread("own@x"));
        assert_eq!(id(b"Message-ID: <own@x>\nIn-Reply-To: <parent@x>\n\n"), thread("parent@x"));
        let all = b"In-Reply-To: <parent@x>\r\nreferences: <first@x> <parent@x>\r\nmessage-id: <own@x>\r\n\r\n";
        assert_eq!(id(all), thread("first@x"));
        assert_eq!(id(b"References:\r\nIn-Reply-To: \r\nMessage-ID: <own@x>\r\n\r\n"), thread("own@x"));
    }

    #[test]
    fn a_message_without_any_id_has_no_thread() {
        assert_eq!(id(b"Subject: <a@b>\r\n\r\nMessage-ID: <own@x>\r\n"), None);
        assert_eq!(id(b"Message-ID: \r\nReferences: none\r\nIn-Reply-To: <>\r\n\r\n"), None);
        assert_eq!(id(b"Message-ID: <>\r\n\r\n"), None);
        assert_eq!(id(b""), None);
    }

    #[test]
    fn the_same_id_may_be_written_in_many_ways() {
        for written in [
            "<a.b@x>",
            "< a.b@x >",
            "<\"a.b\"@x>",
            "<a.b\r\n @x>",
            "a.b@x",
            "a.b@x (no brackets)",
            "<> <a.b@x>",
            "\t<a\\.b@x> <c@x>",
        ] {
            assert_eq!(id(format!("Message-ID: {written}\r\n\r\n").as_bytes()), thread("a.b@x"), "{written:?}");
        }
        let old = b"Message-ID: <own@x>\r\nIn-Reply-To: Your message of \"Mon\" <parent@x>\r\n\r\n";
        assert_eq!(id(old), thread("parent@x"));
        assert_ne!(thread("A@x"), thread("a@x"));
    }

    #[test]
    fn of_fields_that_are_there_twice_the_first_with_an_id_counts() {
        let header = b"Message-ID: <own@x>\r\nReferences: none\r\nReferences: <a@x>\r\nReferences: <b@x>\r\n\r\n";
        assert_eq!(id(header), thread("a@x"));
    }

    #[test]
    fn brackets_without_end_take_linear_time() {
        let header = format!("References: {}{}\r\n\r\n", "<>".repeat(500_000), "<".repeat(500_000));
        assert_eq!(id(header.as_bytes()), None);
    }
}
