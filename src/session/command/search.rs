//! SEARCH: run the query, save `$`, answer old style or ESEARCH.

use crate::protocol::command::search::Search;
use crate::session::Context;
use crate::session::outcome::{Done, Refusal};
use crate::session::selected::Selected;

/// SEARCH and UID SEARCH.
pub fn search(_context: &mut Context<'_>, _selected: &mut Selected, _search: &Search) -> Result<Done, Refusal> {
    todo!()
}
