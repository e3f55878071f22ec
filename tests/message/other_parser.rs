//! What `mail-parser` makes of the same octets.

use imapd::testing::message::structure::{Kind, Message, Part, scan};
use mail_parser::{MessageParser, PartType};

use crate::corpus::messages;

/// Messages of which the two see different structures, with the reason: a name, or with a dash in front the end of several. One that
/// agrees must not be listed.
const DIFFERENT: &[(&str, &str)] = &[
    // A multipart is never empty for us, since BODYSTRUCTURE cannot show an empty one; they take it for text, or for a multipart of none.
    ("cpython/msg_17", NO_DELIMITER),
    ("cpython/msg_31", NO_DELIMITER),
    ("mail-parser/malformed-002", NO_DELIMITER),
    ("-without-parts", NO_DELIMITER),
    ("-ended-at-once", NO_DELIMITER),
    // A delimiter that comes before the empty line ends the header for us; they read on, past delimiters.
    ("cpython/msg_37", HEADER_ENDS),
    ("cpython/msg_42", HEADER_ENDS),
    ("mail-parser/malformed-000", HEADER_ENDS),
    ("mail-parser/malformed-007", HEADER_ENDS),
    ("-without-empty-lines", HEADER_ENDS),
    ("-with-empty-parts", HEADER_ENDS),
    ("nested/cut-message", HEADER_ENDS),
    ("large/dashes", HEADER_ENDS),
    // Their delimiters may go on with anything.
    ("mail-parser/malformed-001", PREFIX),
    ("mail-parser/malformed-004", PREFIX),
    ("mail-parser/malformed-008", PREFIX),
    ("mail-parser/malformed-016", PREFIX),
    ("-with-other-boundaries", PREFIX),
    // An outer delimiter ends the inner multipart (RFC 2046 section 5.1.2); for them it does not.
    ("cpython/msg_38", OUTER),
    ("mail-parser/malformed-009", OUTER),
    ("mail-parser/malformed-011", OUTER),
    ("mail-parser/malformed-012", OUTER),
    ("nested/outer-ends-inner", OUTER),
    // Of two Content-Types we take the first, they the last.
    ("mail-parser/malformed-020", FIRST_TYPE),
    ("mail-parser/malformed-021", FIRST_TYPE),
    ("own/duplicate-fields", FIRST_TYPE),
    // A last delimiter without anything behind it begins an empty part for us, for them none.
    ("mail-parser/malformed-013", LAST_IS_EMPTY),
    ("mail-parser/malformed-014", LAST_IS_EMPTY),
    // What they take apart is decoded text, whose offsets are not the message's.
    ("mail-parser/rfc-008", ENCODED),
    ("own/encoded-message", ENCODED),
    (
        "mail-parser/malformed-022",
        "a message/rfc822 without a header is a message for us, with no body; they show octets",
    ),
    ("own/empty", "they have no structure for nothing"),
    // Our limits on depth and number; they have none.
    ("nested/multipart-150-ended", LIMIT),
    ("nested/multipart-150-open", LIMIT),
    ("nested/message-150-ended", LIMIT),
    ("nested/message-150-open", LIMIT),
    ("large/parts", LIMIT),
];

const NO_DELIMITER: &str = "no part";
const HEADER_ENDS: &str = "a delimiter within a header";
const PREFIX: &str = "a line that only begins like a delimiter";
const OUTER: &str = "an outer delimiter within an inner multipart";
const FIRST_TYPE: &str = "two Content-Types";
const LAST_IS_EMPTY: &str = "nothing behind the last delimiter";
const ENCODED: &str = "an encoded message";
const LIMIT: &str = "beyond our limits";

#[test]
fn mail_parser_sees_the_same_structure() {
    let mut wrong = Vec::new();
    for (name, wire) in messages() {
        let ours = ours(&scan(&wire));
        let theirs = theirs(&wire);
        let listed =
            DIFFERENT.iter().any(|(known, _)| *known == name || (known.starts_with('-') && name.ends_with(known)));
        if (ours == theirs) == listed {
            let shown = |text: &str| text.chars().take(400).collect::<String>();
            wrong.push(format!("{name}\n  ours   {}\n  theirs {}", shown(&ours), shown(&theirs)));
        }
    }
    assert!(wrong.is_empty(), "{} differ or no longer differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The tree with the header's start, the body's start and, for leaves, the body's end.
fn ours(message: &Message) -> String {
    let mut out = String::new();
    show(&message.root, &mut out);
    out
}

fn show(part: &Part, out: &mut String) {
    out.push_str(&format!("{}:{}", part.header.start, part.body.start));
    match &part.kind {
        Kind::Leaf => out.push_str(&format!("-{}", part.body.end)),
        Kind::Multipart(parts) => {
            out.push('(');
            for part in parts {
                show(part, out);
                out.push(' ');
            }
            out.push(')');
        }
        Kind::Message(message) => {
            out.push('{');
            show(&message.root, out);
            out.push('}');
        }
    }
}

fn theirs(wire: &[u8]) -> String {
    let mut out = String::new();
    match MessageParser::default().parse(wire) {
        Some(message) => show_theirs(&message, 0, &mut out),
        None => out.push_str("nothing"),
    }
    out
}

fn show_theirs(message: &mail_parser::Message<'_>, part: u32, out: &mut String) {
    let Some(part) = message.parts.get(part as usize) else { return };
    out.push_str(&format!("{}:{}", part.offset_header, part.offset_body));
    match &part.body {
        PartType::Multipart(parts) => {
            out.push('(');
            for &part in parts {
                show_theirs(message, part, out);
                out.push(' ');
            }
            out.push(')');
        }
        PartType::Message(inner) => {
            out.push('{');
            show_theirs(inner, 0, out);
            out.push('}');
        }
        _ => out.push_str(&format!("-{}", part.offset_end)),
    }
}
