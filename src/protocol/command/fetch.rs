//! FETCH, UID FETCH (RFC 9051 section 6.4.5, RFC 3501 section 6.4.5).

use super::Numbers;
use crate::limits;
use crate::message::section::{Section, SectionText};
use crate::protocol::cursor::{Cursor, Parse, SyntaxError};
use crate::protocol::encode::{self, text};
use crate::protocol::response::fetch::write_path;
use crate::types::SequenceSet;

/// The arguments of FETCH.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    pub numbers: Numbers,
    pub set: SequenceSet,
    /// Macros expanded; UID put first for UID FETCH unless it was asked for. No item twice: one that is asked for with and without PEEK is there without.
    pub items: Vec<FetchItem>,
    /// Only of messages that changed after this moment; MODSEQ is then among the items (RFC 7162 section 3.1.4.1).
    pub changed_since: Option<u64>,
    /// Of those that were expunged since then, too (RFC 7162 section 3.2.6).
    pub vanished: bool,
}

/// What FETCH can ask for of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FetchItem {
    Flags,
    Uid,
    InternalDate,
    /// RFC822.SIZE
    Size,
    Envelope,
    /// BODY without a section: the structure without extension data.
    Body,
    BodyStructure,
    /// BODY[...] and BODY.PEEK[...]
    Section {
        section: Section,
        partial: Option<Partial>,
        peek: bool,
    },
    /// BINARY[...] and BINARY.PEEK[...]
    Binary {
        path: Vec<u32>,
        partial: Option<Partial>,
        peek: bool,
    },
    /// BINARY.SIZE[...]
    BinarySize {
        path: Vec<u32>,
    },
    /// RFC822, as BODY[] under another name (RFC 3501).
    Rfc822,
    /// RFC822.HEADER, as `BODY.PEEK[HEADER]` under another name.
    Rfc822Header,
    /// RFC822.TEXT, as `BODY[TEXT]` under another name.
    Rfc822Text,
    /// RFC 7162
    ModSeq,
    /// RFC 8514
    SaveDate,
    /// RFC 8474
    EmailId,
    /// RFC 8474
    ThreadId,
}

/// `<offset.length>`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partial {
    pub offset: u64,
    /// Not zero.
    pub length: u64,
}

impl Fetch {
    /// ```abnf
    /// fetch           = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att /
    ///                   "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
    /// fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"            ; RFC 4466
    /// fetch-modifier  = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"         ; RFC 7162
    /// ```
    ///
    /// iOS says CHANGEDSINCE 0, which is no mod-sequence-value; it means what it would mean.
    pub(super) fn parse(cursor: &mut Cursor<'_>, numbers: Numbers) -> Parse<Self> {
        cursor.space()?;
        let set = cursor.sequence_set()?;
        cursor.space()?;
        let mut items = Vec::new();
        if cursor.peek() == Some(b'(') {
            cursor.list(|cursor| {
                let item = parse_item(cursor)?;
                add(&mut items, item)
            })?;
        } else {
            let place = cursor.expected("a FETCH item that this server has");
            let name = cursor.word("a FETCH item")?;
            match expand(&name) {
                Some(expanded) => items = expanded,
                None => items.push(item_named(cursor, &name, place)?),
            }
        }
        if numbers == Numbers::Uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        let mut fetch = Self { numbers, set, items, changed_since: None, vanished: false };
        if !cursor.ends_here() {
            cursor.space()?;
            fetch.modifiers(cursor)?;
        }
        Ok(fetch)
    }

    fn modifiers(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let place = cursor.expected("VANISHED only in UID FETCH with CHANGEDSINCE");
        cursor.list(|cursor| {
            let place = cursor.expected("a modifier of FETCH that this server has");
            match cursor.word("a modifier of FETCH")?.as_str() {
                "CHANGEDSINCE" if self.changed_since.is_none() => {
                    cursor.space()?;
                    self.changed_since = Some(cursor.number64()?);
                }
                "VANISHED" => self.vanished = true,
                _ => return Err(place),
            }
            Ok(())
        })?;
        if self.vanished && (self.numbers == Numbers::Sequence || self.changed_since.is_none()) {
            return Err(place);
        }
        if self.changed_since.is_some() && !self.items.contains(&FetchItem::ModSeq) {
            self.items.push(FetchItem::ModSeq);
        }
        Ok(())
    }

