//! The Date header, as people really write it (RFC 5322 sections 3.3 and 4.3).

use crate::types::DateTime;

/// `None` if there is no date in it.
pub fn parse(_value: &[u8]) -> Option<DateTime> {
    todo!()
}
