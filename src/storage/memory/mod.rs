//! MailStore in memory, shared between connections: the reference for the others.

mod append;
mod bell;
mod demo;
mod folder;
mod history;
mod mailbox;
mod user;

use super::special_use;
use super::{Access, Append, Listed, MailStore, Mailbox, MailboxStatus, Result, StatusWanted, StoreError};
use crate::types::{MailboxName, ObjectId, SpecialUse};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use user::Shared;

/// Every user's mail. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct MemoryServer {
    users: Arc<Mutex<HashMap<String, Shared>>>,
}

impl MemoryServer {
    /// Nobody has mail yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The store of one user, INBOX in it.
    pub fn store(&self, user: &str) -> Box<dyn MailStore> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        Box::new(MemoryStore { user: users.entry(user.to_owned()).or_default().clone() })
    }
}

/// One session's hold on a user's mail.
struct MemoryStore {
    user: Shared,
}

impl MailStore for MemoryStore {
    fn list(&mut self) -> Result<Vec<Listed>> {
        let mut listing = self.user.lock().list();
        special_use::assign(&mut listing);
        Ok(listing)
    }

    fn create(&mut self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<Option<ObjectId>> {
        self.user.lock().create(name, special_use).map(folder::id).map(Some)
    }

    fn delete(&mut self, name: &MailboxName) -> Result<()> {
        self.user.lock().delete(name)
    }

    fn rename(&mut self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        self.user.lock().rename(from, to)
    }

    fn subscriptions(&mut self) -> Result<Vec<MailboxName>> {
        Ok(self.user.lock().subscriptions.clone())
    }

    fn subscribe(&mut self, name: &MailboxName) -> Result<()> {
        let subscriptions = &mut self.user.lock().subscriptions;
        if subscriptions.contains(name) {
            return Ok(());
        }
        if subscriptions.len() >= crate::limits::SUBSCRIPTIONS {
            return Err(StoreError::Limit("too many subscriptions"));
        }
        subscriptions.push(name.clone());
        Ok(())
    }

    fn unsubscribe(&mut self, name: &MailboxName) -> Result<()> {
        self.user.lock().subscriptions.retain(|n| n != name);
        Ok(())
    }

    fn status(&mut self, name: &MailboxName, wanted: StatusWanted) -> Result<MailboxStatus> {
        let mut user = self.user.lock();
        Ok(user.folder_named(name)?.status(wanted))
    }

    fn open(&mut self, name: &MailboxName, access: Access) -> Result<Box<dyn Mailbox>> {
        Ok(Box::new(mailbox::OpenMailbox::open(self.user.clone(), name, access)?))
    }

    fn append(&mut self, name: &MailboxName) -> Result<Box<dyn Append + '_>> {
        Ok(Box::new(append::MemoryAppend::new(self.user.clone(), name)?))
    }
}