    pub(super) fn print(&self, out: &mut Vec<u8>) {
        text(out, format_args!(" {} (", self.set));
        encode::separated(out, &self.items, |out, item| item.print(out));
        out.push(b')');
        if let Some(since) = self.changed_since {
            text(out, format_args!(" (CHANGEDSINCE {since}{})", if self.vanished { " VANISHED" } else { "" }));
        }
    }
}

/// The macros (RFC 9051 section 6.4.5).
fn expand(name: &str) -> Option<Vec<FetchItem>> {
    use FetchItem::{Body, Envelope, Flags, InternalDate, Size};
    match name {
        "FAST" => Some(vec![Flags, InternalDate, Size]),
        "ALL" => Some(vec![Flags, InternalDate, Size, Envelope]),
        "FULL" => Some(vec![Flags, InternalDate, Size, Envelope, Body]),
        _ => None,
    }
}

/// An answer has each item once.
fn add(items: &mut Vec<FetchItem>, item: FetchItem) -> Parse<()> {
    let full = items.len() >= limits::FETCH_ITEMS;
    match items.iter_mut().find(|known| known.same_answer(&item)) {
        Some(known) if known.is_peek() => *known = item,
        Some(_) => {}
        None if full => return Err(SyntaxError::Limit("FETCH items")),
        None => items.push(item),
    }
    Ok(())
}

/// ```abnf
/// fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] /
///             "BODY" ["STRUCTURE"] / "UID" / "BODY" section [partial] / "BODY.PEEK" section [partial] /
///             "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary /
///             "MODSEQ" / "SAVEDATE" / "EMAILID" / "THREADID"
/// ```
fn parse_item(cursor: &mut Cursor<'_>) -> Parse<FetchItem> {
    let place = cursor.expected("a FETCH item that this server has");
    let name = cursor.word("a FETCH item")?;
    item_named(cursor, &name, place)
}

fn item_named(cursor: &mut Cursor<'_>, name: &str, unknown: SyntaxError) -> Parse<FetchItem> {
    Ok(match name {
        "FLAGS" => FetchItem::Flags,
        "UID" => FetchItem::Uid,
        "INTERNALDATE" => FetchItem::InternalDate,
        "RFC822.SIZE" => FetchItem::Size,
        "ENVELOPE" => FetchItem::Envelope,
        "BODYSTRUCTURE" => FetchItem::BodyStructure,
        "RFC822" => FetchItem::Rfc822,
        "RFC822.HEADER" => FetchItem::Rfc822Header,
        "RFC822.TEXT" => FetchItem::Rfc822Text,
        "MODSEQ" => FetchItem::ModSeq,
        "SAVEDATE" => FetchItem::SaveDate,
        "EMAILID" => FetchItem::EmailId,
        "THREADID" => FetchItem::ThreadId,
        "BODY" if cursor.peek() != Some(b'[') => FetchItem::Body,
        "BODY" | "BODY.PEEK" => {
            let section = parse_section(cursor)?;
            FetchItem::Section { section, partial: parse_partial(cursor)?, peek: name == "BODY.PEEK" }
        }
        "BINARY" | "BINARY.PEEK" => {
            let path = parse_section_binary(cursor)?;
            FetchItem::Binary { path, partial: parse_partial(cursor)?, peek: name == "BINARY.PEEK" }
        }
        "BINARY.SIZE" => FetchItem::BinarySize { path: parse_section_binary(cursor)? },
        _ => return Err(unknown),
    })
}

