//! Keywords beyond the 26 that have letters, and who has them: `imapd-keywords` in the folder.
//!
//! ```abnf
//! file    = *( keyword / message )
//! keyword = number SP name LF                          ; number 0 to 999
//! message = ":" number *( "," number ) SP base LF      ; base: the file name up to its first colon
//! ```
//!
//! Messages are named by their files, not by UIDs, so that the keywords outlive a UID list. A number once given to a name keeps it. Lines that are
//! not understood are left out, and so are numbers without a name.

use super::file_name::{self, decimal};
use crate::limits;
use crate::types::Keyword;
use std::collections::{BTreeMap, HashSet};

/// What the file says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MoreKeywords {
    names: Vec<Option<Keyword>>,
    /// By base, ascending numbers, at least one.
    messages: BTreeMap<Box<[u8]>, Box<[u16]>>,
}

impl MoreKeywords {
    pub fn parse(file: &[u8]) -> Self {
        let mut this = Self::default();
        // Whatever comes first in the file: names are needed to read messages.
        for line in lines(file) {
            let Some((number, name)) = field(line) else { continue };
            let name = std::str::from_utf8(name).ok().and_then(Keyword::new);
            let (Some(number), Some(name)) = (as_number(number), name) else { continue };
            if this.number(&name).is_none() {
                this.names.resize(this.names.len().max(usize::from(number) + 1), None);
                if let Some(place @ None) = this.names.get_mut(usize::from(number)) {
                    *place = Some(name);
                }
            }
        }
        for line in lines(file) {
            let Some((numbers, name)) = line.strip_prefix(b":").and_then(field) else { continue };
            let base = file_name::base(name);
            if file_name::is_message(base) {
                this.set(base, numbers.split(|&b| b == b',').filter_map(as_number).collect());
            }
        }
        this
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, name) in self.names.iter().enumerate() {
            if let Some(name) = name {
                out.extend_from_slice(format!("{number} {name}\n").as_bytes());
            }
        }
        for (base, numbers) in &self.messages {
            for (nth, number) in numbers.iter().enumerate() {
                out.push(if nth == 0 { b':' } else { b',' });
                out.extend_from_slice(number.to_string().as_bytes());
            }
            out.push(b' ');
            out.extend_from_slice(base);
            out.push(b'\n');
        }
        out
    }

    /// All names, whether or not some message has them.
    pub fn names(&self) -> impl Iterator<Item = &Keyword> {
        self.names.iter().flatten()
    }

    pub fn number(&self, keyword: &Keyword) -> Option<u16> {
        let at = self.names.iter().position(|name| name.as_ref() == Some(keyword))?;
        u16::try_from(at).ok()
    }

    /// Gives a keyword that has none the lowest free number; `None` if all are taken.
    pub fn add(&mut self, keyword: &Keyword) -> Option<u16> {
        if let Some(number) = self.number(keyword) {
            return Some(number);
        }
        let free = self.names.iter().position(Option::is_none).unwrap_or(self.names.len());
        if free >= limits::KEYWORDS_OF_MAILBOX {
            return None;
        }
        if free == self.names.len() {
            self.names.push(None);
        }
        if let Some(place) = self.names.get_mut(free) {
            *place = Some(keyword.clone());
        }
        u16::try_from(free).ok()
    }

    /// Whether any message has some.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The numbers of a message, ascending.
    pub fn of(&self, base: &[u8]) -> &[u16] {
        self.messages.get(base).map(|numbers| &**numbers).unwrap_or_default()
    }

    /// The numbers of a message whose name had, or has, other sizes.
    pub fn of_unique(&self, base: &[u8]) -> &[u16] {
        let unique = file_name::unique_part(base);
        let from = (std::ops::Bound::Included(unique), std::ops::Bound::Unbounded);
        let candidates = self.messages.range::<[u8], _>(from).take_while(|(base, _)| base.starts_with(unique));
        let mut same = candidates.filter(|(base, _)| file_name::unique_part(base) == unique);
        same.next().map(|(_, numbers)| &**numbers).unwrap_or_default()
    }

    /// The keywords of a message.
    pub fn keywords_of(&self, base: &[u8]) -> impl Iterator<Item = &Keyword> {
        self.of(base).iter().filter_map(|&number| self.names.get(usize::from(number))?.as_ref())
    }

    /// Gives a message these and no others.
    pub fn set(&mut self, base: &[u8], mut numbers: Vec<u16>) {
        numbers.retain(|&number| matches!(self.names.get(usize::from(number)), Some(Some(_))));
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.is_empty() {
            self.messages.remove(base);
        } else {
            self.messages.insert(base.into(), numbers.into());
        }
    }

    /// Forgets messages that are not among `live`; says whether there were any.
    pub fn keep(&mut self, live: &HashSet<&[u8]>) -> bool {
        let before = self.messages.len();
        self.messages.retain(|base, _| live.contains(&**base));
        self.messages.len() != before
    }

    /// Whether all numbers that `earlier` has mean the same here.
    pub fn extends(&self, earlier: &Self) -> bool {
        earlier.names.iter().enumerate().all(|(at, name)| name.is_none() || self.names.get(at) == Some(name))
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|&b| b == b'\n')
}

