//! What a command may end in, and how an error becomes NO, BAD or BYE.

use crate::protocol::response::code::Code;
use crate::storage::StoreError;
use std::io;

/// A command that was done; its tagged OK says this.
pub struct Done {
    pub code: Option<Code>,
    /// Without the final full stop, such as `FETCH completed`; `None`: the command's name and `completed`.
    pub text: Option<&'static str>,
}

impl Done {
    pub fn plain() -> Self {
        Self { code: None, text: None }
    }

    pub fn with(code: Code) -> Self {
        Self { code: Some(code), text: None }
    }
}

/// A command that was not.
pub enum Refusal {
    No(Option<Code>, String),
    Bad(Option<Code>, String),
    /// The mailbox that was selected is gone: untagged BYE, or CLOSED and back to the authenticated state (see `Session`).
    MailboxGone,
    /// Cannot be gone on with: BYE with this text, and the end.
    Bye(String),
    /// The stream failed: the end, without a word.
    Disconnected(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Disconnected(error)
    }
}

/// By the table in [`StoreError`]. The session logs [`StoreError::Io`].
impl From<StoreError> for Refusal {
    fn from(_error: StoreError) -> Self {
        todo!()
    }
}
