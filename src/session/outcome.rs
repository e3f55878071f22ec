//! What a command may end in, and how an error becomes NO, BAD or BYE.

use crate::log::{Level, log};
use crate::protocol::response::code::Code;
use crate::storage::StoreError;
use std::io;

/// A command that was done; its tagged OK says this.
#[derive(Debug)]
pub struct Done {
    pub code: Option<Code>,
    /// Without the final full stop, such as `FETCH completed`; `None`: the command's name and `completed`.
    pub text: Option<&'static str>,
}

impl Done {
    /// With nothing to tell but that it was done.
    pub fn plain() -> Self {
        Self { code: None, text: None }
    }

    /// With a response code.
    pub fn with(code: Code) -> Self {
        Self { code: Some(code), text: None }
    }
}

/// A command that was not.
#[derive(Debug)]
pub enum Refusal {
    No(Option<Code>, String),
    Bad(Option<Code>, String),
    /// The mailbox that was selected is gone, or its UIDs are others: untagged BYE, whichever the revision (RFC 2180 section 3.3). CLOSED
    /// without the client's asking would leave an IMAP4rev1 client believing in a selected mailbox.
    MailboxGone,
    /// Cannot be gone on with: BYE with this text, and the end.
    Bye(String),
    /// The stream failed: the end, without a word.
    Disconnected(io::Error),
}

impl Refusal {
    /// NO with a response code.
    pub fn no(code: Code, text: &str) -> Self {
        Refusal::No(Some(code), text.into())
    }

    /// For the target of APPEND, COPY and MOVE: a mailbox that is missing may be made (RFC 9051 section 7.1, TRYCREATE).
    pub fn of_target(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchMailbox => Refusal::no(Code::TryCreate, "No such mailbox"),
            error => error.into(),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::Disconnected(error)
    }
}

/// What the system said is logged here.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if let StoreError::Io(error) = &error {
            log!(Level::Error, "mail store: {error}");
        }
        let (code, text) = told(&error);
        Refusal::No(Some(code), text)
    }
}

/// What the client is told, by the table in [`StoreError`]: no details of what the system said.
pub(super) fn told(error: &StoreError) -> (Code, String) {
    let code = match error {
        StoreError::NoSuchMailbox => Code::NonExistent,
        StoreError::AlreadyExists => Code::AlreadyExists,
        StoreError::HasChildren => Code::HasChildren,
        StoreError::Cannot(_) => Code::Cannot,
        StoreError::SpecialUse(_) => Code::UseAttr,
        StoreError::NoPermission => Code::NoPerm,
        StoreError::OverQuota => Code::OverQuota,
        StoreError::Limit(_) => Code::Limit,
        StoreError::InUse => Code::InUse,
        StoreError::Expunged => Code::ExpungeIssued,
        StoreError::Io(_) => return (Code::Unavailable, "The mail store failed; try again later".into()),
    };
    (code, capitalized(&error.to_string()))
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::response::{self, Condition};

    #[test]
    fn what_the_system_said_is_not_told_to_the_client() {
        let error = StoreError::Io(io::Error::other("/home/alice/Maildir/cur: Input/output error"));
        let Refusal::No(Some(Code::Unavailable), text) = Refusal::from(error) else { panic!("not UNAVAILABLE") };
        assert!(!text.contains("alice"));
    }

    #[test]
    fn each_error_of_the_store_has_its_code() {
        use StoreError as S;
        for (error, name) in [
            (S::NoSuchMailbox, "NONEXISTENT"),
            (S::AlreadyExists, "ALREADYEXISTS"),
            (S::HasChildren, "HASCHILDREN"),
            (S::Cannot("why"), "CANNOT"),
            (S::SpecialUse("why"), "USEATTR"),
            (S::NoPermission, "NOPERM"),
            (S::from(io::Error::from(io::ErrorKind::StorageFull)), "OVERQUOTA"),
            (S::from(io::Error::from(io::ErrorKind::QuotaExceeded)), "OVERQUOTA"),
            (S::from(io::Error::from(io::ErrorKind::PermissionDenied)), "NOPERM"),
            (S::Limit("why"), "LIMIT"),
            (S::InUse, "INUSE"),
            (S::Expunged, "EXPUNGEISSUED"),
            (S::Io(io::Error::other("why")), "UNAVAILABLE"),
        ] {
            let Refusal::No(Some(code), _) = Refusal::from(error) else { panic!("{name}") };
            let mut out = Vec::new();
            response::status(&mut out, None, Condition::No, Some(&code), "x");
            assert_eq!(String::from_utf8(out).unwrap(), format!("* NO [{name}] x\r\n"));
        }
    }

    #[test]
    fn a_missing_target_may_be_made_and_a_missing_mailbox_not() {
        assert!(matches!(Refusal::of_target(StoreError::NoSuchMailbox), Refusal::No(Some(Code::TryCreate), _)));
        assert!(matches!(Refusal::from(StoreError::NoSuchMailbox), Refusal::No(Some(Code::NonExistent), _)));
    }
}
