//! Where one command ends: lines, literals, LITERAL+, limits.

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
    /// Over a limit. What follows cannot be told from commands if the literal is non-synchronizing.
    TooLong(TooLong),
}

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
pub struct Framer {}

impl Framer {
    pub fn new(_limits: FrameLimits) -> Self {
        todo!()
    }

    /// Takes octets of the input, and says how many and what it found.
    pub fn push(&mut self, _input: &[u8]) -> (usize, Progress) {
        todo!()
    }

    /// The literal that [`Progress::Literal`] announced shall become part of the command.
    pub fn accept(&mut self) {
        todo!()
    }

    /// What was collected, without the last line end; literals stand in it as on the wire, `{5}` CRLF and the octets. The framer is then ready for the
    /// next command.
    pub fn take(&mut self) -> Vec<u8> {
        todo!()
    }

    /// What was collected so far, up to and with a literal header just announced.
    pub fn so_far(&self) -> &[u8] {
        todo!()
    }
}
