//! Where one command ends: lines, literals, LITERAL+, limits.

use crate::limits;

/// What bounds one command.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimits {
    /// Octets without literals.
    pub line: usize,
    /// Octets of one literal.
    pub literal: u64,
    /// Octets of all literals.
    pub literals: u64,
    /// Number of literals.
    pub count: usize,
}

/// A literal as the end of a line announces it: `{5}`, `{5+}`, `~{5}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiteralHeader {
    pub size: u64,
    /// `{n+}` (RFC 7888): the client does not wait.
    pub non_synchronizing: bool,
    /// `~{n}` (literal8, RFC 3516).
    pub binary: bool,
}

impl LiteralHeader {
    /// Without a line end.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let tilde = if self.binary { "~" } else { "" };
        let plus = if self.non_synchronizing { "+" } else { "" };
        super::encode::text(out, format_args!("{tilde}{{{}{plus}}}", self.size));
    }
}

/// What [`Framer::push`] found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// All octets were taken and more are wanted.
    More,
    /// A line ended with a literal that is within the limits. Call [`Framer::accept`] to have its octets framed with the command (after a
    /// continuation request, if it is synchronizing), or stream them and leave the framer.
    Literal(LiteralHeader),
    /// The command is whole: [`Framer::take`] gives it.
    Complete,
    /// Over a limit. What follows cannot be told from commands if the literal is non-synchronizing. [`Framer::take`] gives what was
    /// collected and makes the framer ready again.
    TooLong(TooLong),
}

/// Which limit a command passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TooLong {
    /// No end of line in sight.
    Line,
    /// The command was refused at this literal, of which nothing was taken.
    Literal(LiteralHeader),
    /// `{99999999999999999999}` and the like: a line ends in a literal header whose number is no 63-bit number.
    Number,
}

/// Collects one command. Line ends are CRLF; a lone LF is taken for one.
pub struct Framer {
    limits: FrameLimits,
    /// The command so far; line ends behind literal headers are CRLF in it.
    octets: Vec<u8>,
    /// Where in `octets` the line begins that is being read.
    line_start: usize,
    /// Octets of lines so far.
    line_octets: usize,
    /// Octets of literals accepted so far.
    literal_octets: u64,
    literal_count: usize,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Line,
    /// How many octets of the literal are still to come.
    Literal(u64),
    /// Nothing more is taken until the caller has decided.
    Stopped(Progress),
}

impl Framer {
    /// Ready for a command.
    pub fn new(limits: FrameLimits) -> Self {
        Self {
            limits,
            octets: Vec::new(),
            line_start: 0,
            line_octets: 0,
            literal_octets: 0,
            literal_count: 0,
            state: State::Line,
        }
    }

    /// Takes octets of the input, and says how many and what it found.
    pub fn push(&mut self, input: &[u8]) -> (usize, Progress) {
        // A LOGIN with its password fits into this: growing would leave pieces of it behind in freed memory.
        const ROOM: usize = limits::LINE_BEFORE_LOGIN + limits::LITERAL_BEFORE_LOGIN as usize;
        self.octets.reserve(ROOM.saturating_sub(self.octets.len()));
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            match self.state {
                State::Stopped(progress) => return (taken, progress),
                State::Literal(0) => {
                    self.line_start = self.octets.len();
                    self.state = State::Line;
                }
                _ if rest.is_empty() => return (taken, Progress::More),
                State::Literal(left) => {
                    let size = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.octets.extend_from_slice(rest.get(..size).unwrap_or_default());
                    self.state = State::Literal(left - size as u64);
                    taken += size;
                }
                State::Line => taken += self.push_line(rest),
            }
        }
    }

    /// Takes octets up to a line end.
    fn push_line(&mut self, input: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', input);
        let size = end.map_or(input.len(), |at| at + 1);
        let room = self.limits.line.saturating_sub(self.line_octets);
        if size > room {
            self.octets.extend_from_slice(input.get(..room).unwrap_or_default());
            self.line_octets += room;
            self.state = State::Stopped(Progress::TooLong(TooLong::Line));
            return room;
        }
        self.octets.extend_from_slice(input.get(..size).unwrap_or_default());
        self.line_octets += size;
        if end.is_some() {
            self.octets.pop();
            if self.octets.len() > self.line_start && self.octets.last() == Some(&b'\r') {
                self.octets.pop();
            }
            self.state = State::Stopped(self.line_ended());
        }
        size
    }

    fn line_ended(&mut self) -> Progress {
        let line = self.octets.get(self.line_start..).unwrap_or_default();
        match announced(line) {
            None => Progress::Complete,
            Some(None) => Progress::TooLong(TooLong::Number),
            Some(Some(header)) => {
                self.octets.extend_from_slice(b"\r\n");
                let octets = self.literal_octets.saturating_add(header.size);
                if header.size > self.limits.literal
                    || octets > self.limits.literals
                    || self.literal_count >= self.limits.count
                {
                    return Progress::TooLong(TooLong::Literal(header));
                }
                Progress::Literal(header)
            }
        }
    }

    /// The literal that [`Progress::Literal`] announced shall become part of the command.
    pub fn accept(&mut self) {
        if let State::Stopped(Progress::Literal(header)) = self.state {
            self.literal_octets = self.literal_octets.saturating_add(header.size);
            self.literal_count += 1;
            self.state = State::Literal(header.size);
        }
    }

    /// What was collected, without the last line end; literals stand in it as on the wire, `{5}` CRLF and the octets. The framer is then ready for the
    /// next command.
    pub fn take(&mut self) -> Vec<u8> {
        let fresh = Self::new(self.limits);
        let mut taken = std::mem::replace(self, fresh);
        if matches!(taken.state, State::Stopped(Progress::Literal(_) | Progress::TooLong(TooLong::Literal(_)))) {
            taken.octets.truncate(taken.octets.len().saturating_sub(2));
        }
        taken.octets
    }

    /// What was collected so far, up to and with a literal header just announced and its CRLF.
    pub fn so_far(&self) -> &[u8] {
        &self.octets
    }
}

