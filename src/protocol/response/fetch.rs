//! FETCH data, EXPUNGE and VANISHED.

use crate::message::section::Section;
use crate::protocol::command::fetch::write_section;
use crate::protocol::date_time::write_date_time;
use crate::protocol::encode::{self, text};
use crate::types::{DateTime, Flags, ModSeq, ObjectId, SeqNum, Uid, UidSet};

/// `* n EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, number: SeqNum) {
    text(out, format_args!("* {number} EXPUNGE\r\n"));
}

/// Which of the two forms, which must not be mixed (RFC 7162 section 3.2.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vanished {
    /// From the mailbox as this client sees it.
    Now,
    /// Before the client looked.
    Earlier,
}

/// How long a line of VANISHED may become, about: some clients' line buffers are of 8 KiB.
const VANISHED_LINE: usize = 7 * 1024;

/// `* VANISHED 405,407:410`, or `* VANISHED (EARLIER) ...`; several if one would be too long a line, none for no UID.
///
/// ```abnf
/// expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids
/// ```
pub fn vanished(out: &mut Vec<u8>, which: Vanished, uids: &UidSet) {
    let head: &[u8] = match which {
        Vanished::Now => b"* VANISHED ",
        Vanished::Earlier => b"* VANISHED (EARLIER) ",
    };
    let mut start = out.len();
    for (first, last) in uids.ranges() {
        if out.len() == start {
            out.extend_from_slice(head);
        } else {
            out.push(b',');
        }
        if first == last {
            text(out, format_args!("{first}"))
        } else {
            text(out, format_args!("{first}:{last}"))
        }
        if out.len() - start > VANISHED_LINE {
            out.extend_from_slice(b"\r\n");
            start = out.len();
        }
    }
    if out.len() > start {
        out.extend_from_slice(b"\r\n");
    }
}

/// `* n FETCH (`; the caller writes items with a blank between, and `)` CRLF.
pub fn begin(out: &mut Vec<u8>, number: SeqNum) {
    out.extend_from_slice(b"* ");
    encode::number(out, number.get());
    out.extend_from_slice(b" FETCH (");
}

/// `FLAGS (...)`
pub fn flags(out: &mut Vec<u8>, flags: &Flags, recent: bool) {
    out.extend_from_slice(b"FLAGS ");
    encode::flag_list(out, flags, recent.then_some("\\Recent"));
}

/// `UID n`
pub fn uid(out: &mut Vec<u8>, uid: Uid) {
    out.extend_from_slice(b"UID ");
    encode::number(out, uid.get());
}

/// `MODSEQ (n)`
pub fn modseq(out: &mut Vec<u8>, modseq: ModSeq) {
    text(out, format_args!("MODSEQ ({modseq})"));
}

