//! The nouns every layer shares: plain values, no I/O.

pub mod date;
pub mod flag;
pub mod ids;
pub mod mailbox;
pub mod query;
pub mod secret;
pub mod sequence_set;
pub mod uid_set;
pub mod unicode;

pub use date::{Date, DateTime};
pub use flag::{Flags, Keyword, SystemFlag};
pub use ids::{ModSeq, ObjectId, SeqNum, Uid, UidValidity};
pub use mailbox::{MailboxName, SpecialUse};
pub use secret::Secret;
pub use sequence_set::SequenceSet;
pub use uid_set::UidSet;
