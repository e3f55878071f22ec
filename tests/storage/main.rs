//! The storage suite.

#[path = "../support/mod.rs"]
mod support;

mod concurrent;
mod contract;
mod courier;
mod fsck;
mod hostile;
mod index;
mod mail;
mod maildir;
mod quota;
