//! System flags, keywords, sets of both (RFC 9051 section 2.3.2).

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// The flags that are stored and begin with a backslash. `\Recent` is no flag of a message but of a session: see
/// `storage::Mailbox::recent`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum SystemFlag {
    Answered = 1,
    Flagged = 2,
    Deleted = 4,
    Seen = 8,
    Draft = 16,
}

impl SystemFlag {
    pub const ALL: [SystemFlag; 5] =
        [SystemFlag::Answered, SystemFlag::Flagged, SystemFlag::Deleted, SystemFlag::Seen, SystemFlag::Draft];

    /// With its backslash.
    pub fn name(self) -> &'static str {
        match self {
            SystemFlag::Answered => "\\Answered",
            SystemFlag::Flagged => "\\Flagged",
            SystemFlag::Deleted => "\\Deleted",
            SystemFlag::Seen => "\\Seen",
            SystemFlag::Draft => "\\Draft",
        }
    }

    /// From its name with the backslash, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(name))
    }
}

/// A flag keyword: an atom, compared without regard to ASCII case, shown as it was first written.
#[derive(Clone)]
pub struct Keyword(Arc<str>);

impl Keyword {
    /// `None` if `name` is not an atom (RFC 9051 `flag-keyword`), or longer than [`crate::limits::KEYWORD`] octets.
    pub fn new(name: &str) -> Option<Self> {
        let atom = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b))
            && name.len() <= crate::limits::KEYWORD;
        atom.then(|| Self(name.into()))
    }

    /// As it was first written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Keyword {}

impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> Ordering {
        let fold = |k: &Self| k.0.bytes().map(|b| b.to_ascii_lowercase()).collect::<Vec<_>>();
        if self == other { Ordering::Equal } else { fold(self).cmp(&fold(other)) }
    }
}

impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The flags of one message: system flags as bits, keywords sorted and without repetition.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Flags {
    system: u8,
    keywords: Vec<Keyword>,
}

impl Flags {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }

    /// Whether this system flag is set.
    pub fn has(&self, flag: SystemFlag) -> bool {
        self.system & flag as u8 != 0
    }

    /// Sets a system flag.
    pub fn insert(&mut self, flag: SystemFlag) {
        self.system |= flag as u8;
    }

    /// Takes a system flag away.
    pub fn remove(&mut self, flag: SystemFlag) {
        self.system &= !(flag as u8);
    }

    /// Whether this keyword is set, in any case.
    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords.binary_search(keyword).is_ok()
    }

    /// Sets a keyword. One that is there in other letters stays as it is.
    pub fn insert_keyword(&mut self, keyword: Keyword) {
        if let Err(place) = self.keywords.binary_search(&keyword) {
            self.keywords.insert(place, keyword);
        }
    }

    /// The system flags that are set.
    pub fn system(&self) -> impl Iterator<Item = SystemFlag> + '_ {
        SystemFlag::ALL.into_iter().filter(|&f| self.has(f))
    }

    /// The keywords that are set, sorted without regard to case.
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// `+FLAGS`
    pub fn add(&mut self, other: &Flags) {
        self.system |= other.system;
        for keyword in &other.keywords {
            self.insert_keyword(keyword.clone());
        }
    }

    /// `-FLAGS`
    pub fn subtract(&mut self, other: &Flags) {
        self.system &= !other.system;
        self.keywords.retain(|k| !other.has_keyword(k));
    }
}

/// What a STORE does with its flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagChange {
    Replace,
    Add,
    Remove,
}

impl FlagChange {
    /// The flags after the change.
    pub fn apply(self, before: &Flags, given: &Flags) -> Flags {
        let mut after = before.clone();
        match self {
            FlagChange::Replace => return given.clone(),
            FlagChange::Add => after.add(given),
            FlagChange::Remove => after.subtract(given),
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_differ_only_beyond_case() {
        let mut flags = Flags::new();
        for name in ["$Junk", "$junk", "alpha"] {
            flags.insert_keyword(Keyword::new(name).unwrap());
        }
        assert_eq!(flags.keywords().iter().map(Keyword::as_str).collect::<Vec<_>>(), ["$Junk", "alpha"]);
    }

    #[test]
    fn a_keyword_is_an_atom() {
        for bad in ["", "\\Seen", "a b", "a]", "é", "a\"", "(x", "{5}", "\n"] {
            assert!(Keyword::new(bad).is_none(), "{bad:?}");
        }
    }
}
