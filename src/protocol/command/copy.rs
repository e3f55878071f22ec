//! COPY, MOVE and their UID forms.

use super::Numbers;
use crate::protocol::Dialect;
use crate::protocol::cursor::{Cursor, Parse};
use crate::protocol::encode::{self, text};
use crate::types::{MailboxName, SequenceSet};

/// The arguments of COPY and MOVE (RFC 9051 sections 6.4.7 and 6.4.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    pub numbers: Numbers,
    pub set: SequenceSet,
    pub mailbox: MailboxName,
}

impl Copy {
    /// ```abnf
    /// copy = "COPY" SP sequence-set SP mailbox
    /// move = "MOVE" SP sequence-set SP mailbox
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>, numbers: Numbers) -> Parse<Self> {
        cursor.space()?;
        let set = cursor.sequence_set()?;
        cursor.space()?;
        Ok(Self { numbers, set, mailbox: cursor.mailbox()? })
    }

    pub(super) fn print(&self, out: &mut Vec<u8>, dialect: Dialect) {
        text(out, format_args!(" {} ", self.set));
        encode::mailbox(out, &self.mailbox, dialect);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;
    use crate::protocol::cursor::SyntaxError;

    #[test]
    fn copy_and_move_by_both_numbers() {
        let copy = |numbers, set: &str| Copy {
            numbers,
            set: Cursor::new(set.as_bytes(), Dialect::Rev1).sequence_set().unwrap(),
            mailbox: MailboxName::parse("x").unwrap(),
        };
        assert_eq!(parsed("COPY 2:4 x"), Command::Copy(copy(Numbers::Sequence, "2:4")));
        assert_eq!(parsed("uid copy $ x"), Command::Copy(copy(Numbers::Uid, "$")));
        assert_eq!(parsed("MOVE * x"), Command::Move(copy(Numbers::Sequence, "*")));
        assert_eq!(parsed("UID MOVE 1:4294967295 x"), Command::Move(copy(Numbers::Uid, "1:4294967295")));
        for bad in
            ["COPY", "COPY 1", "COPY x 1", "COPY 0 x", "COPY 1 x y", "COPY 1  x", "MOVE 1,, x", "UID MOVE 4294967296 x"]
        {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }
}
