//! Text encodings shared by protocol and message.

pub mod ascii;
pub mod base64;
pub mod utf7;
