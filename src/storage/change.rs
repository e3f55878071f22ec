//! What happened to a mailbox since last asked.

use crate::types::UidSet;

/// The three sets are disjoint, except that nothing hinders a message from arriving and being expunged between two calls: such a message is in
/// none of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Above every UID known before.
    pub arrived: UidSet,
    pub expunged: UidSet,
    /// Still there, with other flags than before.
    pub flags: UidSet,
    /// [`super::Mailbox::keywords`] has more than before.
    pub new_keywords: bool,
}

impl Changes {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
