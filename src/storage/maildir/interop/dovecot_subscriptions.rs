//! `subscriptions`: storage names, a line each.
//!
//! ```abnf
//! version1 = *( part *( "." part ) LF )
//! version2 = "V" HTAB "2" LF LF *( part *( HTAB part ) LF )
//! part     = *( octet / %x01 ( "0" / "1" / "t" / "r" / "n" ) )    ; escapes in version 2
//! ```

use super::super::folder_name::{Spelling, from_parts, from_storage, to_storage};
use crate::types::MailboxName;
use crate::types::mailbox::SEPARATOR;
use std::collections::HashSet;

const VERSION_2: &[u8] = b"V\t2\n\n";
/// PATH_MAX: at a longer line Dovecot gives the whole file up.
const LONGEST_LINE: usize = 4096;

/// The file, line by line: what we do not understand stays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscriptions {
    version_2: bool,
    lines: Vec<Vec<u8>>,
}

impl Default for Subscriptions {
    /// A new file.
    fn default() -> Self {
        Self { version_2: true, lines: Vec::new() }
    }
}

impl Subscriptions {
    pub fn parse(file: &[u8]) -> Self {
        let (version_2, rest) = match file.strip_prefix(VERSION_2) {
            Some(rest) => (true, rest),
            None => (file.is_empty(), file),
        };
        let lines = rest.split(|&b| b == b'\n').filter(|l| !l.is_empty());
        Self { version_2, lines: lines.map(<[u8]>::to_vec).collect() }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = if self.version_2 { VERSION_2.to_vec() } else { Vec::new() };
        for line in &self.lines {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out
    }

    /// What is wrong with the file, in a few words each: lines that Dovecot cannot read or would not have written, and a last one that is cut off.
    /// A name that we cannot show is not wrong.
    pub fn faults(file: &[u8]) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if file.last().is_some_and(|&last| last != b'\n') {
            faults.push("the last line is cut off");
        }
        let read = Self::parse(file);
        let mut seen = HashSet::new();
        faults.extend(read.lines.iter().filter_map(|line| read.fault(line, &mut seen)));
        faults
    }

    /// The file without the lines that are at fault.
    #[must_use]
    pub fn mended(mut self) -> Self {
        let mut seen = HashSet::new();
        let keep: Vec<bool> = self.lines.iter().map(|line| self.fault(line, &mut seen).is_none()).collect();
        let mut keep = keep.into_iter();
        self.lines.retain(|_| keep.next().unwrap_or(true));
        self
    }

    fn fault<'a>(&self, line: &'a [u8], seen: &mut HashSet<&'a [u8]>) -> Option<&'static str> {
        let may_stand = |b: &u8| !b.is_ascii_control() || (self.version_2 && matches!(b, 1 | b'\t'));
        if line.len() > LONGEST_LINE {
            Some("a line is longer than a name can be")
        } else if !line.iter().all(may_stand) {
            Some("a line has a control character")
        } else if !seen.insert(line) {
            Some("a line is there twice")
        } else {
            None
        }
    }

