//! Numbers that must not be mixed up.

use std::fmt;
use std::num::NonZeroU32;

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
