//! The storage suite.

#[path = "../support/mod.rs"]
mod support;

mod concurrent;
mod contract;
mod mail;
mod maildir;
