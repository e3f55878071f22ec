//! BODY and BODYSTRUCTURE (RFC 9051 section 7.5.2).

use super::envelope::envelope;
use crate::message::content::Content;
use crate::message::structure::{Kind, Message, Part};
use crate::protocol::encode::{self, string, text};

/// The parenthesised value, with extension data if `extended`.
pub fn structure(out: &mut Vec<u8>, message: &Message, extended: bool) {
    body(out, &message.root, extended);
}

/// ```abnf
/// body             = "(" (body-type-1part / body-type-mpart) ")"
/// body-type-1part  = (body-type-basic / body-type-msg / body-type-text) [SP body-ext-1part]
/// body-type-basic  = media-basic SP body-fields
/// body-type-msg    = media-message SP body-fields SP envelope SP body SP body-fld-lines
/// body-type-text   = media-text SP body-fields SP body-fld-lines
/// body-type-mpart  = 1*body SP media-subtype [SP body-ext-mpart]
/// body-ext-1part   = body-fld-md5 [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]
/// body-ext-mpart   = body-fld-param [SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc]]]
/// ```
fn body(out: &mut Vec<u8>, part: &Part, extended: bool) {
    let content = &part.content;
    out.push(b'(');
    match &part.kind {
        Kind::Multipart(parts) if !parts.is_empty() => {
            for part in parts {
                body(out, part, extended);
            }
            out.push(b' ');
            string(out, &content.sub_type);
            if extended {
                out.push(b' ');
                parameters(out, &content.parameters);
                extension(out, content);
            }
            return out.push(b')');
        }
        Kind::Message(message) => {
            media_message(out, &content.sub_type);
            fields(out, part);
            out.push(b' ');
            envelope(out, &message.envelope);
            out.push(b' ');
            body(out, &message.root, extended);
            text(out, format_args!(" {}", part.lines));
        }
        Kind::Leaf | Kind::Multipart(_) => {
            let is_text = media(out, content);
            fields(out, part);
            if is_text {
                text(out, format_args!(" {}", part.lines));
            }
        }
    }
    if extended {
        out.push(b' ');
        encode::nstring(out, content.md5.as_deref());
        extension(out, content);
    }
    out.push(b')');
}

/// ```abnf
/// media-message = DQUOTE "MESSAGE" DQUOTE SP DQUOTE ("RFC822" / "GLOBAL") DQUOTE
/// ```
fn media_message(out: &mut Vec<u8>, sub_type: &[u8]) {
    let known = if sub_type.eq_ignore_ascii_case(b"global") { b"\"global\"".as_slice() } else { b"\"rfc822\"" };
    out.extend_from_slice(b"\"message\" ");
    out.extend_from_slice(known);
}

/// The type of a part that shows no inner structure; whether it is text. A message or multipart that was not taken apart (for its depth, or its
/// encoding) may not be called so, for then the grammar asks for what is in it.
fn media(out: &mut Vec<u8>, content: &Content) -> bool {
    let Content { main_type, sub_type, .. } = content;
    let inner = sub_type.eq_ignore_ascii_case(b"rfc822") || sub_type.eq_ignore_ascii_case(b"global");
    if main_type.eq_ignore_ascii_case(b"multipart") || (main_type.eq_ignore_ascii_case(b"message") && inner) {
        out.extend_from_slice(b"\"application\" \"octet-stream\"");
        return false;
    }
    string(out, main_type);
    out.push(b' ');
    string(out, sub_type);
    main_type.eq_ignore_ascii_case(b"text")
}

/// ```abnf
/// body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP body-fld-octets
/// ```
fn fields(out: &mut Vec<u8>, part: &Part) {
    let content = &part.content;
    out.push(b' ');
    parameters(out, &content.parameters);
    out.push(b' ');
    encode::nstring(out, content.id.as_deref());
    out.push(b' ');
    encode::nstring(out, content.description.as_deref());
    out.push(b' ');
    string(out, &content.encoding);
    // body-fld-octets is a number of 32 bits in both revisions.
    text(out, format_args!(" {}", part.body.wire.min(u32::MAX.into())));
}

/// ```abnf
/// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
/// ```
fn parameters(out: &mut Vec<u8>, parameters: &[(Vec<u8>, Vec<u8>)]) {
    if parameters.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    encode::separated(out, parameters, |out, (name, value)| {
        string(out, name);
        out.push(b' ');
        string(out, value);
    });
    out.push(b')');
}

