//! `dovecot-uidlist`: which UID each message file has. Text to values and back; `uid_list.rs` has the file.
//!
//! ```abnf
//! file     = header LF *( record LF )
//! header   = header1 / header3
//! header1  = "1" SP uidvalidity SP nextuid
//! header3  = "3" *( SP KEY value )                   ; V, N required; others kept
//! record1  = uid SP filename
//! record3  = uid *( SP UPPER value ) SP ":" filename ; UPPER fields kept
//! ```
//!
//! Dovecot throws the whole list away at the first fault, and every client downloads everything again. We keep what is beyond doubt:
//! a record at fault loses its UID, which is never dealt again.

use super::super::file_name::{base, decimal};
use super::super::records::Listed;
use crate::types::{Uid, UidValidity};

/// The longest line that can be a record: the longest file name and room for fields.
pub const LONGEST_LINE: usize = 8 * 1024;

/// The first line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub uid_validity: UidValidity,
    /// The next UID, as far as this line knows: records appended later do not change it. May be one beyond [`Uid::MAX`].
    pub next_uid: u32,
    /// The mailbox's GUID, 32 hexadecimal digits.
    pub guid: Option<Vec<u8>>,
    /// Further fields, key and value as they stood.
    pub others: Vec<Vec<u8>>,
}

impl Header {
    /// A first line, without its LF.
    pub fn parse(line: &[u8]) -> Option<Self> {
        parse_header(line).ok().map(|(header, _)| header)
    }

    /// A header for a list that is made anew.
    pub fn new(uid_validity: UidValidity, guid: [u8; 16]) -> Self {
        let mut header = Self { uid_validity, next_uid: 1, guid: None, others: Vec::new() };
        header.provide_guid(guid);
        header
    }

    /// The mailbox has this GUID if it has none.
    pub fn provide_guid(&mut self, guid: [u8; 16]) {
        self.guid.get_or_insert_with(|| guid.iter().flat_map(|b| format!("{b:02x}").into_bytes()).collect());
    }

    /// Always in version 3, whichever was read.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("3 V{} N{}", self.uid_validity, self.next_uid).as_bytes());
        if let Some(guid) = &self.guid {
            out.extend_from_slice(b" G");
            out.extend_from_slice(guid);
        }
        for field in &self.others {
            out.push(b' ');
            out.extend_from_slice(field);
        }
        out.push(b'\n');
    }
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    pub uid: Uid,
    /// The file name up to the first colon.
    pub base: Box<[u8]>,
    pub fields: Fields,
}

impl Record {
    pub fn as_listed(&self) -> Listed<'_> {
        Listed { uid: self.uid, fields: self.fields.octets(), base: &self.base }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        write_record(self.uid, self.fields.octets(), &self.base, out);
    }
}

/// A line: the fields as they stand there, the file name up to its first colon.
pub fn write_record(uid: Uid, fields: &[u8], base: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(uid.to_string().as_bytes());
    if !fields.is_empty() {
        out.push(b' ');
        out.extend_from_slice(fields);
    }
    out.extend_from_slice(b" :");
    out.extend_from_slice(base);
    out.push(b'\n');
}

/// The fields of a record as they stand: upper-case keys and values, single blanks between. Most have none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Fields(Option<Box<[u8]>>);

impl Fields {
    pub fn get(&self, key: u8) -> Option<&[u8]> {
        self.each().find(|f| f.first() == Some(&key)).map(|f| &f[1..])
    }

    /// Adds or replaces a field; a value that could not stand in the line is left out.
    pub fn set(&mut self, key: u8, value: &[u8]) {
        if value.iter().any(|b| matches!(b, b' ' | b'\r' | b'\n' | 0)) {
            return;
        }
        let mut out: Vec<u8> = Vec::new();
        for field in self.each().filter(|f| f.first() != Some(&key)) {
            out.extend_from_slice(field);
            out.push(b' ');
        }
        out.push(key);
        out.extend_from_slice(value);
        self.0 = Some(out.into());
    }

