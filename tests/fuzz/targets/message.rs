//! A message has one structure, however it is cut into pieces; its parts lie within it, and every section is a stretch of it.

#![no_main]

use imapd::testing::message::line_ends::ToWire;
use imapd::testing::message::section::{Section, SectionText, locate, part};
use imapd::testing::message::structure::{Kind, Message, Part, Scanner, Span};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let Some((&cut, message)) = octets.split_first() else { return };
    let whole = scan(std::iter::once(message));
    assert_eq!(whole, scan(message.chunks(usize::from(cut) + 1)), "the structure depends on how the message is cut");
    assert_eq!(whole.whole.end - whole.whole.start, message.len() as u64);

    check(&whole, message);
    check_part(&whole.root, whole.whole, message);
    for path in [vec![], vec![1], vec![2], vec![1, 1], vec![1, 2, 1]] {
        part(&whole, &path);
        for text in [SectionText::Whole, SectionText::Header, SectionText::Text, SectionText::Mime] {
            if path.is_empty() && text == SectionText::Mime {
                continue;
            }
            if let Some(span) = locate(&whole, &Section { path: path.clone(), text }) {
                check_span(span, message);
            }
        }
    }
});

fn scan<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Message {
    let mut scanner = Scanner::new();
    for piece in pieces {
        scanner.push(piece);
    }
    scanner.finish()
}

fn check(inner: &Message, message: &[u8]) {
    check_span(inner.whole, message);
    assert_eq!(inner.whole.wire, inner.root.header.wire + inner.root.body.wire, "header and body make the message");
}

fn check_part(part: &Part, within: Span, message: &[u8]) {
    for span in [part.header, part.body] {
        assert!(within.start <= span.start && span.end <= within.end, "{span:?} is not within {within:?}");
        check_span(span, message);
    }
    assert!(part.header.end <= part.body.start);
    match &part.kind {
        Kind::Leaf => {}
        Kind::Multipart(parts) => {
            assert!(!parts.is_empty());
            for inner in parts {
                check_part(inner, part.body, message);
            }
        }
        Kind::Message(inner) => {
            check(inner, message);
            check_part(&inner.root, part.body, message);
        }
    }
}

/// A stretch has the wire size that is told, which is what makes RFC822.SIZE and partial fetches right.
fn check_span(span: Span, message: &[u8]) {
    assert!(span.start <= span.end && span.end <= message.len() as u64);
    let (before, stretch) = message[..span.end as usize].split_at(span.start as usize);
    let mut wire = ToWire::new();
    wire.count(before);
    assert_eq!(wire.count(stretch), span.wire);
}
