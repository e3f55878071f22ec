//! `--fork`: a process for each connection.

use super::accept::{self, Launcher, Refused};
use super::certificates::{Certificates, Tls};
use super::child;
use super::config::Config;
use super::connection::{Connection, Service};
use super::counts::{Counts, Slot, Source};
use super::listener::Listener;
use crate::log::{Level, log};
use crate::sys::process::{self, Ended, Forked, Pid};
use crate::sys::signal::{self, Signal, Signals};
use crate::sys::socket;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// Runs until told to end. The error is of the start.
pub fn run(listeners: Vec<Listener>, config: &Config, service: Service, certificates: Certificates) -> io::Result<()> {
    process::silence_input_and_output()?;
    process::hide_memory();
    let caught = [Signal::Terminate, Signal::Interrupt, Signal::Reload, Signal::ChildEnded];
    let mut processes = Processes {
        service,
        counts: Counts::new(config.most),
        children: HashMap::new(),
        signals: Signals::catch(&caught)?,
    };
    accept::run(listeners, certificates, &mut processes);
    Ok(())
}

struct Processes {
    service: Service,
    counts: Counts,
    children: HashMap<Pid, Child>,
    signals: Signals,
}

struct Child {
    slot: Slot,
    /// On which it asks, once it has a user, whether it may go on; `None` after that.
    question: Option<OwnedFd>,
    began: Instant,
}

impl Launcher for Processes {
    fn watched(&self) -> Vec<BorrowedFd<'_>> {
        self.children.values().filter_map(|child| child.question.as_ref()).map(AsFd::as_fd).collect()
    }

    fn attend(&mut self) {
        for child in self.children.values_mut() {
            child.answer(&mut self.counts);
        }
        while let Some((pid, ended)) = process::reap() {
            let child = self.children.remove(&pid);
            // What is no session is a keeper of the private keys.
            let what = if child.is_some() { "session" } else { "keeper" };
            let seconds = child.as_ref().map_or(0, |child| child.began.elapsed().as_secs());
            match ended {
                Ended::Exit(0) => {}
                Ended::Exit(code) => log!(Level::Error, "{what} process {pid} ended with status {code}"),
                Ended::Signal(signal) if child.is_none() => {
                    log!(Level::Error, "{what} process {pid} was killed by signal {signal}");
                }
                Ended::Signal(signal) => {
                    log!(Level::Error, "{what} process {pid} was killed by signal {signal} after {seconds} seconds");
                }
            }
            if let Some(child) = child {
                self.counts.remove(child.slot);
            }
        }
    }

    fn launch(&mut self, connection: Connection, certificates: &mut Certificates) -> Result<(), Refused> {
        let source = Source::of(connection.peer.address);
        let slot = self.counts.add(source).map_err(Refused::Limit)?;
        let tls = certificates.current(connection.peer.address);
        match self.fork(connection, tls) {
            Ok((pid, question)) => {
                let began = Instant::now();
                self.children.insert(pid, Child { slot, question: Some(question), began });
                Ok(())
            }
            Err(error) => {
                self.counts.remove(slot);
                Err(Refused::Exhausted(error))
            }
        }
    }

    fn running(&self) -> usize {
        self.children.len()
    }

    fn stop_all(&mut self) {
        for &pid in self.children.keys() {
            process::terminate(pid);
        }
    }

    fn signals(&self) -> &Signals {
        &self.signals
    }
}

impl Processes {
    fn fork(&mut self, connection: Connection, tls: Option<Tls>) -> io::Result<(Pid, OwnedFd)> {
        let (ours, theirs) = socket::message_pair()?;
        // A signal for the child that came before it has put its own house in order would be handled as ours.
        let blocked = signal::block()?;
        match process::fork()? {
            Forked::Child => {
                self.signals.ignore();
                child::run(connection, &self.service, tls, theirs, blocked)
            }
            Forked::Parent(pid) => Ok((pid, ours)),
        }
    }
}

impl Child {
    /// The child sends its user's name and waits for one octet.
    fn answer(&mut self, counts: &mut Counts) {
        let Some(question) = &self.question else { return };
        let mut name = [0; child::LONGEST_QUESTION];
        let answer = match socket::receive_now(question, &mut name) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) | Ok(0) => None,
            Ok(length) => {
                let name = String::from_utf8_lossy(name.get(..length).unwrap_or_default());
                Some(counts.log_in(&mut self.slot, &name))
            }
        };
        if let Some(yes) = answer {
            // A child that is gone needs no answer.
            let _ = socket::send_now(question, &[u8::from(yes)]);
        }
        self.question = None;
    }
}
