//! What every store promises (`src/storage/mod.rs`): one test a promise, on memory and on Maildir. A store is done when these pass.

mod append;
mod copy;
mod expunge;
mod flags;
mod mailboxes;
mod modseq;
mod news;
mod subscriptions;
