//! The daemon suite: the real binary in each mode, its processes and its signals.

#[path = "../support/daemon.rs"]
mod support;

mod errors;
mod faults;
mod hostile;
mod load;
mod log;
mod memory;
mod modes;
mod privilege;
mod signals;
mod tls;
