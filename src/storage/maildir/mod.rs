//! MailStore over Maildir++, in the files that Dovecot uses: the verbs, each a few lines over the parts.
//!
//! The mail itself and its UIDs are what lies on disk, for every program to see; what is kept in memory can be read again at any time.
//! Other programs deliver, rename and remove files whenever they like, without any lock.

mod arrivals;
mod attributes;
mod courier;
mod deliver;
mod expunge;
pub mod file_name;
mod flags;
mod folder;
pub mod folder_name;
mod folders;
pub mod fsck;
pub mod index;
pub mod interop;
mod keywords;
mod learned;
mod listing;
mod lock;
mod mailbox;
mod matching;
mod message;
pub mod more_keywords;
pub mod quota;
mod recent;
mod records;
mod root;
mod scan;
mod sizes;
mod slots;
mod state_file;
mod status;
mod subscriptions;
mod sync;
mod texts;
mod transfer;
mod uid_list;
mod view;
mod watch;

pub use self::index::{IndexPlace, look_through_when_opened};

use self::folder::{Folder, is_absent};
use self::mailbox::MaildirMailbox;
use self::root::Root;
use self::status::Remembered;
use super::{Access, Append, Listed, MailStore, Mailbox, MailboxStatus, Result, StatusWanted, StoreError, special_use};
use crate::log::{Level, log};
use crate::sys::file::{Dir, Kind};
use crate::types::{MailboxName, ObjectId, SpecialUse};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to open a Maildir.
#[derive(Clone, Debug)]
pub struct MaildirOptions {
    /// The root: INBOX's `cur`, `new` and `tmp` lie in it.
    pub root: PathBuf,
    /// Make the root (not its parent) if it is missing.
    pub create: bool,
    pub index: IndexPlace,
}

/// Opens a user's Maildir, as that user. Nothing is read above `root`.
pub fn open(options: MaildirOptions) -> Result<Box<dyn MailStore>> {
    if options.create {
        make_root(&options.root)?;
    }
    let root = Root::open(&options.root, options.index)?;
    let has_parts = || [b"cur", b"new"].iter().any(|part| folder::is_dir(&root.dir, *part).unwrap_or(false));
    if !options.create && !has_parts() {
        // A directory that is no Maildir, such as the mount point of a disk that is not there, is not made one.
        return Err(StoreError::NoSuchMailbox);
    }
    Folder::open(&options.root)?;
    Ok(Box::new(MaildirStore { root: Arc::new(root), statuses: HashMap::new() }))
}

/// Makes the directory of a Maildir if it is not there, in one that is. What is beside it is looked at only then: a session that is shut in makes it before.
pub fn make_root(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let parent = match Dir::open(parent) {
        Ok(parent) => parent,
        Err(error) if is_absent(&error) => return Err(StoreError::NoSuchMailbox),
        Err(error) => return Err(error.into()),
    };
    match parent.make_dir(std::os::unix::ffi::OsStrExt::as_bytes(name), 0o700) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.into()),
        Err(_) => Ok(()),
        Ok(()) => Ok(parent.sync()?),
    }
}

struct MaildirStore {
    root: Arc<Root>,
    /// What STATUS said of mailboxes that have not changed since; clients ask for all of them again and again.
    statuses: HashMap<MailboxName, Remembered>,
}

impl MaildirStore {
    fn mailbox(&self, name: &MailboxName, access: Access) -> Result<MaildirMailbox> {
        MaildirMailbox::open(&self.root, self.root.folder(name)?, access)
    }

    /// Whether there is mail in `new`, by its first entry.
    fn is_marked(&self, entry: &[u8]) -> Option<bool> {
        let dir = self.root.dir.open_dir(if entry.is_empty() { b"." } else { entry }).ok()?.open_dir(b"new").ok()?;
        let mut marked = false;
        dir.each(|name, kind| marked |= file_name::is_message(name) && kind != Kind::Directory).ok()?;
        Some(marked)
    }
}

impl MailStore for MaildirStore {
    fn list(&mut self) -> Result<Vec<Listed>> {
        /// With more mailboxes, looking into each costs too much.
        const LOOKED_INTO: usize = 200;
        let mut entries = self.root.entries()?;
        entries.insert(MailboxName::inbox(), Vec::new());
        let uses = attributes::read(&self.root)?;
        let look = entries.len() <= LOOKED_INTO;
        let mut listing: Vec<Listed> = (entries.into_iter())
            .map(|(name, entry)| Listed {
                special_use: uses.get(&name).copied(),
                marked: if look { self.is_marked(&entry) } else { None },
                name,
            })
            .collect();
        special_use::assign(&mut listing);
        Ok(listing)
    }

    fn create(&mut self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<Option<ObjectId>> {
        if special_use.is_some_and(|u| !special_use::can_be_given(u)) {
            return Err(StoreError::SpecialUse("no mailbox can have this special use"));
        }
        folders::create(&self.root, name, special_use)?;
        // RFC 8474 section 4.1 wants it told; but whoever hears NO believes that there is no mailbox.
        let found = self.mailbox(name, Access::ReadOnly).or_else(|_| self.mailbox(name, Access::ReadOnly));
        if let Err(error) = &found {
            log!(Level::Warning, "a new mailbox has no id yet: {error}");
        }
        Ok(found.ok().map(|mailbox| mailbox.id()))
    }

    fn delete(&mut self, name: &MailboxName) -> Result<()> {
        folders::delete(&self.root, name)
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        folders::rename(&self.root, from, to)
    }

    fn subscriptions(&mut self) -> Result<Vec<MailboxName>> {
        subscriptions::read(&self.root)
    }

    fn subscribe(&mut self, name: &MailboxName) -> Result<()> {
        subscriptions::subscribe(&self.root, name)
    }

    fn unsubscribe(&mut self, name: &MailboxName) -> Result<()> {
        subscriptions::unsubscribe(&self.root, name)
    }

    fn status(&mut self, name: &MailboxName, wanted: StatusWanted) -> Result<MailboxStatus> {
        let folder = self.root.path_of(&self.root.entry(name)?);
        if let Some(status) = self.statuses.get(name).and_then(|known| known.recall(&folder, wanted)) {
            return Ok(status);
        }
        let mut mailbox = self.mailbox(name, Access::ReadOnly)?;
        let status = mailbox.status(wanted)?;
        self.statuses.remove(name);
        self.statuses.extend(Remembered::new(&mailbox, wanted, &status).map(|known| (name.clone(), known)));
        Ok(status)
    }

    fn open(&mut self, name: &MailboxName, access: Access) -> Result<Box<dyn Mailbox>> {
        Ok(Box::new(self.mailbox(name, access)?))
    }

    fn append(&mut self, name: &MailboxName) -> Result<Box<dyn Append + '_>> {
        Ok(Box::new(deliver::Delivery::new(&self.root, name)?))
    }
}
