//! Run a query over an open mailbox: cheap keys first, text last.

pub mod collate;
pub mod matcher;
pub mod result;
pub mod text;

use crate::storage::reader::Block;
use crate::storage::{Mailbox, StoreError};
use crate::types::query::Query;
use crate::types::{Uid, UidSet};
use matcher::Matcher;
use result::{Extent, Found};

/// The mailbox as the client knows it.
pub struct View<'a> {
    /// Ascending; the n-th has sequence number n.
    pub messages: &'a [Uid],
    /// `$`
    pub saved: &'a UidSet,
}

/// Why a search has no result.
#[derive(Debug)]
pub enum Stopped {
    /// The caller asked for it.
    Cancelled,
    /// The mailbox as a whole failed.
    Store(StoreError),
}

/// Finds the messages of the view that match. Those that are gone from the store match nothing. `now` is in seconds since 1970;
/// `cancelled` is asked before each message and each block of one.
pub fn search(
    query: &Query,
    mailbox: &mut dyn Mailbox,
    view: &View<'_>,
    now: i64,
    extent: Extent,
    cancelled: &mut dyn FnMut() -> bool,
) -> Result<Found, Stopped> {
    let matcher = Matcher::new(query, view, now);
    let mut found = Found::default();
    let mut block = Block::default();
    let mut matches = |uid: Uid| -> Result<bool, Stopped> {
        if cancelled() {
            return Err(Stopped::Cancelled);
        }
        match matcher.matches(mailbox, uid, &mut block, cancelled) {
            Ok(matched) => Ok(matched),
            Err(Stopped::Store(StoreError::Expunged)) => Ok(false),
            Err(Stopped::Store(StoreError::NoSuchMailbox)) => Err(Stopped::Store(StoreError::NoSuchMailbox)),
            Err(Stopped::Store(error)) => {
                found.failure.get_or_insert(error);
                Ok(false)
            }
            Err(Stopped::Cancelled) => Err(Stopped::Cancelled),
        }
    };
    let mut uids = UidSet::new();
    let mut rest = view.messages;
    if extent != Extent::Last {
        while let Some((&uid, tail)) = rest.split_first() {
            rest = tail;
            if matches(uid)? {
                uids.insert(uid);
                if extent != Extent::All {
                    break;
                }
            }
        }
    }
    if matches!(extent, Extent::Last | Extent::Ends) {
        while let Some((&uid, head)) = rest.split_last() {
            rest = head;
            if matches(uid)? {
                uids.insert(uid);
                break;
            }
        }
    }
    found.uids = uids;
    Ok(found)
}
