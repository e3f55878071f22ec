//! EXPUNGE, UID EXPUNGE.

use super::Numbers;
use crate::protocol::cursor::{Cursor, Parse};
use crate::types::SequenceSet;

/// Which messages EXPUNGE removes (RFC 9051 sections 6.4.3 and 6.4.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expunge {
    All,
    /// UID EXPUNGE: those of these UIDs that are marked deleted.
    Among(SequenceSet),
}

impl Expunge {
    /// ```abnf
    /// expunge     = "EXPUNGE"
    /// uid-expunge = "UID" SP "EXPUNGE" SP sequence-set
    /// ```
    pub(super) fn parse(cursor: &mut Cursor<'_>, numbers: Numbers) -> Parse<Self> {
        if numbers == Numbers::Sequence {
            return Ok(Self::All);
        }
        cursor.space()?;
        cursor.sequence_set().map(Self::Among)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::check::{parsed, refused};
    use super::*;
    use crate::protocol::cursor::SyntaxError;

    #[test]
    fn the_uid_form_names_messages() {
        assert_eq!(parsed("UID EXPUNGE $"), Command::Expunge(Expunge::Among(SequenceSet::Saved)));
        assert!(matches!(parsed("UID EXPUNGE 3000:3002"), Command::Expunge(Expunge::Among(_))));
        for bad in ["UID EXPUNGE", "UID EXPUNGE x", "EXPUNGE 1"] {
            assert!(matches!(refused(bad), SyntaxError::Expected { .. }), "{bad}");
        }
    }
}
