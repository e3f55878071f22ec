//! The subscriptions file, read and replaced.

use super::interop::dovecot_subscriptions::Subscriptions;
use super::root::Root;
use super::state_file::replace;
use crate::limits;
use crate::storage::Result;
use crate::types::MailboxName;

const FILE: &[u8] = b"subscriptions";

pub fn read(root: &Root) -> Result<Vec<MailboxName>> {
    Ok(load(root)?.names())
}

pub fn subscribe(root: &Root, name: &MailboxName) -> Result<()> {
    let spelling = root.spelling();
    update(root, |subscriptions| subscriptions.add(name, spelling))
}

pub fn unsubscribe(root: &Root, name: &MailboxName) -> Result<()> {
    update(root, |subscriptions| Ok(subscriptions.remove(name)))
}

fn load(root: &Root) -> Result<Subscriptions> {
    Ok(Subscriptions::parse(&root.read_state(FILE)?))
}

/// `change` says whether it changed anything.
fn update(root: &Root, change: impl FnOnce(&mut Subscriptions) -> Result<bool>) -> Result<()> {
    let mode = root.dir.stat_self()?.mode & 0o666 | 0o600;
    replace(&root.dir, FILE, mode, limits::TIME_LOCK, || {
        let mut subscriptions = load(root)?;
        let changed = change(&mut subscriptions)?;
        Ok((changed.then(|| subscriptions.write()), ()))
    })
}