    /// As they stand in the line, with single blanks between.
    pub fn octets(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Fields that were kept so.
    pub fn of(octets: &[u8]) -> Self {
        Self((!octets.is_empty()).then(|| octets.into()))
    }

    pub fn wire_size(&self) -> Option<u64> {
        decimal(self.get(b'W')?)
    }

    fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.0.as_deref().unwrap_or_default().split(|&b| b == b' ').filter(|f| !f.is_empty())
    }
}

/// Why a list cannot be used at all: its first line gives no UIDVALIDITY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadHeader(pub &'static str);

/// What a line of the list was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    Header,
    Record(Record),
    /// Not understood. If it has the UID of the record before it, that one is in doubt too.
    Fault {
        spoils_last: bool,
    },
}

/// Reads a list line by line.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    header: Option<Header>,
    version_1: bool,
    /// The highest UID seen, in faulty lines too: it is never dealt again.
    highest: u32,
    /// The UID of the last good record.
    last: u32,
    /// Records are to be written anew: another version, no GUID, faults, or names with flags.
    pub imperfect: bool,
}

impl Reader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on behind a list's last record, without having read those between.
    pub fn at_end(header: Header, last: u32) -> Self {
        Self { header: Some(header), highest: last, last, ..Self::default() }
    }

    /// The same, where more is remembered of what was read.
    pub fn with_highest(self, highest: u32, version_1: bool) -> Self {
        Self { highest: self.highest.max(highest), version_1, ..self }
    }

    /// Records up to this UID, good ones, were added behind what was read.
    pub fn passed(&mut self, uid: u32) {
        (self.highest, self.last) = (self.highest.max(uid), uid);
    }

    /// The highest UID that occurred.
    pub fn highest(&self) -> u32 {
        self.highest
    }

    /// The UID of the last good record.
    pub fn last(&self) -> u32 {
        self.last
    }

    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    pub fn version_1(&self) -> bool {
        self.version_1
    }

    /// The next UID: the header's, or the one after the highest that occurred.
    pub fn next_uid(&self) -> u32 {
        self.header.as_ref().map_or(1, |h| h.next_uid).max(self.highest.saturating_add(1))
    }

    /// Takes the next line, without its LF.
    pub fn line(&mut self, line: &[u8]) -> Result<Line, BadHeader> {
        if self.header.is_none() {
            let (header, version_1) = parse_header(line)?;
            self.imperfect |= version_1 || header.guid.is_none();
            (self.header, self.version_1) = (Some(header), version_1);
            return Ok(Line::Header);
        }
        let Some((uid, rest)) = number(line) else { return Ok(self.fault(false)) };
        let Ok(uid) = u32::try_from(uid) else { return Ok(self.fault(false)) };
        if uid == 0 || uid > Uid::MAX.get() {
            return Ok(self.fault(false));
        }
        let again = uid == self.last;
        let ascending = uid > self.last && uid > self.highest;
        self.highest = self.highest.max(uid);
        let record = Uid::new(uid).filter(|_| ascending).and_then(|uid| self.record(uid, rest));
        match record {
            Some(record) => {
                self.last = uid;
                Ok(Line::Record(record))
            }
            None => Ok(self.fault(again)),
        }
    }

    fn fault(&mut self, spoils_last: bool) -> Line {
        self.imperfect = true;
        Line::Fault { spoils_last }
    }

    fn record(&mut self, uid: Uid, rest: &[u8]) -> Option<Record> {
        // A blank must follow the number.
        let mut rest = rest.strip_prefix(b" ")?;
        let mut fields = Vec::new();
        if self.version_1 {
            rest = skip_blanks(rest);
            if uid.get() >= self.header.as_ref()?.next_uid {
                return None;
            }
        } else {
            loop {
                rest = skip_blanks(rest);
                if let Some(name) = rest.strip_prefix(b":") {
                    rest = name;
                    break;
                }
                let end = memchr::memchr(b' ', rest)?;
                let field = &rest[..end];
                if !field.first()?.is_ascii_uppercase() {
                    return None;
                }
                if !fields.is_empty() {
                    fields.push(b' ');
                }
                fields.extend_from_slice(field);
                rest = &rest[end..];
            }
        }
        let name = base(rest);
        self.imperfect |= name.len() != rest.len();
        if name.is_empty() || name.iter().any(|b| matches!(b, b'/' | 0 | b'\r')) || fields.contains(&0) {
            return None;
        }
        let fields = Fields((!fields.is_empty()).then(|| fields.into()));
        Some(Record { uid, base: name.into(), fields })
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&b| b == b' ').count();
    &text[blanks..]
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    Some((decimal(&text[..digits])?, &text[digits..]))
}

