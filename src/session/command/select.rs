//! SELECT, EXAMINE, CLOSE, UNSELECT.

use super::expunge::expunge_deleted;
use super::list;
use crate::protocol::command::Numbers;
use crate::protocol::command::select::{Qresync, Select, SequenceMatch};
use crate::protocol::response::code::Code;
use crate::protocol::response::fetch::{self, Vanished};
use crate::protocol::response::{self, Condition, mailbox};
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::session::updates::{self, Items};
use crate::storage::{Access, StoreError};
use crate::types::sequence_set::SetNumber;
use crate::types::{SequenceSet, SystemFlag, Uid, UidSet};

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
    let mut now = Selected::new(name.clone(), mailbox, read_only);
    // RFC 7162 section 3.2.5: with another UIDVALIDITY the client knows nothing.
    let known = select.qresync.as_ref().filter(|known| known.uid_validity == now.mailbox.uid_validity());
    let vanished = known.map(|known| vanished(&mut now, known)).transpose()?;
    describe(context, &now, select.old_name.as_deref())?;
    if let (Some(known), Some(vanished)) = (known, vanished) {
        fetch::vanished(&mut context.channel.out, Vanished::Earlier, &vanished);
        changes(context, &mut now, known)?;
    }
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
    let (enabled, withheld) = (*context.enabled, context.withheld);
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
    if enabled.condstore || !(withheld.has("CONDSTORE") && withheld.has("QRESYNC")) {
        updates::untagged_highest(out, &Code::HighestModSeq(selected.told_to));
    }
    if !withheld.has("OBJECTID") {
        tell(out, Code::MailboxId(opened.id()), "Mailbox identifier");
    }
    updates::permanent_flags(out, selected);
    if let Some(listing) = listing {
        listing.write(out, old_name, enabled.dialect());
    }
    Ok(())
}

fn known_uids(known: &Qresync) -> SequenceSet {
    let all = || SequenceSet::Ranges(vec![(SetNumber::Number(1), SetNumber::Last)]);
    known.known_uids.clone().unwrap_or_else(all)
}

/// What was expunged while the client was away.
fn vanished(selected: &mut Selected, known: &Qresync) -> Result<UidSet, StoreError> {
    let vanished = selected.vanished_since(known.modseq, &known_uids(known))?;
    match known.matches.as_ref().and_then(|matches| last_match(selected, matches)) {
        Some(told) => Ok(vanished.difference(&UidSet::range(Uid::MIN, told))),
        None => Ok(vanished),
    }
}

/// The last message that has the number which the client knows it by: of all expunges up to it the client knows (RFC 7162 section 3.2.5.2).
fn last_match(selected: &Selected, matches: &SequenceMatch) -> Option<Uid> {
    // The numbers ascend, so no more are looked at than there are messages.
    let pairs = matches.pairs.iter().flat_map(|&((first, last), uid)| {
        (first..=last.min(selected.exists())).map(move |number| (number, uid + (number - first)))
    });
    let mut matching = pairs.filter_map(|(number, uid)| {
        let there = *selected.view.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        (there.get() == uid).then_some(there)
    });
    matching.next_back()
}

/// Tells the flags of what came or changed while the client was away.
fn changes(context: &mut Context<'_>, selected: &mut Selected, known: &Qresync) -> Result<(), Refusal> {
    let enabled = *context.enabled;
    let changed = selected.resolve(&known_uids(known), Numbers::Uid)?;
    for uid in changed.iter().filter(|&uid| selected.changed_since(uid, known.modseq)).collect::<Vec<_>>() {
        updates::changed(context.channel, selected, uid, None, Items::of_news(enabled), enabled)?;
    }
    Ok(())
}

/// CLOSE (RFC 9051 section 6.4.1): expunges without a word.
pub fn close(context: &mut Context<'_>, selected: &mut Option<Selected>) -> Result<Done, Refusal> {
    if let Some(open) = selected.as_mut().filter(|open| !open.read_only) {
        // If something is left, the mailbox stays selected.
        expunge_deleted(context, open, None)?;
    }
    *selected = None;
    Ok(Done::plain())
}

/// UNSELECT (RFC 9051 section 6.4.2).
pub fn unselect(selected: &mut Option<Selected>) -> Result<Done, Refusal> {
    *selected = None;
    Ok(Done::plain())
}
