//! The lines of another server's file, one at a time: a file without line ends takes no more memory than one line may have.

use std::io::{self, BufRead, Read};

/// A line of a file, without its LF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    /// It is longer than it may be.
    Long,
    /// The last, and it has no LF: it was cut off, or is being written.
    Torn,
}

/// Calls `take` with each line that is whole and not longer than `longest`.
pub fn each(input: impl BufRead, longest: usize, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    each_or_fault(input, longest, |line| {
        if let Line::Whole(line) = line {
            take(line);
        }
    })
}

/// Calls `take` with each line, whatever is the matter with it.
pub fn each_or_fault(mut input: impl BufRead, longest: usize, mut take: impl FnMut(Line<'_>)) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(longest as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.split_last() {
            Some((b'\n', line)) => take(Line::Whole(line)),
            _ if line.len() <= longest => take(Line::Torn),
            _ => {
                input.skip_until(b'\n')?;
                take(Line::Long);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8], longest: usize) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        each(text, longest, |line| lines.push(line.to_vec())).unwrap();
        lines
    }

    #[test]
    fn long_and_cut_lines_cost_only_themselves() {
        assert_eq!(lines(b"abc\nabcd\n\nab\nabcdefgh", 3), [&b"abc"[..], b"", b"ab"]);
        assert_eq!(lines(b"abc", 3), [] as [&[u8]; 0]);
        assert_eq!(lines(b"", 3), [] as [&[u8]; 0]);
        let mut all = Vec::new();
        each_or_fault(&b"abcd\nabc\nab"[..], 3, |line| all.push(format!("{line:?}"))).unwrap();
        assert_eq!(all, ["Long", "Whole([97, 98, 99])", "Torn"]);
        assert_eq!(lines(&[&[b'x'; 100_000][..], b"\nab\n"].concat(), 3), [b"ab"]);
    }
}
