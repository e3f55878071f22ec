//! The imap suite: sessions in process, each case on memory and on Maildir.

#[path = "../support/mod.rs"]
mod support;

mod strict_client;
mod two_clients;
