//! Levels and sinks (stderr, syslog). One line an event; controls and 8-bit octets are escaped; secrets never pass
//! through here.

use crate::sys::clock;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

/// How bad it is, by the words of syslog(3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

/// Where lines go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sink {
    Nowhere,
    Stderr,
    /// The system's log, facility mail.
    Syslog,
}

/// A line longer than this is cut: syslog daemons drop or split what is longer than 1 KiB.
const LONGEST_LINE: usize = 900;

struct Log {
    sink: Sink,
    /// Lines less important than this are not written.
    level: Level,
    /// The connection to the system's log, with the process that made it.
    syslog: Option<(u32, Logger<LoggerBackend, Formatter3164>)>,
    /// No other connection is made any more.
    settled: bool,
}

static LOG: Mutex<Log> = Mutex::new(Log { sink: Sink::Nowhere, level: Level::Info, syslog: None, settled: false });

fn the_log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says where lines go from now on, and how important they must be.
pub fn open(sink: Sink, level: Level) {
    let mut log = the_log();
    log.sink = sink;
    log.level = level;
    log.syslog = None;
}

/// Where lines go.
pub fn sink() -> Sink {
    the_log().sink
}

/// Connects to the system's log now, if lines go there, and never again: for a process that will be shut in. What it cannot send after that is lost.
pub fn settle() {
    let mut log = the_log();
    log.syslog = if log.sink == Sink::Syslog { connect().map(|logger| (std::process::id(), logger)) } else { None };
    log.settled = true;
}

/// Whether the system's log can be reached.
pub fn has_syslog() -> bool {
    connect().is_some()
}

/// Closes the connection to the system's log; the next line makes a new one. To be called before a process closes
/// descriptors that it does not know.
pub fn close_descriptors() {
    the_log().syslog = None;
}

/// Writes one line, where the process was told to log; to nowhere before that. Never fails: a log that cannot be
/// written must not end a session.
pub fn write(level: Level, message: fmt::Arguments<'_>) {
    let mut log = the_log();
    if log.sink == Sink::Nowhere || level > log.level {
        return;
    }
    let line = one_line(&message.to_string());
    match log.sink {
        Sink::Nowhere => {}
        // In one write, so that lines of several processes do not mix.
        Sink::Stderr => {
            let _ = std::io::stderr().write_all(format!("imapd[{}]: {line}\n", std::process::id()).as_bytes());
        }
        Sink::Syslog => log.send(level, &line),
    }
}

impl Log {
    /// Twice at most: a connection that this process inherited tells the wrong PID, and one to a daemon that was
    /// restarted fails.
    fn send(&mut self, level: Level, line: &str) {
        let pid = std::process::id();
        let line = format!("<{}>{} imapd[{pid}]: {line}", FACILITY_MAIL | level.number(), timestamp());
        for _ in 0..2 {
            if self.syslog.as_ref().is_none_or(|(maker, _)| *maker != pid) && !self.settled {
                self.syslog = connect().map(|logger| (pid, logger));
            }
            let Some((_, logger)) = &mut self.syslog else { return };
            // Not by the library's own formatter: it looks for the time zone in files, each time.
            if logger.backend.write_fmt(format_args!("{line}")).is_ok() || self.settled {
                return;
            }
            self.syslog = None;
        }
    }
}

/// The facility of RFC 3164 section 4.1.1, in its place beside the level.
const FACILITY_MAIL: u8 = 2 << 3;

impl Level {
    /// The severity of RFC 3164 section 4.1.1.
    fn number(self) -> u8 {
        match self {
            Level::Error => 3,
            Level::Warning => 4,
            Level::Notice => 5,
            Level::Info => 6,
            Level::Debug => 7,
        }
    }
}

/// `Nov  3 04:05:06` in local time (RFC 3164 section 4.1.2).
fn timestamp() -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let now = clock::local_now();
    let month = MONTHS.get(usize::from(now.month)).unwrap_or(&"Jan");
    format!("{month} {:2} {:02}:{:02}:{:02}", now.day, now.hour, now.minute, now.second)
}

fn connect() -> Option<Logger<LoggerBackend, Formatter3164>> {
    syslog::unix(Formatter3164 {
        facility: Facility::LOG_MAIL,
        hostname: None,
        process: "imapd".to_owned(),
        pid: std::process::id(),
    })
    .ok()
}

/// Nothing that breaks the line or plays with a terminal, and not too long.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for &octet in message.as_bytes() {
        if line.len() >= LONGEST_LINE {
            line.push_str("...");
            break;
        }
        match octet {
            b' '..=b'~' => line.push(char::from(octet)),
            // Writing to a String cannot fail.
            _ => drop(write!(line, "\\x{octet:02x}")),
        }
    }
    line
}

/// `log!(Level::Notice, "Login user={}", ...)`. What a client chose goes in through [`Quoted`].
macro_rules! log {
    ($level:expr, $($arg:tt)+) => { $crate::log::write($level, format_args!($($arg)+)) };
}
pub(crate) use log;

/// A text that a client chose, safe within a log line: no blank, no control, no 8-bit octet, no bracket or equals sign
/// that could forge a field, and not too long.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_field_or_a_line() {
        let forged = Quoted(b"x host=[1.2.3.4]\r\nLogin \x1b\xff").to_string();
        assert_eq!(forged, "x\\x20host\\x3d\\x5b1.2.3.4\\x5d\\x0d\\x0aLogin\\x20\\x1b\\xff");
        assert_eq!(Quoted(&[b'a'; 1 << 20]).to_string().len(), 203);
    }

    #[test]
    fn the_systems_log_gets_facility_severity_and_time() {
        let (ours, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let formatter =
            Formatter3164 { facility: Facility::LOG_MAIL, hostname: None, process: "imapd".to_owned(), pid: 1 };
        let logger = Logger { formatter, backend: LoggerBackend::Unix(ours) };
        let pid = std::process::id();
        let mut log = Log { sink: Sink::Syslog, level: Level::Info, syslog: Some((pid, logger)), settled: true };
        log.send(Level::Notice, "Login");
        log.send(Level::Error, "x");
        let mut line = [0; 100];
        let length = theirs.recv(&mut line).unwrap();
        let line = std::str::from_utf8(&line[..length]).unwrap();
        // `<21>Jul  1 12:00:00 imapd[1]: Login`
        assert_eq!(
            (&line[..4], &line[7..8], &line[10..11], &line[19..]),
            ("<21>", " ", " ", &*format!(" imapd[{pid}]: Login"))
        );
        let mut line = [0; 4];
        theirs.recv(&mut line).unwrap();
        assert_eq!(&line, b"<19>");
        // To a daemon that is gone nothing is sent, and no other is looked for.
        drop(theirs);
        log.send(Level::Error, "x");
        assert!(log.syslog.is_some());
    }

    #[test]
    fn a_line_is_one_line_and_short() {
        assert_eq!(one_line("a\nb\x07\u{e9}"), "a\\x0ab\\x07\\xc3\\xa9");
        assert!(one_line(&"\n".repeat(1 << 20)).len() < 1000);
    }
}
