//! FETCH: plan the cheapest source for each item, then one pass over the messages.

mod items;
mod kept;
mod section;
mod source;

pub use source::LastRead;

use crate::limits;
use crate::log::{Level, log};
use crate::protocol::command::Numbers;
use crate::protocol::command::fetch::Fetch;
use crate::protocol::response;
use crate::protocol::response::code::Code;
use crate::protocol::response::fetch::Vanished;
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::storage::StoreError;
use crate::types::flag::FlagChange;
use crate::types::{Flags, SystemFlag, Uid, UidSet};
use items::{Buffers, Plan};
use std::io;

/// FETCH and UID FETCH. A message that fails does not keep the others from being answered; the tagged answer is then NO with the reason.
pub fn fetch(context: &mut Context<'_>, selected: &mut Selected, fetch: &Fetch) -> Result<Done, Refusal> {
    let mut uids: Vec<Uid> = selected.resolve(&fetch.set, fetch.numbers)?.iter().collect();
    if let Some(since) = fetch.changed_since {
        if fetch.vanished {
            let vanished = selected.vanished_since(since, &fetch.set)?;
            response::fetch::vanished(&mut context.channel.out, Vanished::Earlier, &vanished);
        }
        uids.retain(|&uid| selected.changed_since(uid, since));
    }
    let plan = Plan::of(&fetch.items);
    let marks = plan.sets_seen && !selected.read_only;
    let batch = if marks { limits::SEEN_BATCH } else { uids.len().max(1) };
    let mut buffers = Buffers::default();
    let mut failure = None;
    for batch in uids.chunks(batch) {
        let changed = if marks { mark_seen(selected, batch)? } else { UidSet::new() };
        for &uid in batch {
            match items::answer(context, selected, fetch, &plan, uid, changed.contains(uid), &mut buffers) {
                Ok(()) => {}
                Err(Trouble::Broken(error)) => return Err(Refusal::Disconnected(error)),
                Err(Trouble::UnknownEncoding) => {
                    let text = "A part has a content transfer encoding that is not known";
                    failure.get_or_insert_with(|| Refusal::no(Code::UnknownCte, text));
                }
                Err(Trouble::Store(StoreError::NoSuchMailbox)) => return Err(Refusal::MailboxGone),
                // A UID that is gone is as one that never was (RFC 9051 section 6.4.9).
                Err(Trouble::Store(StoreError::Expunged)) if fetch.numbers == Numbers::Uid => {}
                Err(Trouble::Store(StoreError::Expunged)) => {
                    failure.get_or_insert_with(|| {
                        Refusal::no(Code::ExpungeIssued, "Some of the messages no longer exist")
                    });
                }
                Err(Trouble::Store(error)) => {
                    failure.get_or_insert_with(|| error.into());
                }
            }
            context.channel.flush_if_full()?;
        }
    }
    selected.last_read.rest();
    failure.map_or_else(|| Ok(Done::plain()), Err)
}

/// Why a message could not be answered in full.
enum Trouble {
    Store(StoreError),
    /// A BINARY item was left out (RFC 9051 section 7.5.2).
    UnknownEncoding,
    /// In the midst of a response: the client cannot be told, and the connection must end.
    Broken(io::Error),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Trouble::Store(error)
    }
}

/// Sets \Seen on what lacks it and says where that changed something. A disk that is full does not keep anyone from reading.
fn mark_seen(selected: &mut Selected, uids: &[Uid]) -> Result<UidSet, Refusal> {
    let mailbox = &mut selected.mailbox;
    let unseen: UidSet =
        uids.iter().copied().filter(|&uid| mailbox.flags(uid).is_some_and(|f| !f.has(SystemFlag::Seen))).collect();
    if unseen.is_empty() {
        return Ok(unseen);
    }
    let mut seen = Flags::new();
    seen.insert(SystemFlag::Seen);
    match mailbox.store(&unseen, FlagChange::Add, &seen, None) {
        Ok(stored) => Ok(stored.flags.into_iter().map(|(uid, _)| uid).collect()),
        Err(StoreError::NoSuchMailbox) => Err(Refusal::MailboxGone),
        Err(error) => {
            log!(Level::Warning, "cannot mark messages as seen: {error}");
            Ok(UidSet::new())
        }
    }
}
