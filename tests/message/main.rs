//! The structure of every message of the corpus: the same however it comes, without gaps, and as another parser sees it.

#[path = "../support/corpus.rs"]
mod corpus;
mod other_parser;

use corpus::messages;
use imapd::testing::message::line_ends::{ToStored, ToWire};
use imapd::testing::message::section::{self, Section, SectionText};
use imapd::testing::message::structure::{Kind, Message, Part, Scanner, Span, scan};

#[test]
fn the_corpus_has_two_hundred_messages() {
    let mut names: Vec<_> = messages().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() >= 200, "{}", names.len());
    names.dedup();
    assert_eq!(names.len(), messages().len());
}

#[test]
fn pieces_of_any_size_give_the_same_structure() {
    let mut random = 1u32;
    for (name, wire) in messages() {
        let whole = scan(&wire);
        for most in [3, 100, 5000] {
            let (mut scanner, mut rest) = (Scanner::new(), &wire[..]);
            while !rest.is_empty() {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let (piece, tail) = rest.split_at(((random >> 8) as usize % most + 1).min(rest.len()));
                scanner.push(piece);
                rest = tail;
            }
            assert!(scanner.finish() == whole, "{name}");
        }
    }
}

#[test]
fn line_ends_of_the_store_make_no_difference() {
    for (name, wire) in messages() {
        let mut stored = Vec::new();
        let mut to_stored = ToStored::new();
        to_stored.push(&wire, &mut stored);
        to_stored.finish(&mut stored);
        let (a, b) = (scan(&wire), scan(&stored));
        assert_eq!(a.whole.wire, wire.len() as u64, "{name}");
        assert!(a.envelope == b.envelope, "{name}");
        assert_eq!(a.parts().count(), b.parts().count(), "{name}");
        for (a, b) in a.parts().zip(b.parts()) {
            assert_eq!((a.header.wire, a.body.wire, a.lines), (b.header.wire, b.body.wire, b.lines), "{name}");
            assert!(a.content == b.content, "{name}");
            assert_eq!(to_wire(cut(&stored, b.body)), cut(&wire, a.body), "{name}");
        }
    }
}

fn to_wire(stored: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ToWire::new().push(stored, &mut out);
    out
}

fn cut(octets: &[u8], span: Span) -> &[u8] {
    &octets[span.start as usize..span.end as usize]
}

#[test]
fn the_parts_put_together_give_the_whole() {
    for (name, wire) in messages() {
        let message = scan(&wire);
        assert_eq!((message.whole.start, message.whole.end), (0, wire.len() as u64), "{name}");
        tile_message(&name, &wire, &message);
    }
}

fn tile_message(name: &str, wire: &[u8], message: &Message) {
    let Message { root, whole, .. } = message;
    assert_eq!((root.header.start, root.body.end), (whole.start, whole.end), "{name}");
    tile(name, wire, root);
}

/// Header and body touch, and a body is made of its parts with nothing but delimiters between them.
fn tile(name: &str, wire: &[u8], part: &Part) {
    assert_eq!(part.header.end, part.body.start, "{name}");
    for span in [part.header, part.body] {
        assert_eq!(span.wire, span.end - span.start, "{name}");
    }
    let line_ends = cut(wire, part.body).iter().filter(|&&octet| octet == b'\n').count();
    assert_eq!(part.lines, line_ends as u64, "{name}");
    // BODYSTRUCTURE has no form for a leaf that says it is made of parts.
    let content = &part.content;
    assert_eq!(content.is_multipart(), matches!(part.kind, Kind::Multipart(_)), "{name}");
    assert_eq!(content.is_message(), matches!(part.kind, Kind::Message(_)), "{name}");
    match &part.kind {
        Kind::Leaf => {}
        Kind::Message(inner) => {
            assert_eq!(inner.whole, part.body, "{name}");
            tile_message(name, wire, inner);
        }
        Kind::Multipart(parts) => {
            let boundary = [b"--", part.content.parameter(b"boundary").unwrap().trim_ascii_end()].concat();
            let mut end = part.body.start;
            for (at, child) in parts.iter().enumerate() {
                let between = &wire[end as usize..child.header.start as usize];
                let last_line = between.trim_ascii_end().rsplit(|&octet| octet == b'\n').next().unwrap();
                if child.header.start == child.body.end && child.header.start == part.body.end {
                    // Nothing: the part that stands for none, or one that the end of the message leaves empty.
                } else {
                    assert_eq!(last_line, boundary, "{name}");
                    assert!(between.ends_with(b"\n"), "{name}");
                    assert!(at == 0 || between.trim_ascii() == boundary, "{name}");
                }
                tile(name, wire, child);
                end = child.body.end;
            }
            assert!(end <= part.body.end, "{name}");
            let behind = wire[end as usize..part.body.end as usize].trim_ascii();
            assert!(behind.is_empty() || behind.starts_with(&boundary) || parts.len() == 1, "{name}");
        }
    }
}

#[test]
fn every_part_is_found_by_its_numbers() {
    for (name, wire) in messages() {
        let message = scan(&wire);
        find(&name, &message, &message.root, &mut Vec::new());
    }
}

/// Asks for this part and those in it; of many parts side by side only for the first.
fn find(name: &str, message: &Message, part: &Part, path: &mut Vec<u32>) {
    if let Kind::Multipart(parts) = &part.kind {
        for (at, child) in parts.iter().enumerate().take(50) {
            path.push(at as u32 + 1);
            find(name, message, child, path);
            path.pop();
        }
        return;
    }
    // A root that is no multipart is part 1 of its message.
    let root = std::ptr::eq(part, &message.root);
    if root {
        path.push(1);
    }
    assert!(section::part(message, path).is_some_and(|found| std::ptr::eq(found, part)), "{name} {path:?}");
    let located = |text| section::locate(message, &Section { path: path.clone(), text });
    assert_eq!(located(SectionText::Whole), Some(part.body), "{name} {path:?}");
    assert_eq!(located(SectionText::Mime), Some(part.header), "{name} {path:?}");
    if let Kind::Message(inner) = &part.kind {
        assert_eq!(located(SectionText::Header), Some(inner.root.header), "{name} {path:?}");
        assert_eq!(located(SectionText::Text), Some(inner.root.body), "{name} {path:?}");
        let single = !matches!(inner.root.kind, Kind::Multipart(_));
        if single {
            path.push(1);
        }
        find(name, message, &inner.root, path);
        if single {
            path.pop();
        }
    } else {
        assert_eq!(located(SectionText::Text), None, "{name} {path:?}");
    }
    if root {
        path.pop();
    }
}
