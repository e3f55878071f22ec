//! Mailbox name to directory name and back: `Work/2024` lies in `.Work.2024` (Maildir++), in modified UTF-7 as Dovecot writes it or in plain UTF-8
//! as Courier does. Every directory that can be shown has one name, and that name leads back to it.

use crate::encoding::utf7;
use crate::storage::error::{Result, StoreError};
use crate::types::MailboxName;
use crate::types::mailbox::SEPARATOR;

/// How names outside ASCII are spelled on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spelling {
    /// Modified UTF-7: Dovecot's default, and that of a new Maildir.
    Utf7,
    /// Plain UTF-8: Courier, and Dovecot with `mailbox_list_utf8`.
    Utf8,
}

/// The longest name of a directory entry on every file system in use.
const LONGEST_ENTRY: usize = 255;

/// The directory of a mailbox below the root, with its leading dot; for INBOX, which is the root itself, the empty name.
pub fn to_entry(name: &MailboxName, spelling: Spelling) -> Result<Vec<u8>> {
    if name.is_inbox() {
        return Ok(Vec::new());
    }
    let mut entry = vec![b'.'];
    entry.extend_from_slice(&to_storage(name, spelling)?);
    if entry.len() > LONGEST_ENTRY {
        return Err(StoreError::Limit("mailbox name too long for the file system"));
    }
    Ok(entry)
}

/// The name with dots between its parts and no dot before: the form of the subscriptions file, version 1.
pub fn to_storage(name: &MailboxName, spelling: Spelling) -> Result<Vec<u8>> {
    if name.as_str().contains('.') {
        return Err(StoreError::Cannot("a mailbox name cannot have a dot in this store"));
    }
    let text = name.as_str().replace(SEPARATOR, ".");
    Ok(match spelling {
        // A dot needs no shift, so the parts are encoded as if each stood alone.
        Spelling::Utf7 => utf7::encode(&text).into_bytes(),
        Spelling::Utf8 => text.into_bytes(),
    })
}

/// The mailbox of a directory entry, or `None` if it is none that can be shown.
pub fn from_entry(entry: &[u8]) -> Option<MailboxName> {
    let name = from_storage(entry.strip_prefix(b".")?)?;
    // The root is INBOX; nothing may shadow it.
    (!name.is_inbox()).then_some(name)
}

/// The mailbox of a name in the form of [`to_storage`], in either spelling.
pub fn from_storage(storage: &[u8]) -> Option<MailboxName> {
    from_parts(storage.split(|&b| b == b'.'))
}

/// The mailbox whose parts are spelled so on disk.
pub fn from_parts<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Option<MailboxName> {
    let mut text = String::new();
    for (nth, part) in parts.enumerate() {
        if nth > 0 {
            text.push(SEPARATOR);
        }
        let part = decode_part(part)?;
        if part.is_empty() || part.contains([SEPARATOR, '.']) {
            return None;
        }
        text.push_str(&part);
    }
    MailboxName::parse(&text).ok()
}

/// UTF-8 if it has 8-bit octets, else modified UTF-7 if it is that, else as it stands.
fn decode_part(part: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(part).ok()?;
    if text.is_ascii() {
        return Some(utf7::decode(part).unwrap_or_else(|| text.to_owned()));
    }
    Some(text.to_owned())
}

/// The spelling of an entry, if it shows one.
pub fn spelling_of(entry: &[u8]) -> Option<Spelling> {
    let text = std::str::from_utf8(entry).ok()?;
    if !text.is_ascii() {
        return Some(Spelling::Utf8);
    }
    let shifted = entry.contains(&b'&') && utf7::decode(entry).is_some();
    shifted.then_some(Spelling::Utf7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    #[test]
    fn parts_are_separated_by_dots_and_spelled_as_the_maildir_does() {
        assert_eq!(to_entry(&name("Entwürfe/2024"), Spelling::Utf7).unwrap(), b".Entw&APw-rfe.2024");
        assert_eq!(to_entry(&name("Entwürfe/2024"), Spelling::Utf8).unwrap(), ".Entwürfe.2024".as_bytes());
        assert_eq!(to_entry(&name("R&D"), Spelling::Utf7).unwrap(), b".R&-D");
        assert_eq!(to_entry(&name("inbox"), Spelling::Utf7).unwrap(), b"");
        assert!(matches!(to_entry(&name("a.b"), Spelling::Utf7), Err(StoreError::Cannot(_))));
        assert!(matches!(to_entry(&name(&"x".repeat(255)), Spelling::Utf7), Err(StoreError::Limit(_))));
        assert!(to_entry(&name(&"x".repeat(254)), Spelling::Utf7).is_ok());
    }

    #[test]
    fn both_spellings_are_read() {
        for entry in [&b".Entw&APw-rfe.2024"[..], ".Entwürfe.2024".as_bytes(), ".Entwu\u{308}rfe.2024".as_bytes()] {
            assert_eq!(from_entry(entry), Some(name("Entwürfe/2024")));
        }
        assert_eq!(from_entry(b".R&D"), Some(name("R&D")));
        assert_eq!(from_entry(b".INBOX.Sent"), Some(name("INBOX/Sent")));
    }

    #[test]
    fn what_could_be_mistaken_is_not_shown() {
        for entry in
            [&b"."[..], b"..", b".a..b", b".a.", b"..DOVECOT-TRASHED", b".inbox", b".a\x01", b".\xff", b"cur", b".a/b"]
        {
            assert_eq!(from_entry(entry), None, "{}", String::from_utf8_lossy(entry));
        }
        // Not canonical: shown as it stands, never as the separator that it hides.
        assert_eq!(from_entry(b".a&AC8-b"), Some(name("a&AC8-b")));
    }

    #[test]
    fn every_name_comes_back() {
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            let Ok(name) = MailboxName::parse(&text) else { return Ok(()) };
            for spelling in [Spelling::Utf7, Spelling::Utf8] {
                if let Ok(entry) = to_entry(&name, spelling) {
                    // In UTF-8 an ASCII part may read as UTF-7; then the directory is found by looking at all of them.
                    if !name.is_inbox() && (spelling == Spelling::Utf7 || !text.contains('&')) {
                        assert_eq!(from_entry(&entry), Some(name.clone()));
                    }
                }
            }
            Ok(())
        });
    }
}
