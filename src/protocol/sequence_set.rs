//! sequence-set: parse. [`SequenceSet`] prints itself.

use super::cursor::{Cursor, Parse};
use crate::types::SequenceSet;
use crate::types::sequence_set::SetNumber;

impl Cursor<'_> {
    /// ```abnf
    /// sequence-set     = (seq-number / seq-range) ["," sequence-set]
    /// sequence-set     =/ seq-last-command
    /// seq-range        = seq-number ":" seq-number
    /// seq-number       = nz-number / "*"
    /// seq-last-command = "$"
    /// ```
    pub fn sequence_set(&mut self) -> Parse<SequenceSet> {
        if self.take(b'$') {
            return Ok(SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = self.seq_number()?;
            let last = if self.take(b':') { self.seq_number()? } else { first };
            ranges.push((first, last));
            if !self.take(b',') {
                return Ok(SequenceSet::Ranges(ranges));
            }
        }
    }

    /// Whether a sequence set begins here, for SEARCH.
    pub fn sequence_set_follows(&self) -> bool {
        matches!(self.peek(), Some(b'0'..=b'9' | b'*' | b'$'))
    }

    fn seq_number(&mut self) -> Parse<SetNumber> {
        if self.take(b'*') {
            return Ok(SetNumber::Last);
        }
        self.nz_number().map(SetNumber::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Dialect;
    use super::*;

    fn parse(text: &str) -> Option<SequenceSet> {
        let mut cursor = Cursor::new(text.as_bytes(), Dialect::Rev1);
        cursor.sequence_set().ok().filter(|_| cursor.is_at_end())
    }

    #[test]
    fn sets_print_as_they_were_written() {
        for text in ["1", "*", "$", "*:*", "2,4:7,9,12:*", "*:4,5:7", "1:4294967295", "3:3,1", "1:*,1:*,1:*"] {
            // A range from a number to itself is that number.
            let printed = parse(text).unwrap().to_string();
            assert_eq!(printed, text.replace("*:*", "*").replace("3:3", "3"));
            assert_eq!(parse(&printed), parse(text));
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for bad in [
            "",
            "0",
            "01",
            "1:",
            ":1",
            "1,",
            ",1",
            "1,,2",
            "4294967296",
            "18446744073709551617",
            "-1",
            "$,1",
            "1,$",
            "1:0",
            "1 2",
            "a",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_line_full_of_numbers_is_one_set() {
        let text = vec!["1"; crate::limits::LINE / 2].join(",");
        assert_eq!(parse(&text).unwrap().normalized(9), Some(vec![(1, 1)]));
    }
}
