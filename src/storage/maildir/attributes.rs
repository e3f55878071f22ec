//! Special use of mailboxes (RFC 6154) as given by CREATE: `imapd-special-use` in the root.
//!
//! ```abnf
//! file = *( attribute SP mailbox LF )    ; "\Sent Work/Sent", the name in UTF-8
//! ```

use super::root::Root;
use crate::storage::Result;
use crate::types::{MailboxName, SpecialUse};
use std::collections::BTreeMap;

pub const FILE: &[u8] = b"imapd-special-use";

/// Which mailbox was made for which use.
pub type SpecialUses = BTreeMap<MailboxName, SpecialUse>;

pub fn read(root: &Root) -> Result<SpecialUses> {
    Ok(parse(&root.read_state(FILE)?))
}

/// Changes the file if `change` changes what it says.
pub fn update(root: &Root, change: impl FnOnce(&mut SpecialUses)) -> Result<()> {
    root.replace_state(FILE, |text| {
        let before = parse(text);
        let mut uses = before.clone();
        change(&mut uses);
        Ok((uses != before).then(|| write(&uses)))
    })
}

/// The file without what is not understood.
pub fn mended(text: &[u8]) -> Vec<u8> {
    write(&parse(text))
}

fn parse(text: &[u8]) -> SpecialUses {
    let line = |line: &[u8]| {
        let (attribute, name) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        Some((MailboxName::parse(name).ok()?, SpecialUse::from_attribute(attribute)?))
    };
    text.split(|&b| b == b'\n').filter_map(line).collect()
}

fn write(uses: &SpecialUses) -> Vec<u8> {
    uses.iter().flat_map(|(name, special_use)| format!("{} {name}\n", special_use.attribute()).into_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::storage::StoreError;
    use crate::storage::maildir::IndexPlace;

    #[test]
    fn a_file_that_is_longer_than_what_is_read_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path(), IndexPlace::InRoot).unwrap();
        let text = format!("\\Sent one\n{}\n\\Junk last\n", "x".repeat(limits::STATE_FILE as usize));
        std::fs::write(directory.path().join("imapd-special-use"), &text).unwrap();
        assert_eq!(read(&root).unwrap().len(), 1);
        assert!(matches!(update(&root, |uses| uses.clear()), Err(StoreError::Limit(_))));
        update(&root, |_| {}).unwrap();
        assert!(std::fs::read_to_string(directory.path().join("imapd-special-use")).unwrap() == text);
    }

    #[test]
    fn what_is_written_is_read() {
        let uses: SpecialUses = [
            (MailboxName::parse("Gesendete Objekte/ä").unwrap(), SpecialUse::Sent),
            (MailboxName::parse("x").unwrap(), SpecialUse::Junk),
        ]
        .into();
        assert_eq!(parse(&write(&uses)), uses);
        assert!(parse(b"nonsense\n\\Sent\n\\What x\n\xff\n").is_empty());
    }
}
