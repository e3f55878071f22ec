//! Create, delete, rename folders with what lies below them.

use super::attributes;
use super::file_name;
use super::folder;
use super::mailbox::MaildirMailbox;
use super::quota;
use super::root::Root;
use crate::log::{Level, Quoted, log};
use crate::storage::{Access, Mailbox, Result, StoreError};
use crate::sys::file::name_too_long;
use crate::types::{MailboxName, SpecialUse};
use std::io;
use std::sync::Arc;

/// Where a deleted folder lies while it is removed, so that nobody sees it half gone. Dovecot's name; it removes what we leave there.
pub const TRASH: &[u8] = b"..DOVECOT-TRASHED";
/// How deep below a folder files are removed.
pub const DEPTH: usize = 8;

pub fn create(root: &Root, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<()> {
    if name.is_inbox() || root.exists(name)? {
        return Err(StoreError::AlreadyExists);
    }
    let noted = attributes::read(root)?;
    for (other, _) in noted.iter().filter(|(other, given)| *other != name && special_use == Some(**given)) {
        if root.exists(other)? {
            return Err(StoreError::SpecialUse("another mailbox has this special use"));
        }
    }
    let entry = root.new_entry(name)?;
    folder::make(&root.dir, &entry).map_err(too_long)?;
    // A leftover of a mailbox of this name that another program removed must not apply to this one.
    if special_use.is_some() || noted.contains_key(name) {
        let change = |uses: &mut attributes::SpecialUses| {
            uses.retain(|other, given| other != name && special_use != Some(*given));
            uses.extend(special_use.map(|special_use| (name.clone(), special_use)));
        };
        if let Err(error) = attributes::update(root, change) {
            root.dir.remove_tree(&entry, DEPTH)?;
            return Err(error);
        }
    }
    Ok(())
}

pub fn delete(root: &Root, name: &MailboxName) -> Result<()> {
    const TRIES: usize = 10;
    if name.is_inbox() {
        return Err(StoreError::Cannot("INBOX cannot be deleted"));
    }
    let entry = root.entry(name)?;
    let inode = root.dir.stat_through(&entry).map(|stat| stat.inode);
    let mut tries = 0;
    let mut trash = TRASH.to_vec();
    loop {
        match root.dir.rename_new(&entry, &root.dir, &trash) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(StoreError::NoSuchMailbox),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {
                // What somebody left, or is about to remove as well.
                if root.dir.remove_tree(&trash, DEPTH).is_err() {
                    // What cannot be removed must not stand in the way for ever. This name is no mailbox either.
                    trash = [TRASH, b".", &file_name::unique()].concat();
                }
                tries += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    if let Err(error) = root.dir.sync() {
        // Whoever hears NO believes that it is there.
        if let Err(error) = root.dir.rename_new(&trash, &root.dir, &entry) {
            log!(Level::Error, "cannot take the removal of {} back: {error}", Quoted(&entry));
        }
        return Err(error.into());
    }
    if quota::is_kept(root)
        && let Ok(folder) = root.dir.open_dir(&trash)
    {
        quota::note(root, quota::amount_of(&folder).gone());
    }
    if let Err(error) = root.dir.remove_tree(&trash, DEPTH) {
        log!(Level::Warning, "cannot remove all of {}: {error}", Quoted(&entry));
    }
    inode.into_iter().for_each(|inode| root.forget(inode));
    forget(root, |uses| {
        uses.remove(name);
    });
    Ok(())
}

/// The names of special use follow as far as they can; they are no reason to fail.
fn forget(root: &Root, change: impl FnOnce(&mut attributes::SpecialUses)) {
    let noted = attributes::read(root).is_ok_and(|uses| !uses.is_empty());
    if noted && let Err(error) = attributes::update(root, change) {
        log!(Level::Warning, "cannot change special uses: {error}");
    }
}

pub fn rename(root: &Arc<Root>, from: &MailboxName, to: &MailboxName) -> Result<()> {
    if to.is_inbox() || root.exists(to)? {
        return Err(StoreError::AlreadyExists);
    }
    if from.is_inbox() {
        return rename_inbox(root, to);
    }
    let entries = root.entries()?;
    let target = root.new_entry(to)?;
    let mut plan: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let own = entries.get(from);
    for (name, entry) in &entries {
        let Some(moved) = name.moved(from, to) else { continue };
        if MailboxName::parse(moved.as_str()).is_err() {
            return Err(StoreError::Limit("the name of a mailbox below would become too long"));
        }
        if entries.contains_key(&moved) && moved.moved(from, to).is_none() {
            return Err(StoreError::AlreadyExists);
        }
        let new = match own.and_then(|own| entry.strip_prefix(own.as_slice())) {
            // Spelled as it was, below the new name.
            Some(rest) => [target.as_slice(), rest].concat(),
            None => root.new_entry(&moved)?,
        };
        if new.len() > 255 {
            return Err(StoreError::Limit("mailbox name too long for the file system"));
        }
        plan.push((entry.clone(), new));
    }
    if plan.is_empty() {
        return Err(StoreError::NoSuchMailbox);
    }
    // Below itself: the longest first, so that each new name is free by then.
    if to.is_below(from) {
        plan.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
    }
    let mut done: Vec<&(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut rename_all = || -> io::Result<()> {
        for step in &plan {
            root.dir.rename_new(&step.0, &root.dir, &step.1)?;
            done.push(step);
        }
        root.dir.sync()
    };
    if let Err(error) = rename_all() {
        for (old, new) in done.into_iter().rev() {
            if let Err(error) = root.dir.rename_new(new, &root.dir, old) {
                log!(Level::Error, "cannot take a rename of {} back: {error}", Quoted(old));
            }
        }
        return Err(match error.kind() {
            io::ErrorKind::AlreadyExists => StoreError::AlreadyExists,
            io::ErrorKind::NotFound => StoreError::NoSuchMailbox,
            _ => too_long(error.into()),
        });
    }
    forget(root, |uses| {
        *uses = std::mem::take(uses)
            .into_iter()
            .map(|(name, special_use)| (name.moved(from, to).unwrap_or(name), special_use))
            .collect();
    });
    Ok(())
}

/// Moves the messages to a new mailbox; INBOX stays, empty.
fn rename_inbox(root: &Arc<Root>, to: &MailboxName) -> Result<()> {
    let mut inbox = MaildirMailbox::open(root, root.folder(&MailboxName::inbox())?, Access::ReadWrite)?;
    create(root, to, None)?;
    let all = inbox.uids().clone();
    let failure = match inbox.move_to(&all, to) {
        Ok(moved) => moved.failure,
        Err(error) => Some(error),
    };
    if let Some(error) = failure {
        // Only if nothing could be moved.
        let mut made = MaildirMailbox::open(root, root.folder(to)?, Access::ReadOnly)?;
        made.sync()?;
        if made.uids().is_empty() {
            drop(made);
            delete(root, to)?;
        }
        return Err(error);
    }
    Ok(())
}

fn too_long(error: StoreError) -> StoreError {
    match error {
        StoreError::Io(error) if name_too_long(&error) => {
            StoreError::Limit("mailbox name too long for the file system")
        }
        other => other,
    }
}
