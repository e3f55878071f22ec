//! The imap suite: sessions in process, each case on memory and on Maildir.

#[path = "../support/mod.rs"]
mod support;

mod append;
mod auth;
mod behind_our_back;
mod bounds;
mod clients;
mod concurrent;
mod condstore;
mod copy;
mod corpus;
mod demo;
mod fetch;
mod fetch_section;
mod general;
mod hostile;
mod idle;
mod kept;
mod limits;
mod list;
mod mailbox;
mod names;
mod objectid_savedate;
mod qresync;
mod rfc_examples;
mod search;
mod select;
mod starttls;
mod store;
mod strict_client;
mod talk;
mod two_clients;
mod weapons;
