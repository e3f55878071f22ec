//! The daemon's only loop: accept, launch, reap, heed signals. It never blocks but in poll, and never ends but by a
//! signal.

use super::certificates::Certificates;
use super::connection::Connection;
use super::listener::{Listener, Protocol};
use super::notify;
use super::source::Source;
use crate::log::{Level, log};
use crate::sys::poll::{Watch, poll};
use crate::sys::signal::{Signal, Signals};
use crate::sys::socket;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long to let be when the system has no descriptor or process left.
const BACK_OFF: Duration = Duration::from_secs(1);

/// How often a fault of the same kind is logged.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Connections taken from one listener before the others have their turn.
const BATCH: usize = 32;

/// How a connection gets someone to serve it.
pub trait Launcher {
    /// Descriptors that are readable when [`Launcher::attend`] has something to do.
    fn watched(&self) -> Vec<BorrowedFd<'_>>;

    /// Does what the watched descriptors and ended children ask for. Called after each wait.
    fn attend(&mut self);

    /// Has the connection served. Gives where one was from that had to go for it.
    fn launch(&mut self, connection: Connection, certificates: &mut Certificates) -> Result<Option<Source>, Refused>;

    /// Connections that have not ended.
    fn running(&self) -> usize;

    /// Ends them with a BYE.
    fn stop_all(&mut self);

    /// The signals that the loop heeds. Here, since a process that is forked must stop catching them.
    fn signals(&self) -> &Signals;
}

/// Why a connection is not served.
pub enum Refused {
    /// A limit of ours.
    Limit(&'static str),
    /// The system has no more to give.
    Exhausted(io::Error),
}

/// Runs until SIGTERM and the end of the last connection.
pub fn run(listeners: Vec<Listener>, mut certificates: Certificates, launcher: &mut dyn Launcher) {
    // Said once signals are caught, so that whoever waits for it may send one.
    for listener in &listeners {
        log!(Level::Notice, "listening on {listener}");
    }
    let mut acceptor = Acceptor { listeners, not_before: None, faults: Faults::default(), told: None };
    notify::ready();
    loop {
        if let Err(error) = acceptor.wait(launcher) {
            // The system is out of memory. Whoever lets go of the sockets now ends the service for good.
            acceptor.faults.log(Fault::Accept, &error);
            std::thread::sleep(BACK_OFF);
        }
        for signal in launcher.signals().take() {
            match signal {
                Signal::ChildEnded => {}
                Signal::Reload => {
                    notify::reloading();
                    certificates.reload();
                    notify::ready();
                }
                Signal::Terminate | Signal::Interrupt if !acceptor.listeners.is_empty() => {
                    acceptor.listeners.clear();
                    notify::stopping();
                    log!(Level::Notice, "stopping; {} sessions go on", launcher.running());
                }
                Signal::Terminate | Signal::Interrupt => {
                    log!(Level::Notice, "ending {} sessions", launcher.running());
                    launcher.stop_all();
                }
            }
        }
        launcher.attend();
        certificates.attend();
        if acceptor.listeners.is_empty() && launcher.running() == 0 {
            log!(Level::Notice, "stopped");
            return;
        }
        acceptor.accept(&mut certificates, launcher);
        acceptor.tell_status(launcher.running());
    }
}

struct Acceptor {
    listeners: Vec<Listener>,
    /// No accepting before then.
    not_before: Option<Instant>,
    faults: Faults,
    /// What systemd was told last, and when.
    told: Option<(usize, Instant)>,
}

impl Acceptor {
    fn wait(&mut self, launcher: &dyn Launcher) -> io::Result<()> {
        if self.not_before.is_some_and(|moment| Instant::now() >= moment) {
            self.not_before = None;
        }
        let mut watches = vec![Watch::input(launcher.signals().descriptor())];
        watches.extend(launcher.watched().into_iter().map(Watch::input));
        if self.not_before.is_none() {
            watches.extend(self.listeners.iter().map(|listener| Watch::input(listener.socket.as_fd())));
        }
        poll(&mut watches, self.not_before)?;
        Ok(())
    }

