//! One process, a thread for each connection, no change of user: development, tests, virtual users.

use super::accept::{self, Launcher, Refused};
use super::certificates::{Certificates, Tls};
use super::config::{Config, Storage};
use super::connection::{Connection, Service, serve};
use super::counts::{Counts, Dropped, Number, Slot};
use super::listener::Listener;
use super::penalties::Offence;
use super::reports::{self, Overseer};
use super::source::Source;
use crate::limits;
use crate::log::{Level, log};
use crate::storage::maildir;
use crate::sys::credentials;
use crate::sys::process;
use crate::sys::signal::{Signal, Signals};
use crate::sys::socket;
use crate::transport::wait::Stop;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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
        shared: Arc::new(Mutex::new(Shared {
            counts: Counts::new(config.most, config.penalty_exempt.clone()),
            sockets: HashMap::new(),
        })),
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
    shared: Arc<Mutex<Shared>>,
    signals: Signals,
    /// Readable when a thread has ended.
    ended: UnixStream,
    end: UnixStream,
    /// Closed to end all sessions.
    stop: Option<UnixStream>,
    stopped: Stop,
}

/// What all threads look at.
struct Shared {
    counts: Counts,
    /// Those of connections without login, which can be made to end by them.
    sockets: HashMap<Number, OwnedFd>,
}

impl Shared {
    /// Ends the connection of one that has to go.
    fn let_go(&mut self, dropped: Option<Dropped>) {
        if let Some(socket) = dropped.and_then(|dropped| self.sockets.remove(&dropped.number)) {
            // A socket that is not connected any more has nothing to end.
            let _ = socket::end_both(socket);
        }
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread's place in the counts, given back however the thread ends.
struct Place {
    shared: Arc<Mutex<Shared>>,
    slot: Option<Slot>,
    offence: Option<Offence>,
    end: UnixStream,
}

impl Place {
    /// The connection has ended, and this is to be held against it.
    fn give_back(mut self, offence: Option<Offence>) {
        self.offence = offence;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let mut shared = locked(&self.shared);
            shared.sockets.remove(&slot.number);
            shared.counts.remove(slot, self.offence, Instant::now());
        }
        let _ = self.end.write(b"x");
    }
}

impl Overseer for Place {
    fn from(&mut self, client: IpAddr) -> Result<(), String> {
        let Some(slot) = &mut self.slot else { return Ok(()) };
        let mut shared = locked(&self.shared);
        let dropped = shared.counts.place(slot, Source::of(Some(client)), Instant::now())?;
        shared.let_go(dropped);
        Ok(())
    }

    fn failed(&mut self) -> Duration {
        let Some(slot) = &self.slot else { return limits::TIME_OF_FAILURE };
        locked(&self.shared).counts.fail(slot, Instant::now())
    }

    fn logged_in(&mut self, user: &str) -> bool {
        let Some(slot) = &mut self.slot else { return false };
        let mut shared = locked(&self.shared);
        shared.sockets.remove(&slot.number);
        shared.counts.log_in(slot, user)
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

    fn launch(&mut self, connection: Connection, certificates: &mut Certificates) -> Result<Option<Source>, Refused> {
        let peer = &connection.peer;
        let source = (!self.service.offer.expects_proxy_header(peer)).then(|| Source::of(peer.address));
        let end = self.end.try_clone().map_err(Refused::Exhausted)?;
        let socket = connection.socket.try_clone().map_err(Refused::Exhausted)?;
        let (slot, dropped) = {
            let mut shared = locked(&self.shared);
            let (slot, dropped) = shared.counts.add(source, Instant::now()).map_err(Refused::Limit)?;
            shared.let_go(dropped);
            shared.sockets.insert(slot.number, socket);
            (slot, dropped)
        };
        let mut place = Place { shared: self.shared.clone(), slot: Some(slot), offence: None, end };
        let tls = certificates.current(&connection.peer).and_then(Tls::into_config);
        let (service, stop) = (self.service.clone(), self.stopped.clone());
        let thread = move || {
            // The panic hook has logged it; only this connection ends.
            let served = catch_unwind(AssertUnwindSafe(|| serve(connection, &service, tls, stop, &mut place)));
            place.give_back(served.map_or(Some(Offence::Crash), reports::offence));
        };
        let spawned = std::thread::Builder::new().stack_size(STACK).spawn(thread);
        spawned.map(|_| dropped.map(|dropped| dropped.source)).map_err(Refused::Exhausted)
    }

    fn running(&self) -> usize {
        locked(&self.shared).counts.all()
    }

    fn stop_all(&mut self) {
        self.stop = None;
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}