    /// The names in the order of the file, each once.
    pub fn names(&self) -> Vec<MailboxName> {
        let mut names = Vec::new();
        let mut seen = HashSet::new();
        for name in self.lines.iter().filter_map(|line| self.name_of(line)) {
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        names
    }

    fn name_of(&self, line: &[u8]) -> Option<MailboxName> {
        if self.version_2 {
            let line = line.strip_suffix(b"\t").unwrap_or(line);
            let parts: Vec<Vec<u8>> = line.split(|&b| b == b'\t').map(unescape).collect();
            from_parts(parts.iter().map(Vec::as_slice))
        } else {
            from_storage(line.strip_suffix(b".").unwrap_or(line))
        }
    }

    /// Whether anything changed. A name that the Maildir could not store can still be subscribed to in version 2.
    pub fn add(&mut self, name: &MailboxName, spelling: Spelling) -> Result<bool, crate::storage::StoreError> {
        if self.lines.iter().any(|line| self.name_of(line).as_ref() == Some(name)) {
            return Ok(false);
        }
        let line = to_storage(name, spelling)?;
        if self.version_2 {
            debug_assert!(!name.as_str().contains('\t') && SEPARATOR != '\t');
            self.lines.push(line.iter().map(|&b| if b == b'.' { b'\t' } else { b }).collect());
        } else {
            self.lines.push(line);
        }
        Ok(true)
    }

    /// Whether anything changed.
    pub fn remove(&mut self, name: &MailboxName) -> bool {
        let keep: Vec<bool> = self.lines.iter().map(|line| self.name_of(line).as_ref() != Some(name)).collect();
        let mut keep_line = keep.iter();
        self.lines.retain(|_| keep_line.next().copied().unwrap_or(true));
        keep.contains(&false)
    }
}

fn unescape(part: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut octets = part.iter();
    while let Some(&octet) = octets.next() {
        out.push(match octet {
            1 => match octets.next() {
                Some(b'0') => 0,
                Some(b'1') => 1,
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(&other) => other,
                None => break,
            },
            other => other,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    fn names(file: &[u8]) -> Vec<String> {
        Subscriptions::parse(file).names().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_versions_are_read() {
        assert_eq!(
            names(b"Work.2024\nEntw&APw-rfe\ninbox\nWork.2024\nOld.\n"),
            ["Work/2024", "Entwürfe", "INBOX", "Old"]
        );
        assert_eq!(
            names(b"V\t2\n\nWork\t2024\nEntw&APw-rfe\nGone\t\na\x01tb\nok\n"),
            ["Work/2024", "Entwürfe", "Gone", "ok"]
        );
        assert!(names(b"").is_empty());
    }

    #[test]
    fn a_file_keeps_its_version_and_what_is_not_understood() {
        let mut one = Subscriptions::parse(b"Work\nodd..name\n");
        assert!(one.add(&name("Büro/x"), Spelling::Utf7).unwrap());
        assert!(!one.add(&name("Work"), Spelling::Utf7).unwrap());
        assert_eq!(one.write(), b"Work\nodd..name\nB&APw-ro.x\n");
        let mut two = Subscriptions::parse(b"");
        assert!(two.add(&name("a/b"), Spelling::Utf7).unwrap());
        assert_eq!(two.write(), b"V\t2\n\na\tb\n");
        assert!(two.remove(&name("a/b")) && !two.remove(&name("a/b")));
        assert_eq!(two.write(), b"V\t2\n\n");
    }

    #[test]
    fn a_faulty_line_is_told_and_mended_and_an_odd_name_is_not() {
        let long = "x".repeat(LONGEST_LINE + 1);
        for (file, faults, mended) in [
            ("Work\nodd..name\nbü\n".to_owned(), 0, "Work\nodd..name\nbü\n"),
            ("Work\nWork\n\nb\0\nc\td\n".to_owned(), 3, "Work\n"),
            (format!("V\t2\n\na\tb\n{long}\nc\u{1}td\r\na\tb\ncut"), 4, "V\t2\n\na\tb\ncut\n"),
        ] {
            assert_eq!(Subscriptions::faults(file.as_bytes()).len(), faults, "{file}");
            let written = Subscriptions::parse(file.as_bytes()).mended().write();
            assert_eq!(String::from_utf8(written.clone()).unwrap(), mended);
            assert!(Subscriptions::faults(&written).is_empty());
        }
    }

    #[test]
    fn what_is_read_is_written_and_read_the_same() {
        arbtest::arbtest(|u| {
            let mut file = if u.arbitrary()? { VERSION_2.to_vec() } else { Vec::new() };
            for _ in 0..u.int_in_range(0..=40)? {
                file.extend_from_slice(u.choose(&[
                    &b"a"[..],
                    b".",
                    b"\n",
                    b"\t",
                    b"\x01",
                    b"&",
                    b"\xc3\xbc",
                    b"V\t2\n\n",
                ])?);
            }
            let read = Subscriptions::parse(&file);
            let again = Subscriptions::parse(&read.write());
            assert_eq!(again.names(), read.names());
            Ok(())
        });
    }
}