    fn accept(&mut self, certificates: &mut Certificates, launcher: &mut dyn Launcher) {
        for listener in &self.listeners {
            for _ in 0..BATCH {
                if self.not_before.is_some() {
                    return;
                }
                let socket = match listener.socket.accept() {
                    Ok((socket, _)) => socket,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    // The client has gone before we came: nobody's fault.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                    Err(error) => {
                        self.faults.log(Fault::Accept, &error);
                        self.not_before = Some(Instant::now() + BACK_OFF);
                        return;
                    }
                };
                let goodbye = socket.try_clone().ok();
                let connection = Connection::new(socket.into(), listener.protocol);
                let peer = connection.peer.clone();
                match launcher.launch(connection, certificates) {
                    Ok(None) => {}
                    Ok(Some(source)) => {
                        self.faults
                            .log(Fault::Dropped, &format_args!("too many connections without login: host=[{source}]"));
                    }
                    Err(Refused::Limit(why)) => {
                        self.faults.log(Fault::Limit, &format_args!("{why}: host=[{}]", peer.host()));
                        if let Some(socket) = goodbye {
                            refuse(socket, listener.protocol, why);
                        }
                    }
                    Err(Refused::Exhausted(error)) => {
                        self.faults.log(Fault::Launch, &error);
                        self.not_before = Some(Instant::now() + BACK_OFF);
                        if let Some(socket) = goodbye {
                            say_goodbye(socket, listener.protocol, "* BYE [UNAVAILABLE] Try again later\r\n");
                        }
                    }
                }
            }
        }
    }

    /// The number of sessions, at most once a second.
    fn tell_status(&mut self, running: usize) {
        let recently = |moment: Instant| moment.elapsed() < Duration::from_secs(1);
        if self.told.is_none_or(|(number, moment)| number != running && !recently(moment)) {
            self.told = Some((running, Instant::now()));
            notify::status(&format!("{running} connections"));
        }
    }
}

/// Tells a client which limit keeps it out, where it understands us before a handshake.
pub fn refuse(socket: impl AsFd, protocol: Protocol, why: &str) {
    say_goodbye(socket, protocol, &refusal(why));
}

/// What a client is told that a limit keeps out.
pub fn refusal(why: &str) -> String {
    format!("* BYE [LIMIT] {}\r\n", sentence(why))
}

/// As much as the socket takes at once: nobody is waited for here.
fn say_goodbye(socket: impl AsFd, protocol: Protocol, text: &str) {
    if protocol == Protocol::Imap {
        let _ = socket::send_now(socket, text.as_bytes());
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[derive(Clone, Copy)]
enum Fault {
    Accept,
    Launch,
    Limit,
    Dropped,
}

/// Faults come by the thousand when they come; the log hears of each kind once a minute.
#[derive(Default)]
struct Faults([Option<(Instant, u64)>; 4]);

impl Faults {
    fn log(&mut self, fault: Fault, error: &dyn std::fmt::Display) {
        let (slot, what) = match fault {
            Fault::Accept => (&mut self.0[0], "cannot accept a connection"),
            Fault::Launch => (&mut self.0[1], "cannot serve a connection"),
            Fault::Limit => (&mut self.0[2], "connection refused"),
            Fault::Dropped => (&mut self.0[3], "connection dropped"),
        };
        let unsaid = match slot {
            Some((said, unsaid)) if said.elapsed() < LOG_EVERY => {
                *unsaid += 1;
                return;
            }
            Some((_, unsaid)) => *unsaid,
            None => 0,
        };
        *slot = Some((Instant::now(), 0));
        match unsaid {
            0 => log!(Level::Warning, "{what}: {error}"),
            more => log!(Level::Warning, "{what}: {error} (and {more} more like it)"),
        }
    }
}
