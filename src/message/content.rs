//! Content-Type, -Disposition, -Transfer-Encoding, -Language, -Location, -ID, -MD5 and -Description.

use memchr::memchr;

use super::header::{self, Field};
use super::parameter::{self, without_comments};
use crate::encoding::ascii;
use crate::limits;

/// The MIME fields of a part, defaults filled in (RFC 2045 section 5.2). Octets are as the header has them, unfolded; a text that was not
/// valid is cut or left out, so that each field can be written as the grammar asks. Of a field that is there twice, the first counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    /// As written, such as `text`.
    pub main_type: Vec<u8>,
    pub sub_type: Vec<u8>,
    /// Continuations of RFC 2231 joined, see [`parameter`]. A text/plain part always has a charset (RFC 2046 section 4.1.2).
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    pub id: Option<Vec<u8>>,
    pub description: Option<Vec<u8>>,
    /// `7BIT` if the header says nothing.
    pub encoding: Vec<u8>,
    pub md5: Option<Vec<u8>>,
    pub disposition: Option<Disposition>,
    pub language: Vec<Vec<u8>>,
    pub location: Option<Vec<u8>>,
}

/// Content-Disposition (RFC 2183).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disposition {
    pub kind: Vec<u8>,
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a part is without a Content-Type (RFC 2046 section 5.1.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Default {
    /// text/plain.
    Text,
    /// message/rfc822, in a multipart/digest.
    Message,
}

/// Reads the fields of a part's header, in LF or CRLF form.
pub fn read(header: &[u8], default: Default) -> Content {
    read_within(header, default, &mut limits::MIME_PARAMETERS_OF_MESSAGE.clone())
}

/// The same, and takes what it used off the parameters that the message may have altogether.
pub(super) fn read_within(header: &[u8], default: Default, parameters_left: &mut usize) -> Content {
    let mut content = Content {
        main_type: Vec::new(),
        sub_type: Vec::new(),
        parameters: Vec::new(),
        id: None,
        description: None,
        encoding: Vec::new(),
        md5: None,
        disposition: None,
        language: Vec::new(),
        location: None,
    };
    let mut has_type = false;
    for Field { name, value, .. } in header::fields_like(header, |first| matches!(first, b'c' | b'C')) {
        let Some(kind) = name.get(..8).filter(|start| start.eq_ignore_ascii_case(b"content-")).map(|_| &name[8..])
        else {
            continue;
        };
        let unfolded = || Some(header::unfold(value)).filter(|text| !text.is_empty());
        if kind.eq_ignore_ascii_case(b"type") && !has_type {
            has_type = true;
            read_type(&header::unfold(value), &mut content, parameters_left);
        } else if kind.eq_ignore_ascii_case(b"transfer-encoding") && content.encoding.is_empty() {
            content.encoding = token(&without_comments(&header::unfold(value))).0.to_vec();
        } else if kind.eq_ignore_ascii_case(b"disposition") && content.disposition.is_none() {
            content.disposition = read_disposition(&header::unfold(value), parameters_left);
        } else if kind.eq_ignore_ascii_case(b"id") && content.id.is_none() {
            content.id = unfolded();
        } else if kind.eq_ignore_ascii_case(b"description") && content.description.is_none() {
            content.description = unfolded();
        } else if kind.eq_ignore_ascii_case(b"md5") && content.md5.is_none() {
            content.md5 = unfolded();
        } else if kind.eq_ignore_ascii_case(b"location") && content.location.is_none() {
            content.location = unfolded();
        } else if kind.eq_ignore_ascii_case(b"language") && content.language.is_empty() {
            content.language = read_languages(&header::unfold(value));
        }
    }
    if content.main_type.is_empty() {
        if default == Default::Message && !has_type {
            (content.main_type, content.sub_type) = (b"message".to_vec(), b"rfc822".to_vec());
        } else {
            content.make_text();
        }
    }
    content.name_the_charset();
    if content.encoding.is_empty() {
        content.encoding = b"7BIT".to_vec();
    }
    content
}

impl Content {
    /// The first parameter of this name, RFC 2231 undone but its charset not.
    pub fn parameter(&self, name: &[u8]) -> Option<Vec<u8>> {
        parameter::octets(&self.parameters, name)
    }

    /// The charset parameter.
    pub fn charset(&self) -> Option<Vec<u8>> {
        self.parameter(b"charset")
    }

    /// Whether the type is text/*.
    pub fn is_text(&self) -> bool {
        self.main_type.eq_ignore_ascii_case(b"text")
    }

    /// Whether the type is multipart/*.
    pub fn is_multipart(&self) -> bool {
        self.main_type.eq_ignore_ascii_case(b"multipart")
    }

    /// Whether the type is one that holds a message as it is.
    pub fn is_message(&self) -> bool {
        self.main_type.eq_ignore_ascii_case(b"message")
            && (self.sub_type.eq_ignore_ascii_case(b"rfc822") || self.sub_type.eq_ignore_ascii_case(b"global"))
    }

    /// Whether the transfer encoding leaves the octets as they are. One that is not known is read so.
    pub(super) fn is_identity(&self) -> bool {
        !["base64", "quoted-printable", "x-uuencode", "x-uue", "uuencode"]
            .iter()
            .any(|name| self.encoding.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Shows the part as octets of no known kind. Its parameters stay: a name is of use.
    pub(super) fn make_opaque(&mut self) {
        (self.main_type, self.sub_type) = (b"application".to_vec(), b"octet-stream".to_vec());
    }

    /// Shows the part as text.
    pub(super) fn make_text(&mut self) {
        (self.main_type, self.sub_type) = (b"text".to_vec(), b"plain".to_vec());
        self.name_the_charset();
    }

    fn name_the_charset(&mut self) {
        if self.is_text() && self.sub_type.eq_ignore_ascii_case(b"plain") && self.charset().is_none() {
            self.parameters.push((b"charset".to_vec(), b"us-ascii".to_vec()));
        }
    }
}

/// RFC 2045 section 5.1. A value without a whole type leaves the type empty.
///
/// ```abnf
/// content = "Content-Type" ":" type "/" subtype *(";" parameter)
/// ```
fn read_type(value: &[u8], content: &mut Content, parameters_left: &mut usize) {
    let (kind, rest) = value.split_at(memchr(b';', value).unwrap_or(value.len()));
    let kind = without_comments(kind);
    let slash = memchr(b'/', &kind).unwrap_or(kind.len());
    let (main, (sub, behind)) = (ascii::trim(&kind[..slash]), token(kind.get(slash + 1..).unwrap_or_default()));
    if !main.is_empty() && !sub.is_empty() && main.iter().all(|&octet| is_token(octet)) {
        (content.main_type, content.sub_type) = (main.to_vec(), sub.to_vec());
    }
    content.parameters = read_parameters(behind, rest, parameters_left);
}

/// RFC 2183 section 2. One with parameters but without a type is an attachment, as is one with a type that is not known (section 2.8).
fn read_disposition(value: &[u8], parameters_left: &mut usize) -> Option<Disposition> {
    let (kind, rest) = value.split_at(memchr(b';', value).unwrap_or(value.len()));
    let kind = without_comments(kind);
    let (kind, behind) = token(&kind);
    let parameters = read_parameters(behind, rest, parameters_left);
    match kind {
        b"" if parameters.is_empty() => None,
        b"" => Some(Disposition { kind: b"attachment".to_vec(), parameters }),
        _ => Some(Disposition { kind: kind.to_vec(), parameters }),
    }
}

/// The parameters from the first semicolon on, or from right behind the type where the semicolon was forgotten.
fn read_parameters(behind: &[u8], rest: &[u8], left: &mut usize) -> Vec<parameter::Parameter> {
    if behind.contains(&b'=') {
        return parameter::parse_within(&[behind, rest].concat(), left);
    }
    parameter::parse_within(rest, left)
}

/// RFC 3282 section 2.
fn read_languages(value: &[u8]) -> Vec<Vec<u8>> {
    without_comments(value)
        .split(|&octet| octet == b',')
        .map(|tag| token(tag).0)
        .filter(|tag| !tag.is_empty())
        .take(limits::MIME_PARAMETERS)
        .map(<[u8]>::to_vec)
        .collect()
}

/// The token (RFC 2045 section 5.1) at the start, behind blanks and a quotation mark that some write around it, and what follows it.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let text = ascii::trim(text);
    let text = text.strip_prefix(b"\"").unwrap_or(text);
    text.split_at(text.iter().position(|&octet| !is_token(octet)).unwrap_or(text.len()))
}

/// ```abnf
/// token := 1*<any (US-ASCII) CHAR except SPACE, CTLs, or tspecials>
/// ```
pub(super) fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Content {
        read(header.as_bytes(), Default::Text)
    }

    fn text(octets: &[u8]) -> &str {
        std::str::from_utf8(octets).unwrap()
    }

    #[test]
    fn every_field_is_read() {
        let content = of("Content-Type: Text/HTML; charset=UTF-8; name=\"a b\"\r\nContent-ID: <1@x>\r\n\
             Content-Description: what\r\n it is\r\nContent-Transfer-Encoding: Quoted-Printable\r\nContent-MD5: abc=\r\n\
             Content-Disposition: attachment; filename=x.html\r\nContent-Language: en, (german) de\r\nContent-Location: http://x/\r\n\r\n");
        assert_eq!((text(&content.main_type), text(&content.sub_type)), ("Text", "HTML"));
        assert_eq!(content.charset(), Some(b"UTF-8".to_vec()));
        assert_eq!(content.parameter(b"NAME"), Some(b"a b".to_vec()));
        assert_eq!(content.id.as_deref(), Some(&b"<1@x>"[..]));
        assert_eq!(content.description.as_deref(), Some(&b"what it is"[..]));
        assert_eq!(text(&content.encoding), "Quoted-Printable");
        assert_eq!(content.md5.as_deref(), Some(&b"abc="[..]));
        assert_eq!(content.language, [b"en".to_vec(), b"de".to_vec()]);
        assert_eq!(content.location.as_deref(), Some(&b"http://x/"[..]));
        let disposition = content.disposition.unwrap();
        assert_eq!(text(&disposition.kind), "attachment");
        assert_eq!(disposition.parameters, [(b"filename".to_vec(), b"x.html".to_vec())]);
    }

    #[test]
    fn a_missing_or_wrong_type_is_ascii_text() {
        for header in [
            "",
            "Content-Type:\r\n",
            "Content-Type: text\r\n",
            "Content-Type: /plain\r\n",
            "Content-Type: text/\r\n",
            "Content-Type: =?x?=\r\n",
            "Content-Type: te xt/plain\r\n",
        ] {
            let content = of(header);
            assert_eq!((text(&content.main_type), text(&content.sub_type)), ("text", "plain"), "{header:?}");
            assert_eq!(content.parameters, [(b"charset".to_vec(), b"us-ascii".to_vec())], "{header:?}");
            assert_eq!(text(&content.encoding), "7BIT");
        }
        assert_eq!(of("Content-Type: text; charset=utf-8\r\n").charset(), Some(b"utf-8".to_vec()));
    }

    #[test]
    fn only_plain_text_gets_a_default_charset() {
        assert_eq!(of("Content-Type: text/plain\r\n").charset(), Some(b"us-ascii".to_vec()));
        assert_eq!(of("Content-Type: text/html\r\n").charset(), None);
    }

    #[test]
    fn in_a_digest_the_default_is_a_message() {
        let content = read(b"Subject: x\r\n\r\n", Default::Message);
        assert!(content.is_message());
        assert!(read(b"Content-Type: rubbish\r\n", Default::Message).is_text());
    }

    #[test]
    fn the_first_of_two_fields_counts() {
        let content = of("Content-Type: text/a\r\nContent-Type: text/b\r\nContent-ID: 1\r\nContent-ID: 2\r\n");
        assert_eq!(text(&content.sub_type), "a");
        assert_eq!(content.id.as_deref(), Some(&b"1"[..]));
    }

    #[test]
    fn a_forgotten_semicolon_is_forgiven() {
        let content = of(
            "Content-Type: multipart/mixed\r\n\tboundary=\"a;b\"; x=y\r\nContent-Disposition: inline filename=z\r\n",
        );
        assert_eq!(content.parameter(b"x"), Some(b"y".to_vec()));
        assert_eq!(content.disposition.unwrap().parameters, [(b"filename".to_vec(), b"z".to_vec())]);
    }

    #[test]
    fn comments_and_quotes_around_tokens_are_no_part_of_them() {
        let content = of("Content-Type: text/html (a (nested) one); charset=x (y)\r\n\
             Content-Transfer-Encoding: \"base64\" (z)\r\nContent-Disposition: ; filename=a\r\n");
        assert_eq!(text(&content.sub_type), "html");
        assert_eq!(content.charset(), Some(b"x".to_vec()));
        assert_eq!(text(&content.encoding), "base64");
        assert_eq!(text(&content.disposition.unwrap().kind), "attachment");
    }
}
