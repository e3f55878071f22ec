//! Mailbox names and the attributes of mailboxes.

use crate::limits;
use std::fmt;
use std::sync::Arc;
use unicode_normalization::UnicodeNormalization;

/// Between the parts of a mailbox name, on the wire and in [`MailboxName`]. A store may use another on disk.
pub const SEPARATOR: char = '/';

/// A mailbox name: UTF-8, normalised to NFC (RFC 5198, RFC 9051 section 5.1), parts separated by [`SEPARATOR`], `INBOX` in capitals.
/// Neither modified UTF-7 nor the names of directories occur in it: the edges of the program convert.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Arc<str>);

/// Why a text is no mailbox name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadName(pub &'static str);

impl MailboxName {
    /// The one mailbox that every user has.
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Normalises and checks. Refused: the empty name, an empty part, `.` and `..` as parts, a leading `~`, controls, bidirectional
    /// overrides, too many levels or octets ([`limits::MAILBOX_NAME`], [`limits::MAILBOX_LEVELS`]).
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.len() > limits::MAILBOX_NAME {
            return Err(BadName("mailbox name too long"));
        }
        let name = normalized(text);
        // Some characters grow when they are normalised; what was a name must be one again when it is read back.
        if name.len() > limits::MAILBOX_NAME {
            return Err(BadName("mailbox name too long"));
        }
        if name.is_empty() {
            return Err(BadName("empty mailbox name"));
        }
        if name.chars().any(is_refused) {
            return Err(BadName("control character in mailbox name"));
        }
        if name.starts_with('~') {
            return Err(BadName("mailbox name begins with ~"));
        }
        let mut parts: Vec<&str> = name.split(SEPARATOR).collect();
        if parts.len() > limits::MAILBOX_LEVELS {
            return Err(BadName("mailbox name has too many levels"));
        }
        if parts.contains(&"") {
            return Err(BadName("mailbox name has an empty part"));
        }
        if parts.iter().any(|&p| p == "." || p == "..") {
            return Err(BadName("mailbox name has a part . or .."));
        }
        if parts[0].eq_ignore_ascii_case("INBOX") {
            parts[0] = "INBOX";
        }
        Ok(Self(parts.join("/").into()))
    }

    /// In NFC, as it is shown to users.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// What stands between the separators, from the top down.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split(SEPARATOR)
    }

    /// The name one level up; `None` at the top.
    pub fn parent(&self) -> Option<MailboxName> {
        self.0.rfind(SEPARATOR).map(|at| Self(self.0[..at].into()))
    }

    /// All names above, nearest first.
    pub fn ancestors(&self) -> impl Iterator<Item = MailboxName> {
        std::iter::successors(self.parent(), MailboxName::parent)
    }

    /// Whether `self` lies below `other`.
    pub fn is_below(&self, other: &MailboxName) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.starts_with(SEPARATOR))
    }

    /// This name with the leading `from` replaced by `to`, when it is `from` or lies below it.
    pub fn moved(&self, from: &MailboxName, to: &MailboxName) -> Option<MailboxName> {
        if self == from {
            return Some(to.clone());
        }
        self.is_below(from).then(|| Self(format!("{}{}", to.0, &self.0[from.0.len()..]).into()))
    }
}

/// The text in NFC, as names are.
pub fn normalized(text: &str) -> String {
    text.nfc().collect()
}

/// RFC 9051 section 5.1 with RFC 5198 section 2: controls, line and paragraph separators, and what can make a name read as another.
fn is_refused(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}')
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What a mailbox is for (RFC 6154 section 2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SpecialUse {
    All,
    Archive,
    Drafts,
    Flagged,
    Junk,
    Sent,
    Trash,
}

impl SpecialUse {
    /// All of RFC 6154.
    pub const EVERY: [SpecialUse; 7] = [
        SpecialUse::All,
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Flagged,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// The attribute in LIST, with its backslash.
    pub fn attribute(self) -> &'static str {
        match self {
            SpecialUse::All => "\\All",
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Flagged => "\\Flagged",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        }
    }

    /// From the attribute with its backslash, in any case.
    pub fn from_attribute(name: &str) -> Option<Self> {
        Self::EVERY.into_iter().find(|u| u.attribute().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_is_one_name_in_any_case_and_only_at_the_top() {
        assert!(MailboxName::parse("inBox").unwrap().is_inbox());
        assert_eq!(MailboxName::parse("inbox/x").unwrap().as_str(), "INBOX/x");
        assert_eq!(MailboxName::parse("x/inbox").unwrap().as_str(), "x/inbox");
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for bad in ["", "/", "a//b", "/etc", "a/", "..", "../x", "a/../b", "~root", ".", "a\0", "a\r\n", "a\u{202E}b"] {
            assert!(MailboxName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_a_name_is_one_again_when_it_is_read_back() {
        // U+0344 becomes U+0308 U+0301, twice as long.
        for letters in [limits::MAILBOX_NAME / 4, limits::MAILBOX_NAME / 4 + 1, limits::MAILBOX_NAME / 2] {
            let name = MailboxName::parse(&"\u{344}".repeat(letters));
            assert_eq!(name.is_ok(), letters <= limits::MAILBOX_NAME / 4, "{letters}");
            assert!(name.is_err() || MailboxName::parse(name.clone().unwrap().as_str()) == name);
        }
    }

    #[test]
    fn the_two_spellings_of_a_letter_are_one_name() {
        assert_eq!(MailboxName::parse("e\u{301}"), MailboxName::parse("\u{e9}"));
    }
}
