//! A position in a framed command: atom, astring, string, number, list; errors with their place.

/// Why a command cannot be understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SyntaxError {
    /// `BAD`: what was expected, and the octet at which it was missing.
    Expected { what: &'static str, at: usize },
    /// `BAD`: over a limit; the text names it.
    Limit(&'static str),
    /// `NO [CANNOT]`: right as an astring, but no mailbox name that can exist.
    Mailbox(&'static str),
    /// `NO [BADCHARSET (...)]`: SEARCH with a charset that is not known.
    Charset,
    /// `BAD`: no such command.
    UnknownCommand,
}
