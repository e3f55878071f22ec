//! SEARCH, UID SEARCH (RFC 9051 section 6.4.4, RFC 3501 section 6.4.4, RFC 4731, RFC 5182, RFC 5032).

use super::Numbers;
use crate::types::query::Query;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Search {
    pub numbers: Numbers,
    /// `None` without RETURN: then the revision says how to answer.
    pub returns: Option<SearchReturn>,
    /// Texts already decoded from the CHARSET.
    pub query: Query,
}

/// RETURN (...). The empty list means ALL, and the parser has made it so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    pub save: bool,
}