/// The header, and whether it is of version 1.
fn parse_header(line: &[u8]) -> Result<(Header, bool), BadHeader> {
    let numbered = |value: &[u8]| u32::try_from(decimal(value)?).ok().filter(|&n| n > 0);
    let mut fields = line.split(|&b| b == b' ').filter(|f| !f.is_empty());
    let version = match (line.first(), line.get(1)) {
        (Some(&version), Some(b' ')) => version,
        _ => return Err(BadHeader("no version")),
    };
    fields.next();
    if version == b'1' {
        let mut next = || numbered(fields.next()?);
        let uid_validity = next().and_then(UidValidity::new).ok_or(BadHeader("no UIDVALIDITY"))?;
        let next_uid = next().ok_or(BadHeader("no next UID"))?;
        return Ok((Header { uid_validity, next_uid, guid: None, others: Vec::new() }, true));
    }
    if version != b'3' {
        return Err(BadHeader("unknown version"));
    }
    let (mut uid_validity, mut next_uid, mut guid, mut others) = (None, None, None, Vec::new());
    for field in fields {
        let value = &field[1..];
        match field[0] {
            b'V' => uid_validity = numbered(value).and_then(UidValidity::new),
            b'N' => next_uid = numbered(value),
            b'G' if value.len() == 32 && value.iter().all(u8::is_ascii_hexdigit) => guid = Some(value.to_vec()),
            b'G' => {}
            _ if field.iter().any(|b| matches!(b, 0 | b'\r')) => {}
            _ => others.push(field.to_vec()),
        }
    }
    let uid_validity = uid_validity.ok_or(BadHeader("no UIDVALIDITY"))?;
    // Without it, what follows the records is all we can know; the caller never goes below what it has seen.
    let next_uid = next_uid.unwrap_or(1);
    Ok((Header { uid_validity, next_uid, guid, others }, false))
}

/// A whole list, as a test or a fuzz target looks at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UidList {
    pub header: Header,
    /// Ascending.
    pub records: Vec<Record>,
}

impl UidList {
    /// Reads a whole list; a last line without LF does not count.
    pub fn parse(file: &[u8]) -> Result<Self, BadHeader> {
        let (mut reader, mut records) = (Reader::new(), Vec::new());
        let complete = memchr::memrchr(b'\n', file).ok_or(BadHeader("no header"))?;
        for line in file[..complete].split(|&b| b == b'\n') {
            match reader.line(line)? {
                Line::Header => {}
                Line::Record(record) => records.push(record),
                Line::Fault { spoils_last: true } => drop(records.pop()),
                Line::Fault { spoils_last: false } => {}
            }
        }
        let next_uid = reader.next_uid();
        let mut header = reader.header.ok_or(BadHeader("no header"))?;
        header.next_uid = next_uid;
        Ok(Self { header, records })
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.header.write(&mut out);
        self.records.iter().for_each(|record| record.write(&mut out));
        out
    }
}

/// Whether Dovecot would take the list as ours, of version 3, without complaint, and if not, why: what our writer is tested against.
pub fn strictly_valid(file: &[u8]) -> Result<(), String> {
    let text = file.strip_suffix(b"\n").ok_or("last line without LF")?;
    if !text.starts_with(b"3 ") {
        return Err("no header of version 3".into());
    }
    let mut strict = Strict::default();
    text.split(|&b| b == b'\n').enumerate().try_for_each(|(at, line)| {
        // The first line has no file name, whatever its further fields look like.
        let name = memchr::memmem::find(line, b" :").filter(|_| at > 0).map_or(&b""[..], |at| &line[at + 2..]);
        let with_flags = if name.contains(&b':') { Err("flags behind a file name") } else { Ok(()) };
        let checked = strict.line(line).and(with_flags);
        checked.map_err(|fault| format!("{fault}: {}", String::from_utf8_lossy(line)))
    })
}

