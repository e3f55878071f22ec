//! EXPUNGE, UID EXPUNGE.

use crate::protocol::command::Numbers;
use crate::protocol::command::expunge::Expunge;
use crate::protocol::response::code::Code;
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::types::{SystemFlag, UidSet};

/// Removes what is marked deleted. The client learns of it from `updates`, as it learns of everybody else's expunges.
pub fn expunge(context: &mut Context<'_>, selected: &mut Selected, expunge: &Expunge) -> Result<Done, Refusal> {
    if selected.read_only {
        return Err(Refusal::no(Code::ReadOnly, "Mailbox is open for reading only"));
    }
    let among = match expunge {
        Expunge::All => None,
        Expunge::Among(set) => Some(selected.resolve(set, Numbers::Uid)?),
    };
    expunge_deleted(context, selected, among.as_ref())?;
    Ok(Done::plain())
}

/// Expunges the messages of the client's view that are marked deleted, all or those `among` some.
pub fn expunge_deleted(
    context: &mut Context<'_>,
    selected: &mut Selected,
    among: Option<&UidSet>,
) -> Result<(), Refusal> {
    let deleted = selected.mailbox.with_flag(SystemFlag::Deleted);
    let doomed = match among {
        Some(among) => deleted.intersection(among),
        // What the client was not yet told of it cannot want gone.
        None => deleted.intersection(&selected.view.iter().copied().collect()),
    };
    if !doomed.is_empty() {
        let removed = selected.mailbox.expunge(&doomed)?;
        context.counters.expunged += removed.done.len() as u64;
        // What is gone `updates` tells all the same; what is left the client must not think gone.
        if let Some(failure) = removed.failure {
            return Err(failure.into());
        }
    }
    Ok(())
}