/// ```abnf
/// section      = "[" [section-spec] "]"
/// section-spec = section-msgtext / (section-part ["." section-text])
/// section-part = nz-number *("." nz-number)
/// section-text = section-msgtext / "MIME"
/// ```
fn parse_section(cursor: &mut Cursor<'_>) -> Parse<Section> {
    cursor.expect(b'[', "a section in brackets")?;
    let (path, text_follows) = parse_path(cursor)?;
    let text = if text_follows { parse_text(cursor, path.is_empty())? } else { SectionText::Whole };
    cursor.expect(b']', "the end of a section")?;
    Ok(Section { path, text })
}

/// ```abnf
/// section-binary = "[" [section-part] "]"
/// ```
fn parse_section_binary(cursor: &mut Cursor<'_>) -> Parse<Vec<u32>> {
    cursor.expect(b'[', "a section in brackets")?;
    let (path, text_follows) = parse_path(cursor)?;
    if text_follows {
        return Err(cursor.expected("a part number"));
    }
    cursor.expect(b']', "the end of a section")?;
    Ok(path)
}

/// Part numbers, and whether a text specifier must follow.
fn parse_path(cursor: &mut Cursor<'_>) -> Parse<(Vec<u32>, bool)> {
    let mut path = Vec::new();
    if cursor.peek() == Some(b']') {
        return Ok((path, false));
    }
    while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
        path.push(cursor.nz_number()?);
        if !cursor.take(b'.') {
            return Ok((path, false));
        }
    }
    Ok((path, true))
}

/// ```abnf
/// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
/// header-list     = "(" header-fld-name *(SP header-fld-name) ")"
/// header-fld-name = astring
/// ```
fn parse_text(cursor: &mut Cursor<'_>, of_message: bool) -> Parse<SectionText> {
    let place = cursor.expected("a part of a message");
    let name = cursor.word("a part of a message")?;
    Ok(match name.as_str() {
        "HEADER" => SectionText::Header,
        "TEXT" => SectionText::Text,
        "MIME" if !of_message => SectionText::Mime,
        "HEADER.FIELDS" => SectionText::HeaderFields(parse_header_list(cursor)?),
        "HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(parse_header_list(cursor)?),
        _ => return Err(place),
    })
}

fn parse_header_list(cursor: &mut Cursor<'_>) -> Parse<Vec<Vec<u8>>> {
    cursor.space()?;
    let mut names = Vec::new();
    cursor.list(|cursor| {
        if names.len() >= limits::HEADER_NAMES {
            return Err(SyntaxError::Limit("header field names"));
        }
        names.push(cursor.astring()?.into_owned());
        Ok(())
    })?;
    Ok(names)
}

/// ```abnf
/// partial = "<" number64 "." nz-number64 ">"
/// ```
fn parse_partial(cursor: &mut Cursor<'_>) -> Parse<Option<Partial>> {
    if !cursor.take(b'<') {
        return Ok(None);
    }
    let offset = cursor.number64()?;
    cursor.expect(b'.', "the length of a partial")?;
    let length = cursor.nz_number64()?;
    cursor.expect(b'>', "the end of a partial")?;
    Ok(Some(Partial { offset, length }))
}

impl FetchItem {
    fn is_peek(&self) -> bool {
        matches!(self, FetchItem::Section { peek: true, .. } | FetchItem::Binary { peek: true, .. })
    }

    /// Whether both are answered by the same data under the same name.
    fn same_answer(&self, other: &FetchItem) -> bool {
        match (self, other) {
            (FetchItem::Section { section: a, partial: p, .. }, FetchItem::Section { section: b, partial: q, .. }) => {
                p == q && a == b
            }
            (FetchItem::Binary { path: a, partial: p, .. }, FetchItem::Binary { path: b, partial: q, .. }) => {
                p == q && a == b
            }
            (a, b) => a == b,
        }
    }

