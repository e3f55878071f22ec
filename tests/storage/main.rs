//! The storage suite.

#[path = "../support/mod.rs"]
mod support;

mod concurrent;
mod contract;
mod index;
mod mail;
mod maildir;
