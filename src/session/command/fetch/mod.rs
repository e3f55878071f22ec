//! FETCH: plan the cheapest source for each item, then one pass over the messages.

use crate::protocol::command::fetch::Fetch;
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;

/// What is remembered of the message that was read last, so that a client which fetches a large message piece by piece does not cost a scan of
/// the whole for each piece.
#[derive(Default)]
pub struct LastRead {}

/// FETCH and UID FETCH.
pub fn fetch(_context: &mut Context<'_>, _selected: &mut Selected, _fetch: &Fetch) -> Result<Done, Refusal> {
    todo!()
}
