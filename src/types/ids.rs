//! Numbers that must not be mixed up.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

/// A message's unique identifier in its mailbox (RFC 9051 section 2.3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(NonZeroU32);

/// A message's place in the mailbox as one client sees it, from 1 (RFC 9051 section 2.3.1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeqNum(NonZeroU32);

/// Changes whenever the UIDs of a mailbox are dealt anew (RFC 9051 section 2.3.1.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UidValidity(NonZeroU32);

macro_rules! number {
    ($name:ident) => {
        impl $name {
            /// `None` for zero, which IMAP forbids.
            pub const fn new(value: u32) -> Option<Self> {
                match NonZeroU32::new(value) {
                    Some(value) => Some(Self(value)),
                    None => None,
                }
            }

            /// The number, never zero.
            pub const fn get(self) -> u32 {
                self.0.get()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

number!(Uid);
number!(SeqNum);
number!(UidValidity);

/// When a message or a mailbox last changed, on the mailbox's own scale (RFC 7162 section 3.1): never zero, below 2^63.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModSeq(NonZeroU64);

impl ModSeq {
    /// Before everything that happens to a mailbox.
    pub const MIN: ModSeq = ModSeq(NonZeroU64::MIN);
    /// 63 bits (RFC 7162 section 7, `mod-sequence-value`).
    pub const MAX: u64 = i64::MAX as u64;

    /// `None` for zero, and for what does not fit in 63 bits.
    pub const fn new(value: u64) -> Option<Self> {
        match NonZeroU64::new(value) {
            Some(number) if value <= Self::MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// The number, never zero.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// A value for what happens now: above this one, and not below the microseconds since 1970, so that a mailbox whose history was lost
    /// never gives a value again that a client may have seen.
    pub fn next(self, microseconds: u64) -> Self {
        Self::new((self.get() + 1).max(microseconds).min(Self::MAX)).unwrap_or(self)
    }
}

impl fmt::Display for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ModSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModSeq({})", self.0)
    }
}

/// The name of a mailbox, a message's content or a thread that outlives renames, copies and UIDs (RFC 8474 section 3): 1 to 255 letters, digits, `-`
/// and `_`, of which we use few.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ObjectId(Box<str>);

impl ObjectId {
    /// An initial that says of what kind the object is, and 128 bits.
    pub fn new(kind: char, bits: u128) -> Self {
        Self(format!("{kind}{bits:032x}").into())
    }

    /// The same for what is told apart by these octets: their FNV-1a hash of 128 bits, the same in every version and on every machine.
    pub fn of(kind: char, octets: &[u8]) -> Self {
        const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0100_0000_0000_0000_0000_013b;
        Self::new(kind, octets.iter().fold(OFFSET, |hash, &octet| (hash ^ u128::from(octet)).wrapping_mul(PRIME)))
    }

    /// What a client wrote; `None` if it is none.
    ///
    /// ```abnf
    /// objectid = 1*255(ALPHA / DIGIT / "_" / "-")
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let good = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-');
        ((1..=255).contains(&text.len()) && text.bytes().all(good)).then(|| Self(text.into()))
    }

    /// As on the wire, without its parentheses.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Uid {
    pub const MIN: Uid = Uid(NonZeroU32::MIN);
    /// 4294967295 is left out: Dovecot treats it as corruption of its UID list.
    pub const MAX: Uid = match Uid::new(u32::MAX - 1) {
        Some(uid) => uid,
        None => Uid::MIN,
    };

    /// The UID after this one, or `None` when they are used up.
    pub fn next(self) -> Option<Uid> {
        if self >= Self::MAX { None } else { Uid::new(self.get() + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modseq_goes_up_whatever_the_clock_does() {
        let first = ModSeq::MIN.next(1_700_000_000_000_000);
        assert_eq!(first.get(), 1_700_000_000_000_000);
        assert_eq!(first.next(5).get(), first.get() + 1);
        assert_eq!(ModSeq::new(ModSeq::MAX).map(|last| last.next(0).get()), Some(ModSeq::MAX));
        assert_eq!((ModSeq::new(0), ModSeq::new(1 << 63)), (None, None));
    }

    #[test]
    fn an_object_id_is_a_short_word() {
        let ours = ObjectId::new('M', 7);
        assert_eq!(ObjectId::parse(ours.as_str()), Some(ours));
        assert!(ObjectId::parse(&"x".repeat(255)).is_some());
        for bad in ["", "a b", "a(", "\u{e9}", "a\0", &"x".repeat(256)] {
            assert_eq!(ObjectId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(ObjectId::of('E', b"").as_str(), "E6c62272e07bb014262b821756295c58d");
        assert_eq!(ObjectId::of('E', b"a").as_str(), "Ed228cb696f1a8caf78912b704e4a8964");
    }
}