/// What stands before the first blank, and behind it.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = memchr::memchr(b' ', line)?;
    Some((&line[..blank], &line[blank + 1..]))
}

fn as_number(digits: &[u8]) -> Option<u16> {
    u16::try_from(decimal(digits)?).ok().filter(|&number| usize::from(number) < limits::KEYWORDS_OF_MAILBOX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyword(name: &str) -> Keyword {
        Keyword::new(name).unwrap()
    }

    fn names_of(more: &MoreKeywords, base: &[u8]) -> Vec<String> {
        more.keywords_of(base).map(Keyword::to_string).collect()
    }

    #[test]
    fn damaged_lines_cost_only_themselves() {
        let text = b":1 before.its.name\n1 one\nnonsense\n1 other\n2 ONE\n-1 x\n1000 far\n99999999999999999999 x\n3 odd]name\n\
            4  x\n:1,1,7 a b,S=5:2,S\n:7 no.such.number\n:, empty\n:1 \n:1 .hidden\n:1 :2,S\n:1 nul\0\n5 :odd\n:x,5 c";
        let more = MoreKeywords::parse(text);
        assert_eq!(names_of(&more, b"before.its.name"), ["one"]);
        assert_eq!(names_of(&more, b"a b,S=5"), ["one"]);
        assert_eq!(names_of(&more, b"c"), [":odd"]);
        assert_eq!(more.write(), b"1 one\n5 :odd\n:1 a b,S=5\n:1 before.its.name\n:5 c\n");
    }

    #[test]
    fn a_number_is_given_once_and_to_the_limit() {
        let mut more = MoreKeywords::parse(b"1 one\n");
        assert_eq!((more.add(&keyword("zero")), more.add(&keyword("ONE"))), (Some(0), Some(1)));
        for n in 2..limits::KEYWORDS_OF_MAILBOX {
            assert_eq!(more.add(&keyword(&format!("k{n}"))).map(usize::from), Some(n));
        }
        assert_eq!(more.add(&keyword("more")), None);
        assert_eq!(more.add(&keyword("K5")), Some(5));
        assert_eq!(MoreKeywords::parse(&more.write()), more);
    }

    #[test]
    fn what_is_read_is_written_and_read_the_same() {
        arbtest::arbtest(|u| {
            let mut file = Vec::new();
            for _ in 0..u.int_in_range(0..=40)? {
                file.extend_from_slice(u.choose(&[
                    &b"1"[..],
                    b" ",
                    b"\n",
                    b":",
                    b",",
                    b"a",
                    b"B",
                    b"\xff",
                    b"0 x\n",
                    b"\n:0,1 a\n",
                ])?);
            }
            let read = MoreKeywords::parse(&file);
            assert_eq!(MoreKeywords::parse(&read.write()).write(), read.write());
            assert!(MoreKeywords::parse(&read.write()).extends(&read));
            Ok(())
        });
    }
}
