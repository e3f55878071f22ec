//! MailStore over Maildir++: which directory is which mailbox.

use super::{MailStore, Result};
use std::path::PathBuf;

/// How to open a Maildir.
#[derive(Clone, Debug)]
pub struct MaildirOptions {
    /// The root: INBOX's `cur`, `new` and `tmp` lie in it.
    pub root: PathBuf,
    /// Make the root (not its parent) if it is missing.
    pub create: bool,
}

/// Opens a user's Maildir, as that user. Nothing is read above `root`.
pub fn open(_options: MaildirOptions) -> Result<Box<dyn MailStore>> {
    todo!()
}
