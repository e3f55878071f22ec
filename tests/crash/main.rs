//! The crash suite: the real binary is killed or its disk fails at each call that it makes, and the books balance all the same.

#[path = "../support/mod.rs"]
mod support;

mod durable;
mod failing;
mod killed;
mod ledger;
mod operations;
mod shim;
mod site;
mod torture;
