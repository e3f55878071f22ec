//! STORE, UID STORE (RFC 9051 section 6.4.6).

use super::Numbers;
use crate::types::flag::FlagChange;
use crate::types::{Flags, SequenceSet};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    pub numbers: Numbers,
    pub set: SequenceSet,
    pub change: FlagChange,
    pub silent: bool,
    /// `\Recent`, which a client cannot set, has been dropped.
    pub flags: Flags,
}
