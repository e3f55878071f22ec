//! Response codes (RFC 9051 section 7.1, RFC 3501 section 7.1, RFC 7162, RFC 8474).

use crate::protocol::encode::{self, text};
use crate::types::{Flags, ModSeq, ObjectId, SequenceSet, Uid, UidSet, UidValidity};

/// What stands in brackets before the text of a status response, with its arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    AlreadyExists,
    AppendUid(UidValidity, UidSet),
    AuthenticationFailed,
    AuthorizationFailed,
    /// The charsets that we know, some of them.
    BadCharset(Vec<&'static str>),
    Cannot,
    Capability(Vec<&'static str>),
    Closed,
    /// Source and new UIDs, in the same order; written as sets whose n-th members belong together (RFC 4315 section 3).
    CopyUid(UidValidity, Vec<(Uid, Uid)>),
    Expired,
    ExpungeIssued,
    HasChildren,
    HighestModSeq(ModSeq),
    InUse,
    Limit,
    MailboxId(ObjectId),
    /// What a conditional STORE left as it is, in the numbers that the client used (RFC 7162 section 3.1.3).
    Modified(SequenceSet),
    NonExistent,
    NoPerm,
    OverQuota,
    /// With `\*` if `true`.
    PermanentFlags(Flags, bool),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    TooBig,
    TryCreate,
    UidNext(Uid),
    UidValidity(UidValidity),
    Unavailable,
    UnknownCte,
    /// First unseen message, a sequence number (RFC 3501).
    Unseen(u32),
    UseAttr,
}

impl Code {
    /// `[CODE ...]` and a blank; nothing if the code has nothing to tell, such as COPYUID of no message.
    ///
    /// ```abnf
    /// resp-code-apnd = "APPENDUID" SP nz-number SP append-uid
    /// resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set
    /// ```
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Code::AppendUid(_, uids) if uids.is_empty() => return,
            Code::CopyUid(_, pairs) if pairs.is_empty() => return,
            _ => {}
        }
        out.push(b'[');
        match self {
            Code::AppendUid(validity, uids) => text(out, format_args!("APPENDUID {validity} {uids}")),
            Code::CopyUid(validity, pairs) => {
                text(out, format_args!("COPYUID {validity} "));
                uids_in_order(out, pairs.iter().map(|pair| pair.0));
                out.push(b' ');
                uids_in_order(out, pairs.iter().map(|pair| pair.1));
            }
            Code::BadCharset(known) => {
                out.extend_from_slice(b"BADCHARSET");
                if !known.is_empty() {
                    out.extend_from_slice(b" (");
                    encode::separated(out, known, |out, name| encode::astring(out, name.as_bytes()));
                    out.push(b')');
                }
            }
            Code::Capability(names) => {
                out.extend_from_slice(b"CAPABILITY ");
                encode::separated(out, names, |out, name| out.extend_from_slice(name.as_bytes()));
            }
            Code::PermanentFlags(flags, any) => {
                out.extend_from_slice(b"PERMANENTFLAGS ");
                encode::flag_list(out, flags, any.then_some("\\*"));
            }
            Code::HighestModSeq(modseq) => text(out, format_args!("HIGHESTMODSEQ {modseq}")),
            Code::MailboxId(id) => text(out, format_args!("MAILBOXID ({})", id.as_str())),
            Code::Modified(set) => text(out, format_args!("MODIFIED {set}")),
            Code::UidNext(uid) => text(out, format_args!("UIDNEXT {uid}")),
            Code::UidValidity(validity) => text(out, format_args!("UIDVALIDITY {validity}")),
            Code::Unseen(number) => text(out, format_args!("UNSEEN {number}")),
            plain => out.extend_from_slice(plain.name().as_bytes()),
        }
        out.extend_from_slice(b"] ");
    }

    fn name(&self) -> &'static str {
        match self {
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AppendUid(..) => "APPENDUID",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset(_) => "BADCHARSET",
            Code::Cannot => "CANNOT",
            Code::Capability(_) => "CAPABILITY",
            Code::Closed => "CLOSED",
            Code::CopyUid(..) => "COPYUID",
            Code::Expired => "EXPIRED",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HasChildren => "HASCHILDREN",
            Code::HighestModSeq(_) => "HIGHESTMODSEQ",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MailboxId(_) => "MAILBOXID",
            Code::Modified(_) => "MODIFIED",
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::OverQuota => "OVERQUOTA",
            Code::PermanentFlags(..) => "PERMANENTFLAGS",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::TooBig => "TOOBIG",
            Code::TryCreate => "TRYCREATE",
            Code::UidNext(_) => "UIDNEXT",
            Code::UidValidity(_) => "UIDVALIDITY",
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::Unseen(_) => "UNSEEN",
            Code::UseAttr => "USEATTR",
        }
    }
}