/// Reads a list line by line as severely as Dovecot does, which throws the whole list away at most of these faults.
#[derive(Debug, Default)]
pub struct Strict {
    /// Of version 1, the next UID, which no record reaches.
    below: Option<u64>,
    begun: bool,
    last: u64,
}

impl Strict {
    /// Takes the next line, without its LF, and says what is wrong with it.
    pub fn line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if std::mem::replace(&mut self.begun, true) { self.record(line) } else { self.header(line) }
    }

    fn header(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let number = |value: &[u8]| decimal(value).filter(|n| (1..=u64::from(u32::MAX)).contains(n));
        if let Some(fields) = line.strip_prefix(b"1 ") {
            let mut numbers = fields.split(|&b| b == b' ').map(number);
            let validity = numbers.next().flatten();
            self.below = numbers.next().flatten();
            return validity.and(self.below).map(drop).ok_or("no UIDVALIDITY or next UID");
        }
        let fields = line.strip_prefix(b"3 ").ok_or("no header of version 3 or 1")?;
        let (mut validity, mut next) = (None, None);
        for field in fields.split(|&b| b == b' ').filter(|field| !field.is_empty()) {
            match field.split_first() {
                Some((b'V', value)) => validity = number(value),
                Some((b'N', value)) => next = number(value),
                Some((b'G', value)) if value.len() != 32 || !value.iter().all(u8::is_ascii_hexdigit) => {
                    return Err("bad GUID");
                }
                _ => {}
            }
        }
        validity.ok_or("no UIDVALIDITY")?;
        next.ok_or("no next UID").map(drop)
    }

    fn record(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let (uid, rest) = number(line).ok_or("no UID")?;
        if uid == 0 || uid >= u64::from(u32::MAX) {
            return Err("UID out of range");
        }
        if uid <= self.last {
            return Err("UID not above the one before");
        }
        self.last = uid;
        let mut rest = rest.strip_prefix(b" ").ok_or("no blank behind the UID")?;
        if let Some(next) = self.below {
            if uid >= next {
                return Err("UID not below the next UID");
            }
            return Self::name(base(skip_blanks(rest)));
        }
        loop {
            rest = skip_blanks(rest);
            if let Some(name) = rest.strip_prefix(b":") {
                return Self::name(base(name));
            }
            if !rest.first().is_some_and(u8::is_ascii_uppercase) {
                return Err(if rest.is_empty() { "no file name" } else { "unknown field" });
            }
            rest = &rest[memchr::memchr(b' ', rest).ok_or("no file name")?..];
        }
    }

    fn name(name: &[u8]) -> Result<(), &'static str> {
        match name {
            [] => Err("no file name"),
            name if name.iter().any(|b| matches!(b, b'/' | 0 | b'\r')) => Err("bad file name"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(file: &[u8]) -> Vec<u32> {
        UidList::parse(file).unwrap().records.iter().map(|r| r.uid.get()).collect()
    }

    const V3: &[u8] = b"3 V1719999999 N8 G0f1e2d3c4b5a69788796a5b4c3d2e1f0 P2 Xyz\n\
        1 :1719999990.M10P20.mx,S=812,W=835\n\
        4 W2481 Qkeep :1720000100.P77.mx\n\
        7 S99 W104 G1719.M1P1.old :1720000200.M5P9.mx with blank\n";

    #[test]
    fn version_3_is_read_and_written_with_unknown_keys() {
        let list = UidList::parse(V3).unwrap();
        assert_eq!(list.header.uid_validity.get(), 1_719_999_999);
        assert_eq!(&*list.records[2].base, b"1720000200.M5P9.mx with blank");
        assert_eq!(list.records[1].fields.wire_size(), Some(2481));
        assert_eq!(list.records[2].fields.get(b'G'), Some(&b"1719.M1P1.old"[..]));
        assert_eq!(list.write(), V3);
        strictly_valid(V3).unwrap();
    }

    #[test]
    fn further_header_fields_may_look_like_file_names() {
        let list = UidList::parse(b"3 V7 N8 :one :two\n1 :a\n").unwrap();
        strictly_valid(&list.write()).unwrap();
        assert!(strictly_valid(b"3 V7 N8\n1 :a:2,S\n").is_err());
    }

    #[test]
    fn version_1_becomes_version_3() {
        let list = UidList::parse(b"1 719999999 10\n3 a:2,S\n9 b,S=5\n").unwrap();
        assert_eq!(list.write(), b"3 V719999999 N10\n3 :a\n9 :b,S=5\n");
        assert_eq!(uids(b"1 7 5\n3 a\n5 b\n"), [3]);
        assert_eq!(UidList::parse(b"1 7 5\n3 a\n5 b\n").unwrap().header.next_uid, 6);
    }

    #[test]
    fn a_last_line_without_lf_does_not_count() {
        assert_eq!(uids(b"3 V1 N1\n1 :a\n2 :b"), [1]);
        assert_eq!(UidList::parse(b"3 V1 N1\n1 :a\n2 :b\n").unwrap().header.next_uid, 3);
    }

    #[test]
    fn a_list_without_uidvalidity_is_refused() {
        for bad in [
            &b""[..],
            b"\n",
            b"3 V1 N1",
            b"2 V1 N1\n",
            b"3 N1\n",
            b"3 V0 N1\n",
            b"3 Vx N1\n",
            b"1 0 1\n",
            b"1 5\n",
            b"\0\0\0\n",
            b"3V1 N1\n",
        ] {
            assert!(UidList::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert!(uids(b"3 V1 N1\n").is_empty());
        assert!(UidList::parse(&[b'x'; 10_000_000]).is_err());
    }

    #[test]
    fn a_doubtful_uid_is_lost_and_never_dealt_again() {
        // Descending; twice; zero; not a number; beyond the last.
        assert_eq!(uids(b"3 V1 N1\n5 :a\n3 :b\n6 :c\n"), [5, 6]);
        let twice = UidList::parse(b"3 V1 N1\n4 :z\n5 :a\n5 :b\n").unwrap();
        assert_eq!(twice.records.iter().map(|r| r.uid.get()).collect::<Vec<_>>(), [4]);
        assert_eq!(twice.header.next_uid, 6);
        assert_eq!(uids(b"3 V1 N1\n0 :a\nx :b\n4294967295 :c\n99999999999 :d\n-1 :e\n2 :f\n"), [2]);
        let last = UidList::parse(b"3 V1 N1\n4294967294 :a\n").unwrap();
        assert_eq!((last.records.len(), last.header.next_uid), (1, u32::MAX));
    }

    #[test]
    fn a_faulty_record_costs_no_other() {
        let file = b"3 V1 N1\n1 :a\n2 b\n3 lower :c\n4 :\n5 :a/b\n6:x\n7 S5\n8 :n\0l\n9  S1   W2  :good\r\n10 S1   W2 :good\n\n";
        assert_eq!(uids(file), [1, 10]);
        assert_eq!(UidList::parse(file).unwrap().header.next_uid, 11);
    }

    #[test]
    fn fields_are_set_and_kept() {
        let mut fields = Fields::default();
        fields.set(b'W', b"5");
        fields.set(b'G', b"guid");
        fields.set(b'W', b"6");
        fields.set(b'P', b"has blank");
        assert_eq!((fields.get(b'W'), fields.get(b'G'), fields.get(b'P')), (Some(&b"6"[..]), Some(&b"guid"[..]), None));
    }

    #[test]
    fn what_is_read_is_written_and_read_the_same() {
        arbtest::arbtest(|u| {
            let mut file = b"3 V7 N3 G0f1e2d3c4b5a69788796a5b4c3d2e1f0\n".to_vec();
            for _ in 0..u.int_in_range(0..=40)? {
                file.extend_from_slice(u.choose(&[
                    &b"1"[..],
                    b"2",
                    b" ",
                    b"\n",
                    b":",
                    b":a",
                    b"S1",
                    b"\nW",
                    b"/",
                    b"\xff",
                    b"9 :b\n",
                ])?);
            }
            if let Ok(list) = UidList::parse(&file) {
                let written = list.write();
                strictly_valid(&written).unwrap();
                assert_eq!(UidList::parse(&written).unwrap(), list);
            }
            Ok(())
        });
    }
}
