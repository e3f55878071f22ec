//! Why a store refused, in terms the session can answer with.

use std::fmt;
use std::io;

/// What a store gives.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Each with the response code by which the client is told (RFC 9051 section 7.1).
#[derive(Debug)]
pub enum StoreError {
    /// `[NONEXISTENT]`, or `[TRYCREATE]` where it is the target of APPEND, COPY or MOVE.
    NoSuchMailbox,
    /// `[ALREADYEXISTS]`
    AlreadyExists,
    /// `[HASCHILDREN]`
    HasChildren,
    /// `[CANNOT]`: this store can never do it; the text says why.
    Cannot(&'static str),
    /// `[USEATTR]`: no mailbox can be made for this special use; the text says why.
    SpecialUse(&'static str),
    /// `[NOPERM]`: the file system's permissions, or a mailbox opened read-only.
    NoPermission,
    /// `[OVERQUOTA]`: disk full or quota exceeded.
    OverQuota,
    /// `[LIMIT]`: a limit of ours; the text names it.
    Limit(&'static str),
    /// `[INUSE]`: a lock could not be had in time.
    InUse,
    /// `[EXPUNGEISSUED]`: the message is gone.
    Expunged,
    /// `[UNAVAILABLE]`: the system failed us. Logged; the client gets no details.
    Io(io::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::NoSuchMailbox => f.write_str("no such mailbox"),
            StoreError::AlreadyExists => f.write_str("mailbox already exists"),
            StoreError::HasChildren => f.write_str("mailbox has children"),
            StoreError::Cannot(why) | StoreError::SpecialUse(why) | StoreError::Limit(why) => f.write_str(why),
            StoreError::NoPermission => f.write_str("permission denied"),
            StoreError::OverQuota => f.write_str("quota exceeded or disk full"),
            StoreError::InUse => f.write_str("mailbox is locked by another program"),
            StoreError::Expunged => f.write_str("message no longer exists"),
            StoreError::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StoreError {}

/// Disk full, quota and permission have answers of their own; ENOENT and the rest have a meaning only where they happen.
impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                StoreError::OverQuota
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::NoPermission,
            _ => StoreError::Io(error),
        }
    }
}
