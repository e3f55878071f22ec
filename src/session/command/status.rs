//! STATUS.

use crate::limits;
use crate::protocol::command::status::{Status, StatusItem};
use crate::protocol::response::mailbox::{self, StatusValue};
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::storage::{MailStore, StatusWanted};
use crate::types::MailboxName;

/// STATUS (RFC 9051 section 6.3.11). Of the selected mailbox it tells what is there, not what this client has been told.
pub fn status(context: &mut Context<'_>, status: &Status) -> Result<Done, Refusal> {
    let values = values(context.store, &status.mailbox, &status.items)?;
    mailbox::status(&mut context.channel.out, &status.mailbox, &values, context.enabled.dialect());
    Ok(Done::plain())
}

/// The items with their values.
pub fn values(
    store: &mut dyn MailStore,
    name: &MailboxName,
    items: &[StatusItem],
) -> crate::storage::Result<Vec<(StatusItem, StatusValue)>> {
    let wanted = StatusWanted {
        size: items.contains(&StatusItem::Size),
        counts: items.iter().any(|item| matches!(item, StatusItem::Unseen | StatusItem::Deleted)),
    };
    let status = store.status(name, wanted)?;
    let value = |item: &StatusItem| {
        StatusValue::Number(match item {
            StatusItem::Messages => status.messages.into(),
            StatusItem::Recent => status.recent.into(),
            StatusItem::UidNext => status.uid_next.get().into(),
            StatusItem::UidValidity => status.uid_validity.get().into(),
            StatusItem::Unseen => status.unseen.into(),
            StatusItem::Deleted => status.deleted.into(),
            StatusItem::Size => status.size,
            StatusItem::AppendLimit => limits::APPEND,
            StatusItem::HighestModSeq => status.highest_modseq.get(),
            StatusItem::MailboxId => return StatusValue::Id(status.id.clone()),
        })
    };
    Ok(items.iter().map(|item| (*item, value(item))).collect())
}