/// A uid-set whose members stand in this order. Only what ascends without a gap becomes a range, since a range is read upwards.
fn uids_in_order(out: &mut Vec<u8>, uids: impl Iterator<Item = Uid>) {
    let mut uids = uids.map(Uid::get).peekable();
    let mut first = true;
    while let Some(low) = uids.next() {
        let mut high = low;
        while let Some(next) = uids.next_if(|&uid| high.checked_add(1) == Some(uid)) {
            high = next;
        }
        if !first {
            out.push(b',');
        }
        first = false;
        if low == high { text(out, format_args!("{low}")) } else { text(out, format_args!("{low}:{high}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::types::{Keyword, SystemFlag};

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    #[test]
    fn codes_as_the_rfcs_print_them() {
        let validity = UidValidity::new(38505).unwrap();
        let made = |code: Code| written(|o| code.write(o));
        assert_eq!(made(Code::ReadOnly), "[READ-ONLY] ");
        assert_eq!(made(Code::UidNext(uid(4392))), "[UIDNEXT 4392] ");
        assert_eq!(made(Code::AppendUid(validity, UidSet::range(uid(3), uid(5)))), "[APPENDUID 38505 3:5] ");
        assert_eq!(made(Code::BadCharset(vec!["US-ASCII", "UTF-8"])), "[BADCHARSET (US-ASCII UTF-8)] ");
        assert_eq!(made(Code::BadCharset(vec![])), "[BADCHARSET] ");
        assert_eq!(made(Code::Capability(vec!["IMAP4rev1", "IDLE"])), "[CAPABILITY IMAP4rev1 IDLE] ");
        let modseq = ModSeq::new(715194045007).unwrap();
        assert_eq!(made(Code::HighestModSeq(modseq)), "[HIGHESTMODSEQ 715194045007] ");
        assert_eq!(made(Code::MailboxId(ObjectId::parse("F2212ea87-6097").unwrap())), "[MAILBOXID (F2212ea87-6097)] ");
        assert_eq!(made(Code::Modified([7, 8, 9, 12].into_iter().collect())), "[MODIFIED 7:9,12] ");
        let mut flags = Flags::new();
        flags.insert(SystemFlag::Seen);
        flags.insert_keyword(Keyword::new("$Junk").unwrap());
        assert_eq!(made(Code::PermanentFlags(flags.clone(), true)), "[PERMANENTFLAGS (\\Seen $Junk \\*)] ");
        assert_eq!(made(Code::PermanentFlags(Flags::new(), false)), "[PERMANENTFLAGS ()] ");
    }

    #[test]
    fn the_members_of_copyuid_belong_together_in_order() {
        let pairs = |p: &[(u32, u32)]| p.iter().map(|&(a, b)| (uid(a), uid(b))).collect::<Vec<_>>();
        let validity = UidValidity::new(38505).unwrap();
        let made = |p: &[(u32, u32)]| written(|o| Code::CopyUid(validity, pairs(p)).write(o));
        assert_eq!(made(&[(304, 3956), (319, 3957), (320, 3958)]), "[COPYUID 38505 304,319:320 3956:3958] ");
        assert_eq!(made(&[(5, 9), (4, 10), (3, 11)]), "[COPYUID 38505 5,4,3 9:11] ");
        assert_eq!(made(&[]), "");
    }
}
