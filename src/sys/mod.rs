//! The fence: all unsafe code and all raw system calls live below this line, behind safe functions.

pub mod clock;
pub mod credentials;
pub mod fault;
pub mod file;
pub mod inotify;
pub mod lmdb;
pub mod lock;
pub mod mapping;
pub mod poll;
pub mod process;
pub mod sandbox;
pub mod signal;
pub mod socket;
pub mod user;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held during a fork and during each look at the account database, so that no fork of a process with threads takes a copy of a database lock that nobody will
/// release.
fn sealed() -> MutexGuard<'static, ()> {
    static SEAL: Mutex<()> = Mutex::new(());
    SEAL.lock().unwrap_or_else(PoisonError::into_inner)
}
