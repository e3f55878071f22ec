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
mod killed;
mod load;
mod log;
mod memory;
mod modes;
mod notices;
mod pam_session;
mod penalties;
mod privilege;
mod processes;
mod proxies;
mod signals;
mod tls;
