//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

use super::list;
use crate::protocol::command::mailbox::{Create, Rename};
use crate::protocol::mailbox_name::Written;
use crate::protocol::response::code::Code;
use crate::session::Context;
use crate::session::command::News;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::session::updates::{self, Items};
use crate::storage::{Access, MailStore, StoreError};
use crate::types::{MailboxName, Uid};

/// CREATE (RFC 9051 section 6.3.4), with one special use at most (RFC 6154 section 3).
pub fn create(context: &mut Context<'_>, create: &Create) -> Result<Done, Refusal> {
    let special_use = match create.special_use.as_slice() {
        [] => None,
        [Ok(special_use)] => Some(*special_use),
        [Err(_)] => return Err(Refusal::no(Code::UseAttr, "Unknown special use")),
        _ => return Err(Refusal::no(Code::UseAttr, "A mailbox can have one special use")),
    };
    let id = context.store.create(&create.mailbox, special_use)?;
    make_parents(context.store, &create.mailbox);
    list::tell_normalized(context, &create.mailbox, create.old_name.as_deref());
    // RFC 8474 section 4.1.
    match id {
        Some(id) if !context.withheld.has("OBJECTID") => Ok(Done::with(Code::MailboxId(id))),
        // The mailbox is there, even where its id could not be found out: NO would be worse.
        _ => Ok(Done::plain()),
    }
}

/// Makes the mailboxes above one that was made. Should that fail, they are listed as names without a mailbox.
fn make_parents(store: &mut dyn MailStore, name: &MailboxName) {
    for parent in name.ancestors() {
        match store.create(&parent, None) {
            Ok(_) | Err(StoreError::AlreadyExists) => {}
            Err(_) => break,
        }
    }
}

/// DELETE (RFC 9051 section 6.3.5). If it was selected, nothing is any more.
pub fn delete(context: &mut Context<'_>, selected: &mut Option<Selected>, deleted: &Written) -> Result<Done, Refusal> {
    let name = &deleted.name;
    match context.store.delete(name) {
        Ok(()) => {}
        Err(StoreError::NoSuchMailbox) if context.store.list()?.iter().any(|listed| listed.name.is_below(name)) => {
            return Err(StoreError::HasChildren.into());
        }
        Err(error) => return Err(error.into()),
    }
    if selected.as_ref().is_some_and(|selected| selected.name == *name) {
        // Without CLOSED, which only SELECT says: the client knows what it did.
        *selected = None;
    }
    list::tell_normalized(context, name, deleted.old_name.as_deref());
    Ok(Done::plain())
}

/// RENAME (RFC 9051 section 6.3.6). If what was selected has another name now, it stays selected.
pub fn rename(context: &mut Context<'_>, selected: &mut Option<Selected>, rename: &Rename) -> Result<Done, Refusal> {
    let (from, to) = (&rename.from.name, &rename.to.name);
    if to.is_below(from) && !from.is_inbox() {
        return Err(StoreError::Cannot("a mailbox cannot be moved into itself").into());
    }
    let mut moved = selected.as_mut().filter(|_| !from.is_inbox()).and_then(|selected| {
        let name = selected.name.moved(from, to)?;
        Some((selected, name))
    });
    if let Some((selected, _)) = &mut moved {
        // Opened anew, the mailbox cannot say whose flags others have changed before.
        updates::tell(context.channel, selected, *context.enabled, News::All)?;
    }
    context.store.rename(from, to)?;
    make_parents(context.store, to);
    if let Some((selected, name)) = moved {
        let access = if selected.read_only { Access::ReadOnly } else { Access::ReadWrite };
        let mailbox = context.store.open(&name, access).map_err(|_| Refusal::MailboxGone)?;
        selected.reopened(name, mailbox);
        // What changed meanwhile, which the new mailbox will not tell as news.
        let (since, enabled) = (selected.told_to.get(), *context.enabled);
        let changed: Vec<Uid> =
            selected.mailbox.uids().iter().filter(|&uid| selected.changed_since(uid, since)).collect();
        for uid in changed {
            updates::changed(context.channel, selected, uid, None, Items::of_news(enabled), enabled)?;
        }
    }
    // INBOX in other letters stays INBOX.
    if (rename.from.old_name.is_some() && !from.is_inbox()) || rename.to.old_name.is_some() {
        list::tell_normalized(context, to, Some(rename.from.text()));
    }
    Ok(Done::plain())
}

/// SUBSCRIBE (RFC 9051 section 6.3.7). The mailbox need not exist, nor be one that can be selected: clients do so.
pub fn subscribe(context: &mut Context<'_>, name: &MailboxName) -> Result<Done, Refusal> {
    context.store.subscribe(name)?;
    Ok(Done::plain())
}

/// UNSUBSCRIBE (RFC 9051 section 6.3.8).
pub fn unsubscribe(context: &mut Context<'_>, name: &MailboxName) -> Result<Done, Refusal> {
    context.store.unsubscribe(name)?;
    Ok(Done::plain())
}
