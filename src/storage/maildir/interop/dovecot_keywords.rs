//! `dovecot-keywords`: which keyword each of the letters `a` to `z` stands for in this folder.
//!
//! ```abnf
//! file = *( index SP keyword LF )    ; index 0 to 25
//! ```

use crate::types::Keyword;

/// How many keywords have letters.
pub const LETTERS: usize = 26;

/// The keywords of a folder by letter. A name that is no IMAP keyword keeps its letter but is not shown.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Keywords {
    names: [Option<Vec<u8>>; LETTERS],
    /// Those of the names that are keywords of IMAP.
    keywords: [Option<Keyword>; LETTERS],
}

impl Keywords {
    /// Lines without a blank, with an index out of range or with a name that occurred before are left out, as Dovecot does.
    pub fn parse(file: &[u8]) -> Self {
        let mut keywords = Self::default();
        for line in file.split(|&b| b == b'\n') {
            let Some(blank) = line.iter().position(|&b| b == b' ') else { continue };
            let (index, name) = (super::super::file_name::decimal(&line[..blank]), &line[blank + 1..]);
            let Some(index) = index.and_then(|i| usize::try_from(i).ok()) else { continue };
            if name.is_empty() || keywords.names.iter().flatten().any(|n| n.eq_ignore_ascii_case(name)) {
                continue;
            }
            if keywords.names.get(index) == Some(&None) {
                keywords.set_name(index, name);
            }
        }
        keywords
    }

    fn set_name(&mut self, index: usize, name: &[u8]) {
        if let (Some(place), Some(keyword)) = (self.names.get_mut(index), self.keywords.get_mut(index)) {
            *place = Some(name.to_vec());
            *keyword = std::str::from_utf8(name).ok().and_then(Keyword::new);
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            if let Some(name) = name {
                out.extend_from_slice(format!("{index} ").as_bytes());
                out.extend_from_slice(name);
                out.push(b'\n');
            }
        }
        out
    }

    /// What a letter stands for.
    pub fn keyword(&self, letter: u8) -> Option<Keyword> {
        self.keywords.get(usize::from(letter.checked_sub(b'a')?))?.clone()
    }

    pub fn letter(&self, keyword: &Keyword) -> Option<u8> {
        let is = |name: &Option<Vec<u8>>| {
            name.as_deref().is_some_and(|n| n.eq_ignore_ascii_case(keyword.as_str().as_bytes()))
        };
        let index = self.names.iter().position(is)?;
        Some(b'a' + u8::try_from(index).ok()?)
    }

    /// The letter of a keyword, the lowest free one if it has none yet; `None` if all are taken. A letter in `used` without a name
    /// is not free: it would give the keyword to messages that do not have it.
    pub fn add(&mut self, keyword: &Keyword, used: impl Fn(u8) -> bool) -> Option<u8> {
        if let Some(letter) = self.letter(keyword) {
            return Some(letter);
        }
        let (letter, _) = (b'a'..=b'z').zip(&self.names).find(|(letter, name)| name.is_none() && !used(*letter))?;
        self.set_name(usize::from(letter - b'a'), keyword.as_str().as_bytes());
        Some(letter)
    }

    /// Whether a letter has a name, be it one that is not shown.
    pub fn has_name(&self, letter: u8) -> bool {
        let index = letter.checked_sub(b'a').map(usize::from);
        index.and_then(|index| self.names.get(index)).is_some_and(Option::is_some)
    }

    /// Gives a letter without a name the one that Dovecot gives it: `unknown-` and its number, with question marks until nothing has that name.
    pub fn name_unknown(&mut self, letter: u8) {
        let Some(index) = letter.checked_sub(b'a').map(usize::from) else { return };
        let mut name = format!("unknown-{index}").into_bytes();
        while self.names.iter().flatten().any(|other| other.eq_ignore_ascii_case(&name)) {
            name.push(b'?');
        }
        if self.names.get(index) == Some(&None) {
            self.set_name(index, &name);
        }
    }

    /// Whether a letter has no keyword yet.
    pub fn has_room(&self) -> bool {
        self.names.iter().any(Option::is_none)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u8, Keyword)> + '_ {
        (b'a'..=b'z').filter_map(|letter| Some((letter, self.keyword(letter)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyword(name: &str) -> Keyword {
        Keyword::new(name).unwrap()
    }

    #[test]
    fn gaps_stay_and_the_lowest_free_letter_is_taken() {
        let mut keywords = Keywords::parse(b"0 $Junk\n2 alpha\nnonsense\n26 out\n3 ALPHA\n-1 x\n 5\n4 odd]name\n");
        assert_eq!(keywords.keyword(b'a'), Some(keyword("$junk")));
        assert_eq!(keywords.keyword(b'e'), None);
        assert_eq!(keywords.add(&keyword("new"), |_| false), Some(b'b'));
        assert_eq!(keywords.add(&keyword("NEW"), |_| false), Some(b'b'));
        assert_eq!(keywords.add(&keyword("next"), |letter| letter == b'd'), Some(b'f'));
        assert_eq!(keywords.write(), b"0 $Junk\n1 new\n2 alpha\n4 odd]name\n5 next\n");
    }

    #[test]
    fn a_letter_without_a_name_gets_the_one_that_dovecot_gives() {
        let mut keywords = Keywords::parse(b"0 Unknown-2\n1 unknown-2?\n3 taken\n");
        "cd{`".bytes().for_each(|letter| keywords.name_unknown(letter));
        assert_eq!(keywords.write(), b"0 Unknown-2\n1 unknown-2?\n2 unknown-2??\n3 taken\n");
        assert!(keywords.has_name(b'c') && !keywords.has_name(b'e') && !keywords.has_name(b'A'));
    }

    #[test]
    fn the_twenty_seventh_has_no_letter() {
        let mut keywords = Keywords::default();
        for n in 0..LETTERS {
            assert!(keywords.add(&keyword(&format!("k{n}")), |_| false).is_some());
        }
        assert_eq!(keywords.add(&keyword("more"), |_| false), None);
        assert_eq!(keywords.add(&keyword("K25"), |_| false), Some(b'z'));
    }

    #[test]
    fn what_is_read_is_written_and_read_the_same() {
        arbtest::arbtest(|u| {
            let mut file = Vec::new();
            for _ in 0..u.int_in_range(0..=40)? {
                file.extend_from_slice(u.choose(&[&b"1"[..], b" ", b"\n", b"a", b"B", b"25", b"\xff", b"0 x\n"])?);
            }
            let read = Keywords::parse(&file);
            assert_eq!(Keywords::parse(&read.write()), read);
            Ok(())
        });
    }
}
