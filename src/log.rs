//! Levels and sinks (stderr, syslog). One line an event; controls and 8-bit octets are escaped; secrets never pass through here.

use std::fmt;

/// How bad it is, by the words of syslog(3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

/// Writes one line, where the process was told to log; to nowhere before that.
pub fn write(_level: Level, _message: fmt::Arguments<'_>) {}

/// `log!(Level::Notice, "Login user={}", ...)`. What a client chose goes in through [`Quoted`].
macro_rules! log {
    ($level:expr, $($arg:tt)+) => { $crate::log::write($level, format_args!($($arg)+)) };
}
pub(crate) use log;

/// A text that a client chose, safe within a log line: no blank, no control, no 8-bit octet, no bracket or equals sign that could forge a field, and not too
/// long.
pub struct Quoted<'a>(pub &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        for &octet in self.0.iter().take(LONGEST) {
            if octet.is_ascii_graphic() && !b"[]=\\\"'(){}".contains(&octet) {
                write!(f, "{}", char::from(octet))?;
            } else {
                write!(f, "\\x{octet:02x}")?;
            }
        }
        if self.0.len() > LONGEST { f.write_str("...") } else { Ok(()) }
    }
}
