//! SELECT, EXAMINE, CLOSE, UNSELECT.

use super::expunge::expunge_deleted;
use super::list;
use crate::protocol::command::select::Select;
use crate::protocol::response::code::Code;
use crate::protocol::response::{self, Condition, mailbox};
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::session::{Context, updates};
use crate::storage::{Access, StoreError};
use crate::types::SystemFlag;

/// SELECT (RFC 9051 section 6.3.2), EXAMINE with [`Access::ReadOnly`]. The mailbox selected before is closed whether or not this one opens.
pub fn select(
    context: &mut Context<'_>,
    selected: &mut Option<Selected>,
    select: &Select,
    access: Access,
) -> Result<Done, Refusal> {
    if selected.take().is_some() {
        closed(context);
    }
    let name = &select.mailbox;
    let opened = match context.store.open(name, access) {
        Err(StoreError::NoPermission) if access == Access::ReadWrite => {
            context.store.open(name, Access::ReadOnly).map(|mailbox| (mailbox, true))
        }
        opened => opened.map(|mailbox| (mailbox, access == Access::ReadOnly)),
    };
    let (mailbox, read_only) = opened?;
    let now = Selected::new(name.clone(), mailbox, read_only);
    describe(context, &now, select.old_name.as_deref())?;
    *selected = Some(now);
    let code = if read_only { Code::ReadOnly } else { Code::ReadWrite };
    let text = match access {
        Access::ReadOnly => "EXAMINE completed",
        Access::ReadWrite => "SELECT completed",
    };
    Ok(Done { code: Some(code), text: Some(text) })
}

/// `* OK [CLOSED]`: what comes from now on is about another mailbox, or none.
fn closed(context: &mut Context<'_>) {
    response::status(&mut context.channel.out, None, Condition::Ok, Some(&Code::Closed), "Previous mailbox closed");
}

/// All that a client has to know of the mailbox before it goes on.
fn describe(context: &mut Context<'_>, selected: &Selected, old_name: Option<&str>) -> Result<(), Refusal> {
    let enabled = *context.enabled;
    let listing = if enabled.imap4rev2 { Some(list::one(context.store, &selected.name)?) } else { None };
    let out = &mut context.channel.out;
    let opened = &selected.mailbox;
    let tell = |out: &mut Vec<u8>, code, text| response::status(out, None, Condition::Ok, Some(&code), text);
    mailbox::flags(out, &updates::applicable(&**opened));
    mailbox::exists(out, selected.exists());
    if !enabled.imap4rev2 {
        mailbox::recent(out, u32::try_from(opened.recent().len()).unwrap_or(u32::MAX));
        let unseen = opened.uids().difference(&opened.with_flag(SystemFlag::Seen));
        if let Some(number) = unseen.first().and_then(|uid| selected.number_of(uid)) {
            tell(out, Code::Unseen(number.get()), "First unseen message");
        }
    }
    tell(out, Code::UidValidity(opened.uid_validity()), "UIDs valid");
    tell(out, Code::UidNext(opened.uid_next()), "Predicted next UID");
    updates::permanent_flags(out, selected);
    if let Some(listing) = listing {
        listing.write(out, old_name, enabled.dialect());
    }
    Ok(())
}

/// CLOSE (RFC 9051 section 6.4.1): expunges without a word.
pub fn close(context: &mut Context<'_>, selected: &mut Option<Selected>) -> Result<Done, Refusal> {
    if let Some(mut selected) = selected.take()
        && !selected.read_only
    {
        expunge_deleted(context, &mut selected, None)?;
    }
    Ok(Done::plain())
}

/// UNSELECT (RFC 9051 section 6.4.2).
pub fn unselect(selected: &mut Option<Selected>) -> Result<Done, Refusal> {
    *selected = None;
    Ok(Done::plain())
}
