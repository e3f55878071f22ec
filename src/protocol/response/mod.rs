//! Responses: each function writes one, whole with its CRLF unless it says otherwise, to a buffer.

pub mod code;
pub mod envelope;
pub mod fetch;
pub mod mailbox;
pub mod search;
pub mod structure;

use super::command::Tag;
use code::Code;

/// The condition of a status response (RFC 9051 section 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    Ok,
    No,
    Bad,
    PreAuth,
    Bye,
}

/// `tag OK [CODE] text`, or `* ...` without a tag. Controls and 8-bit octets of `text` are replaced.
pub fn status(_out: &mut Vec<u8>, _tag: Option<&Tag>, _condition: Condition, _code: Option<&Code>, _text: &str) {
    todo!()
}

/// `+ text`
pub fn continuation(_out: &mut Vec<u8>, _text: &str) {
    todo!()
}

/// `* CAPABILITY ...`
pub fn capability(_out: &mut Vec<u8>, _names: &[&str]) {
    todo!()
}

/// `* ENABLED ...`, also when empty (RFC 9051 section 6.3.1).
pub fn enabled(_out: &mut Vec<u8>, _names: &[&str]) {
    todo!()
}

/// `* ID (...)` (RFC 2971).
pub fn id(_out: &mut Vec<u8>, _pairs: &[(&str, &str)]) {
    todo!()
}
