//! MailStore in memory, shared between connections: the reference for the others.

use super::MailStore;

/// Every user's mail. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct MemoryServer {}

impl MemoryServer {
    pub fn new() -> Self {
        Self::default()
    }

    /// The store of one user, INBOX in it.
    pub fn store(&self, _user: &str) -> Box<dyn MailStore> {
        todo!()
    }
}
