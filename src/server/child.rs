//! The process of one connection: root until somebody has logged in, then that user, to its end.

use super::certificates::Tls;
use super::connection::{Connection, Service, serve};
use crate::auth::Account;
use crate::log;
use crate::sys::process;
use crate::sys::signal::{Blocked, Signal, Signals};
use crate::sys::socket;
use crate::transport::wait::Stop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A user's name, sent to the listener.
pub const LONGEST_QUESTION: usize = crate::limits::USER;

/// Serves the connection in a process that has just been forked, with all signals blocked and none caught.
pub fn run(connection: Connection, service: &Service, tls: Option<Tls>, question: OwnedFd, blocked: Blocked) -> ! {
    let served = catch_unwind(AssertUnwindSafe(|| {
        log::close_descriptors();
        let mut kept = vec![connection.socket.as_raw_fd(), question.as_raw_fd()];
        kept.extend(tls.as_ref().and_then(Tls::descriptor));
        process::close_all_but(&kept);
        process::start_session();
        process::hide_memory();
        process::set_private_umask();
        let stop = stop();
        drop(blocked);
        if std::env::set_current_dir("/").is_err() {
            return;
        }
        let mut question = Some(question);
        let tls = tls.and_then(Tls::into_config);
        serve(connection, service, tls, stop, &mut |account| ask(question.take(), account));
    }));
    process::exit_now(i32::from(served.is_err()));
}

/// SIGTERM and SIGINT end the session with BYE.
pub fn stop() -> Stop {
    let signals = Signals::catch(&[Signal::Terminate, Signal::Interrupt]).and_then(Signals::into_descriptor);
    // Without it a signal does not end the session; the listener's end does not depend on that.
    Stop(signals.ok().map(Arc::new))
}

/// Asks the listener whether there may be one more session of this user. The descriptor is closed before the process
/// becomes the user.
fn ask(question: Option<OwnedFd>, account: &Account) -> bool {
    let Some(question) = question else { return false };
    // Signals for the listener, such as its end, must not strand the user: an end without an answer is a yes.
    if socket::send_now(&question, account.name.as_bytes()).is_err() {
        return true;
    }
    let mut answer = [0];
    !matches!(socket::receive(&question, &mut answer), Ok(1) if answer == [0])
}
