//! The subscriptions file, read and replaced. If there is none, what Courier left becomes it.

use super::interop::courier_subscribed;
use super::interop::dovecot_subscriptions::Subscriptions;
use super::root::Root;
use crate::log::{Level, log};
use crate::storage::Result;
use crate::types::MailboxName;
use std::io;

pub const FILE: &[u8] = b"subscriptions";

pub fn read(root: &Root) -> Result<Vec<MailboxName>> {
    match from_courier(root)? {
        Some(names) => {
            // Taken over once, for other programs to see.
            if !names.is_empty()
                && let Err(error) = update(root, |_| Ok(true))
            {
                log!(Level::Notice, "cannot write down what Courier left of subscriptions: {error}");
            }
            Ok(names)
        }
        None => Ok(Subscriptions::parse(&root.read_state(FILE)?).names()),
    }
}

/// Courier's subscriptions, unless there is a file of our own.
fn from_courier(root: &Root) -> Result<Option<Vec<MailboxName>>> {
    match root.dir.stat(FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Some(courier_subscribed::parse(&root.read_state(courier_subscribed::FILE)?)))
        }
        _ => Ok(None),
    }
}

pub fn subscribe(root: &Root, name: &MailboxName) -> Result<()> {
    let spelling = root.spelling();
    update(root, |subscriptions| subscriptions.add(name, spelling))
}

pub fn unsubscribe(root: &Root, name: &MailboxName) -> Result<()> {
    update(root, |subscriptions| Ok(subscriptions.remove(name)))
}

/// `change` says whether it changed anything.
fn update(root: &Root, change: impl FnOnce(&mut Subscriptions) -> Result<bool>) -> Result<()> {
    root.replace_state(FILE, |text| {
        let mut subscriptions = Subscriptions::parse(text);
        let spelling = root.spelling();
        for name in from_courier(root)?.into_iter().flatten() {
            // One that cannot be written here is lost alone.
            let _ = subscriptions.add(&name, spelling);
        }
        Ok(change(&mut subscriptions)?.then(|| subscriptions.write()))
    })
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
        let (one, two) = (MailboxName::parse("one").unwrap(), MailboxName::parse("two").unwrap());
        let filler = format!("{}\n", "x".repeat((1 << 20) - 1)).repeat((limits::STATE_FILE >> 20) as usize);
        // The line that would be lost is the last; and the line that is added would be lost with the next reading.
        for text in [format!("one\n{filler}last\n"), format!("one\n{}", &filler[5..])] {
            std::fs::write(directory.path().join("subscriptions"), &text).unwrap();
            assert!(matches!(subscribe(&root, &two), Err(StoreError::Limit(_))));
            assert!(read(&root).unwrap().contains(&one));
            subscribe(&root, &one).unwrap();
            if text.len() as u64 > limits::STATE_FILE {
                assert!(matches!(unsubscribe(&root, &one), Err(StoreError::Limit(_))));
            }
            assert!(std::fs::read_to_string(directory.path().join("subscriptions")).unwrap() == text);
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        }
        unsubscribe(&root, &one).unwrap();
        subscribe(&root, &two).unwrap();
        assert!(read(&root).unwrap().contains(&two));
    }
}
