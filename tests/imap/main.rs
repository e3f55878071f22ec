//! The imap suite: sessions in process, each case on memory and on Maildir.

#[path = "../support/mod.rs"]
mod support;
