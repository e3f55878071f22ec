//! Response codes (RFC 9051 section 7.1, RFC 3501 section 7.1).

use crate::types::{Flags, Uid, UidSet, UidValidity};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    Alert,
    AlreadyExists,
    AppendUid(UidValidity, UidSet),
    AuthenticationFailed,
    AuthorizationFailed,
    /// The charsets that we know, some of them.
    BadCharset(Vec<&'static str>),
    Cannot,
    Capability(Vec<&'static str>),
    ClientBug,
    Closed,
    ContactAdmin,
    /// Source and new UIDs, in the same order; written as sets whose n-th members belong together (RFC 4315 section 3).
    CopyUid(UidValidity, Vec<(Uid, Uid)>),
    Corruption,
    Expired,
    ExpungeIssued,
    HasChildren,
    InUse,
    Limit,
    NonExistent,
    NoPerm,
    NotSaved,
    OverQuota,
    Parse,
    /// With `\*` if `true`.
    PermanentFlags(Flags, bool),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(Uid),
    UidNotSticky,
    UidValidity(UidValidity),
    Unavailable,
    UnknownCte,
    /// First unseen message, a sequence number (RFC 3501).
    Unseen(u32),
    UseAttr,
}
