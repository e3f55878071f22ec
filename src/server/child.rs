//! The process of one connection: root until somebody has logged in, then that user, to its end.

use super::connection::{Connection, Service, serve};
use super::reports::{self, Listener};
use crate::log;
use crate::sys::process;
use crate::sys::signal::{Blocked, Signal, Signals};
use crate::transport::tls::TlsConfig;
use crate::transport::wait::Stop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Serves the connection in a process that has just been forked, with all signals blocked and none caught.
pub fn run(
    connection: Connection,
    service: &Service,
    tls: Option<TlsConfig>,
    question: OwnedFd,
    blocked: Blocked,
) -> ! {
    let served = catch_unwind(AssertUnwindSafe(|| {
        log::close_descriptors();
        process::close_all_but(&[connection.socket.as_raw_fd(), question.as_raw_fd()]);
        process::start_session();
        process::hide_memory();
        process::set_private_umask();
        let stop = stop();
        drop(blocked);
        if std::env::set_current_dir("/").is_err() {
            return reports::PANICKED;
        }
        reports::status(serve(connection, service, tls.as_ref(), stop, &mut Listener(Some(question))))
    }));
    process::exit_now(served.unwrap_or(reports::PANICKED));
}

/// SIGTERM and SIGINT end the session with BYE.
pub fn stop() -> Stop {
    let signals = Signals::catch(&[Signal::Terminate, Signal::Interrupt]).and_then(Signals::into_descriptor);
    // Without it a signal does not end the session; the listener's end does not depend on that.
    Stop(signals.ok().map(Arc::new))
}
