//! The table: command name, states it is valid in, whether EXPUNGE may be told before its tagged answer, the function that runs it.

pub mod append;
pub mod auth;
pub mod copy;
pub mod expunge;
pub mod fetch;
pub mod general;
pub mod idle;
pub mod list;
pub mod mailbox;
pub mod search;
pub mod select;
pub mod status;
pub mod store;