    fn print(&self, out: &mut Vec<u8>) {
        let dot_peek = if self.is_peek() { ".PEEK" } else { "" };
        match self {
            FetchItem::Flags => out.extend_from_slice(b"FLAGS"),
            FetchItem::Uid => out.extend_from_slice(b"UID"),
            FetchItem::InternalDate => out.extend_from_slice(b"INTERNALDATE"),
            FetchItem::Size => out.extend_from_slice(b"RFC822.SIZE"),
            FetchItem::Envelope => out.extend_from_slice(b"ENVELOPE"),
            FetchItem::Body => out.extend_from_slice(b"BODY"),
            FetchItem::BodyStructure => out.extend_from_slice(b"BODYSTRUCTURE"),
            FetchItem::Rfc822 => out.extend_from_slice(b"RFC822"),
            FetchItem::Rfc822Header => out.extend_from_slice(b"RFC822.HEADER"),
            FetchItem::Rfc822Text => out.extend_from_slice(b"RFC822.TEXT"),
            FetchItem::ModSeq => out.extend_from_slice(b"MODSEQ"),
            FetchItem::SaveDate => out.extend_from_slice(b"SAVEDATE"),
            FetchItem::EmailId => out.extend_from_slice(b"EMAILID"),
            FetchItem::ThreadId => out.extend_from_slice(b"THREADID"),
            FetchItem::Section { section, partial, .. } => {
                text(out, format_args!("BODY{dot_peek}"));
                write_section(out, section);
                print_partial(out, *partial);
            }
            FetchItem::Binary { path, partial, .. } => {
                text(out, format_args!("BINARY{dot_peek}["));
                write_path(out, path);
                out.push(b']');
                print_partial(out, *partial);
            }
            FetchItem::BinarySize { path } => {
                out.extend_from_slice(b"BINARY.SIZE[");
                write_path(out, path);
                out.push(b']');
            }
        }
    }
}

fn print_partial(out: &mut Vec<u8>, partial: Option<Partial>) {
    if let Some(Partial { offset, length }) = partial {
        text(out, format_args!("<{offset}.{length}>"));
    }
}

