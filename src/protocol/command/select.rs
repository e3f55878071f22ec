//! SELECT, EXAMINE, CHECK, CLOSE, UNSELECT and their parameters.

use crate::protocol::Dialect;
use crate::protocol::cursor::{Cursor, Parse, SyntaxError};
use crate::protocol::encode::{self, text};
use crate::types::sequence_set::SetNumber;
use crate::types::{MailboxName, SequenceSet, UidValidity};

/// The arguments of SELECT and EXAMINE (RFC 9051 sections 6.3.2 and 6.3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Select {
    pub mailbox: MailboxName,
    /// The name as the client wrote it, if it was not in Unicode's form C (RFC 9051 section 6.3.9.7, OLDNAME).
    pub old_name: Option<String>,
    /// RFC 7162 section 3.1.8.
    pub condstore: bool,
    pub qresync: Option<Qresync>,
}

/// What a client still knows of the mailbox (RFC 7162 section 3.2.5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Qresync {
    pub uid_validity: UidValidity,
    /// Zero is no modification sequence; it is taken for the beginning of time.
    pub modseq: u64,
    /// Neither `*` nor `$` is in it.
    pub known_uids: Option<SequenceSet>,
    pub matches: Option<SequenceMatch>,
}

/// Sequence numbers and the UIDs that they had, as ascending ranges of which each two are of the same length.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SequenceMatch {
    /// A range of numbers and the first of their UIDs.
    pub pairs: Vec<((u32, u32), u32)>,
}

impl Select {
    /// ```abnf
    /// select        = "SELECT" SP mailbox [select-params]
    /// examine       = "EXAMINE" SP mailbox [select-params]
    /// select-params = SP "(" select-param *(SP select-param) ")"                  ; RFC 4466
    /// select-param  = "CONDSTORE" / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
    ///                 [SP seq-match-data] ")"                                     ; RFC 7162
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let written = cursor.mailbox_as_written(|text| text)?;
        let mut select = Self { mailbox: written.name, old_name: written.old_name, condstore: false, qresync: None };
        if !cursor.ends_here() {
            cursor.space()?;
            cursor.list(|cursor| select.parameter(cursor))?;
        }
        Ok(select)
    }

    fn parameter(&mut self, cursor: &mut Cursor<'_>) -> Parse<()> {
        let place = cursor.expected("a parameter of SELECT that this server has");
        match cursor.word("a parameter of SELECT")?.as_str() {
            "CONDSTORE" => self.condstore = true,
            "QRESYNC" if self.qresync.is_none() => {
                cursor.space()?;
                self.qresync = Some(Qresync::parse(cursor)?);
            }
            _ => return Err(place),
        }
        Ok(())
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        out.push(b' ');
        encode::mailbox_text(out, self.old_name.as_deref().unwrap_or(self.mailbox.as_str()), dialect);
        match (&self.qresync, self.condstore) {
            (None, false) => {}
            (None, true) => out.extend_from_slice(b" (CONDSTORE)"),
            (Some(qresync), condstore) => {
                out.extend_from_slice(if condstore { b" (CONDSTORE QRESYNC (" } else { b" (QRESYNC (" });
                qresync.print(out);
                out.extend_from_slice(b"))");
            }
        }
    }
}

impl Qresync {
    /// ```abnf
    /// uidvalidity    = nz-number
    /// known-uids     = sequence-set                           ; no "*"
    /// seq-match-data = "(" known-sequence-set SP known-uid-set ")"
    /// ```
    fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.expect(b'(', "what is known of the mailbox, in parentheses")?;
        let place = cursor.expected("a UIDVALIDITY");
        let uid_validity = UidValidity::new(cursor.nz_number()?).ok_or(place)?;
        cursor.space()?;
        let modseq = cursor.number64()?;
        let (mut known_uids, mut matches) = (None, None);
        if cursor.take(b' ') && cursor.peek() != Some(b'(') {
            let place = cursor.expected("a set of numbers");
            let set = cursor.sequence_set()?;
            numbers(&set).ok_or(place)?;
            known_uids = Some(set);
            if cursor.take(b' ') && cursor.peek() != Some(b'(') {
                return Err(cursor.expected("message numbers and their UIDs"));
            }
        }
        if cursor.peek() == Some(b'(') {
            matches = Some(SequenceMatch::parse(cursor)?);
        }
        cursor.expect(b')', "the end of what is known of the mailbox")?;
        Ok(Self { uid_validity, modseq, known_uids, matches })
    }

    fn print(&self, out: &mut Vec<u8>) {
        text(out, format_args!("{} {}", self.uid_validity, self.modseq));
        if let Some(set) = &self.known_uids {
            text(out, format_args!(" {set}"));
        }
        if let Some(matches) = &self.matches {
            matches.print(out);
        }
    }
}

