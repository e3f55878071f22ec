//! mailbox: INBOX, modified UTF-7 or UTF-8.

use super::Dialect;
use super::cursor::{Cursor, Parse, SyntaxError};
use crate::encoding::utf7;
use crate::limits;
use crate::types::MailboxName;
use crate::types::mailbox::normalized;

/// A mailbox name, and what the client wrote for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    pub name: MailboxName,
    /// The text as the client wrote it, if it is not in Unicode's form C, or INBOX in other letters: the answer then names both (RFC 9051 section 6.3.9.7, OLDNAME).
    pub old_name: Option<String>,
}

impl Written {
    /// What the client wrote.
    pub fn text(&self) -> &str {
        self.old_name.as_deref().unwrap_or(self.name.as_str())
    }
}

impl Cursor<'_> {
    /// ```abnf
    /// mailbox = "INBOX" / astring
    /// ```
    pub fn mailbox(&mut self) -> Parse<MailboxName> {
        let octets = self.astring()?;
        let text = decode(&octets, self.dialect())?;
        MailboxName::parse(&text).map_err(|bad| SyntaxError::Mailbox(bad.0))
    }

    /// As [`Cursor::mailbox`], for commands that tell the client if its name was normalised.
    pub fn mailbox_as_written(&mut self, text_of: fn(&str) -> &str) -> Parse<Written> {
        let octets = self.astring()?;
        let text = decode(&octets, self.dialect())?;
        let text = text_of(&text);
        let name = MailboxName::parse(text).map_err(|bad| SyntaxError::Mailbox(bad.0))?;
        let changed = name.as_str() != text;
        Ok(Written { name, old_name: changed.then(|| text.to_owned()) })
    }

    /// A reference, which need not be the name of a mailbox.
    pub fn reference(&mut self) -> Parse<String> {
        let octets = self.astring()?;
        pattern_text(&octets, self.dialect())
    }

    /// ```abnf
    /// list-mailbox = 1*list-char / string
    /// list-char    = ATOM-CHAR / list-wildcards / resp-specials
    /// ```
    pub fn list_mailbox(&mut self) -> Parse<String> {
        let octets = self.list_string()?;
        pattern_text(&octets, self.dialect())
    }
}

fn pattern_text(octets: &[u8], dialect: Dialect) -> Parse<String> {
    let text = normalized(&decode(octets, dialect)?);
    if text.len() > limits::MAILBOX_NAME {
        return Err(SyntaxError::Mailbox("mailbox name too long"));
    }
    Ok(text)
}

/// The text of a name on the wire.
///
/// In IMAP4rev1 a name is modified UTF-7. Raw UTF-8, which some clients send all the same, is taken for what it is as long as no `&` leaves
/// two readings.
fn decode(octets: &[u8], dialect: Dialect) -> Parse<String> {
    let utf8 = || std::str::from_utf8(octets).map(str::to_owned);
    match dialect {
        Dialect::Rev1 if octets.is_ascii() || octets.contains(&b'&') => {
            utf7::decode(octets).ok_or(SyntaxError::Mailbox("mailbox name is not modified UTF-7"))
        }
        Dialect::Rev1 | Dialect::Rev2 => utf8().map_err(|_| SyntaxError::Mailbox("mailbox name is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(wire: &[u8], dialect: Dialect) -> Parse<String> {
        Cursor::new(wire, dialect).mailbox().map(|name| name.as_str().to_owned())
    }

    #[test]
    fn names_follow_the_dialect() {
        assert_eq!(name(b"inBox", Dialect::Rev1).unwrap(), "INBOX");
        assert_eq!(name(b"Entw&APw-rfe", Dialect::Rev1).unwrap(), "Entw\u{fc}rfe");
        assert_eq!(name(b"Entw&APw-rfe", Dialect::Rev2).unwrap(), "Entw&APw-rfe");
        assert_eq!(name("\"Entw\u{fc}rfe\"".as_bytes(), Dialect::Rev2).unwrap(), "Entw\u{fc}rfe");
        assert_eq!(name("\"Entw\u{fc}rfe\"".as_bytes(), Dialect::Rev1).unwrap(), "Entw\u{fc}rfe");
        assert_eq!(name(b"{3}\r\na b", Dialect::Rev2).unwrap(), "a b");
    }

    #[test]
    fn names_that_cannot_exist_are_no_syntax_error() {
        for wire in [
            &b"&AC8-"[..],
            b"&AC4-",
            b"&AAA-",
            b"&AGE-",
            b"&2AA-",
            b"A&B",
            b"..",
            b"a/../b",
            b"/etc",
            b"~root",
            b"\"\"",
        ] {
            assert!(matches!(name(wire, Dialect::Rev1), Err(SyntaxError::Mailbox(_))), "{wire:?}");
        }
        let both = "\"\u{fc}&APw-\"".as_bytes();
        assert!(matches!(name(both, Dialect::Rev1), Err(SyntaxError::Mailbox(_))));
        assert!(matches!(name(b"{2}\r\n\xc0\xaf", Dialect::Rev2), Err(SyntaxError::Mailbox(_))));
    }

    #[test]
    fn a_name_that_was_normalised_is_remembered() {
        let written = |wire: &str| Cursor::new(wire.as_bytes(), Dialect::Rev2).mailbox_as_written(|text| text).unwrap();
        assert_eq!(written("\"e\u{301}\"").old_name.as_deref(), Some("e\u{301}"));
        assert_eq!(written("\"\u{e9}\"").old_name, None);
        assert_eq!(written("inbox").old_name.as_deref(), Some("inbox"));
    }
}