/// A section with its brackets, in a command as in a response.
pub(in crate::protocol) fn write_section(out: &mut Vec<u8>, section: &Section) {
    out.push(b'[');
    write_path(out, &section.path);
    if !section.path.is_empty() && section.text != SectionText::Whole {
        out.push(b'.');
    }
    let mut fields = |name: &str, names: &[Vec<u8>]| {
        text(out, format_args!("{name} ("));
        encode::separated(out, names, |out, name| encode::astring(out, name));
        out.push(b')');
    };
    match &section.text {
        SectionText::Whole => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::HeaderFields(names) => fields("HEADER.FIELDS", names),
        SectionText::HeaderFieldsNot(names) => fields("HEADER.FIELDS.NOT", names),
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;

    fn items(line: &str) -> Vec<FetchItem> {
        match parsed(line) {
            Command::Fetch(fetch) => fetch.items,
            other => panic!("{other:?}"),
        }
    }

    fn section(path: &[u32], text: SectionText, partial: Option<(u64, u64)>, peek: bool) -> FetchItem {
        let partial = partial.map(|(offset, length)| Partial { offset, length });
        FetchItem::Section { section: Section { path: path.to_vec(), text }, partial, peek }
    }

    #[test]
    fn simple_items_and_macros() {
        use FetchItem::*;
        assert_eq!(items("FETCH 2 flags"), [Flags]);
        assert_eq!(items("FETCH 2 (FLAGS)"), [Flags]);
        assert_eq!(items("FETCH 2:4 FAST"), [Flags, InternalDate, Size]);
        assert_eq!(items("FETCH 2:4 all"), [Flags, InternalDate, Size, Envelope]);
        assert_eq!(items("FETCH 2:4 Full"), [Flags, InternalDate, Size, Envelope, Body]);
        assert_eq!(
            items(
                "FETCH 1 (UID BODY BODYSTRUCTURE RFC822 RFC822.SIZE RFC822.HEADER RFC822.TEXT ENVELOPE INTERNALDATE)"
            ),
            [Uid, Body, BodyStructure, Rfc822, Size, Rfc822Header, Rfc822Text, Envelope, InternalDate]
        );
    }

    #[test]
    fn sections_to_any_depth() {
        let names = |list: &[&str]| list.iter().map(|&name| name.into()).collect::<Vec<Vec<u8>>>();
        assert_eq!(items("FETCH 1 BODY[]"), [section(&[], SectionText::Whole, None, false)]);
        assert_eq!(items("FETCH 1 body.peek[]<0.65536>"), [section(&[], SectionText::Whole, Some((0, 65536)), true)]);
        assert_eq!(items("FETCH 1 BODY[TEXT]<5.1>"), [section(&[], SectionText::Text, Some((5, 1)), false)]);
        assert_eq!(items("FETCH 1 BODY[4.2.2.1]"), [section(&[4, 2, 2, 1], SectionText::Whole, None, false)]);
        assert_eq!(items("FETCH 1 BODY[4.1.mime]"), [section(&[4, 1], SectionText::Mime, None, false)]);
        assert_eq!(items("FETCH 1 BODY[3.HEADER]"), [section(&[3], SectionText::Header, None, false)]);
        assert_eq!(
            items("FETCH 1 BODY.PEEK[HEADER.FIELDS (date \"From\" {2}\r\nTo x:y)]"),
            [section(&[], SectionText::HeaderFields(names(&["date", "From", "To", "x:y"])), None, true)]
        );
        assert_eq!(
            items("FETCH 1 BODY[1.HEADER.FIELDS.NOT (a]b)]<0.10>"),
            [section(&[1], SectionText::HeaderFieldsNot(names(&["a]b"])), Some((0, 10)), false)]
        );
        let deep = format!("FETCH 1 BODY[{}1]", "1.".repeat(20_000));
        assert_eq!(items(&deep), [section(&[1; 20_001], SectionText::Whole, None, false)]);
    }

    #[test]
    fn binary_items() {
        let partial = Some(Partial { offset: 0, length: 5 });
        assert_eq!(items("FETCH 1 BINARY[1.2]<0.5>"), [FetchItem::Binary { path: vec![1, 2], partial, peek: false }]);
        assert_eq!(
            items("FETCH 1 (BINARY.PEEK[] BINARY.SIZE[1])"),
            [FetchItem::Binary { path: vec![], partial: None, peek: true }, FetchItem::BinarySize { path: vec![1] }]
        );
    }

    #[test]
    fn items_and_modifiers_of_extensions() {
        use FetchItem::*;
        assert_eq!(items("FETCH 1 modseq"), [ModSeq]);
        assert_eq!(items("FETCH 1 (SAVEDATE emailid THREADID)"), [SaveDate, EmailId, ThreadId]);
        let fetch = |line: &str| match parsed(line) {
            Command::Fetch(fetch) => fetch,
            other => panic!("{other:?}"),
        };
        let since = fetch("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)");
        assert_eq!((since.changed_since, since.vanished), (Some(12345), false));
        assert_eq!(since.items, [Uid, Flags, ModSeq]);
        assert_eq!(fetch("FETCH 1 FAST (changedsince 0)").items, [Flags, InternalDate, Size, ModSeq]);
        assert_eq!(fetch("FETCH 1 MODSEQ (CHANGEDSINCE 9223372036854775807)").items, [ModSeq]);
        for line in ["UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1 FLAGS (vanished CHANGEDSINCE 1)"] {
            assert!(fetch(line).vanished);
        }
        for bad in [
            "FETCH 1 FLAGS ()",
            "FETCH 1 FLAGS (CHANGEDSINCE)",
            "FETCH 1 FLAGS (CHANGEDSINCE x)",
            "FETCH 1 FLAGS (CHANGEDSINCE -1)",
            "FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
            "FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
            "FETCH 1 FLAGS (UNCHANGEDSINCE 1)",
            "FETCH 1 FLAGS CHANGEDSINCE 1",
            "FETCH 1 FLAGS (CHANGEDSINCE 1) x",
            "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
            "UID FETCH 1 FLAGS (VANISHED)",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }

    #[test]
    fn uid_fetch_has_the_uid_once() {
        use FetchItem::*;
        assert_eq!(items("UID FETCH 1:* FLAGS"), [Uid, Flags]);
        assert_eq!(items("UID FETCH 1:* (FLAGS UID)"), [Flags, Uid]);
        assert_eq!(items("UID FETCH * (UID)"), [Uid]);
    }

    #[test]
    fn no_item_is_there_twice() {
        use FetchItem::*;
        assert_eq!(items("FETCH 1 (FLAGS UID FLAGS)"), [Flags, Uid]);
        let whole = section(&[], SectionText::Whole, None, false);
        assert_eq!(items("FETCH 1 (BODY.PEEK[] BODY[])"), std::slice::from_ref(&whole));
        assert_eq!(items("FETCH 1 (BODY[] BODY.PEEK[])"), std::slice::from_ref(&whole));
        assert_eq!(
            items("FETCH 1 (BODY[] BODY[]<0.1>)"),
            [whole, section(&[], SectionText::Whole, Some((0, 1)), false)]
        );
    }

    #[test]
    fn what_is_no_item_is_refused() {
        for bad in [
            "FETCH",
            "FETCH 1",
            "FETCH 1 ",
            "FETCH 1 ()",
            "FETCH 1 (ALL)",
            "FETCH 1 (FLAGS",
            "FETCH 1 (FLAGS )",
            "FETCH 1 (FLAGS  UID)",
            "FETCH 1 FLAGS UID",
            "FETCH 1 FOO",
            "FETCH 1 BODY.PEEK",
            "FETCH 1 BODY[",
            "FETCH 1 BODY[0]",
            "FETCH 1 BODY[1.]",
            "FETCH 1 BODY[.1]",
            "FETCH 1 BODY[1..2]",
            "FETCH 1 BODY[MIME]",
            "FETCH 1 BODY[FOO]",
            "FETCH 1 BODY[1.FOO]",
            "FETCH 1 BODY[HEADER.1]",
            "FETCH 1 BODY[HEADER.FIELDS]",
            "FETCH 1 BODY[HEADER.FIELDS ()]",
            "FETCH 1 BODY[HEADER.FIELDS (a]",
            "FETCH 1 BODY[]<0>",
            "FETCH 1 BODY[]<0.0>",
            "FETCH 1 BODY[]<.5>",
            "FETCH 1 BODY[]<-1.5>",
            "FETCH 1 BODY[]<0.5",
            "FETCH 1 BODY[]<18446744073709551615.5>",
            "FETCH 1 BINARY",
            "FETCH 1 BINARY[TEXT]",
            "FETCH 1 BINARY[1.]",
            "FETCH 1 BINARY.SIZE[1]<0.5>",
            "FETCH 4294967296 FLAGS",
            "FETCH 0 FLAGS",
            "FETCH 1 BODY[4294967296]",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
        assert!(matches!(refused(&format!("FETCH 1 {}", "(".repeat(60_000))), SyntaxError::Expected { .. }));
        assert!(matches!(refused(&format!("FETCH 1 BODY{}", "[".repeat(60_000))), SyntaxError::Expected { .. }));
        assert!(matches!(refused(&format!("FETCH 1 BODY[]{}", "<".repeat(60_000))), SyntaxError::Expected { .. }));
    }

    #[test]
    fn partials_as_great_as_the_grammar_has_them_are_kept() {
        let max = (1 << 63) - 1;
        assert_eq!(
            items("FETCH 1 BODY[]<9223372036854775807.9223372036854775807>"),
            [section(&[], SectionText::Whole, Some((max, max)), false)]
        );
    }

    #[test]
    fn items_and_names_are_bounded() {
        let many: Vec<String> = (1..=limits::FETCH_ITEMS + 1).map(|n| format!("BODY[{n}]")).collect();
        assert_eq!(refused(&format!("FETCH 1 ({})", many.join(" "))), SyntaxError::Limit("FETCH items"));
        let names = vec!["a"; limits::HEADER_NAMES + 1].join(" ");
        assert_eq!(
            refused(&format!("FETCH 1 BODY[HEADER.FIELDS ({names})]")),
            SyntaxError::Limit("header field names")
        );
        let same = vec!["FLAGS"; 10_000].join(" ");
        assert_eq!(items(&format!("FETCH 1 ({same})")), [FetchItem::Flags]);
    }
}
