//! STORE, UID STORE.

use crate::protocol::command::Numbers;
use crate::protocol::command::store::Store;
use crate::protocol::response::code::Code;
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::session::updates::{self, Items};
use crate::types::{Flags, Uid};
use std::collections::HashMap;

/// STORE (RFC 9051 section 6.4.6). Of messages that another session expunged, by number, the client hears by NO
/// (RFC 2180 section 4.2), unless it said `.SILENT`; UIDs without a message are passed over. `.SILENT` keeps back what the client
/// can work out itself: where others had changed the flags too, it is told what they are now.
pub fn store(context: &mut Context<'_>, selected: &mut Selected, store: &Store) -> Result<Done, Refusal> {
    if selected.read_only {
        return Err(Refusal::no(Code::ReadOnly, "Mailbox is open for reading only"));
    }
    let uids = selected.resolve(&store.set, store.numbers)?;
    if uids.is_empty() {
        return Ok(Done::plain());
    }
    let after = |uid| Some((uid, store.change.apply(&selected.mailbox.flags(uid)?, &store.flags)));
    // RFC 9051 section 6.4.6: what others did is told whether or not `.SILENT` was said.
    let silenced: HashMap<Uid, Flags> = uids.iter().filter(|_| store.silent).filter_map(after).collect();
    let changed = selected.mailbox.store(&uids, store.change, &store.flags, None)?.flags;
    updates::keywords(&mut context.channel.out, selected);
    let items = match store.numbers {
        Numbers::Uid => Items::UidAndFlags,
        Numbers::Sequence => Items::of_news(*context.enabled),
    };
    for (uid, flags) in changed.iter().filter(|(uid, flags)| silenced.get(uid) != Some(flags)) {
        updates::flags(context.channel, selected, *uid, Some(flags), items, *context.enabled)?;
    }
    if !store.silent && store.numbers == Numbers::Sequence && changed.len() < uids.len() {
        return Err(Refusal::no(Code::ExpungeIssued, "Some of the messages no longer exist"));
    }
    Ok(Done::plain())
}
