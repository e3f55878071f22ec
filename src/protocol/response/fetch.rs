//! FETCH data and EXPUNGE.

use crate::message::section::Section;
use crate::protocol::command::fetch::write_section;
use crate::protocol::date_time::write_date_time;
use crate::protocol::encode::{self, text};
use crate::types::{DateTime, Flags, SeqNum};

/// `* n EXPUNGE`
pub fn expunge(out: &mut Vec<u8>, number: SeqNum) {
    text(out, format_args!("* {number} EXPUNGE\r\n"));
}

/// `* n FETCH (`; the caller writes items with a blank between, and `)` CRLF.
pub fn begin(out: &mut Vec<u8>, number: SeqNum) {
    text(out, format_args!("* {number} FETCH ("));
}

/// `FLAGS (...)`
pub fn flags(out: &mut Vec<u8>, flags: &Flags, recent: bool) {
    out.extend_from_slice(b"FLAGS ");
    encode::flag_list(out, flags, recent.then_some("\\Recent"));
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
