//! APPEND, MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502, RFC 3516 section 4.4).

use crate::protocol::cursor::{Cursor, Parse, SyntaxError};
use crate::protocol::date_time::write_date_time;
use crate::protocol::frame::LiteralHeader;
use crate::protocol::mailbox_name::Written;
use crate::protocol::{Dialect, encode, frame};
use crate::types::{DateTime, Flags};

/// APPEND up to the first message's literal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    pub mailbox: Written,
    pub first: AppendMessage,
}

/// What stands before one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppendMessage {
    pub flags: Flags,
    /// `None`: now.
    pub date: Option<DateTime>,
    pub literal: LiteralHeader,
}

/// Whether `so_far`, which ends with a literal header, is an APPEND whose literal is a message (and not the mailbox name). Then the
/// session parses it with [`super::parse`] and streams the literal.
pub fn message_follows(so_far: &[u8]) -> bool {
    let line = so_far.strip_suffix(b"\r\n").unwrap_or(so_far);
    if !matches!(frame::announced(line), Some(Some(_))) {
        return false;
    }
    // Only the octets of the name count here, not what it means: so the dialect does not matter.
    let mut cursor = Cursor::new(line, Dialect::Rev1);
    let start = cursor.tag().and_then(|_| cursor.space()).and_then(|()| cursor.word("a command"));
    // A literal that stands for the name is not there yet, so that the name does not parse.
    start.is_ok_and(|name| name == "APPEND") && cursor.space().is_ok() && cursor.astring().is_ok()
}

/// What follows a message: `None` for the end of the command (an empty line rest), else the head of the next message: `SP [flags SP] [date SP] literal`.
pub fn parse_next(line: &[u8], dialect: Dialect) -> Result<Option<AppendMessage>, SyntaxError> {
    let mut cursor = Cursor::new(line, dialect);
    if cursor.ends_here() {
        return Ok(None);
    }
    let message = AppendMessage::parse(&mut cursor)?;
    cursor.end()?;
    Ok(Some(message))
}

impl Append {
    /// ```abnf
    /// append = "APPEND" SP mailbox 1*append-message       ; RFC 3502
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let mailbox = cursor.mailbox_as_written(|text| text);
        // A name that cannot be is told only if the rest is right: what is no APPEND at all is BAD.
        if let Err(error @ SyntaxError::Expected { .. }) = mailbox {
            return Err(error);
        }
        let first = AppendMessage::parse(cursor)?;
        Ok(Self { mailbox: mailbox?, first })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        out.push(b' ');
        encode::mailbox_text(out, self.mailbox.text(), dialect);
        self.first.print(out);
    }
}

impl AppendMessage {
    /// ```abnf
    /// append-message = SP [flag-list SP] [date-time SP] (literal / literal8)
    /// ```
    fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let mut flags = Flags::new();
        if cursor.peek() == Some(b'(') {
            flags = cursor.flag_list()?;
            cursor.space()?;
        }
        let mut date = None;
        if cursor.peek() == Some(b'"') {
            date = Some(cursor.date_time()?);
            cursor.space()?;
        }
        let literal = cursor.literal_header()?;
        cursor.take_line_end();
        if !cursor.is_at_end() {
            return Err(cursor.expected("the end of the line behind a message's size"));
        }
        Ok(Self { flags, date, literal })
    }

    fn print(&self, out: &mut Vec<u8>) {
        if !self.flags.is_empty() {
            out.push(b' ');
            encode::flag_list(out, &self.flags, None);
        }
        if let Some(date) = self.date {
            out.push(b' ');
            write_date_time(out, date);
        }
        out.push(b' ');
        self.literal.write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;
    use crate::types::MailboxName;
    use crate::types::{Date, SystemFlag};

    fn literal(size: u64) -> LiteralHeader {
        LiteralHeader { size, non_synchronizing: false, binary: false }
    }

    fn append(first: AppendMessage) -> Command {
        Command::Append(Append {
            mailbox: Written { name: MailboxName::parse("saved-messages").unwrap(), old_name: None },
            first,
        })
    }

    #[test]
    fn flags_and_date_may_stand_before_the_message() {
        let mut flags = Flags::new();
        flags.insert(SystemFlag::Seen);
        let date = DateTime::new(Date::new(1994, 2, 7).unwrap(), 21, 52, 25, -480);
        let none = Flags::new;
        let plain = AppendMessage { flags: none(), date: None, literal: literal(326) };
        assert_eq!(parsed("APPEND saved-messages {326}"), append(plain.clone()));
        assert_eq!(parsed("APPEND saved-messages {326}\r\n"), append(plain.clone()));
        assert_eq!(parsed("APPEND saved-messages () {326}"), append(plain.clone()));
        assert_eq!(
            parsed("APPEND saved-messages (\\Seen) {326}"),
            append(AppendMessage { flags: flags.clone(), ..plain.clone() })
        );
        assert_eq!(
            parsed("append {14}\r\nsaved-messages (\\Seen) \" 7-Feb-1994 21:52:25 -0800\" ~{326+}"),
            append(AppendMessage {
                flags,
                date,
                literal: LiteralHeader { size: 326, non_synchronizing: true, binary: true }
            })
        );
        assert_eq!(
            parsed("APPEND saved-messages \"07-Feb-1994 21:52:25 -0800\" {326}"),
            append(AppendMessage { date, ..plain })
        );
    }

    #[test]
    fn what_is_no_append_is_refused() {
        for bad in [
            "APPEND",
            "APPEND x",
            "APPEND x \"text\"",
            "APPEND x (\\Seen)",
            "APPEND x (\\Seen {5}",
            "APPEND x \"99-Feb-1994 21:52:25 -0800\" {5}",
            "APPEND x {5} y",
            "APPEND x {-1}",
            "APPEND x {5",
            "APPEND x {99999999999999999999}",
            "APPEND x (\\Bad) {5}",
            "APPEND ../x (\\Bad) {5}",
            "APPEND x UTF8 (~{5}",
        ] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
        assert!(matches!(refused("APPEND ../x {5}"), SyntaxError::Mailbox(_)));
    }

    #[test]
    fn the_message_is_told_from_the_name() {
        for yes in [
            "a APPEND x {5}\r\n",
            "a append x (\\Seen) {5+}",
            "a APPEND {1}\r\nx {5}",
            "a APPEND \"x\" ~{5}",
            "a APPEND x (bad {5}",
        ] {
            assert!(message_follows(yes.as_bytes()), "{yes}");
        }
        for no in [
            "a APPEND {5}\r\n",
            "a APPEND {5+}",
            "a LOGIN x {5}",
            "a APPEND x",
            "a APPEND x \"{5}\"",
            "{5}",
            "",
            "a UID APPEND x {5}",
        ] {
            assert!(!message_follows(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn further_messages_follow_or_the_end() {
        assert_eq!(parse_next(b"", Dialect::Rev1), Ok(None));
        let next = parse_next(b" (\\Seen) {7}", Dialect::Rev1).unwrap().unwrap();
        assert_eq!(next.literal, literal(7));
        assert!(next.flags.has(SystemFlag::Seen));
        assert!(parse_next(b" {7}\r\n", Dialect::Rev2).unwrap().is_some());
        for bad in [&b"{7}"[..], b" x", b"x", b" {7} ", b" (\\Seen)"] {
            assert!(parse_next(bad, Dialect::Rev1).is_err(), "{bad:?}");
        }
    }
}