/// What both kinds of extension data end with.
///
/// ```abnf
/// body-fld-dsp  = "(" string SP body-fld-param ")" / nil
/// body-fld-lang = nstring / "(" string *(SP string) ")"
/// body-fld-loc  = nstring
/// ```
fn extension(out: &mut Vec<u8>, content: &Content) {
    match &content.disposition {
        Some(disposition) => {
            out.extend_from_slice(b" (");
            string(out, &disposition.kind);
            out.push(b' ');
            parameters(out, &disposition.parameters);
            out.extend_from_slice(b") ");
        }
        None => out.extend_from_slice(b" NIL "),
    }
    if content.language.is_empty() {
        out.extend_from_slice(b"NIL");
    } else {
        out.push(b'(');
        encode::separated(out, &content.language, |out, language| string(out, language));
        out.push(b')');
    }
    out.push(b' ');
    encode::nstring(out, content.location.as_deref());
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::message::content::Disposition;
    use crate::message::envelope::Envelope;
    use crate::message::structure::Span;

    fn part(main_type: &str, sub_type: &str, size: u64, lines: u64, kind: Kind) -> Part {
        Part {
            header: Span::default(),
            body: Span { start: 0, end: size, wire: size },
            lines,
            content: Content {
                main_type: main_type.into(),
                sub_type: sub_type.into(),
                parameters: vec![],
                id: None,
                description: None,
                encoding: b"7BIT".to_vec(),
                md5: None,
                disposition: None,
                language: vec![],
                location: None,
            },
            kind,
        }
    }

    fn message(root: Part) -> Message {
        Message { envelope: Envelope::default(), root, whole: Span::default() }
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
        list.iter().map(|&(a, b)| (a.into(), b.into())).collect()
    }

    #[test]
    fn the_examples_of_rfc_9051() {
        let mut plain = part("TEXT", "PLAIN", 1152, 23, Kind::Leaf);
        plain.content.parameters = pairs(&[("CHARSET", "US-ASCII")]);
        let mut patch = part("TEXT", "PLAIN", 4554, 73, Kind::Leaf);
        patch.content.parameters = pairs(&[("CHARSET", "US-ASCII"), ("NAME", "cc.diff")]);
        patch.content.id = Some(b"<960723163407.20117h@cac.washington.edu>".to_vec());
        patch.content.description = Some(b"Compiler diff".to_vec());
        patch.content.encoding = b"BASE64".to_vec();
        let whole = message(part("MULTIPART", "MIXED", 0, 0, Kind::Multipart(vec![plain, patch])));
        assert_eq!(
            written(|o| structure(o, &whole, false)),
            "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 1152 23)\
             (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") \
             \"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4554 73) \"MIXED\")"
        );
    }

    #[test]
    fn extension_data_is_whole() {
        let mut image = part("image", "png", 10, 1, Kind::Leaf);
        image.content.md5 = Some(b"Q2hlY2s=".to_vec());
        image.content.disposition =
            Some(Disposition { kind: b"attachment".to_vec(), parameters: pairs(&[("filename", "a.png")]) });
        image.content.language = vec![b"en".to_vec(), b"de".to_vec()];
        image.content.location = Some(b"http://x/".to_vec());
        let mut mixed = part("multipart", "mixed", 0, 0, Kind::Multipart(vec![image]));
        mixed.content.parameters = pairs(&[("boundary", "b")]);
        assert_eq!(
            written(|o| structure(o, &message(mixed), true)),
            "((\"image\" \"png\" NIL NIL NIL \"7BIT\" 10 \"Q2hlY2s=\" (\"attachment\" (\"filename\" \"a.png\")) \
             (\"en\" \"de\") \"http://x/\") \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
        );
    }

    #[test]
    fn a_message_part_shows_envelope_structure_and_lines() {
        let inner = message(part("text", "plain", 5, 1, Kind::Leaf));
        let nil = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)";
        for (sub_type, shown) in [("RFC822", "rfc822"), ("Global", "global")] {
            let outer = message(part("message", sub_type, 30, 4, Kind::Message(Box::new(inner.clone()))));
            assert_eq!(
                written(|o| structure(o, &outer, true)),
                format!(
                    "(\"message\" \"{shown}\" NIL NIL NIL \"7BIT\" 30 {nil} \
                     (\"text\" \"plain\" NIL NIL NIL \"7BIT\" 5 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)"
                )
            );
        }
    }

    #[test]
    fn what_was_not_taken_apart_is_shown_as_opaque() {
        for (main_type, sub_type) in [("message", "rfc822"), ("MULTIPART", "mixed")] {
            let odd = message(part(main_type, sub_type, 7, 2, Kind::Leaf));
            assert_eq!(
                written(|o| structure(o, &odd, false)),
                "(\"application\" \"octet-stream\" NIL NIL NIL \"7BIT\" 7)"
            );
        }
        let partial = message(part("message", "partial", 7, 2, Kind::Leaf));
        assert_eq!(written(|o| structure(o, &partial, false)), "(\"message\" \"partial\" NIL NIL NIL \"7BIT\" 7)");
    }

    #[test]
    fn a_parameter_cannot_forge_a_response() {
        let mut odd = part("text", "plain", 7, 2, Kind::Leaf);
        odd.content.parameters = pairs(&[("name", "a\r\nb")]);
        assert_eq!(
            written(|o| structure(o, &message(odd), false)),
            "(\"text\" \"plain\" (\"name\" {4}\r\na\r\nb) NIL NIL \"7BIT\" 7 2)"
        );
    }
}
