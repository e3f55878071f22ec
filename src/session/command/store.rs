//! STORE, UID STORE.

use crate::protocol::command::Numbers;
use crate::protocol::command::store::Store;
use crate::protocol::response::code::Code;
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::session::updates::{self, Items};
use crate::types::{Flags, Uid, UidSet};
use std::collections::HashMap;

/// STORE (RFC 9051 section 6.4.6). Of messages that another session expunged, by number, the client hears by NO
/// (RFC 2180 section 4.2), unless it said `.SILENT`; UIDs without a message are passed over. `.SILENT` keeps back what the client
/// can work out itself: where others had changed the flags too, it is told what they are now, and after CONDSTORE always when that was.
///
/// With UNCHANGEDSINCE (RFC 7162 section 3.1.3) it is told why a message was left as it is: at once if this session knew, else with the news.
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
    let stored = selected.mailbox.store(&uids, store.change, &store.flags, store.unchanged_since)?;
    let enabled = *context.enabled;
    updates::keywords(&mut context.channel.out, selected);
    let mut items = Items::of_news(enabled);
    items.uid |= store.numbers == Numbers::Uid;
    for (uid, flags) in stored.flags.iter().filter(|(uid, _)| !stored.modified.contains(*uid)) {
        let items = Items { flags: silenced.get(uid) != Some(flags), ..items };
        if items.flags || items.modseq {
            updates::changed(context.channel, selected, *uid, Some(flags), items, enabled)?;
        }
    }
    for uid in stored.modified.iter() {
        if store.unchanged_since.is_some_and(|since| selected.changed_since(uid, since)) {
            updates::changed(context.channel, selected, uid, None, items, enabled)?;
        }
    }
    let told: UidSet = stored.flags.iter().map(|(uid, _)| *uid).collect();
    let code = (!stored.modified.is_empty())
        .then(|| Code::Modified(selected.numbers(&stored.modified, store.numbers).collect()));
    if !store.silent && store.numbers == Numbers::Sequence && told.union(&stored.modified).len() < uids.len() {
        let code = code.unwrap_or(Code::ExpungeIssued);
        return Err(Refusal::no(code, "Some of the messages no longer exist"));
    }
    Ok(Done { code, text: None })
}
