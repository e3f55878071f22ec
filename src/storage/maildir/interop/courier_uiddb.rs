//! `courierimapuiddb`: Courier's map of UIDs, read once when a folder comes from there. Never written.
//!
//! ```abnf
//! file   = "1" SP uidvalidity SP nextuid LF *( record LF )    ; in no order
//! record = uid SP base                                        ; base: the file name up to its first colon
//! ```
//!
//! Courier's UIDVALIDITY counts from another year than ours, so it may be small. It is what clients remember: it stays as it is.

use super::super::file_name::{base, decimal, is_message};
use super::dovecot_uidlist::{Header, LONGEST_LINE, Record};
use super::lines;
use crate::limits;
use crate::storage::error::Result;
use crate::sys::file::Dir;
use crate::types::{Uid, UidValidity};
use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};

pub const FILE: &[u8] = b"courierimapuiddb";

/// What a folder's file says: a header without GUID, and records in the order of their UIDs, some of which may have no file any more. `None` if
/// there is no file, or none that gives UIDVALIDITY and next UID.
pub fn import(dir: &Dir) -> Result<Option<(Header, Vec<Record>)>> {
    match dir.open_file(FILE) {
        Ok(file) => Ok(read(BufReader::new(file.take(limits::UID_LIST)))?),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The same from the file's content. What is doubtful costs only itself: of one UID for two names both are lost, of two UIDs for one name the
/// lower. No UID that occurs is given again.
pub fn read(input: impl BufRead) -> io::Result<Option<(Header, Vec<Record>)>> {
    let (mut first, mut header, mut records) = (true, None, Vec::new());
    lines::each(input, LONGEST_LINE, |line| {
        if std::mem::take(&mut first) {
            header = parse_header(line);
        } else if header.is_some() {
            records.extend(parse_record(line));
        }
    })?;
    let Some(mut header) = header else { return Ok(None) };
    records.sort_by(|a: &Record, b| a.uid.cmp(&b.uid).then_with(|| a.base.cmp(&b.base)));
    records.dedup();
    let highest = records.last().map_or(0, |last| last.uid.get());
    header.next_uid = header.next_uid.max(highest.saturating_add(1));
    let twice: HashSet<Uid> = records.windows(2).filter(|two| two[0].uid == two[1].uid).map(|two| two[0].uid).collect();
    records.retain(|record| !twice.contains(&record.uid));
    let mut named = HashSet::new();
    let later: Vec<bool> = records.iter().rev().map(|record| named.insert(&*record.base)).collect();
    let mut keep = later.into_iter().rev();
    records.retain(|_| keep.next().unwrap_or(false));
    Ok(Some((header, records)))
}

fn parse_header(line: &[u8]) -> Option<Header> {
    let mut fields = line.split(|&b| b == b' ').filter(|field| !field.is_empty());
    (fields.next()? == b"1").then_some(())?;
    let mut number = || u32::try_from(decimal(fields.next()?)?).ok();
    let uid_validity = UidValidity::new(number()?)?;
    let next_uid = number().filter(|&next| next > 0)?;
    Some(Header { uid_validity, next_uid, guid: None, others: Vec::new() })
}

fn parse_record(line: &[u8]) -> Option<Record> {
    let blank = memchr::memchr(b' ', line)?;
    let uid = u32::try_from(decimal(&line[..blank])?).ok().and_then(Uid::new).filter(|&uid| uid <= Uid::MAX)?;
    let base = base(&line[blank + 1..]);
    let fits = is_message(base) && !base.contains(&b'/');
    fits.then(|| Record { uid, base: base.into(), fields: Default::default() })
}

#[cfg(test)]
mod tests {
    use super::super::dovecot_uidlist::{UidList, strictly_valid};
    use super::*;

    type Parsed = (u32, u32, Vec<(u32, String)>);

    /// UIDVALIDITY, next UID, and UIDs with bases.
    fn parsed(file: &[u8]) -> Option<Parsed> {
        let (header, records) = read(file).unwrap()?;
        let records = records.iter().map(|r| (r.uid.get(), String::from_utf8_lossy(&r.base).into_owned())).collect();
        Some((header.uid_validity.get(), header.next_uid, records))
    }

    #[test]
    fn uids_are_kept_in_whatever_order_they_stand() {
        let file = b"1 719999999 12\n10 1719.M3P1V08I02.mx,S=5\n3 1719.M1P1.mx with blank:2,S\n7 1719.M2P1.mx\n";
        let expected = [(3, "1719.M1P1.mx with blank"), (7, "1719.M2P1.mx"), (10, "1719.M3P1V08I02.mx,S=5")];
        let expected = expected.map(|(uid, base)| (uid, base.to_owned())).to_vec();
        assert_eq!(parsed(file), Some((719_999_999, 12, expected)));
        assert_eq!(parsed(b"1 5 1\n"), Some((5, 1, vec![])));
    }

    #[test]
    fn a_file_without_uidvalidity_or_next_uid_is_none() {
        for bad in [
            "",
            "1 5 1",
            "1 5\n",
            "1 0 1\n",
            "1 5 0\n",
            "2 5 1\n",
            "3 V5 N1\n",
            "1 x 1\n",
            "1 5 4294967296\n",
            "\n1 5 1\n",
        ] {
            assert_eq!(parsed(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parsed(&[b'1'; 1_000_000]), None);
    }

    #[test]
    fn what_is_doubtful_costs_only_itself() {
        let long = "x".repeat(LONGEST_LINE);
        let file = format!(
            "1 5 2\n4 twice\n6 twice\n7 a\n7 b\n0 zero\n4294967295 last\n99999999999999999999 far\n-1 x\nnonsense\n9\n9 \n\
             8 a/b\n8 .hidden\n8 :2,S\n8 nul\0\n3 {long}\n11 good\n11 good\n\n12 cut"
        );
        let expected = vec![(6, "twice".to_owned()), (11, "good".to_owned())];
        assert_eq!(parsed(file.as_bytes()), Some((5, 12, expected)));
        // The lost UID is not given again.
        assert_eq!(parsed(b"1 5 2\n9 a\n9 b\n"), Some((5, 10, vec![])));
        assert_eq!(parsed(b"1 5 2\n4294967294 a\n").unwrap().1, u32::MAX);
    }

    #[test]
    fn whatever_is_read_makes_a_list_that_dovecot_takes() {
        arbtest::arbtest(|u| {
            let mut file = b"1 7 3\n".to_vec();
            for _ in 0..u.int_in_range(0..=40)? {
                file.extend_from_slice(u.choose(&[
                    &b"1"[..],
                    b"2",
                    b" ",
                    b"\n",
                    b":",
                    b"a",
                    b"/",
                    b"\0",
                    b"\xff",
                    b"\n9 b\n",
                    b"\n4294967294 ",
                ])?);
            }
            let (header, records) = read(&file[..]).unwrap().unwrap();
            let list = UidList { header, records };
            let written = list.write();
            strictly_valid(&written).unwrap();
            assert_eq!(UidList::parse(&written).unwrap(), list);
            Ok(())
        });
    }
}
