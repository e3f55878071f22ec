//! SEARCH: run the query, save `$`, answer old style or ESEARCH.

use crate::protocol::command::Numbers;
use crate::protocol::command::search::{Search, SearchReturn};
use crate::protocol::response;
use crate::protocol::response::search::Esearch;
use crate::search::result::Extent;
use crate::search::{Stopped, View};
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;
use crate::storage::StoreError;
use crate::types::UidSet;
use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a long search looks whether the client is still there.
const LOOK_ROUND: Duration = Duration::from_millis(500);

/// SEARCH and UID SEARCH. What was found in the messages that could be read is told even if others could not, which the tagged NO says.
pub fn search(context: &mut Context<'_>, selected: &mut Selected, search: &Search) -> Result<Done, Refusal> {
    let returns = search.returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    let extended = search.returns.is_some() || context.enabled.imap4rev2;
    let result = run(context, selected, search, returns);
    if returns.save {
        // A search that ends in NO leaves an empty `$` (RFC 5182 section 2.1).
        let saved = result.as_ref().ok().filter(|found| found.failure.is_none());
        selected.save(saved.map_or_else(UidSet::new, |found| found.uids.clone()));
    }
    let found = result?;
    let modseq = found.uids.iter().filter(|_| search.by_modseq()).filter_map(|uid| selected.mailbox.modseq(uid)).max();
    let out = &mut context.channel.out;
    if !extended {
        response::search::search(out, selected.numbers(&found.uids, search.numbers), modseq);
    } else if returns.min || returns.max || returns.all || returns.count {
        let answer = Esearch { modseq, ..answer(selected, &found.uids, search.numbers, returns) };
        response::search::esearch(out, context.tag, search.numbers, &answer);
    }
    match found.failure {
        None => Ok(Done::plain()),
        Some(error) => Err(error.into()),
    }
}

fn run(
    context: &mut Context<'_>,
    selected: &mut Selected,
    search: &Search,
    returns: SearchReturn,
) -> Result<crate::search::result::Found, Refusal> {
    let now =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
    let extent = Extent::of(returns.min, returns.max, returns.all || returns.count);
    let channel = &mut *context.channel;
    let mut looked = Instant::now();
    let mut cancelled = || {
        if looked.elapsed() < LOOK_ROUND {
            return false;
        }
        looked = Instant::now();
        channel.is_gone()
    };
    let view = View { messages: &selected.view, saved: &selected.saved };
    crate::search::search(&search.query, &mut *selected.mailbox, &view, now, extent, &mut cancelled).map_err(
        |stopped| match stopped {
            Stopped::Cancelled => Refusal::Disconnected(io::ErrorKind::ConnectionAborted.into()),
            Stopped::Store(StoreError::NoSuchMailbox) => Refusal::MailboxGone,
            Stopped::Store(error) => error.into(),
        },
    )
}

fn answer(selected: &Selected, uids: &UidSet, kind: Numbers, returns: SearchReturn) -> Esearch {
    let all: Vec<u32> = selected.numbers(uids, kind).collect();
    Esearch {
        min: all.first().copied().filter(|_| returns.min),
        max: all.last().copied().filter(|_| returns.max),
        count: returns.count.then(|| u32::try_from(all.len()).unwrap_or(u32::MAX)),
        all: returns.all.then(|| all.into_iter().collect()),
        modseq: None,
    }
}
