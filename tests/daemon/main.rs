//! The daemon suite: the real binary in each mode, its processes and its signals.

#[path = "../support/daemon.rs"]
mod support;

mod damage;
mod dovecot;
mod errors;
mod exhausted;
mod faults;
mod fsck;
mod homes;
mod hostile;
mod inetd;
mod keeper;
mod load;
mod log;
mod memory;
mod modes;
mod pam_session;
mod privilege;
mod signals;
mod tls;
