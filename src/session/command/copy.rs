//! COPY, MOVE and their UID forms.

use crate::protocol::command::Numbers;
use crate::protocol::command::copy::Copy;
use crate::protocol::response::code::Code;
use crate::protocol::response::{self, Condition};
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::storage::Copied;

/// COPY (RFC 9051 section 6.4.7). Done also when there was nothing to copy.
pub fn copy(selected: &mut Selected, copy: &Copy) -> Result<Done, Refusal> {
    let uids = selected.resolve(&copy.set, copy.numbers)?;
    if uids.is_empty() {
        return Ok(Done::plain());
    }
    let copied = selected.mailbox.copy(&uids, &copy.mailbox).map_err(Refusal::of_target)?;
    Ok(Done { code: copy_uid(copied, copy.numbers)?, text: None })
}

/// MOVE (RFC 9051 section 6.4.8): COPYUID comes untagged before the EXPUNGEs, which `updates` tells.
pub fn move_to(context: &mut Context<'_>, selected: &mut Selected, copy: &Copy) -> Result<Done, Refusal> {
    if selected.read_only {
        return Err(Refusal::no(Code::ReadOnly, "Mailbox is open for reading only"));
    }
    let uids = selected.resolve(&copy.set, copy.numbers)?;
    if uids.is_empty() {
        return Ok(Done::plain());
    }
    let moved = selected.mailbox.move_to(&uids, &copy.mailbox).map_err(Refusal::of_target)?;
    context.counters.expunged += moved.done.pairs.len() as u64;
    let code =
        if moved.failure.is_some() && moved.done.pairs.is_empty() { None } else { copy_uid(moved.done, copy.numbers)? };
    if let Some(code) = code {
        response::status(&mut context.channel.out, None, Condition::Ok, Some(&code), "Moved");
    }
    // Of those that were moved the client has heard; the others are as they were (RFC 6851 section 3.3).
    moved.failure.map_or(Ok(Done::plain()), |failure| Err(failure.into()))
}

/// What COPYUID tells. If no message was left, that is an error only where the client named places, not UIDs.
fn copy_uid(copied: Copied, numbers: Numbers) -> Result<Option<Code>, Refusal> {
    match (copied.pairs.is_empty(), numbers) {
        (false, _) => Ok(Some(Code::CopyUid(copied.uid_validity, copied.pairs))),
        (true, Numbers::Uid) => Ok(None),
        (true, Numbers::Sequence) => Err(Refusal::no(Code::ExpungeIssued, "The messages no longer exist")),
    }
}
