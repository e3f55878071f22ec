//! The lines of another server's file, one at a time: a file without line ends takes no more memory than one line may have.

use std::io::{self, BufRead, Read};

/// Calls `take` with each line, without its LF. One longer than `longest` is left out, and so is a last line without LF, which was cut off.
pub fn each(mut input: impl BufRead, longest: usize, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(longest as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.split_last() {
            Some((b'\n', line)) => take(line),
            _ => drop(input.skip_until(b'\n')?),
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
        assert_eq!(lines(&[&[b'x'; 100_000][..], b"\nab\n"].concat(), 3), [b"ab"]);
    }
}
