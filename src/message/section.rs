//! `BODY[1.2.HEADER.FIELDS (...)]` to a stretch of the message.

use super::structure::{Kind, Message, Part, Span};

/// RFC 9051 `section`: a part, and what of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    /// Part numbers from 1; empty for the message itself.
    pub path: Vec<u32>,
    pub text: SectionText,
}

/// What of a part is meant (RFC 9051 `section-text`).
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
pub fn locate(message: &Message, section: &Section) -> Option<Span> {
    if section.path.is_empty() {
        return match section.text {
            SectionText::Whole => Some(message.whole),
            SectionText::Mime => None,
            _ => of_message(message, &section.text),
        };
    }
    let part = part(message, &section.path)?;
    match (&section.text, &part.kind) {
        (SectionText::Whole, _) => Some(part.body),
        (SectionText::Mime, _) => Some(part.header),
        (text, Kind::Message(inner)) => of_message(inner, text),
        _ => None,
    }
}

fn of_message(message: &Message, text: &SectionText) -> Option<Span> {
    match text {
        SectionText::Header | SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
            Some(message.root.header)
        }
        SectionText::Text => Some(message.root.body),
        SectionText::Whole | SectionText::Mime => None,
    }
}

/// The part that a path names, for BINARY. The empty path is the root part.
///
/// A message that is no multipart has one part, 1, which is its body (RFC 9051 section 6.4.5.1); the numbers below a message/rfc822 part
/// are those of the parts of the message in it.
pub fn part<'a>(message: &'a Message, path: &[u32]) -> Option<&'a Part> {
    let Some((&first, rest)) = path.split_first() else { return Some(&message.root) };
    let mut part = in_message(message, first)?;
    for &number in rest {
        part = match &part.kind {
            Kind::Leaf => return None,
            Kind::Multipart(parts) => nth(parts, number)?,
            Kind::Message(inner) => in_message(inner, number)?,
        };
    }
    Some(part)
}

fn in_message(message: &Message, number: u32) -> Option<&Part> {
    match &message.root.kind {
        Kind::Multipart(parts) => nth(parts, number),
        _ => (number == 1).then_some(&message.root),
    }
}

fn nth(parts: &[Part], number: u32) -> Option<&Part> {
    parts.get(usize::try_from(number).ok()?.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::super::structure::scan;
    use super::*;

    /// The example of RFC 9051 section 6.4.5.1.
    const COMPLEX: &str = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n\
        --o\r\n\r\none\r\n\
        --o\r\nContent-Type: application/octet-stream\r\n\r\ntwo\r\n\
        --o\r\nContent-Type: message/rfc822\r\nX: 3\r\n\r\n\
        Subject: three\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n\
        --i\r\n\r\nthree.one\r\n--i\r\nContent-Type: application/octet-stream\r\n\r\nthree.two\r\n--i--\r\n\
        --o\r\nContent-Type: multipart/mixed; boundary=p\r\n\r\n\
        --p\r\nContent-Type: image/gif\r\n\r\nfour.one\r\n\
        --p\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: four.two\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n\
        --q\r\n\r\nfour.two.one\r\n\
        --q\r\nContent-Type: multipart/alternative; boundary=r\r\n\r\n\
        --r\r\n\r\nfour.two.two.one\r\n--r\r\nContent-Type: text/richtext\r\n\r\nfour.two.two.two\r\n--r--\r\n\
        --q--\r\n--p--\r\n--o--\r\n";

    fn get<'a>(text: &'a str, path: &[u32], what: SectionText) -> Option<&'a str> {
        let span = locate(&scan(text.as_bytes()), &Section { path: path.to_vec(), text: what })?;
        Some(&text[span.start as usize..span.end as usize])
    }

    #[test]
    fn the_example_of_the_rfc() {
        let whole = |path: &[u32]| get(COMPLEX, path, SectionText::Whole);
        assert_eq!(whole(&[]), Some(COMPLEX));
        assert_eq!(whole(&[1]), Some("one"));
        assert_eq!(whole(&[2]), Some("two"));
        assert_eq!(whole(&[3, 1]), Some("three.one"));
        assert_eq!(whole(&[3, 2]), Some("three.two"));
        assert_eq!(whole(&[4, 1]), Some("four.one"));
        assert_eq!(whole(&[4, 2, 1]), Some("four.two.one"));
        assert_eq!(whole(&[4, 2, 2, 1]), Some("four.two.two.one"));
        assert_eq!(whole(&[4, 2, 2, 2]), Some("four.two.two.two"));
        assert!(whole(&[3]).unwrap().starts_with("Subject: three\r\n"));
        assert!(whole(&[3]).unwrap().ends_with("--i--"));
        assert_eq!(get(COMPLEX, &[4, 1], SectionText::Mime), Some("Content-Type: image/gif\r\n\r\n"));
        assert_eq!(get(COMPLEX, &[3], SectionText::Mime), Some("Content-Type: message/rfc822\r\nX: 3\r\n\r\n"));
        assert!(get(COMPLEX, &[], SectionText::Header).unwrap().starts_with("Subject: outer\r\n"));
        assert!(get(COMPLEX, &[3], SectionText::Header).unwrap().ends_with("boundary=i\r\n\r\n"));
        assert!(get(COMPLEX, &[4, 2], SectionText::Text).unwrap().starts_with("--q\r\n"));
        assert!(get(COMPLEX, &[4, 2], SectionText::HeaderFields(vec![])).unwrap().starts_with("Subject: four.two\r\n"));
    }

    #[test]
    fn what_is_not_there_is_none() {
        for path in [&[0][..], &[5], &[1, 1], &[3, 3], &[4, 2, 2, 3], &[4, 2, 2, 2, 1], &[u32::MAX]] {
            assert_eq!(get(COMPLEX, path, SectionText::Whole), None, "{path:?}");
        }
        assert_eq!(get(COMPLEX, &[], SectionText::Mime), None);
        assert_eq!(get(COMPLEX, &[1], SectionText::Header), None);
        assert_eq!(get(COMPLEX, &[4], SectionText::Text), None);
    }

    #[test]
    fn part_one_of_a_plain_message_is_its_body() {
        let plain = "Subject: x\r\n\r\nbody";
        assert_eq!(get(plain, &[1], SectionText::Whole), Some("body"));
        assert_eq!(get(plain, &[1], SectionText::Mime), Some("Subject: x\r\n\r\n"));
        assert_eq!(get(plain, &[1], SectionText::Text), None);
        assert_eq!(get(plain, &[2], SectionText::Whole), None);
        assert_eq!(get(plain, &[1, 1], SectionText::Whole), None);
    }

    #[test]
    fn a_message_that_is_a_message_has_its_parts_below_one() {
        let text = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody";
        assert_eq!(get(text, &[1], SectionText::Whole), Some("Subject: in\r\n\r\nbody"));
        assert_eq!(get(text, &[1], SectionText::Header), Some("Subject: in\r\n\r\n"));
        assert_eq!(get(text, &[1, 1], SectionText::Whole), Some("body"));
        assert_eq!(get(text, &[1, 1], SectionText::Mime), Some("Subject: in\r\n\r\n"));
        assert_eq!(get(text, &[1, 1], SectionText::Header), None);
    }
}
