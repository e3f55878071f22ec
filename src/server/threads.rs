//! One process, a thread for each connection, no change of user: development, tests, virtual users.

use super::accept::{self, Launcher, Refused};
use super::certificates::{Certificates, Tls};
use super::config::{Config, Storage};
use super::connection::{Connection, Service, serve};
use super::counts::{Counts, Slot, Source};
use super::listener::Listener;
use crate::log::{Level, log};
use crate::storage::maildir;
use crate::sys::credentials;
use crate::sys::process;
use crate::sys::signal::{Signal, Signals};
use crate::transport::wait::Stop;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Enough for a session, whose recursion is bounded.
const STACK: usize = 2 * 1024 * 1024;

/// Runs until told to end. The error is of the start.
pub fn run(listeners: Vec<Listener>, config: &Config, service: Service, certificates: Certificates) -> io::Result<()> {
    if credentials::is_root() && matches!(service.storage, Storage::Maildir(_)) {
        log!(Level::Warning, "serving Maildirs as root; --fork serves each user as that user");
    }
    process::set_private_umask();
    maildir::look_through_when_opened();
    let (ended, end) = UnixStream::pair()?;
    ended.set_nonblocking(true)?;
    // A full pipe already says that a thread has ended.
    end.set_nonblocking(true)?;
    let (stopped, stop) = UnixStream::pair()?;
    let mut threads = Threads {
        service,
        counts: Arc::new(Mutex::new(Counts::new(config.most))),
        signals: Signals::catch(&[Signal::Terminate, Signal::Interrupt, Signal::Reload])?,
        ended,
        end,
        stop: Some(stop),
        stopped: Stop(Some(Arc::new(stopped.into()))),
    };
    accept::run(listeners, certificates, &mut threads);
    Ok(())
}

struct Threads {
    service: Service,
    counts: Arc<Mutex<Counts>>,
    signals: Signals,
    /// Readable when a thread has ended.
    ended: UnixStream,
    end: UnixStream,
    /// Closed to end all sessions.
    stop: Option<UnixStream>,
    stopped: Stop,
}

fn with_counts<T>(counts: &Mutex<Counts>, work: impl FnOnce(&mut Counts) -> T) -> T {
    work(&mut counts.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A thread's place in the counts, given back however the thread ends.
struct Place {
    counts: Arc<Mutex<Counts>>,
    slot: Option<Slot>,
    end: UnixStream,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            with_counts(&self.counts, |counts| counts.remove(slot));
        }
        let _ = self.end.write(b"x");
    }
}

impl Launcher for Threads {
    fn watched(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.ended.as_fd()]
    }

    fn attend(&mut self) {
        let mut octets = [0; 256];
        while matches!(self.ended.read(&mut octets), Ok(1..)) {}
    }

    fn launch(&mut self, connection: Connection, certificates: &mut Certificates) -> Result<(), Refused> {
        let source = Source::of(connection.peer.address);
        let end = self.end.try_clone().map_err(Refused::Exhausted)?;
        let slot = with_counts(&self.counts, |counts| counts.add(source)).map_err(Refused::Limit)?;
        let mut place = Place { counts: self.counts.clone(), slot: Some(slot), end };
        let tls = certificates.current(connection.peer.address).and_then(Tls::into_config);
        let (service, stop) = (self.service.clone(), self.stopped.clone());
        let thread = move || {
            // The panic hook has logged it; only this connection ends.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                serve(connection, &service, tls, stop, &mut |account| {
                    let Place { counts, slot, .. } = &mut place;
                    slot.as_mut().is_some_and(|slot| with_counts(counts, |counts| counts.log_in(slot, &account.name)))
                });
            }));
        };
        std::thread::Builder::new().stack_size(STACK).spawn(thread).map(drop).map_err(Refused::Exhausted)
    }

    fn running(&self) -> usize {
        with_counts(&self.counts, |counts| counts.all())
    }

    fn stop_all(&mut self) {
        self.stop = None;
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}