/// The literal header at the end of a line: `None` without one, `Some(None)` if its number is none of 63 bits.
///
/// ```abnf
/// literal  = "{" number64 ["+"] "}" CRLF *CHAR8
/// literal8 = "~{" number64 ["+"] "}" CRLF *OCTET
/// ```
pub(super) fn announced(line: &[u8]) -> Option<Option<LiteralHeader>> {
    let inner = line.strip_suffix(b"}")?;
    let (inner, non_synchronizing) = match inner.strip_suffix(b"+") {
        Some(inner) => (inner, true),
        None => (inner, false),
    };
    let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = inner.split_at(inner.len() - digits);
    let before = before.strip_suffix(b"{")?;
    if digits.is_empty() {
        return None;
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
    Some(number.and_then(|size| u64::try_from(size).ok()).map(|size| LiteralHeader {
        size,
        non_synchronizing,
        binary: before.ends_with(b"~"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FrameLimits = FrameLimits { line: 100, literal: 50, literals: 80, count: 4 };

    /// Every command in the input, and what ended it, with all literals accepted.
    fn frames(input: &[u8], chunks: impl IntoIterator<Item = usize>) -> Vec<Vec<u8>> {
        let mut framer = Framer::new(LIMITS);
        let mut out = Vec::new();
        let mut chunks = chunks.into_iter();
        let mut rest = input;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(chunks.next().unwrap_or(rest.len()).clamp(1, rest.len()));
            rest = later;
            let mut chunk = chunk;
            loop {
                let (taken, progress) = framer.push(chunk);
                chunk = &chunk[taken..];
                match progress {
                    Progress::More => break,
                    Progress::Literal(_) => framer.accept(),
                    Progress::Complete => out.push(framer.take()),
                    Progress::TooLong(why) => {
                        let mut line = framer.take();
                        line.extend(format!(" {why:?}").bytes());
                        out.push(line);
                    }
                }
            }
        }
        out
    }

    fn one(input: &[u8]) -> Vec<u8> {
        let all = frames(input, []);
        assert_eq!(all.len(), 1, "{:?}", String::from_utf8_lossy(input));
        all[0].clone()
    }

    #[test]
    fn lines_and_literals() {
        assert_eq!(one(b"a NOOP\r\n"), b"a NOOP");
        assert_eq!(one(b"a NOOP\n"), b"a NOOP");
        assert_eq!(one(b"\r\n"), b"");
        assert_eq!(one(b"a LOGIN {3}\r\nb\nc {2+}\nde\r\n"), b"a LOGIN {3}\r\nb\nc {2+}\r\nde");
        assert_eq!(one(b"a X ~{1}\r\n\0 y\r\n"), b"a X ~{1}\r\n\0 y");
        assert_eq!(one(b"a X {0}\r\n\r\n"), b"a X {0}\r\n");
        assert_eq!(frames(b"DONE\r\nb NOOP\r\nc", []), [&b"DONE"[..], b"b NOOP"]);
        // Only one CR belongs to the line end.
        assert_eq!(one(b"a NOOP\r\r\n"), b"a NOOP\r");
    }

    #[test]
    fn a_carriage_return_that_ends_a_literal_stays() {
        assert_eq!(one(b"a X {1}\r\n\r\n"), b"a X {1}\r\n\r");
    }

    #[test]
    fn what_only_looks_like_a_literal_ends_the_command() {
        for line in [
            "a LOGIN x \"y{5}\"",
            "a {-1}",
            "a {+}",
            "a {}",
            "a { 5}",
            "a {5 }",
            "a {5}x",
            "a 5}",
            "a {5++}",
            "a {0x5}",
        ] {
            assert_eq!(one(format!("{line}\r\n").as_bytes()), line.as_bytes());
        }
    }

    #[test]
    fn announced_literals_wait_for_the_caller() {
        let mut framer = Framer::new(LIMITS);
        let header = LiteralHeader { size: 5, non_synchronizing: true, binary: true };
        let input = b"a APPEND x ~{5+}\r\nhello";
        assert_eq!(framer.push(input), (18, Progress::Literal(header)));
        assert_eq!(framer.push(b"hello"), (0, Progress::Literal(header)));
        assert_eq!(framer.so_far(), &input[..18]);
        assert_eq!(framer.take(), &input[..16]);
        assert_eq!(framer.push(b"b NOOP\r\n"), (8, Progress::Complete));
        assert_eq!(framer.push(b"c"), (0, Progress::Complete));
    }

    #[test]
    fn overlong_literals_are_refused_before_any_octet_is_taken() {
        for (line, size, non_synchronizing) in [
            ("a X {51}\r\n", 51, false),
            ("a X {4294967295}\r\n", 4_294_967_295, false),
            ("a X {2147483647+}\r\n", 2_147_483_647, true),
            ("a X {9223372036854775807}\r\n", (1 << 63) - 1, false),
        ] {
            let mut framer = Framer::new(LIMITS);
            let header = LiteralHeader { size, non_synchronizing, binary: false };
            assert_eq!(framer.push(line.as_bytes()), (line.len(), Progress::TooLong(TooLong::Literal(header))));
            framer.accept();
            assert_eq!(framer.push(b"x").0, 0);
            assert_eq!(framer.take(), line.trim_end().as_bytes());
            assert_eq!(framer.push(b"b NOOP\r\n"), (8, Progress::Complete));
        }
        for number in ["9223372036854775808", "18446744073709551616", "99999999999999999999999"] {
            let mut framer = Framer::new(LIMITS);
            let line = format!("a X {{{number}+}}\r\n");
            assert_eq!(framer.push(line.as_bytes()), (line.len(), Progress::TooLong(TooLong::Number)));
        }
    }

    #[test]
    fn literals_are_bounded_in_sum_and_number() {
        let sum = b"a X {40}\r\n0123456789012345678901234567890123456789 {41}\r\n";
        assert!(
            String::from_utf8(one(sum))
                .unwrap()
                .ends_with("{41} Literal(LiteralHeader { size: 41, non_synchronizing: false, binary: false })")
        );
        let many = b"a {0+}\r\n{0+}\r\n{0+}\r\n{0+}\r\n{0+}\r\n";
        assert!(String::from_utf8(one(many)).unwrap().contains("Literal("));
    }

    #[test]
    fn a_line_without_end_is_cut_at_its_limit() {
        let mut framer = Framer::new(FrameLimits { line: limits::LINE_BEFORE_LOGIN, ..LIMITS });
        let (mut taken, mut last) = (0, Progress::More);
        while last == Progress::More {
            let (size, progress) = framer.push(&[b'('; 1000]);
            (taken, last) = (taken + size, progress);
        }
        assert_eq!((taken, last), (limits::LINE_BEFORE_LOGIN, Progress::TooLong(TooLong::Line)));
        assert_eq!(framer.so_far().len(), limits::LINE_BEFORE_LOGIN);
    }

    #[test]
    fn the_way_input_is_cut_does_not_matter() {
        arbtest::arbtest(|u| {
            let words: [&[u8]; 12] = [
                b"a",
                b" ",
                b"{3}\r\n",
                b"{2+}\n",
                b"~{1}\r\n",
                b"\r\n",
                b"\n",
                b"\r",
                b"{51}",
                b"\"x{5}\"",
                b"bcd",
                b"{99999999999999999999}",
            ];
            let mut input = Vec::new();
            for _ in 0..u.int_in_range(0..=30)? {
                input.extend_from_slice(u.choose(&words)?);
            }
            let chunks: Vec<usize> =
                u.arbitrary_iter::<u8>()?.filter_map(Result::ok).map(|n| usize::from(n % 7) + 1).collect();
            assert_eq!(frames(&input, chunks), frames(&input, []));
            assert_eq!(frames(&input, std::iter::repeat(1)), frames(&input, []));
            Ok(())
        });
    }
}
