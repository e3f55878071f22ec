//! EXPUNGE, UID EXPUNGE.

use crate::types::SequenceSet;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expunge {
    All,
    /// UID EXPUNGE: those of these UIDs that are marked deleted.
    Among(SequenceSet),
}