impl SequenceMatch {
    /// Both sets ascend and name as many numbers (RFC 7162 section 3.2.5.2).
    fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.expect(b'(', "message numbers and their UIDs")?;
        let place = cursor.expected("ascending message numbers and as many ascending UIDs");
        let wrong = || -> SyntaxError { place.clone() };
        let sequence = ascending(&cursor.sequence_set()?).ok_or_else(wrong)?;
        cursor.space()?;
        let uids = ascending(&cursor.sequence_set()?).ok_or_else(wrong)?;
        cursor.expect(b')', "the end of message numbers and their UIDs")?;
        let mut pairs = Vec::with_capacity(sequence.len().max(uids.len()));
        let (mut sequence, mut uids) = (sequence.into_iter(), uids.into_iter());
        let (mut left, mut right) = (sequence.next(), uids.next());
        // Cuts the ranges of both where one of the other ends.
        while let (Some((number, last)), Some((uid, last_uid))) = (left, right) {
            let more = (last - number).min(last_uid - uid);
            pairs.push(((number, number + more), uid));
            left = if last - number == more { sequence.next() } else { Some((number + more + 1, last)) };
            right = if last_uid - uid == more { uids.next() } else { Some((uid + more + 1, last_uid)) };
        }
        if left.is_some() || right.is_some() {
            return Err(wrong());
        }
        Ok(Self { pairs })
    }

    fn print(&self, out: &mut Vec<u8>) {
        let range = |first: u32, last: u32| (SetNumber::Number(first), SetNumber::Number(last));
        let sequence = self.pairs.iter().map(|&((first, last), _)| range(first, last)).collect();
        let uids = self.pairs.iter().map(|&((first, last), uid)| range(uid, uid + (last - first))).collect();
        text(out, format_args!(" ({} {})", SequenceSet::Ranges(sequence), SequenceSet::Ranges(uids)));
    }
}

/// The ranges of a set of numbers alone.
fn numbers(set: &SequenceSet) -> Option<Vec<(u32, u32)>> {
    let SequenceSet::Ranges(ranges) = set else { return None };
    let number = |end| if let SetNumber::Number(number) = end { Some(number) } else { None };
    ranges.iter().map(|&(first, last)| Some((number(first)?, number(last)?))).collect()
}

