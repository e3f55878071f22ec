//! SELECT, EXAMINE, CHECK, CLOSE, UNSELECT and their parameters.

use crate::protocol::Dialect;
use crate::protocol::cursor::{Cursor, Parse};
use crate::protocol::encode;
use crate::types::MailboxName;

/// The arguments of SELECT and EXAMINE (RFC 9051 sections 6.3.2 and 6.3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Select {
    pub mailbox: MailboxName,
    /// The name as the client wrote it, if it was not in Unicode's form C (RFC 9051 section 6.3.9.7, OLDNAME).
    pub old_name: Option<String>,
}

impl Select {
    /// ```abnf
    /// select        = "SELECT" SP mailbox [select-params]
    /// examine       = "EXAMINE" SP mailbox [select-params]
    /// select-params = SP "(" select-param *(SP select-param) ")"      ; RFC 4466; there is none yet
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parse<Self> {
        cursor.space()?;
        let written = cursor.mailbox_as_written(|text| text)?;
        if !cursor.ends_here() {
            cursor.space()?;
            cursor.list(parameter)?;
        }
        Ok(Self { mailbox: written.name, old_name: written.old_name })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        out.push(b' ');
        encode::mailbox_text(out, self.old_name.as_deref().unwrap_or(self.mailbox.as_str()), dialect);
    }
}

fn parameter(cursor: &mut Cursor<'_>) -> Parse<()> {
    Err(cursor.expected("a parameter of SELECT that this server has"))
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, parsed_octets, refused};
    use super::*;
    use crate::protocol::cursor::SyntaxError;

    #[test]
    fn the_mailbox_is_named_in_the_dialect() {
        let select = |name: &str| Select { mailbox: MailboxName::parse(name).unwrap(), old_name: None };
        assert_eq!(parsed("SELECT INBOX"), Command::Select(select("INBOX")));
        assert_eq!(parsed("examine &APw-x"), Command::Examine(select("\u{fc}x")));
        assert_eq!(parsed_octets(b"SELECT A&B", Dialect::Rev2), Command::Select(select("A&B")));
        let decomposed = Select { old_name: Some("u\u{308}".to_owned()), ..select("\u{fc}") };
        assert_eq!(parsed_octets("SELECT \"u\u{308}\"".as_bytes(), Dialect::Rev2), Command::Select(decomposed));
    }

    #[test]
    fn parameters_are_not_known_yet() {
        for bad in
            ["SELECT", "SELECT ", "SELECT a b", "SELECT a (CONDSTORE)", "SELECT a ()", "SELECT a (", "SELECT (a)"]
        {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
        assert!(matches!(refused("SELECT ../x"), SyntaxError::Mailbox(_)));
    }
}
