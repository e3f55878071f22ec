//! `imapd`: a classic IMAP server. Modules by layer, highest first; imports only go down (`tests/tidy.rs`).

#![deny(unsafe_code)]

mod cli;

mod server;

mod session;

mod search;

mod auth;
mod protocol;
mod storage;
mod transport;

mod message;

mod encoding;
mod limits;
mod log;
#[allow(unsafe_code)]
mod sys;
mod types;

pub mod testing;

/// Runs the program with these arguments (the program's name left out) and gives its exit status.
pub fn run(arguments: &[std::ffi::OsString]) -> u8 {
    cli::run(arguments)
}