/// `SAVEDATE "..."` or `SAVEDATE NIL` (RFC 8514 section 4.2).
pub fn save_date(out: &mut Vec<u8>, date: Option<DateTime>) {
    out.extend_from_slice(b"SAVEDATE ");
    match date {
        Some(date) => write_date_time(out, date),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `EMAILID (...)`, `THREADID (...)` or `THREADID NIL` (RFC 8474 section 5.3).
pub fn object_id(out: &mut Vec<u8>, name: &str, id: Option<&ObjectId>) {
    match id {
        Some(id) => text(out, format_args!("{name} ({})", id.as_str())),
        None => text(out, format_args!("{name} NIL")),
    }
}

/// `INTERNALDATE "..."`; years that the grammar's four digits cannot hold are cut to 0001 or 9999.
pub fn internal_date(out: &mut Vec<u8>, date: DateTime) {
    out.extend_from_slice(b"INTERNALDATE ");
    write_date_time(out, date);
}

/// `BODY[...]` or `BODY[...]<origin>` and a blank.
pub fn section_name(out: &mut Vec<u8>, section: &Section, origin: Option<u64>) {
    out.extend_from_slice(b"BODY");
    write_section(out, section);
    write_origin(out, origin);
}

/// `BINARY[1.2]<origin>` and a blank; `name` is `BINARY` or `BINARY.SIZE`.
pub fn binary_name(out: &mut Vec<u8>, name: &str, path: &[u32], origin: Option<u64>) {
    text(out, format_args!("{name}["));
    write_path(out, path);
    out.push(b']');
    write_origin(out, origin);
}

fn write_origin(out: &mut Vec<u8>, origin: Option<u64>) {
    if let Some(origin) = origin {
        text(out, format_args!("<{origin}>"));
    }
    out.push(b' ');
}

/// RFC 9051 `section-part`, or nothing.
pub(in crate::protocol) fn write_path(out: &mut Vec<u8>, path: &[u32]) {
    for (i, number) in path.iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        text(out, format_args!("{number}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::message::section::SectionText;
    use crate::types::{Date, Keyword, SystemFlag};

    #[test]
    fn item_names_and_small_items() {
        let number = SeqNum::new(12).unwrap();
        assert_eq!(written(|o| expunge(o, number)), "* 12 EXPUNGE\r\n");
        assert_eq!(written(|o| begin(o, number)), "* 12 FETCH (");
        let mut set = Flags::new();
        assert_eq!(written(|o| flags(o, &set, false)), "FLAGS ()");
        set.insert(SystemFlag::Seen);
        set.insert_keyword(Keyword::new("$Junk").unwrap());
        assert_eq!(written(|o| flags(o, &set, true)), "FLAGS (\\Seen $Junk \\Recent)");
        let date = DateTime::new(Date::new(1996, 7, 7).unwrap(), 2, 44, 25, -7 * 60 - 30).unwrap();
        assert_eq!(written(|o| internal_date(o, date)), "INTERNALDATE \" 7-Jul-1996 02:44:25 -0730\"");
        assert_eq!(written(|o| binary_name(o, "BINARY", &[1, 2], Some(7))), "BINARY[1.2]<7> ");
        assert_eq!(written(|o| binary_name(o, "BINARY.SIZE", &[], None)), "BINARY.SIZE[] ");
    }

    #[test]
    fn items_of_extensions() {
        assert_eq!(written(|o| uid(o, Uid::MIN)), "UID 1");
        assert_eq!(written(|o| modseq(o, ModSeq::new(624140003).unwrap())), "MODSEQ (624140003)");
        let date = DateTime::new(Date::new(2015, 1, 1).unwrap(), 18, 50, 53, 60).unwrap();
        assert_eq!(written(|o| save_date(o, Some(date))), "SAVEDATE \" 1-Jan-2015 18:50:53 +0100\"");
        assert_eq!(written(|o| save_date(o, None)), "SAVEDATE NIL");
        let id = ObjectId::parse("M6d99ac3275bb4e").unwrap();
        assert_eq!(written(|o| object_id(o, "EMAILID", Some(&id))), "EMAILID (M6d99ac3275bb4e)");
        assert_eq!(written(|o| object_id(o, "THREADID", None)), "THREADID NIL");
    }

    #[test]
    fn what_vanished_is_told_in_lines_that_are_not_too_long() {
        let set = |uids: &[u32]| uids.iter().filter_map(|&n| Uid::new(n)).collect::<UidSet>();
        assert_eq!(written(|o| vanished(o, Vanished::Now, &set(&[405, 407, 410]))), "* VANISHED 405,407,410\r\n");
        assert_eq!(written(|o| vanished(o, Vanished::Earlier, &set(&[1, 2, 9]))), "* VANISHED (EARLIER) 1:2,9\r\n");
        assert_eq!(written(|o| vanished(o, Vanished::Earlier, &set(&[]))), "");
        let many: Vec<u32> = (1..20_000).map(|n| 2 * n).collect();
        let lines = written(|o| vanished(o, Vanished::Now, &set(&many)));
        assert!(lines.lines().all(|line| line.len() < 8000 && line.starts_with("* VANISHED ")));
        let told = lines.lines().flat_map(|line| line[11..].split(',').map(|n| n.parse::<u32>().unwrap()));
        assert!(told.eq(many.iter().copied()));
    }

    #[test]
    fn sections_are_named_as_they_were_asked_for() {
        let name =
            |path: &[u32], text, origin| written(|o| section_name(o, &Section { path: path.to_vec(), text }, origin));
        assert_eq!(name(&[], SectionText::Whole, None), "BODY[] ");
        assert_eq!(name(&[], SectionText::Whole, Some(0)), "BODY[]<0> ");
        assert_eq!(name(&[4, 1], SectionText::Mime, None), "BODY[4.1.MIME] ");
        assert_eq!(name(&[3], SectionText::Text, None), "BODY[3.TEXT] ");
        assert_eq!(name(&[], SectionText::Header, None), "BODY[HEADER] ");
        assert_eq!(
            name(&[], SectionText::HeaderFields(vec![b"From".to_vec(), b"a b".to_vec()]), None),
            "BODY[HEADER.FIELDS (From \"a b\")] "
        );
        assert_eq!(
            name(&[2], SectionText::HeaderFieldsNot(vec![b"To".to_vec()]), Some(5)),
            "BODY[2.HEADER.FIELDS.NOT (To)]<5> "
        );
    }
}