fn ascending(set: &SequenceSet) -> Option<Vec<(u32, u32)>> {
    let ranges = numbers(set)?;
    let in_order = ranges.iter().all(|range| range.0 <= range.1) && ranges.windows(2).all(|two| two[0].1 < two[1].0);
    in_order.then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, parsed_octets, refused};
    use super::*;

    fn plain(name: &str) -> Select {
        Select { mailbox: MailboxName::parse(name).unwrap(), old_name: None, condstore: false, qresync: None }
    }

    fn qresync(parameters: &str) -> Qresync {
        match parsed(&format!("SELECT a (QRESYNC ({parameters}))")) {
            Command::Select(Select { qresync: Some(qresync), condstore: false, .. }) => qresync,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_mailbox_is_named_in_the_dialect() {
        let select = |name: &str| plain(name);
        assert_eq!(parsed("SELECT INBOX"), Command::Select(select("INBOX")));
        assert_eq!(parsed("examine &APw-x"), Command::Examine(select("\u{fc}x")));
        assert_eq!(parsed_octets(b"SELECT A&B", Dialect::Rev2), Command::Select(select("A&B")));
        let decomposed = Select { old_name: Some("u\u{308}".to_owned()), ..select("\u{fc}") };
        assert_eq!(parsed_octets("SELECT \"u\u{308}\"".as_bytes(), Dialect::Rev2), Command::Select(decomposed));
    }

    #[test]
    fn condstore_is_a_parameter() {
        let select = Select { condstore: true, ..plain("a") };
        assert_eq!(parsed("SELECT a (CONDSTORE)"), Command::Select(select.clone()));
        assert_eq!(parsed("examine a (condstore condstore)"), Command::Examine(select));
    }

    #[test]
    fn what_a_client_knows_is_told_in_four_forms() {
        let set = |text: &str| Cursor::new(text.as_bytes(), Dialect::Rev1).sequence_set().unwrap();
        let uid_validity = UidValidity::new(67890007).unwrap();
        let known = Qresync { uid_validity, modseq: 20050715194045000, known_uids: None, matches: None };
        assert_eq!(qresync("67890007 20050715194045000"), known);
        let of_these = Qresync { known_uids: Some(set("41,43:211,214:541")), ..known.clone() };
        assert_eq!(qresync("67890007 20050715194045000 41,43:211,214:541"), of_these);
        let matches = Some(SequenceMatch { pairs: vec![((5, 5), 10), ((7, 8), 20), ((9, 9), 25), ((10, 10), 30)] });
        assert_eq!(
            qresync("67890007 20050715194045000 (5,7:9,10 10,20:21,25,30)"),
            Qresync { matches: matches.clone(), ..known }
        );
        assert_eq!(
            qresync("67890007 20050715194045000 41,43:211,214:541 (5,7:10 10,20:21,25,30)"),
            Qresync { matches, ..of_these }
        );
        let both = parsed("SELECT a (QRESYNC (1 0) CONDSTORE)");
        assert!(matches!(
            both,
            Command::Select(Select { condstore: true, qresync: Some(Qresync { modseq: 0, .. }), .. })
        ));
    }

    #[test]
    fn ranges_of_any_length_match_without_being_counted() {
        let matches = qresync("1 1 (1:4294967295 1:4294967295)").matches.unwrap();
        assert_eq!(matches.pairs, [((1, u32::MAX), 1)]);
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for bad in [
            "SELECT",
            "SELECT ",
            "SELECT a b",
            "SELECT a (FOO)",
            "SELECT a ()",
            "SELECT a (",
            "SELECT (a)",
            "SELECT a (CONDSTORE",
            "SELECT a (CONDSTORE FOO)",
            "SELECT a CONDSTORE",
            "SELECT a (QRESYNC)",
            "SELECT a (QRESYNC ())",
            "SELECT a (QRESYNC (1))",
            "SELECT a (QRESYNC (0 1))",
            "SELECT a (QRESYNC (1 9223372036854775808))",
            "SELECT a (QRESYNC (1 1 *))",
            "SELECT a (QRESYNC (1 1 1:*))",
            "SELECT a (QRESYNC (1 1 $))",
            "SELECT a (QRESYNC (1 1 1 ))",
            "SELECT a (QRESYNC (1 1 1 2))",
            "SELECT a (QRESYNC (1 1 (1)))",
            "SELECT a (QRESYNC (1 1 (1 1,2)))",
            "SELECT a (QRESYNC (1 1 (1:3 1:2)))",
            "SELECT a (QRESYNC (1 1 (2,1 1,2)))",
            "SELECT a (QRESYNC (1 1 (1:2 2:1)))",
            "SELECT a (QRESYNC (1 1 (1,1 1,2)))",
            "SELECT a (QRESYNC (1 1 (1:* 1:*)))",
            "SELECT a (QRESYNC (1 1 () ()))",
            "SELECT a (QRESYNC (1 1) QRESYNC (1 1))",
            "SELECT a (QRESYNC (1 1)",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
        assert!(matches!(refused("SELECT ../x"), SyntaxError::Mailbox(_)));
    }
}
